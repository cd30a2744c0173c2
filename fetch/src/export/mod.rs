//! The collection as an export: read by several cursors at once, each over a range of `_id`s, turned into extended JSON
//! and compressed on the way, and published by its manifest.
//!
//! All cursors see the same moment where the server keeps snapshots. Where it does not, each document is there once, in
//! the version of some moment of the run; the manifest says which of the two it was.
//!
//! **An increment** (`since`) holds what was fetched at or after that moment (`fetched_at`; of documents without one,
//! what was updated then; of those without either, everything). What an earlier export has not, was stored after it
//! began, and what the visits to GitHub store was fetched at most some hours before. So an increment that begins a day
//! before the earlier export began misses nothing of those; what it holds twice, readers count as superseded. Each
//! export tells that moment. What `git`, `webhook`, `gharchive`, `import` or another program stores under an older
//! moment, what a rename changes and what is deleted, only a whole export shows.

mod filter;
mod plan;
mod reader;
mod snapshot;

use std::{
    collections::BTreeMap,
    num::NonZero,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bson::{Document, RawDocumentBuf};
use jiff::Timestamp;
use prowl_platform::{Folder, Input, Kind, Store, shutdown};
use serde_json::{Map, Value, json};

use self::{filter::Filter, plan::Plan, reader::Work, snapshot::Consistency};
use crate::{
    Error,
    extjson::{self, Format},
    mongo::{Mongo, Settings},
    outlet::Origin,
    publish::{Compression, Made, PRIVACY, PartSize, Parts, Report, complete, unless_signalled},
};

/// Cursors at once where nobody says how many.
const READERS: usize = 4;

/// How long before this export the next increment should begin: longer than a document is on its way from GitHub to
/// the collection, with all its tries and with waiting for points, which come each hour.
const OVERLAP: Duration = Duration::from_hours(24);

/// What of a manifest's details tells how often the collection was changed.
const CHANGES: &str = "changes";

/// What to export, and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// How numbers and dates are written.
    pub format: Format,
    /// How parts are compressed.
    pub compression: Compression,
    /// When the next part begins.
    pub part_size: PartSize,
    /// Only what was fetched at or after this moment.
    pub since: Option<Timestamp>,
    /// Only what this filter finds, from [`query`].
    pub query: Option<RawDocumentBuf>,
    /// Only these repositories, written as GitHub writes them.
    pub repositories: Vec<String>,
    /// Cursors at once; else as many as there are cores, at most 4, where the server finds ranges of `_id`s by an index.
    pub parallel: Option<usize>,
    /// Whether nothing is published where the newest export of this kind holds all that there is.
    pub if_new: bool,
}

impl Config {
    /// The flags, each after a blank, that ask for the same of the same collection.
    fn flags(&self, mongo: &Mongo) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let repositories = (!self.repositories.is_empty()).then(|| format!(" --repo {}", self.repositories.join(" ")));
        let query = self.query.as_ref().and_then(|query| Document::try_from(query).ok());
        let query = query.map(|query| format!(" --query {}", quoted(&filter::text(&query))));
        [Some(mongo.flags()), repositories, query].into_iter().flatten().collect()
    }
}

/// A filter for documents, in extended JSON.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn query(text: &str) -> Result<RawDocumentBuf, String> {
    let query = extjson::read(text.as_bytes()).map_err(|error| error.to_string())?;
    Document::try_from(&query).map_err(|error| error.to_string())?;
    Ok(query)
}

/// Publishes what is wanted of the collection. After a failure or a signal nothing is published and what was written is
/// removed.
///
/// # Errors
/// Those of the database and of the store; [`Error::NothingToExport`].
pub(crate) async fn export(config: &Config, mongo: &Mongo, store: &Store) -> Result<Report, Error> {
    let filter = Filter::of(config)?;
    let terms = terms(config, mongo, &filter).await?;
    if config.if_new
        && let Some(name) = same(&terms, mongo, store).await?
    {
        return Ok(Report::nothing_new(format!("the export {name} holds all of it")));
    }
    let consistency = snapshot::ask(mongo).await?;
    let mut stop = pin!(shutdown::signal());
    let done = match attempt(config, mongo, store, &filter, consistency, &terms, stop.as_mut()).await {
        Err(Error::SnapshotGone) => {
            let reason = "the server did not keep the snapshot for as long as the export took".to_owned();
            tracing::warn!("{reason}; exporting anew without one");
            attempt(config, mongo, store, &filter, Consistency::Live { reason }, &terms, stop).await
        }
        done => done,
    };
    match done {
        // A clock starts this before the first pull request is there, and a failure each time would be a false alarm.
        Err(Error::NothingToExport { collection, filtered }) if config.if_new => {
            let wanted = if filtered { " that is asked for" } else { "" };
            Ok(Report::nothing_new(format!("{collection} holds no document{wanted} yet")))
        }
        done => done,
    }
}

/// What decides what an export holds, as its manifest tells it.
async fn terms(config: &Config, mongo: &Mongo, filter: &Filter) -> Result<Map<String, Value>, Error> {
    let changes = mongo.changes().await?;
    let settings = mongo.stored_settings().await?;
    let terms = [
        ("source", json!("mongodb")),
        ("format", json!(config.format.as_str())),
        ("compression", json!(config.compression.as_str())),
        ("filter", json!(filter::text(filter.document()))),
        ("since", json!(config.since.map(|since| since.to_string()))),
        (CHANGES, json!(changes)),
        (PRIVACY, json!(settings.map(|Settings { privacy }| privacy))),
    ];
    Ok(terms.into_iter().map(|(name, term)| (name.to_owned(), term)).collect())
}

/// The newest export of the collection on the same terms, where nothing has changed since. Older ones cannot be the
/// present one, and are not looked at.
async fn same(terms: &Map<String, Value>, mongo: &Mongo, store: &Store) -> Result<Option<String>, Error> {
    let collection = mongo.namespace();
    let mut terms = terms.clone();
    let changes = terms.remove(CHANGES);
    let is_like = |export: &Folder| {
        let manifest = export.manifest();
        manifest.inputs.iter().any(|input| input.name == collection) && manifest.says(&terms)
    };
    let newest = store.newest(Kind::Exports, is_like).await?;
    let is_same = |export: &Folder| export.manifest().details.get(CHANGES) == changes.as_ref();
    Ok(newest.filter(is_same).map(|export| export.name().to_owned()))
}

async fn attempt(
    config: &Config,
    mongo: &Mongo,
    store: &Store,
    filter: &Filter,
    consistency: Consistency,
    terms: &Map<String, Value>,
    mut stop: Pin<&mut impl Future<Output = &'static str>>,
) -> Result<Report, Error> {
    let began = mongo.now();
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let readers = config.parallel.unwrap_or(cores.min(READERS));
    let plan = tokio::select! {
        plan = Plan::of(mongo, readers, config.parallel.is_some()) => plan?,
        signal = &mut stop => return Err(Error::Stopped(signal)),
    };
    tracing::info!(
        collection = mongo.namespace(),
        documents = plan.documents,
        ranges = plan.ranges.len(),
        snapshot = consistency.is_snapshot(),
        "exporting"
    );

    let parts = Arc::new(Parts::new(store.draft(Kind::Exports).await?, config.part_size, config.compression));
    let work =
        Arc::new(Work::new(mongo, filter, &plan, consistency.time(), config.format, Arc::clone(&parts), readers));
    let made = unless_signalled(&parts, stop, async {
        let read = reader::all(work, readers).await?;
        // Between two increments nothing may have happened.
        if read.totals.documents == 0 && config.since.is_none() {
            return Err(Error::NothingToExport { collection: mongo.namespace(), filtered: !filter.is_empty() });
        }
        let origin = origin(config, mongo, filter, &plan, &consistency, began, &read, terms);
        Ok(Made { origin, is_whole: filter.is_empty(), totals: read.totals, coverage: read.coverage })
    });
    let made = made.await;
    complete(store, parts, made).await
}

/// What the manifest and the summary tell beside the counts.
#[allow(clippy::too_many_arguments, reason = "all that a manifest tells")]
fn origin(
    config: &Config,
    mongo: &Mongo,
    filter: &Filter,
    plan: &Plan,
    consistency: &Consistency,
    began: Timestamp,
    read: &reader::Read,
    terms: &Map<String, Value>,
) -> Origin {
    // In whole seconds, as a person would type it.
    let next = began.checked_sub(OVERLAP).ok().and_then(|next| Timestamp::from_second(next.as_second()).ok());
    let next = next.map(|next| next.to_string());
    let ranges: Vec<_> = plan.ranges.iter().zip(&read.ranges).collect();
    let ranges =
        ranges.iter().map(|(range, documents)| json!({ "filter": filter::text(range), "documents": documents }));

    let mut details = terms.clone();
    let found = [
        ("repositories", json!(config.repositories)),
        ("consistency", consistency.details()),
        ("began_at", json!(began.to_string())),
        ("ended_at", json!(mongo.now().to_string())),
        ("next_since", json!(next)),
        ("ranges", json!(ranges.collect::<Vec<_>>())),
    ];
    details.extend(found.map(|(name, value)| (name.to_owned(), value)));

    let mut notes = vec![consistency.sentence()];
    notes.extend(
        next.as_ref()
            .map(|next| format!("the next increment: prowl-fetch export --since {next}{}", config.flags(mongo))),
    );
    if !filter.is_empty() && read.totals.documents > 0 {
        notes.push("a part of the collection: name all exports that belong together when you go on".to_owned());
    }
    let missing: Vec<_> = config
        .repositories
        .iter()
        .filter(|name| !read.coverage.repositories.contains(*name))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        notes.push(format!("no pull request of {}: write names as GitHub writes them", missing.join(", ")));
    }
    if read.not_utf8 > 0 {
        notes.push(format!(
            "documents with text that was no UTF-8, written with U+FFFD in its place: {}",
            read.not_utf8
        ));
    }
    Origin {
        input: Input { kind: "mongodb".to_owned(), name: mongo.namespace(), digest: None },
        details: details.into(),
        counts: BTreeMap::from([("not_utf8".to_owned(), read.not_utf8)]),
        side_file: None,
        notes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_a_document() {
        let query = query(r#"{"state": "closed", "merged_at": {"$gte": {"$date": "2024-01-01T00:00:00Z"}}}"#).unwrap();
        assert_eq!(query.get_str("state").unwrap(), "closed");
        for wrong in ["", "[]", "{", "{state: 1}", r#"{"$date": "x"}"#] {
            assert!(super::query(wrong).is_err(), "{wrong}");
        }
    }
}
