//! A repository that has another name now: its pull requests get it, too.

use bson::{Bson, Document, doc};

use super::{
    Mongo,
    failure::Failure,
    version::{Identity, Version},
};
use crate::Error;

/// Pull requests that are looked at together.
const PAGE: usize = 250;
/// How often a page is begun again since others write the same pull requests.
const ROUNDS: usize = 10;

impl Mongo {
    /// Gives all pull requests of the repository `from` the name `to`, and tells how many there were. One that is
    /// stored under both names stays in its newer version. Each keeps its `_id`. Cut off, it goes on when it is called
    /// again.
    ///
    /// # Errors
    /// [`Error::Mongo`].
    pub async fn rename_repository(&self, from: &str, to: &str) -> Result<u64, Error> {
        if from == to {
            return Ok(0);
        }
        let failed = |failure| self.failed("rename a repository in", failure);
        let mut renamed = 0;
        loop {
            match self.retry(|| self.rename_page(from, to)).await.map_err(failed)? {
                0 => break,
                of_page => renamed += of_page,
            }
        }
        if renamed > 0 {
            self.retry(|| self.count_change()).await.map_err(failed)?;
        }
        Ok(renamed)
    }

    /// Renames some, and tells how many of them are no longer there under the old name.
    async fn rename_page(&self, from: &str, to: &str) -> Result<u64, Failure> {
        for _ in 0..ROUNDS {
            let old = self.versions(doc! { "base.repo.full_name": from }).await?;
            if old.is_empty() {
                return Ok(0);
            }
            self.count_change().await?;
            let numbers: Vec<Bson> = old.iter().map(|one| Bson::from(one.number)).collect();
            let new = self.versions(doc! { "base.repo.full_name": to, "number": { "$in": &numbers } }).await?;
            // What is removed is named by all that makes it the older one: it may have moved on since it was seen.
            for other in &new {
                if let Some(one) = old.iter().find(|one| one.number == other.number) {
                    let older = if one.version > other.version { other } else { one };
                    self.primary.delete_one(older.filter.clone()).await?;
                }
            }
            let page = |more: Document| {
                let mut filter = doc! { "base.repo.full_name": from, "number": { "$in": &numbers } };
                filter.extend(more);
                filter
            };
            // A branch of the repository itself lies in it under its new name; the base comes last, so that what is cut
            // off here is found again.
            let head = doc! { "$set": { "head.repo.full_name": to } };
            self.primary.update_many(page(doc! { "head.repo.full_name": from }), head).await?;
            let base = doc! { "$set": { "base.repo.full_name": to } };
            match self.primary.update_many(page(doc! {}), base).await.map_err(Failure::from) {
                Ok(_) => return Ok(old.len() as u64),
                // It was stored under the new name in the meantime.
                Err(failure) if failure.duplicate() => {}
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::passing("others write the same pull requests without end"))
    }

    async fn versions(&self, filter: Document) -> Result<Vec<Seen>, Failure> {
        let fields = doc! { "base.repo.full_name": 1, "number": 1, "updated_at": 1, "fetched_at": 1 };
        let found = self.primary.find(filter).projection(fields).limit(PAGE as i64);
        let mut found = found.batch_size(PAGE as u32 + 1).await?;
        let mut seen = Vec::new();
        while found.advance().await? {
            let document = found.current();
            if let Some(identity) = Identity::of(document) {
                let filter = Document::try_from(document)?;
                let filter = doc! {
                    "_id": filter.get("_id").cloned(),
                    "updated_at": filter.get("updated_at").cloned(),
                    "fetched_at": filter.get("fetched_at").cloned(),
                };
                seen.push(Seen { number: identity.number, version: Version::of(document), filter });
            }
        }
        Ok(seen)
    }
}

/// A stored version of a pull request.
struct Seen {
    number: i64,
    version: Version,
    /// Finds it as long as it is this version.
    filter: Document,
}
