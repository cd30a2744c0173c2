//! Follows the store while the server runs: newer models, and newer histories.
//!
//! What is newer is read, verified and warmed up beside what is served, and then takes its place at once. What cannot be used is
//! told once and passed over: what is served goes on.

use std::{sync::Arc, time::Duration};

use prowl_platform::{Folder, Kind, Store};
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
    /// Never ends. The two never overlap, so that no swap undoes another.
    pub(crate) async fn run(self, following: Following) {
        // What was tried last and could not be used, so that it is told once.
        let (mut model, mut run) = (None, None);
        let [mut models, mut profiles] = [following.models, following.profiles].map(|pause| pause.map(timer));
        loop {
            tokio::select! {
                () = tick(&mut models) => self.look(Kind::Models, &mut model).await,
                () = tick(&mut profiles) => self.look(Kind::Features, &mut run).await,
            }
        }
    }

    async fn look(&self, kind: Kind, refused: &mut Option<String>) {
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
            Ok(_) => return,
            Err(error) => return self.refuse(refused, error.to_string(), error.to_string()),
        };
        let newer = match kind {
            Kind::Models => self.model(&folder, &engine).await,
            _ => loading::load_past(&folder).await.map(|past| engine.with_past(Arc::new(past))),
        };
        match newer {
            Ok(newer) => {
                *refused = None;
                let (model, history) = (newer.folder().to_owned(), newer.past().run.clone());
                self.readiness.serve(newer).await;
                tracing::info!(model, history, "serving what is newer");
            }
            Err(error) => self.refuse(refused, folder.url().to_string(), error.to_string()),
        }
    }

    /// The newer model, with the newer of its own histories and those that are served.
    async fn model(&self, folder: &Folder, served: &Engine) -> Result<Engine, LoadError> {
        let newer = loading::load_folder(folder, self.reasons).await?;
        let keep = newer.past().run < served.past().run && newer.id().features_digest == served.id().features_digest;
        Ok(if keep { newer.with_past(Arc::<Past>::clone(served.past())) } else { newer })
    }

    fn refuse(&self, refused: &mut Option<String>, what: String, error: String) {
        if refused.as_ref() != Some(&what) {
            tracing::warn!(error, "what is newer cannot be served: what is served goes on");
            self.observer.calls().refused_model();
            *refused = Some(what);
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
