//! The walk through one repository: from its newest update down to what is known already, a page at a time, data first
//! and the position after it.
//!
//! What is updated meanwhile moves to the top of the list, above where the walk began, and is met by the next one; what
//! a walk leaves out is written down and asked for again. So a walk that is cut off anywhere goes on at its position,
//! and nothing is lost: what is between the position and the last whole walk is still to come, and what is above the
//! beginning is newer than the watermark that the walk will leave.

use std::{pin::pin, time::Duration};

use futures::future::{Either, select};
use jiff::{SignedDuration, Timestamp};

use super::{
    api::{Changed, Unanswered},
    doors::{Identity, Shelf, Source},
    patience::Patience,
    progress::Line,
    reader::{Gap, Reader, Stretch},
    trouble::Trouble,
};
use crate::{
    Error,
    document::Document,
    mongo::{Missed, Repository, Walk},
};

/// Below the first update of any pull request.
pub(super) const BOTTOM: Timestamp = Timestamp::UNIX_EPOCH;

/// A list that begins with an update so young may look the same after the next one, in the same second.
const SETTLED: SignedDuration = SignedDuration::from_secs(60);

/// Pull requests of one repository that are remembered as missed.
const MOST_MISSED: usize = 200;

/// How often a walk begins anew since its position is none any more.
const BEGINNINGS: u32 = 3;

/// How to walk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// How far a walk goes below the watermark of the one before.
    pub(super) overlap: Duration,
    /// Down to where the first one goes; to the first pull request without.
    pub(super) since: Option<Timestamp>,
    pub(super) patience: Duration,
}

impl Manner {
    /// Whether the last whole walk went as far down as is wanted now.
    pub(super) fn is_covered(self, repository: &Repository) -> bool {
        repository.watermark.is_some()
            && match (repository.floor, self.since) {
                (None, _) => true,
                (Some(floor), Some(since)) => since >= floor,
                (Some(_), None) => false,
            }
    }

    /// Where a new walk ends.
    pub(super) fn floor(self, repository: &Repository) -> Timestamp {
        match repository.watermark {
            Some(watermark) if self.is_covered(repository) => {
                let overlap = SignedDuration::try_from(self.overlap).unwrap_or(SignedDuration::MAX);
                watermark.saturating_sub(overlap).unwrap_or(BOTTOM).max(BOTTOM)
            }
            _ => self.since.unwrap_or(BOTTOM).max(BOTTOM),
        }
    }
}

/// What came of a visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All that changed is stored.
    Walked,
    /// Nothing changed, as a single request told.
    Unchanged,
    /// It has another name now, under which the visit goes on.
    Renamed { to: String },
    /// Another repository has its name now.
    Replaced,
    /// It is not there.
    Gone,
    /// Another collector has it by now.
    Lost,
}

/// One repository on its way.
pub(super) struct Walker<'a, S, K> {
    pub(super) source: &'a S,
    pub(super) shelf: &'a K,
    pub(super) manner: Manner,
    pub(super) line: &'a Line,
}

/// What stops a walk before its end.
enum Stop {
    Outcome(Outcome),
    Failed(Error),
    /// The position is none any more.
    Anew,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<S: Source, K: Shelf> Walker<'_, S, K> {
    /// Brings what is stored of a repository up to date. Its state says which it is: name and id are known.
    ///
    /// # Errors
    /// GitHub or the collection fail. The state is then as far as the data.
    pub(super) async fn visit(&self, repository: &mut Repository) -> Result<Outcome, Error> {
        for _ in 0..BEGINNINGS {
            match self.steps(repository).await {
                Ok(outcome) | Err(Stop::Outcome(outcome)) => return Ok(outcome),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Anew) => {}
            }
        }
        let says = "the positions that it gives are soon none any more".to_owned();
        Err(Trouble::Query { host: repository.full_name.clone(), says }.into())
    }

    async fn steps(&self, repository: &mut Repository) -> Result<Outcome, Stop> {
        self.catch_up(repository).await?;
        let mut resumed = repository.walk.is_some();
        loop {
            let mut etag = None;
            if !resumed {
                let known = repository.etag.as_deref().filter(|_| self.manner.is_covered(repository));
                match self.source.changed(&repository.full_name, known).await? {
                    Changed::No => {
                        repository.visited_at = Some(self.shelf.now());
                        self.save(repository).await?;
                        return Ok(Outcome::Unchanged);
                    }
                    Changed::Yes(new) => etag = new,
                }
            }
            self.descend(repository, etag).await?;
            if !resumed {
                return Ok(Outcome::Walked);
            }
            // What was updated while nobody walked is above where that walk began.
            resumed = false;
        }
    }

    /// Walks down to the floor, from the top or from where a walk was cut off.
    async fn descend(&self, repository: &mut Repository, etag: Option<String>) -> Result<(), Stop> {
        let floor = repository.walk.as_ref().map_or_else(|| self.manner.floor(repository), |walk| walk.floor);
        let mut top = repository.walk.as_ref().map(|walk| walk.top);
        let mut after = repository.walk.as_ref().map(|walk| walk.cursor.clone());
        let name = repository.full_name.clone();
        let mut reader = Reader::new(self.source, &name, Patience::new(self.manner.patience));
        let mut stretch = known(repository, reader.read(after.as_deref()).await)?;
        let mut settled = stretch.gap.is_none();
        let begun = stretch.at;
        loop {
            if let Some(status) = stretch.repository.status {
                repository.status = status;
            }
            if top.is_none() {
                top = stretch.span.map(|(newest, _)| newest).filter(|_| !stretch.documents.is_empty());
            }
            let below = stretch.span.is_some_and(|(_, oldest)| oldest < floor);
            let Some(next) = stretch.next.clone().filter(|_| !below) else {
                self.store(repository, stretch, after.as_deref(), None).await?;
                break;
            };
            // The next page is on its way while this one is stored.
            let read = {
                let walk = top.map(|top| Walk { top, floor, cursor: next.clone(), reached: top });
                let store = pin!(self.store(repository, stretch, after.as_deref(), walk));
                let read = pin!(reader.read(Some(&next)));
                match select(store, read).await {
                    Either::Left((stored, read)) => {
                        stored?;
                        read.await
                    }
                    Either::Right((read, store)) => {
                        store.await?;
                        read
                    }
                }
            };
            stretch = known(repository, read)?;
            after = Some(next);
            settled &= top.is_some() || stretch.gap.is_none();
        }
        self.end(repository, floor, top);
        let is_old = |top: Timestamp, at: Timestamp| at.duration_since(top) > SETTLED;
        repository.etag = etag.filter(|_| settled && top.zip(begun).is_some_and(|(top, at)| is_old(top, at)));
        self.save(repository).await
    }

    /// Asks again for what GitHub could not give at earlier visits.
    async fn catch_up(&self, repository: &mut Repository) -> Result<(), Stop> {
        if repository.missed.is_empty() {
            return Ok(());
        }
        let name = repository.full_name.clone();
        let mut reader = Reader::new(self.source, &name, Patience::new(self.manner.patience));
        let mut still = Vec::new();
        for missed in repository.missed.clone() {
            let read = reader.read_one(missed.cursor.as_deref()).await;
            if let Err(Unanswered::BadCursor(_)) = read {
                // Without its position, it can be found by a walk through all alone.
                repository.watermark = None;
                repository.etag = None;
                repository.walk = None;
                continue;
            }
            let stretch = known(repository, read)?;
            self.put(repository, stretch.documents).await?;
            // Another number at this place: the one that was missed was updated, and the walk meets it further up.
            still.extend(stretch.gap.map(|gap| Missed { number: gap.number.or(missed.number), ..missed }));
        }
        repository.missed = still;
        self.line.missed(repository.missed.len() as u64);
        self.save(repository).await
    }

    /// Stores a stretch that was read after a position, and then how far the walk is.
    async fn store(
        &self,
        repository: &mut Repository,
        stretch: Stretch,
        after: Option<&str>,
        walk: Option<Walk>,
    ) -> Result<(), Stop> {
        self.put(repository, stretch.documents).await?;
        if let Some(gap) = stretch.gap {
            self.miss(repository, gap, after.map(str::to_owned))?;
            self.line.missed(1);
        }
        if let Some(walk) = walk {
            let reached = stretch.span.map_or(walk.reached, |(_, oldest)| oldest);
            self.line.reached(share(&walk, reached, repository.stored, stretch.total));
            repository.walk = Some(Walk { reached, ..walk });
            self.save(repository).await?;
        }
        Ok(())
    }

    async fn put(&self, repository: &mut Repository, documents: Vec<Document>) -> Result<(), Error> {
        if documents.is_empty() {
            return Ok(());
        }
        let fetched = documents.len() as u64;
        let written = self.shelf.put(documents).await?;
        repository.stored += written.inserted;
        self.line.stored(fetched, written);
        Ok(())
    }

    /// Writes down what could not be had. At the very top there is no need: a walk begins there.
    fn miss(&self, repository: &mut Repository, gap: Gap, cursor: Option<String>) -> Result<(), Stop> {
        let Gap { number, says } = gap;
        let number_or_not = number.map_or_else(|| "?".to_owned(), |number| number.to_string());
        let pull_request = format!("{}#{number_or_not}", repository.full_name);
        tracing::warn!(pull_request, says, "GitHub could not give it, or not all of it; the next run asks again");
        if cursor.is_some() && !repository.missed.iter().any(|missed| missed.cursor == cursor) {
            repository.missed.push(Missed { cursor, number, since: self.shelf.now() });
        }
        if repository.missed.len() > MOST_MISSED {
            let missed = repository.missed.len();
            return Err(Error::from(Trouble::Missed { name: repository.full_name.clone(), missed }).into());
        }
        Ok(())
    }

    /// A walk came to its end.
    fn end(&self, repository: &mut Repository, floor: Timestamp, top: Option<Timestamp>) {
        repository.floor = match (floor > BOTTOM, repository.watermark, repository.floor) {
            (false, ..) | (true, Some(_), None) => None,
            (true, None, _) => Some(floor),
            (true, Some(_), Some(earlier)) => Some(earlier.min(floor)),
        };
        // Where there is no pull request at all, all that there are were walked.
        repository.watermark = repository.watermark.max(top).or(Some(BOTTOM));
        repository.walk = None;
        repository.visited_at = Some(self.shelf.now());
    }

    async fn save(&self, repository: &Repository) -> Result<(), Stop> {
        if self.shelf.save(repository).await? { Ok(()) } else { Err(Stop::Outcome(Outcome::Lost)) }
    }
}

/// What was read, if it is of the repository that the state speaks of.
fn known(repository: &mut Repository, read: Result<Stretch, Unanswered>) -> Result<Stretch, Stop> {
    match read {
        Ok(stretch) => {
            let Identity { node_id, full_name, .. } = &stretch.repository;
            if repository.node_id.as_ref() != Some(node_id) {
                return Err(Stop::Outcome(Outcome::Replaced));
            }
            if repository.full_name != *full_name {
                return Err(Stop::Outcome(Outcome::Renamed { to: full_name.clone() }));
            }
            Ok(stretch)
        }
        Err(Unanswered::Gone) => Err(Stop::Outcome(Outcome::Gone)),
        Err(Unanswered::Failed(error)) => Err(Stop::Failed(error)),
        // The reader deals with what is too much.
        Err(Unanswered::BadCursor(says) | Unanswered::TooMuch(says)) => {
            tracing::info!(repository = repository.full_name, says, "the walk begins anew");
            repository.walk = None;
            Err(Stop::Anew)
        }
    }
}

/// How much of a walk is done: of a first one by the number of pull requests, of a later one by the time it covers.
fn share(walk: &Walk, reached: Timestamp, stored: u64, total: u64) -> f64 {
    if walk.floor <= BOTTOM {
        return (stored as f64 / total.max(1) as f64).min(1.0);
    }
    let seconds = |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs_f64().max(0.0);
    (seconds(reached, walk.top) / seconds(walk.floor, walk.top).max(1.0)).min(1.0)
}

#[cfg(test)]
mod tests;
