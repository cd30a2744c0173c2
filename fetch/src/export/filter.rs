//! Which documents are wanted.

use bson::{DateTime, Document, doc};
use jiff::Timestamp;

use super::Config;
use crate::{
    Error,
    extjson::{self, Format},
};

/// A filter as the server takes it.
#[derive(Debug, Clone)]
pub(super) struct Filter(Document);

impl Filter {
    /// That of an export.
    pub(super) fn of(config: &Config) -> Result<Self, Error> {
        let mut conditions = Vec::new();
        if let Some(query) = &config.query {
            let query = Document::try_from(query)
                .map_err(|error| Error::NoBson { document: "the query".to_owned(), reason: error.to_string() })?;
            conditions.push(query);
        }
        if !config.repositories.is_empty() {
            conditions.push(doc! { "base.repo.full_name": { "$in": &config.repositories } });
        }
        conditions.extend(config.since.map(since));
        conditions.retain(|condition| !condition.is_empty());
        Ok(Self(all_of(conditions)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn document(&self) -> &Document {
        &self.0
    }

    /// What is wanted of a range.
    pub(super) fn within(&self, range: &Document) -> Document {
        let conditions = [&self.0, range].into_iter().filter(|condition| !condition.is_empty()).cloned();
        all_of(conditions.collect())
    }
}

fn all_of(mut conditions: Vec<Document>) -> Document {
    if conditions.len() > 1 {
        doc! { "$and": conditions }
    } else {
        conditions.pop().unwrap_or_default()
    }
}

/// All but what is known to be older: by `fetched_at`, and without one by `updated_at`, each a date or, as others write
/// it, text.
fn since(moment: Timestamp) -> Document {
    let date = DateTime::from_millis(moment.as_millisecond());
    // Without the zone it comes before all texts of its second, with and without a fraction.
    let text = moment.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    doc! { "$nor": [
        { "fetched_at": { "$lt": date } },
        { "fetched_at": { "$lt": &text } },
        { "fetched_at": null, "updated_at": { "$lt": date } },
        { "fetched_at": null, "updated_at": { "$lt": &text } },
    ] }
}

/// A filter as it can be given to `--query`.
pub(super) fn text(filter: &Document) -> String {
    let mut text = Vec::new();
    // It went to the server in the same form.
    let written =
        bson::serialize_to_vec(filter).ok().and_then(|bson| extjson::write(&bson, Format::Relaxed, &mut text).ok());
    written.and_then(|_| String::from_utf8(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::{Compression, PartSize};

    fn config() -> Config {
        Config {
            format: Format::Relaxed,
            compression: Compression::Gzip,
            part_size: PartSize::Documents(1),
            since: None,
            query: None,
            repositories: vec![],
            parallel: None,
            if_new: false,
        }
    }

    #[test]
    fn conditions_hold_together() {
        assert_eq!(text(Filter::of(&config()).unwrap().document()), "{}");
        let query = Some(super::super::query(r#"{"state":"closed"}"#).unwrap());
        let one = Config { query, ..config() };
        assert_eq!(text(Filter::of(&one).unwrap().document()), r#"{"state":"closed"}"#);
        let two = Config { repositories: vec!["a/b".to_owned()], ..one };
        let filter = Filter::of(&two).unwrap();
        let both = r#"{"$and":[{"state":"closed"},{"base.repo.full_name":{"$in":["a/b"]}}]}"#;
        assert_eq!(text(filter.document()), both);
        assert_eq!(
            text(&filter.within(&doc! { "_id": { "$lt": "x" } })),
            format!(r#"{{"$and":[{both},{{"_id":{{"$lt":"x"}}}}]}}"#)
        );
        assert_eq!(filter.within(&doc! {}), *filter.document());
    }

    #[test]
    fn an_increment_leaves_out_what_is_known_to_be_older() {
        let since = Some("2024-05-01T12:00:00.25Z".parse().unwrap());
        let filter = Filter::of(&Config { since, ..config() }).unwrap();
        assert_eq!(
            text(filter.document()),
            r#"{"$nor":[{"fetched_at":{"$lt":{"$date":"2024-05-01T12:00:00.250Z"}}},{"fetched_at":{"$lt":"2024-05-01T12:00:00"}},{"fetched_at":null,"updated_at":{"$lt":{"$date":"2024-05-01T12:00:00.250Z"}}},{"fetched_at":null,"updated_at":{"$lt":"2024-05-01T12:00:00"}}]}"#
        );
    }
}
