//! What a collector remembers of each repository, beside the pull requests: how far it is, who is at it, and until when
//! it has to wait.
//!
//! A lease is the right to visit a repository until it expires. Its holder alone writes the state, which the server
//! checks with each write: one who was away for longer than the lease finds it lost and writes nothing any more.

use std::time::Duration;

use bson::{Bson, Document, doc};
use jiff::{SignedDuration, Timestamp};
use mongodb::{
    Collection,
    options::{CollectionOptions, ReadPreference, ReturnDocument, SelectionCriteria},
};
use serde::{Deserialize, Serialize};

use super::{Mongo, failure::Failure, moment};
use crate::Error;

/// How far the visits of a repository are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Repository {
    /// `github:HOST:owner/name`, in small letters, since GitHub does not tell them apart.
    #[serde(rename = "_id")]
    pub id: String,
    /// `owner/name` as GitHub writes it; empty until it told.
    #[serde(default)]
    pub full_name: String,
    /// What stays when it is renamed.
    #[serde(default)]
    pub node_id: Option<String>,
    /// Whether it is there.
    #[serde(default)]
    pub status: Status,
    /// Everything that was updated before is stored.
    #[serde(default, with = "moment::optional")]
    pub watermark: Option<Timestamp>,
    /// Down to where its pull requests were ever walked; nothing where that is the first one.
    #[serde(default, with = "moment::optional")]
    pub floor: Option<Timestamp>,
    /// The walk that was cut off.
    #[serde(default)]
    pub walk: Option<Walk>,
    /// Pull requests that GitHub could not give.
    #[serde(default)]
    pub missed: Vec<Missed>,
    /// What the list of pull requests was known by after the last whole walk.
    #[serde(default)]
    pub etag: Option<String>,
    /// When the last visit ended.
    #[serde(default, with = "moment::optional")]
    pub visited_at: Option<Timestamp>,
    /// Pull requests that were stored of it so far.
    #[serde(default)]
    pub stored: u64,
}

/// Whether a repository is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is.
    #[default]
    Active,
    /// It is not, or not for this token.
    Missing,
    /// It is, and nobody may change it.
    Archived,
    /// It is, and GitHub shows nothing of it.
    Disabled,
}

/// A walk from the newest update down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Walk {
    /// The newest update when it began: the watermark when it ends.
    #[serde(with = "moment::required")]
    pub top: Timestamp,
    /// Where it ends.
    #[serde(with = "moment::required")]
    pub floor: Timestamp,
    /// GitHub's name for where it goes on.
    pub cursor: String,
    /// The oldest update that it has stored.
    #[serde(with = "moment::required")]
    pub reached: Timestamp,
}

/// A pull request that GitHub could not give, to be asked for again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Missed {
    /// GitHub's name for the position before it; nothing at the very first.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Its number, where that is known.
    #[serde(default)]
    pub number: Option<u64>,
    /// When it was asked for the first time.
    #[serde(with = "moment::required")]
    pub since: Timestamp,
}

impl Repository {
    /// One that was never visited.
    pub fn new(id: String) -> Self {
        Self {
            id,
            full_name: String::new(),
            node_id: None,
            status: Status::Active,
            watermark: None,
            floor: None,
            walk: None,
            missed: Vec::new(),
            etag: None,
            visited_at: None,
            stored: 0,
        }
    }
}

impl Mongo {
    /// The state of a repository, which is this holder's for `ttl` then; nothing where it is another's. One that is
    /// not known yet begins.
    ///
    /// # Errors
    /// [`Error::Mongo`], as all that follow.
    pub async fn lease(&self, repository_id: &str, holder: &str, ttl: Duration) -> Result<Option<Repository>, Error> {
        let leased = self.retry(|| self.try_lease(repository_id, holder, ttl)).await;
        leased.map_err(|failure| self.state_failed("lease a repository in", failure))
    }

    async fn try_lease(&self, id: &str, holder: &str, ttl: Duration) -> Result<Option<Repository>, Failure> {
        let lease = doc! { "holder": holder, "until": self.in_a_while(ttl) };
        let expired = doc! { "lease.until": { "$lte": moment::to_bson(self.now()) } };
        let free = doc! { "_id": id, "$or": [{ "lease": null }, { "lease.holder": holder }, expired] };
        let states = self.state::<Repository>();
        let taken = states.find_one_and_update(free, doc! { "$set": { "lease": &lease } });
        if let Some(repository) = taken.return_document(ReturnDocument::After).await? {
            return Ok(Some(repository));
        }
        let repository = Repository::new(id.to_owned());
        let mut state = bson::serialize_to_document(&repository)?;
        state.insert("lease", lease);
        match self.state::<Document>().insert_one(state).await.map_err(Failure::from) {
            Ok(_) => Ok(Some(repository)),
            // It is there, and another's.
            Err(failure) if failure.duplicate() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Lets the lease last until `ttl` from now; false where it was lost.
    pub async fn renew(&self, repository_id: &str, holder: &str, ttl: Duration) -> Result<bool, Error> {
        self.set_as_holder(repository_id, holder, doc! { "lease.until": self.in_a_while(ttl) }).await
    }

    /// Stores the state; false, and nothing is stored, where the lease was lost.
    pub async fn save(&self, repository: &Repository, holder: &str) -> Result<bool, Error> {
        let state = bson::serialize_to_document(repository).map_err(Failure::from);
        let mut state = state.map_err(|failure| self.state_failed("write to", failure))?;
        state.remove("_id");
        self.set_as_holder(&repository.id, holder, state).await
    }

    /// Gives the lease back, if it is still this holder's.
    pub async fn release(&self, repository_id: &str, holder: &str) -> Result<(), Error> {
        let held = held(repository_id, holder);
        let release = doc! { "$unset": { "lease": "" } };
        let states = self.state::<Document>();
        let released = self.retry(|| async { Ok(states.update_one(held.clone(), release.clone()).await?) }).await;
        released.map(|_| ()).map_err(|failure| self.state_failed("write to", failure))
    }

    /// Removes the state of a repository that goes by another name now; false where the lease was lost.
    pub async fn forget(&self, repository_id: &str, holder: &str) -> Result<bool, Error> {
        let held = held(repository_id, holder);
        let states = self.state::<Document>();
        let forgotten = self.retry(|| async { Ok(states.delete_one(held.clone()).await?) }).await;
        let forgotten = forgotten.map_err(|failure| self.state_failed("write to", failure))?;
        Ok(forgotten.deleted_count == 1)
    }

    /// The states whose `_id` begins with `prefix`, by `_id`.
    pub async fn repositories(&self, prefix: &str) -> Result<Vec<Repository>, Error> {
        let range = doc! { "_id": { "$gte": prefix, "$lt": format!("{prefix}\u{10ffff}") } };
        let states = self.state::<Repository>();
        let all = || async {
            let mut found = states.find(range.clone()).sort(doc! { "_id": 1 }).await?;
            let mut repositories = Vec::new();
            while found.advance().await? {
                repositories.push(found.deserialize_current()?);
            }
            Ok(repositories)
        };
        self.retry(all).await.map_err(|failure| self.state_failed("read", failure))
    }

    /// Until when nothing may be asked under `key`, if that is not over.
    pub async fn pause(&self, key: &str) -> Result<Option<Timestamp>, Error> {
        let id = pause_id(key);
        let states = self.state::<Document>();
        let found = self.retry(|| async { Ok(states.find_one(doc! { "_id": &id }).await?) }).await;
        let found = found.map_err(|failure| self.state_failed("read", failure))?;
        let until = found.and_then(|pause| moment::from_bson(*pause.get_datetime("until").ok()?));
        Ok(until.filter(|until| *until > self.now()))
    }

    /// Lets nothing be asked under `key` until a moment, or longer where that was so already. The key must not be a
    /// token.
    pub async fn set_pause(&self, key: &str, until: Timestamp) -> Result<(), Error> {
        let id = pause_id(key);
        let later = doc! { "$max": { "until": moment::to_bson(until) } };
        let set = self.retry(|| self.merge_state(&id, later.clone())).await;
        set.map_err(|failure| self.state_failed("write to", failure))
    }

    /// Updates the document `id` of the state, which begins with it where there is none.
    pub(super) async fn merge_state(&self, id: &str, update: Document) -> Result<(), Failure> {
        let states = self.state::<Document>();
        let updated = states.update_one(doc! { "_id": id }, update.clone()).upsert(true).await;
        match updated.map_err(Failure::from) {
            Ok(_) => Ok(()),
            // Another one began it; now it is there.
            Err(failure) if failure.duplicate() => {
                states.update_one(doc! { "_id": id }, update).await?;
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    async fn set_as_holder(&self, id: &str, holder: &str, fields: Document) -> Result<bool, Error> {
        let held = held(id, holder);
        let set = doc! { "$set": fields };
        let states = self.state::<Document>();
        let updated = self.retry(|| async { Ok(states.update_one(held.clone(), set.clone()).await?) }).await;
        let updated = updated.map_err(|failure| self.state_failed("write to", failure))?;
        Ok(updated.matched_count == 1)
    }

    fn in_a_while(&self, ttl: Duration) -> Bson {
        let ttl = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX);
        moment::to_bson(self.now().saturating_add(ttl).unwrap_or(Timestamp::MAX)).into()
    }

    /// The collection of the state, at the primary.
    pub(super) fn state<T: Send + Sync>(&self) -> Collection<T> {
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let primary = CollectionOptions::builder().selection_criteria(primary).build();
        self.database.collection_with_options(&self.state_name(), primary)
    }

    pub(super) fn state_failed(&self, what: &'static str, failure: Failure) -> Error {
        failure.into_error(what, self.place(&self.state_name()))
    }
}

/// Finds the state of a repository as long as it is this holder's.
fn held(id: &str, holder: &str) -> Document {
    doc! { "_id": id, "lease.holder": holder }
}

fn pause_id(key: &str) -> String {
    format!("pause:{key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let moment = |seconds| Timestamp::from_second(seconds).unwrap();
        let repository = Repository {
            full_name: "Tide/Harbour".to_owned(),
            node_id: Some("R_1".to_owned()),
            status: Status::Archived,
            watermark: Some(moment(7)),
            walk: Some(Walk { top: moment(9), floor: moment(1), cursor: "c".to_owned(), reached: moment(8) }),
            missed: vec![Missed { cursor: None, number: Some(5), since: moment(3) }],
            stored: 12,
            ..Repository::new("github:github.com:tide/harbour".to_owned())
        };
        let state = bson::serialize_to_document(&repository).unwrap();
        assert_eq!(state.get_datetime("watermark").unwrap().timestamp_millis(), 7_000);
        assert_eq!((state.get_str("status").unwrap(), state.get("floor")), ("archived", Some(&Bson::Null)));
        assert_eq!(bson::deserialize_from_document::<Repository>(state).unwrap(), repository);

        let bare = doc! { "_id": "github:github.com:tide/harbour", "lease": { "holder": "x" } };
        let bare: Repository = bson::deserialize_from_document(bare).unwrap();
        assert_eq!(bare, Repository::new(bare.id.clone()));
    }
}
