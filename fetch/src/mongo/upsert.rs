//! Pull requests into the collection, forward only: a stored version that is newer stays.
//!
//! A batch costs one look at what is stored under the same `_id`s, one update of what is older, and one insertion of
//! what is not there, each only where there is something to do. What is there all the same, under an `_id` that others
//! chose, the unique index tells; what others write in the meantime, the filter of an update. Then a batch looks again.
//!
//! A version takes the place of the whole older one, with one exception: what leaves the files out, as events do, keeps
//! those that are stored of the same change.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use bson::{
    Bson, Document, RawArrayBuf, RawDocument, RawDocumentBuf, doc,
    raw::{CStr, cstr},
    rawdoc,
};
use indicatif::HumanCount;
use mongodb::error::{ErrorKind, InsertManyError};
use serde::Serialize;

use super::{
    Mongo,
    failure::Failure,
    version::{Identity, Stored, Version},
};
use crate::Error;

/// The most that goes to the server at once: more documents make it no faster, and a command takes twice the bytes.
const DOCUMENTS: usize = 250;
const BYTES: usize = 8 << 20;

/// How often a batch looks again at what others write under its hands.
const ROUNDS: usize = 20;

/// What became of documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Pull requests that were not stored before.
    pub inserted: u64,
    /// Those that were stored in a version with an older `updated_at`.
    pub changed: u64,
    /// Those that were stored with this `updated_at`, and are there now as they were fetched later; where nobody tells
    /// when, as they came later, with something else to say.
    pub refreshed: u64,
    /// Those that stay as they were stored, or came twice in a batch.
    pub unchanged: u64,
}

impl std::ops::AddAssign for Written {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.changed += other.changed;
        self.refreshed += other.refreshed;
        self.unchanged += other.unchanged;
    }
}

/// The same for a person.
impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inserted, changed, refreshed, unchanged } = *self;
        let [new, changed, refreshed, unchanged] = [inserted, changed, refreshed, unchanged].map(HumanCount);
        write!(f, "{new} new, {changed} changed, {refreshed} refreshed, {unchanged} unchanged")
    }
}

/// A version to be stored.
#[derive(Clone, Copy)]
struct Given<'a> {
    identity: Identity<'a>,
    version: Version,
    document: &'a RawDocumentBuf,
}

impl Mongo {
    /// Stores each document unless a newer version of its pull request is stored. A document without an `_id` gets
    /// one; a stored one keeps its own.
    ///
    /// Doing it again changes nothing, so where the server is away for a moment, it is tried again; what was written
    /// before counts as unchanged then.
    ///
    /// # Errors
    /// [`Error::NoIdentity`] before anything is written; [`Error::Mongo`].
    pub async fn upsert(&self, documents: &[RawDocumentBuf]) -> Result<Written, Error> {
        let given = documents.iter().map(Given::of).collect::<Option<Vec<_>>>().ok_or(Error::NoIdentity)?;
        let is_change = AtomicBool::new(false);
        let written = self.write_all(&given, &is_change).await;
        // What failed may have changed something before.
        let is_change = is_change.into_inner();
        let counted = if is_change { self.retry(|| self.count_change()).await } else { Ok(()) };
        let written = written.and_then(|written| counted.map(|()| written));
        written.map_err(|failure| self.failed("write to", failure))
    }

    async fn write_all(&self, given: &[Given<'_>], is_change: &AtomicBool) -> Result<Written, Failure> {
        let mut written = Written::default();
        let mut rest = given;
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(batch(rest));
            written += self.retry(|| self.write(batch, is_change)).await?;
            rest = after;
        }
        Ok(written)
    }

    async fn write(&self, batch: &[Given<'_>], is_change: &AtomicBool) -> Result<Written, Failure> {
        let mut pending = newest(batch);
        let mut written = Written::default();
        for round in 0..ROUNDS {
            let stored = self.stored(&pending, round == 0).await?;
            let (mut absent, mut behind) = (Vec::new(), Vec::new());
            for (given, stored) in pending.drain(..).zip(stored) {
                match stored {
                    None => absent.push(given),
                    Some(stored) if given.version.may_replace(stored.version) && !stored.is_same => {
                        behind.push((given, stored));
                    }
                    Some(_) => {}
                }
            }
            let is_one = !absent.is_empty() || !behind.is_empty();
            if is_one && !is_change.swap(true, Relaxed) {
                self.count_change().await?;
            }
            if !behind.is_empty() {
                let ahead =
                    |(given, stored): &&(Given<'_>, Stored)| given.version.updated_at > stored.version.updated_at;
                let changed = behind.iter().filter(ahead).count();
                let replaced = self.replace(&behind).await?;
                // The server tells how many there were, not which.
                written.changed += replaced.min(changed) as u64;
                written.refreshed += replaced.saturating_sub(changed) as u64;
                if replaced < behind.len() {
                    pending.extend(behind.into_iter().map(|(given, _)| given));
                }
            }
            if !absent.is_empty() {
                // One that is refused though its pull request is not there has the `_id` of another: a repository that
                // took the name of a renamed one.
                let refused = self.insert(&absent, round == 0).await?;
                written.inserted += (absent.len() - refused.len()) as u64;
                pending.extend(refused.into_iter().map(|index| absent[index]));
            }
            if pending.is_empty() {
                let Written { inserted, changed, refreshed, .. } = written;
                written.unchanged = (batch.len() as u64).saturating_sub(inserted + changed + refreshed);
                return Ok(written);
            }
        }
        Err(Failure::passing("others write the same pull requests without end"))
    }

    /// What is stored of each pull request: under the `_id` that it comes with, or under any.
    async fn stored(&self, pending: &[Given<'_>], by_id: bool) -> Result<Vec<Option<Stored>>, Failure> {
        let places: HashMap<_, _> = pending.iter().enumerate().map(|(index, given)| (given.identity, index)).collect();
        let mut stored: Vec<Option<Stored>> = std::iter::repeat_with(|| None).take(pending.len()).collect();
        let filter = if by_id { with_their_ids(pending)? } else { of_identities(pending) };
        // Of those that do not tell when they were fetched, all fields tell whether there is something new.
        let is_dated = pending.iter().all(|given| given.version.fetched_at.is_some());
        let fields = if is_dated {
            doc! {
                "base.repo.full_name": 1, "number": 1, "updated_at": 1, "fetched_at": 1, "head.sha": 1, "base.ref": 1,
            }
        } else {
            doc! {}
        };
        // One more than there are: the server sees then that nobody will ask for a second batch.
        let mut found = self.primary.find(filter).projection(fields).batch_size(pending.len() as u32 + 1).await?;
        while found.advance().await? {
            let document = found.current();
            if let Some(&index) = Identity::of(document).and_then(|identity| places.get(&identity)) {
                let mut one = Stored::of(document);
                one.is_same = !is_dated && without_id(document)? == without_id(pending[index].document)?;
                stored[index] = Some(one);
            }
        }
        Ok(stored)
    }

    /// Puts newer versions in the place of stored ones, and tells how many there were.
    async fn replace(&self, behind: &[(Given<'_>, Stored)]) -> Result<usize, Failure> {
        let mut updates = RawArrayBuf::new();
        for (given, stored) in behind {
            let mut update = RawDocumentBuf::new();
            update.append(cstr!("q"), stored.filter(given.identity));
            let document = without_id(given.document)?;
            let has_files = document.get("files").is_ok_and(|files| files.is_some());
            if !has_files && stored.is_of_change(&document) {
                update.append(cstr!("u"), rawdoc! { "$set": document });
            } else {
                update.append(cstr!("u"), document);
            }
            updates.push(update);
        }
        let mut command = rawdoc! { "update": self.primary.name(), "ordered": false };
        command.append(cstr!("updates"), updates);
        if let Some(concern) = self.primary.write_concern() {
            command.append(cstr!("writeConcern"), bson::serialize_to_raw_document_buf(concern)?);
        }
        let answer = self.database.run_raw_command(command).await?;
        if let Some(failure) = Failure::in_answer(&answer) {
            return Err(failure);
        }
        match answer.get("n") {
            Some(Bson::Int32(replaced)) => Ok(*replaced as usize),
            Some(Bson::Int64(replaced)) => Ok(*replaced as usize),
            _ => Err(Failure::lasting("its answer to an update is none")),
        }
    }

    /// Adds documents, and tells which were refused since there is one with the same identity or `_id`.
    async fn insert(&self, absent: &[Given<'_>], with_their_ids: bool) -> Result<Vec<usize>, Failure> {
        let documents = absent.iter().map(|given| {
            if with_their_ids { Ok(Cow::Borrowed(given.document)) } else { without_id(given.document).map(Cow::Owned) }
        });
        let documents: Vec<Cow<'_, RawDocumentBuf>> = documents.collect::<Result<_, Failure>>()?;
        let Err(error) = self.primary.insert_many(documents).ordered(false).await else { return Ok(Vec::new()) };
        match error.kind.as_ref() {
            ErrorKind::InsertMany(InsertManyError {
                write_errors: Some(errors), write_concern_error: None, ..
            }) if errors.iter().all(|error| Failure::is_duplicate(error.code)) => {
                Ok(errors.iter().map(|error| error.index).collect())
            }
            _ => Err(error.into()),
        }
    }
}

impl<'a> Given<'a> {
    fn of(document: &'a RawDocumentBuf) -> Option<Self> {
        Some(Self { identity: Identity::of(document)?, version: Version::of(document), document })
    }
}

fn with_their_ids(given: &[Given<'_>]) -> Result<Document, Failure> {
    let ids = given.iter().filter_map(|given| given.document.get("_id").ok().flatten());
    let ids = ids.map(Bson::try_from).collect::<Result<Vec<Bson>, _>>()?;
    Ok(doc! { "_id": { "$in": ids } })
}

fn of_identities(given: &[Given<'_>]) -> Document {
    let mut repositories: BTreeMap<&str, Vec<Bson>> = BTreeMap::new();
    for Given { identity, .. } in given {
        repositories.entry(identity.repository).or_default().push(identity.number.into());
    }
    let of_each = |(name, numbers)| doc! { "base.repo.full_name": name, "number": { "$in": numbers } };
    let mut filters: Vec<Document> = repositories.into_iter().map(of_each).collect();
    if filters.len() == 1 {
        filters.remove(0)
    } else {
        doc! { "$or": filters }
    }
}

/// How many of these go to the server at once.
fn batch(given: &[Given<'_>]) -> usize {
    let mut bytes = 0;
    let fits = |given: &&Given<'_>| {
        bytes += given.document.as_bytes().len();
        bytes <= BYTES
    };
    given.iter().take(DOCUMENTS).take_while(fits).count().max(1)
}

/// One version of each pull request: the newest, and of equal ones the last.
fn newest<'a>(batch: &[Given<'a>]) -> Vec<Given<'a>> {
    let mut places = HashMap::with_capacity(batch.len());
    let mut newest: Vec<Given<'a>> = Vec::with_capacity(batch.len());
    for given in batch {
        let place = *places.entry(given.identity).or_insert(newest.len());
        match newest.get_mut(place) {
            None => newest.push(*given),
            Some(other) if given.version >= other.version => *other = *given,
            Some(_) => {}
        }
    }
    newest
}

/// The document, to take the place of one whose `_id` stays.
fn without_id(document: &RawDocument) -> Result<RawDocumentBuf, Failure> {
    let id: &CStr = cstr!("_id");
    let mut rest = RawDocumentBuf::new();
    for field in document {
        let (key, value) = field?;
        if key != id {
            rest.append(key, value);
        }
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use bson::DateTime;

    use super::*;

    fn document(number: i64, updated_at: i64, title: &str) -> RawDocumentBuf {
        rawdoc! {
            "_id": format!("tide/harbour#{number}"), "number": number, "title": title,
            "updated_at": DateTime::from_millis(updated_at), "base": { "repo": { "full_name": "tide/harbour" } },
        }
    }

    #[test]
    fn of_a_pull_request_that_comes_twice_the_newest_stays() {
        let documents = [
            document(1, 5, "old"),
            document(2, 5, "other"),
            document(1, 7, "first"),
            document(1, 7, "last"),
            document(1, 6, "late"),
        ];
        let given: Vec<_> = documents.iter().map(|document| Given::of(document).unwrap()).collect();
        let titles: Vec<_> = newest(&given).iter().map(|given| given.document.get_str("title").unwrap()).collect();
        assert_eq!(titles, ["last", "other"]);
    }

    #[test]
    fn a_batch_has_bounds() {
        let small = document(1, 1, "x");
        let big = document(1, 1, &"x".repeat(BYTES / 2));
        let bigger = document(1, 1, &"x".repeat(BYTES + 1));
        let of = |document| Given::of(document).unwrap();
        assert_eq!(batch(&vec![of(&small); DOCUMENTS + 5]), DOCUMENTS);
        assert_eq!(batch(&[of(&big), of(&small), of(&big), of(&small)]), 2);
        assert_eq!(batch(&[of(&bigger), of(&small)]), 1);
    }

    #[test]
    fn the_id_is_left_out_and_all_else_stays() {
        let whole = rawdoc! { "a": 1, "_id": 5, "b": { "_id": [1, "x"] } };
        assert_eq!(without_id(&whole).unwrap(), rawdoc! { "a": 1, "b": { "_id": [1, "x"] } });
        let broken = RawDocumentBuf::from_bytes(b"\x09\0\0\0\x02a\0\x05\0".to_vec()).unwrap();
        assert!(without_id(&broken).is_err());
    }
}
