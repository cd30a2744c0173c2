//! How often the collection was changed, by which an export sees that there is nothing new.
//!
//! Whoever changes the collection counts that before and after: an export that began in between has another count than
//! the next one, which publishes again. Who is killed in between (`kill -9`), or gives up waiting for the database,
//! does not count what it wrote last: an export that began in between is taken for the present one, until something
//! else changes.

use bson::{Bson, Document, doc};
use serde::Serialize;

use super::{Mongo, failure::Failure};
use crate::Error;

/// The document of the state that counts.
const ID: &str = "changes";

/// The collection at a moment. Two that are equal are of the same documents, unless another program than Prowl changed
/// some of them and left their number as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Changes {
    /// How often a change was counted.
    pub(crate) count: i64,
    /// Documents, as the server knows it without a look at them.
    pub(crate) documents: u64,
}

impl Mongo {
    /// How it is now. Ask before anything is read.
    pub(crate) async fn changes(&self) -> Result<Changes, Error> {
        let states = self.state::<Document>();
        let found = self.retry(|| async { Ok(states.find_one(doc! { "_id": ID }).await?) }).await;
        let found = found.map_err(|failure| self.state_failed("read", failure))?;
        let documents = self.retry(|| async { Ok(self.primary.estimated_document_count().await?) }).await;
        let documents = documents.map_err(|failure| self.failed("read", failure))?;
        let count = match found.as_ref().and_then(|found| found.get("count")) {
            Some(Bson::Int64(count)) => *count,
            Some(Bson::Int32(count)) => i64::from(*count),
            _ => 0,
        };
        Ok(Changes { count, documents })
    }

    /// Counts a change.
    pub(super) async fn count_change(&self) -> Result<(), Failure> {
        self.merge_state(ID, doc! { "$inc": { "count": 1_i64 } }).await
    }
}
