//! Follows the store while the server runs: newer models, newer histories, and the shadow, which nobody has to wait for at the start.
//!
//! What is newer is read, verified and warmed up beside what is served, and then takes its place at once. What cannot be used is
//! told once and passed over, as is a store that cannot be read: what is served goes on.

use std::{mem, sync::Arc, time::Duration};

use prowl_platform::{Error, Folder, Kind, Store, told_in_full};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::{
    engine::{Engine, Past},
    loading::{self, LoadError},
    observe::Observer,
    readiness::Readiness,
};

/// What is followed, and how often it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Following {
    /// Takes newer models.
    pub models: Option<Duration>,
    /// Takes newer histories of features runs.
    pub profiles: Option<Duration>,
    /// Looks for the shadow.
    pub shadow: Option<Duration>,
}

/// What is told of a folder that cannot be used.
const NEWER: &str = "what is newer cannot be served: what is served goes on";
const SHADOW: &str = "the shadow cannot be used: what is served goes on";

/// What was told of one thing that is followed, so that it is told once.
#[derive(Default)]
struct Told {
    /// What was tried last and could not be used.
    refused: Option<String>,
    /// That the store cannot be read, until it can be.
    unread: bool,
}

/// The store as one server follows it.
pub(crate) struct Follower {
    pub(crate) store: Store,
    pub(crate) readiness: Readiness,
    pub(crate) observer: Observer,
    /// Most reasons of an answer.
    pub(crate) reasons: usize,
}

impl Follower {
    /// Never ends. They never overlap, so that no swap undoes another.
    pub(crate) async fn run(self, following: Following) {
        let [mut model, mut run, mut second] = <[Told; 3]>::default();
        let Following { models, profiles, shadow } = following;
        let [mut models, mut profiles, mut shadow] = [models, profiles, shadow].map(|pause| pause.map(timer));
        loop {
            tokio::select! {
                () = tick(&mut models) => self.look(Kind::Models, &mut model).await,
                () = tick(&mut profiles) => self.look(Kind::Features, &mut run).await,
                () = tick(&mut shadow) => self.look_for_shadow(&mut second).await,
            }
        }
    }

    async fn look(&self, kind: Kind, told: &mut Told) {
        let Ok(engine) = self.readiness.engine().map(|engine| Engine::clone(&engine)) else { return };
        let (found, served) = match kind {
            Kind::Models => (self.store.newest(kind, |_| true).await, engine.folder().to_owned()),
            _ => {
                let digest = &engine.id().features_digest;
                let fits = |folder: &Folder| folder.manifest().details["features_digest"] == digest.as_str();
                (self.store.newest(kind, fits).await, engine.past().run.clone())
            }
        };
        let folder = match found {
            // A name that is not later is what is served, or older: models may be removed.
            Ok(Some(folder)) if folder.name() > served.as_str() => folder,
            Ok(_) => {
                told.unread = false;
                return;
            }
            Err(error) => return self.pass_over(NEWER, told, error.to_string(), &error.into()),
        };
        let newer = match kind {
            Kind::Models => self.model(&folder, &engine).await,
            _ => loading::load_past(&folder).await.map(|past| engine.with_past(Arc::new(past))),
        };
        match newer {
            Ok(newer) => {
                *told = Told::default();
                let (model, history) = (newer.folder().to_owned(), newer.past().run.clone());
                self.readiness.serve(newer).await;
                tracing::info!(model, history, "serving what is newer");
            }
            Err(error) => self.pass_over(NEWER, told, folder.url().to_string(), &error),
        }
    }

    /// The newer model, with the newer of its own histories and those that are served.
    async fn model(&self, folder: &Folder, served: &Engine) -> Result<Engine, LoadError> {
        let newer = loading::load_folder(folder, self.reasons).await?;
        let keep = newer.past().run < served.past().run && newer.id().features_digest == served.id().features_digest;
        Ok(if keep { newer.with_past(Arc::<Past>::clone(served.past())) } else { newer })
    }

    /// Loads what shall be the shadow. The model that is served is none, and one that was named stays.
    async fn look_for_shadow(&self, told: &mut Told) {
        let (Some(shadow), Ok(engine)) = (self.observer.shadow(), self.readiness.engine()) else { return };
        let (served, loaded, wanted) = (engine.folder().to_owned(), shadow.folder(), shadow.wanted());
        drop(engine);
        if loaded.as_deref() == Some(wanted) {
            return;
        }
        let folder = match self.store.folder(Kind::Models, wanted).await {
            Ok(folder) => folder,
            Err(error) => return self.pass_over(SHADOW, told, error.to_string(), &error.into()),
        };
        if folder.name() == served || loaded.is_some_and(|loaded| folder.name() <= loaded.as_str()) {
            told.unread = false;
            return;
        }
        match loading::load_shadow(&folder).await {
            Ok(engine) => {
                *told = Told::default();
                shadow.judge_by(engine);
                tracing::info!(shadow = folder.name(), "comparing with a shadow");
            }
            Err(error) => self.pass_over(SHADOW, told, folder.url().to_string(), &error),
        }
    }

    /// Tells once why what was found cannot be used. Of a store that cannot be read nothing is refused: it may be whole.
    fn pass_over(&self, cannot: &'static str, told: &mut Told, what: String, error: &LoadError) {
        let store_fails =
            matches!(error, LoadError::Store(Error::Read { .. } | Error::S3 { .. } | Error::StoreMissing { .. }));
        let told_of_store = mem::replace(&mut told.unread, store_fails);
        if store_fails {
            if !told_of_store {
                tracing::warn!(error = told_in_full(error), "the store cannot be read: what is served goes on");
            }
        } else if told.refused.as_ref() != Some(&what) {
            tracing::warn!(error = error.to_string(), "{cannot}");
            self.observer.calls().refused_model();
            told.refused = Some(what);
        }
    }
}

fn timer(pause: Duration) -> Interval {
    let mut timer = interval(pause);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer
}

/// The next time to look; never, where nothing is followed.
async fn tick(timer: &mut Option<Interval>) {
    match timer {
        Some(timer) => drop(timer.tick().await),
        None => std::future::pending().await,
    }
}
