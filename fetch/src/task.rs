//! Doing what was asked: opening what it needs, and closing the database on every way out.

use prowl_platform::{Secrets, Store, github as api};
use serde::Serialize;

use crate::{
    Error,
    args::{Collection, Destination, Source, Task},
    events, export, git, github, import,
    mongo::{self, Mongo},
    outlet::Outlet,
    privacy, publish, synth,
};

/// What came of it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// A visit to GitHub.
    Visit(github::Report),
    /// What one would cost.
    Estimate(github::Estimate),
    /// A published export.
    Export(publish::Report),
    /// Documents in a collection.
    Load(mongo::LoadReport),
    /// Exports in a collection.
    Import(import::Report),
}

impl Report {
    /// The summary for a person.
    pub fn text(&self) -> String {
        match self {
            Self::Visit(report) => report.text(),
            Self::Estimate(report) => report.text(),
            Self::Export(report) => report.text(),
            Self::Load(report) => report.text(),
            Self::Import(report) => report.text(),
        }
    }

    /// What is missing of a run that did what it could.
    pub fn incomplete(&self) -> Option<Error> {
        match self {
            Self::Visit(report) => report.incomplete(),
            Self::Estimate(report) => report.incomplete(),
            Self::Export(_) | Self::Load(_) | Self::Import(_) => None,
        }
    }
}

impl Task {
    /// The names of the secrets that it may need.
    fn secrets(&self) -> Vec<&'static str> {
        let store = |wanted: bool| Store::SECRETS.into_iter().filter(move |_| wanted);
        let mongo = |wanted: bool| wanted.then_some(mongo::SECRET);
        let key = |wanted: bool| wanted.then_some(privacy::SECRET);
        match self {
            Self::Github { keep, .. } => {
                api::SECRETS.into_iter().chain(mongo(true)).chain(key(keep.hash_logins)).collect()
            }
            Self::Read { keep, to, .. } => {
                let into_store = matches!(to, Destination::Store { .. });
                store(into_store).chain(mongo(!into_store)).chain(key(keep.hash_logins)).collect()
            }
            Self::Export { .. } => store(true).chain(mongo(true)).collect(),
            Self::Import { store: from, .. } => store(from.is_some()).chain(mongo(true)).collect(),
        }
    }

    /// Does it.
    pub async fn run(self) -> Result<Report, Error> {
        let secrets = Secrets::open(&self.secrets()).await?;
        match self {
            Self::Github { config, dry_run, keep, collection } => {
                let privacy = keep.privacy(&secrets)?;
                let mongo = connect(collection, &secrets).await?;
                // Much is kept of a visit while it waits, which is nothing for the stack.
                let visit = async {
                    if dry_run {
                        github::estimate(config, &mongo, secrets).await.map(Report::Estimate)
                    } else {
                        github::collect(config, privacy, &mongo, secrets).await.map(Report::Visit)
                    }
                };
                closing(&mongo, Box::pin(visit)).await
            }
            Self::Read { source, keep, to } => {
                let privacy = keep.privacy(&secrets)?;
                // Of two events within a second, nothing else tells the newer one.
                let in_order = matches!(source, Source::Webhook(_) | Source::GhArchive(_));
                let read = move |outlet: &mut Outlet| match source {
                    Source::Git(config) => git::read(&config, outlet),
                    Source::Synth(config) => synth::generate(&config, outlet),
                    Source::Webhook(config) => events::webhook(&config, outlet),
                    Source::GhArchive(config) => events::gharchive(&config, outlet),
                };
                match to {
                    Destination::Store { store, part_size, compression } => {
                        let store = Store::open(&store, &secrets)?;
                        publish::publish(&store, part_size, compression, privacy, read).await.map(Report::Export)
                    }
                    Destination::Mongo(collection) => {
                        let mongo = connect(collection, &secrets).await?;
                        closing(&mongo, mongo::load(&mongo, privacy, in_order, read)).await.map(Report::Load)
                    }
                }
            }
            Self::Export { config, collection, store } => {
                let store = Store::open(&store, &secrets)?;
                let mongo = connect(collection, &secrets).await?;
                closing(&mongo, export::export(&config, &mongo, &store)).await.map(Report::Export)
            }
            Self::Import { config, collection, store } => {
                let store = store.map(|url| Store::open(&url, &secrets)).transpose()?;
                let mongo = connect(collection, &secrets).await?;
                closing(&mongo, import::import(&config, &mongo, store.as_ref())).await.map(Report::Import)
            }
        }
    }
}

async fn connect(collection: Collection, secrets: &Secrets) -> Result<Mongo, Error> {
    Mongo::connect(&collection.with(secrets)?).await
}

/// Ends the connections whatever comes of the work: the driver must not be at work when the runtime ends.
async fn closing<T>(mongo: &Mongo, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let done = work.await;
    mongo.clone().close().await;
    done
}
