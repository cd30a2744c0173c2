//! Ranges of `_id`s that hold about as many documents each, so that several cursors can read at once.
//!
//! Comparisons in filters only ever meet values of the same kind, so the ranges are of the kind that most `_id`s have,
//! and one more range is all that is in none of them. The server sorts the sample itself, since it alone knows the order
//! of the collection.

use bson::{Bson, Document, doc, spec::ElementType};
use futures::TryStreamExt;
use mongodb::error::Result as Answer;

use crate::{Error, mongo::Mongo};

/// Ranges for each reader, so that no reader waits long for the last.
const RANGES_PER_READER: usize = 4;
/// A range holds at least this many documents.
const DOCUMENTS_PER_RANGE: u64 = 1_000;
/// `_id`s that are looked at for each range: the largest range is then hardly twice the smallest.
const SAMPLES_PER_RANGE: usize = 20;

/// What there is to read, and in which pieces.
#[derive(Debug)]
pub(super) struct Plan {
    /// About how many documents the collection holds.
    pub(super) documents: u64,
    /// Filters, each for a piece.
    pub(super) ranges: Vec<Document>,
}

impl Plan {
    /// That for so many readers. Unless it is `forced`, the collection stays in one piece where the server would read
    /// all of it for each range.
    pub(super) async fn of(mongo: &Mongo, readers: usize, forced: bool) -> Result<Self, Error> {
        let collection = mongo.pull_requests();
        let documents = collection.estimated_document_count().await.map_err(|error| mongo.error("read", error))?;
        let mut plan = Self { documents, ranges: vec![doc! {}] };

        let wanted = usize::try_from(documents / DOCUMENTS_PER_RANGE).unwrap_or(usize::MAX);
        let wanted = wanted.min(readers * RANGES_PER_READER);
        if readers < 2 || wanted < 2 {
            return Ok(plan);
        }
        if !forced && !has_index(mongo).await {
            tracing::info!("one cursor reads all: the server finds no range of _ids by an index");
            return Ok(plan);
        }
        match sample(mongo, wanted * SAMPLES_PER_RANGE).await {
            Ok(sorted) => plan.ranges = ranges(sorted, wanted),
            Err(error) => {
                let reason = mongo.error("read", error);
                tracing::info!(%reason, "one cursor reads all: the server gives no sample of the _ids");
            }
        }
        Ok(plan)
    }
}

/// Whether the server would find a range by an index, as far as it tells.
async fn has_index(mongo: &Mongo) -> bool {
    let range = doc! { "_id": { "$gte": "a", "$lt": "b" } };
    let find = doc! { "find": mongo.pull_requests().name(), "filter": range };
    let collection = mongo.pull_requests();
    let database = collection.client().database(&collection.namespace().db);
    let mut explain = database.run_command(doc! { "explain": find, "verbosity": "queryPlanner" });
    if let Some(criteria) = collection.selection_criteria() {
        explain = explain.selection_criteria(criteria.clone());
    }
    let explained = explain.await;
    // Where it stands differs by version; a clustered collection has the stage CLUSTERED_IXSCAN.
    explained.is_ok_and(|plan| plan.to_string().contains("IXSCAN"))
}

async fn sample(mongo: &Mongo, size: usize) -> Answer<Vec<Bson>> {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let pipeline =
        [doc! { "$sample": { "size": size } }, doc! { "$project": { "_id": 1 } }, doc! { "$sort": { "_id": 1 } }];
    let found = mongo.pull_requests().aggregate(pipeline).with_type::<Document>().await?;
    found.try_filter_map(async |mut document| Ok(document.remove("_id"))).try_collect().await
}

/// Filters that together find every document once, by `_id`s in the order of the server.
fn ranges(sorted: Vec<Bson>, wanted: usize) -> Vec<Document> {
    let kinds: Vec<_> = sorted.iter().map(Bson::element_type).collect();
    let count = |kind: &ElementType| kinds.iter().filter(|other| *other == kind).count();
    let Some(usual) = kinds.iter().copied().filter(|kind| is_ordered(*kind)).max_by_key(count) else {
        return vec![doc! {}];
    };
    let sorted: Vec<_> =
        sorted.into_iter().filter(|id| id.element_type() == usual && !id.as_f64().is_some_and(f64::is_nan)).collect();
    let mut bounds: Vec<_> =
        (1..wanted).filter_map(|place| sorted.get(place * sorted.len() / wanted)).cloned().collect();
    bounds.dedup();
    let (Some(first), Some(last)) = (bounds.first(), bounds.last()) else { return vec![doc! {}] };

    let mut ranges = vec![doc! { "_id": { "$lt": first } }];
    ranges.extend(bounds.windows(2).map(|pair| doc! { "_id": { "$gte": &pair[0], "$lt": &pair[1] } }));
    ranges.push(doc! { "_id": { "$gte": last } });
    ranges.push(doc! { "$nor": [{ "_id": { "$lt": first } }, { "_id": { "$gte": first } }] });
    ranges
}

/// Whether of two values of this kind, and those that compare with it, one comes before the other, but for NaN.
fn is_ordered(kind: ElementType) -> bool {
    use ElementType::{Binary, DateTime, Double, EmbeddedDocument, Int32, Int64, ObjectId, String, Timestamp};
    matches!(kind, ObjectId | String | Int32 | Int64 | Double | DateTime | Timestamp | Binary | EmbeddedDocument)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_of_the_usual_kind_and_one_is_the_rest() {
        let mut sorted: Vec<Bson> = vec![Bson::Double(f64::NAN), Bson::Int32(1), Bson::Int32(2)];
        sorted.extend((0..40).map(|number| Bson::String(format!("o/r#{number:02}"))));
        sorted.push(Bson::DateTime(bson::DateTime::from_millis(0)));
        let ranges = ranges(sorted, 4);
        assert_eq!(
            ranges,
            [
                doc! { "_id": { "$lt": "o/r#10" } },
                doc! { "_id": { "$gte": "o/r#10", "$lt": "o/r#20" } },
                doc! { "_id": { "$gte": "o/r#20", "$lt": "o/r#30" } },
                doc! { "_id": { "$gte": "o/r#30" } },
                doc! { "$nor": [{ "_id": { "$lt": "o/r#10" } }, { "_id": { "$gte": "o/r#10" } }] },
            ]
        );
    }

    #[test]
    fn nothing_that_has_no_order_is_a_bound() {
        assert_eq!(ranges(vec![], 4), [doc! {}]);
        assert_eq!(ranges(vec![Bson::Double(f64::NAN); 40], 4), [doc! {}]);
        assert_eq!(ranges(vec![Bson::Null, Bson::Boolean(true)], 4), [doc! {}]);
        // One value makes two ranges and a rest.
        assert_eq!(ranges(vec![Bson::Int32(7); 40], 4).len(), 3);
    }
}
