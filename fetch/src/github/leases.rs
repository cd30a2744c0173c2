//! The repositories that this run has taken: nobody else visits them meanwhile, neither another collector nor another
//! part of this one.

use std::{
    collections::{HashMap, hash_map::Entry},
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{sleep, timeout};

use crate::{
    Error,
    mongo::{Mongo, Repository},
};

/// How long a run that ends tries to give back what it has taken.
const FAREWELL: Duration = Duration::from_secs(5);

/// Takes repositories and gives them back.
pub(super) struct Leases {
    mongo: Mongo,
    holder: String,
    /// How long a lease lasts that is not renewed.
    time: Duration,
    taken: Mutex<HashMap<String, Stage>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Somebody is at it.
    Inside,
    /// It was visited.
    Done,
}

/// What came of taking a repository.
pub(super) enum Taken {
    /// Its state.
    Yes(Box<Repository>),
    /// Somebody else has it.
    Busy,
    /// This run has visited it.
    Done,
}

impl Leases {
    pub(super) fn new(mongo: Mongo, time: Duration) -> Self {
        // No other run may ever have the same.
        let holder = format!("{:032x}", rand::random::<u128>());
        Self { mongo, holder, time, taken: Mutex::default() }
    }

    pub(super) async fn take(&self, id: &str) -> Result<Taken, Error> {
        match self.taken().entry(id.to_owned()) {
            Entry::Occupied(stage) if *stage.get() == Stage::Done => return Ok(Taken::Done),
            Entry::Occupied(_) => return Ok(Taken::Busy),
            Entry::Vacant(place) => place.insert(Stage::Inside),
        };
        match self.mongo.lease(id, &self.holder, self.time).await {
            Ok(Some(repository)) => Ok(Taken::Yes(Box::new(repository))),
            other => {
                self.taken().remove(id);
                other.map(|_| Taken::Busy)
            }
        }
    }

    /// Lets others take it; not this run, if it is done.
    pub(super) async fn give_back(&self, id: &str, done: bool) -> Result<(), Error> {
        if done {
            self.taken().insert(id.to_owned(), Stage::Done);
        } else {
            self.taken().remove(id);
        }
        self.mongo.release(id, &self.holder).await
    }

    /// Stores the state; false where the lease was lost.
    pub(super) async fn save(&self, repository: &Repository) -> Result<bool, Error> {
        self.mongo.save(repository, &self.holder).await
    }

    /// Removes the state of a repository that is none, or has another name.
    pub(super) async fn forget(&self, id: &str) -> Result<bool, Error> {
        self.mongo.forget(id, &self.holder).await
    }

    /// Renews the leases for ever.
    pub(super) async fn keep(&self) -> Result<Infallible, Error> {
        loop {
            sleep(self.time / 3).await;
            for id in self.inside() {
                if !self.mongo.renew(&id, &self.holder, self.time).await? {
                    tracing::debug!(repository = id, "the lease is gone");
                }
            }
        }
    }

    /// Gives back what is still taken, at the end of a run that was cut off.
    pub(super) async fn give_all_back(&self) {
        let all = async {
            for id in self.inside() {
                self.give_back(&id, false).await?;
            }
            Ok::<_, Error>(())
        };
        if !matches!(timeout(FAREWELL, all).await, Ok(Ok(()))) {
            tracing::warn!("leases stay as they are: others can take the repositories in {:?}", self.time);
        }
    }

    fn inside(&self) -> Vec<String> {
        let taken = self.taken();
        taken.iter().filter(|(_, stage)| **stage == Stage::Inside).map(|(id, _)| id.clone()).collect()
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, Stage>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
