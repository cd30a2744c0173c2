//! One repository, from taking it to giving it back: which one it is, what it is called by now, and the walk through it.
//!
//! GitHub tells repositories apart by an id that stays when one is renamed or moves to another owner. Documents go by
//! the name, so that they and the state follow a rename before anything else is done.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;

use super::{
    api::GitHub,
    doors::Shelf,
    leases::{Leases, Taken},
    progress::Progress,
    targets::{Job, Known},
    trouble::Trouble,
    walk::{Manner, Outcome, Walker},
};
use crate::{
    Error,
    document::Document,
    mongo::{Mongo, Repository, Status, Written},
    privacy::Privacy,
};

/// Names that a repository may have had, one after the other, as GitHub follows them.
const NAMES: usize = 5;

/// Visits repositories.
pub(super) struct Visitor {
    pub(super) github: GitHub,
    pub(super) mongo: Mongo,
    pub(super) privacy: Privacy,
    pub(super) manner: Manner,
    pub(super) leases: Leases,
    pub(super) progress: Arc<Progress>,
    /// The states that there were at the beginning, by GitHub's id.
    pub(super) known: HashMap<String, String>,
}

/// What came of a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visited {
    /// All that changed is stored.
    Walked,
    /// Nothing changed.
    Unchanged,
    /// It is not there.
    Missing,
    /// Somebody else is at it.
    Busy,
    /// It was visited before, perhaps by another name.
    Already,
}

/// What is next.
enum Step {
    Done(Visited),
    /// The visit goes on under another name, or anew.
    GoOn(String),
    /// The visit goes on with the repository that has to leave its name first.
    MakeRoom(String),
}

impl Visitor {
    /// Brings what is stored of a repository up to date.
    ///
    /// # Errors
    /// GitHub or the collection fail. What was stored stays, and the state with it.
    pub(super) async fn visit(&self, job: &Job) -> Result<Visited, Error> {
        let mut name = job.name.clone();
        for _ in 0..NAMES {
            let id = self.github.id(&name);
            let mut repository = match self.leases.take(&id).await? {
                Taken::Yes(repository) => repository,
                Taken::Busy => return Ok(Visited::Busy),
                Taken::Done => return Ok(Visited::Already),
            };
            let step = self.step(job, &name, &mut repository).await;
            let done = matches!(step, Ok(Step::Done(Visited::Walked | Visited::Unchanged)));
            self.leases.give_back(&id, done).await?;
            match step? {
                Step::Done(visited) => return Ok(visited),
                Step::GoOn(to) | Step::MakeRoom(to) => name = to,
            }
        }
        // Each waits for the next one to leave its name, and the last one for the first.
        Err(Trouble::Exchanged { name: job.name.clone() }.into())
    }

    async fn step(&self, job: &Job, name: &str, repository: &mut Repository) -> Result<Step, Error> {
        if repository.node_id.is_none()
            && let Some(step) = self.meet(job, name, repository).await?
        {
            return Ok(step);
        }
        let line = self.progress.line(&repository.full_name);
        loop {
            let walker = Walker { source: &self.github, shelf: self, manner: self.manner, line: &line };
            let step = match walker.visit(repository).await? {
                Outcome::Walked => {
                    tracing::debug!(repository = repository.full_name, fetched = line.fetched(), "walked");
                    Step::Done(Visited::Walked)
                }
                Outcome::Unchanged => Step::Done(Visited::Unchanged),
                Outcome::Lost => Step::Done(Visited::Busy),
                // Only letters became large or small.
                Outcome::Renamed { to } if self.github.id(&to) == repository.id => {
                    self.mongo.rename_repository(&repository.full_name, &to).await?;
                    repository.full_name = to;
                    if self.leases.save(repository).await? {
                        continue;
                    }
                    Step::Done(Visited::Busy)
                }
                Outcome::Renamed { to } => self.follow(repository, to).await?,
                Outcome::Replaced => self.make_room(repository).await?,
                Outcome::Gone => self.look_for(repository).await?,
            };
            return Ok(step);
        }
    }

    /// Learns which repository a name stands for. A step, if that is all.
    async fn meet(&self, job: &Job, name: &str, repository: &mut Repository) -> Result<Option<Step>, Error> {
        let listed = job.node_id.clone().filter(|_| job.name == name);
        let known = match listed {
            Some(node_id) => Some(Known { node_id, full_name: name.to_owned() }),
            None => self.github.by_name(name).await?,
        };
        let Some(Known { node_id, full_name }) = known else {
            self.leases.forget(&repository.id).await?;
            return Ok(Some(Step::Done(Visited::Missing)));
        };
        if self.github.id(&full_name) != repository.id {
            self.leases.forget(&repository.id).await?;
            return Ok(Some(Step::GoOn(full_name)));
        }
        repository.full_name = full_name;
        repository.node_id = Some(node_id.clone());
        // It was collected under another name.
        if let Some(old) = self.known.get(&node_id).filter(|old| **old != repository.id) {
            let Taken::Yes(from) = self.leases.take(old).await? else { return Ok(Some(Step::Done(Visited::Busy))) };
            let adopted = if from.node_id.as_ref() == Some(&node_id) {
                self.adopt(&from, repository).await
            } else {
                // Somebody was faster, and taking it has made a new one.
                self.leases.forget(old).await.map(|_| true)
            };
            self.leases.give_back(old, false).await?;
            if !adopted? {
                return Ok(Some(Step::Done(Visited::Busy)));
            }
        }
        let saved = self.leases.save(repository).await?;
        Ok((!saved).then_some(Step::Done(Visited::Busy)))
    }

    /// Moves documents and state to the name that the repository has now.
    async fn follow(&self, repository: &Repository, to: String) -> Result<Step, Error> {
        let id = self.github.id(&to);
        match self.leases.take(&id).await? {
            // Here the name is still another repository's, which has to leave it first.
            Taken::Yes(other) if other.node_id.is_some() && other.node_id != repository.node_id => {
                self.leases.give_back(&id, false).await?;
                Ok(Step::MakeRoom(to))
            }
            Taken::Yes(mut into) => {
                into.full_name.clone_from(&to);
                let adopted = self.adopt(repository, &mut into).await;
                self.leases.give_back(&id, false).await?;
                Ok(if adopted? { Step::GoOn(to) } else { Step::Done(Visited::Busy) })
            }
            Taken::Busy => Ok(Step::Done(Visited::Busy)),
            // It was visited by its new name before; only documents and state of the old one are left.
            Taken::Done => {
                self.mongo.rename_repository(&repository.full_name, &to).await?;
                self.leases.forget(&repository.id).await?;
                Ok(Step::Done(Visited::Already))
            }
        }
    }

    /// Moves documents and state from one name to another; false where a lease was lost. Cut off, it is done again.
    async fn adopt(&self, from: &Repository, into: &mut Repository) -> Result<bool, Error> {
        tracing::info!(from = from.full_name, to = into.full_name, "the repository has another name now");
        self.mongo.rename_repository(&from.full_name, &into.full_name).await?;
        if into.watermark.is_none() && into.walk.is_none() {
            let (id, full_name) = (into.id.clone(), into.full_name.clone());
            *into = Repository { id, full_name, etag: None, status: Status::Active, ..from.clone() };
        }
        Ok(self.leases.save(into).await? && self.leases.forget(&from.id).await?)
    }

    /// Another repository has the name: what is stored is the old one's, which may have a new name.
    async fn make_room(&self, repository: &mut Repository) -> Result<Step, Error> {
        let name = repository.full_name.clone();
        match self.present_name(repository).await? {
            Some(to) if self.github.id(&to) != repository.id => match self.follow(repository, to).await? {
                Step::GoOn(_) => {}
                other => return Ok(other),
            },
            _ => {
                tracing::warn!(
                    repository = name,
                    "another repository has this name now; of the one before it, pull requests stay until their numbers \
                     are used again"
                );
                self.leases.forget(&repository.id).await?;
            }
        }
        Ok(Step::GoOn(name))
    }

    /// The name leads nowhere any more.
    async fn look_for(&self, repository: &mut Repository) -> Result<Step, Error> {
        match self.present_name(repository).await? {
            Some(to) if self.github.id(&to) != repository.id => self.follow(repository, to).await,
            _ => {
                self.is_missing(repository).await?;
                Ok(Step::Done(Visited::Missing))
            }
        }
    }

    /// A repository that the list of its owner does not have any more.
    pub(super) async fn vanished(&self, id: &str) -> Result<(), Error> {
        let Taken::Yes(mut repository) = self.leases.take(id).await? else { return Ok(()) };
        let sought = match self.present_name(&repository).await {
            // It is there, and only not on the list.
            Ok(Some(name)) if self.github.id(&name) == id => Ok(()),
            Ok(Some(name)) => self.follow(&repository, name).await.map(|_| ()),
            Ok(None) => self.is_missing(&mut repository).await,
            Err(error) => Err(error),
        };
        self.leases.give_back(id, true).await?;
        sought
    }

    async fn present_name(&self, repository: &Repository) -> Result<Option<String>, Error> {
        let owner = repository.full_name.split('/').next().unwrap_or_default();
        match &repository.node_id {
            Some(node_id) => self.github.name_of(owner, node_id).await,
            None => Ok(None),
        }
    }

    async fn is_missing(&self, repository: &mut Repository) -> Result<(), Error> {
        tracing::info!(repository = repository.full_name, "is not there any more; what is stored of it stays");
        repository.status = Status::Missing;
        repository.etag = None;
        repository.visited_at = Some(self.mongo.now());
        self.leases.save(repository).await.map(|_| ())
    }
}

impl Shelf for Visitor {
    async fn put(&self, documents: Vec<Document>) -> Result<Written, Error> {
        let documents: Vec<_> = documents
            .into_iter()
            .map(|document| {
                let document = self.privacy.apply(document);
                bson::serialize_to_raw_document_buf(&document).expect("names are fixed, and numbers have 63 bits")
            })
            .collect();
        self.mongo.upsert(&documents).await
    }

    async fn save(&self, repository: &Repository) -> Result<bool, Error> {
        self.leases.save(repository).await
    }

    fn now(&self) -> Timestamp {
        self.mongo.now()
    }
}
