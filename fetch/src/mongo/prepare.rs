//! What the collection has to have before it is filled: indexes, and on request a validator.

use bson::{Bson, Document, doc};
use mongodb::{IndexModel, options::IndexOptions};

use super::{Mongo, failure::Failure};
use crate::Error;

impl Mongo {
    /// Makes the indexes where they are missing: one that keeps a pull request from being there twice, and one for
    /// what was updated of late. With `validator` the server refuses from then on what is no pull request; documents
    /// that are none already stay as they are, and are counted in the log.
    ///
    /// # Errors
    /// [`Error::Duplicates`]; [`Error::Mongo`].
    pub async fn prepare(&self, validator: bool) -> Result<(), Error> {
        self.retry(|| self.make_indexes()).await.map_err(|failure| {
            if failure.duplicate() {
                return Error::Duplicates { collection: self.place(self.primary.name()) };
            }
            self.failed("make the indexes of", failure)
        })?;
        if validator {
            let installed = self.retry(|| self.install_validator()).await;
            let foreign = installed.map_err(|failure| self.failed("install the validator of", failure))?;
            if foreign > 0 {
                tracing::warn!(documents = foreign, "stored documents are no pull requests; they stay as they are");
            }
        }
        Ok(())
    }

    async fn make_indexes(&self) -> Result<(), Failure> {
        let unique = IndexOptions::builder().unique(true).build();
        let identity = doc! { "base.repo.full_name": 1, "number": 1 };
        let indexes = [
            IndexModel::builder().keys(identity).options(unique).build(),
            IndexModel::builder().keys(doc! { "updated_at": 1 }).build(),
        ];
        self.primary.create_indexes(indexes).await?;
        Ok(())
    }

    /// Tells how many documents it would refuse that are there.
    async fn install_validator(&self) -> Result<u64, Failure> {
        let schema = doc! { "$jsonSchema": schema() };
        let command = doc! {
            "collMod": self.primary.name(),
            "validator": schema.clone(),
            // What was there before may go on being updated.
            "validationLevel": "moderate",
            "validationAction": "error",
        };
        self.database.run_command(command).await?;
        Ok(self.primary.count_documents(doc! { "$nor": [schema] }).await?)
    }
}

/// What every pull request has, and of what kind the fields are that it may have.
fn schema() -> Document {
    let kinds = |kinds: &[&str]| Bson::Array(kinds.iter().map(|kind| Bson::String((*kind).to_owned())).collect());
    let mut properties = doc! {
        "number": { "bsonType": "number", "minimum": 1 },
        "created_at": { "bsonType": kinds(&["date", "string"]) },
        "base": {
            "bsonType": "object",
            "required": ["repo"],
            "properties": { "repo": {
                "bsonType": "object",
                "required": ["full_name"],
                "properties": { "full_name": { "bsonType": "string", "pattern": "^[^/]+/[^/]+$" } },
            } },
        },
        "files": {
            "bsonType": kinds(&["array", "null"]),
            "items": {
                "bsonType": "object",
                "required": ["filename"],
                "properties": { "filename": { "bsonType": "string" } },
            },
        },
    };
    let optional: [(&[&str], &[&str]); 6] = [
        (&["updated_at", "closed_at", "merged_at", "fetched_at"], &["date", "string", "null"]),
        (&["additions", "deletions", "changed_files", "commits", "comments", "review_comments"], &["number", "null"]),
        (&["title", "body", "state", "author_association"], &["string", "null"]),
        (&["draft", "merged"], &["bool", "null"]),
        (&["user", "milestone", "head"], &["object", "null"]),
        (&["labels", "assignees", "requested_reviewers"], &["array", "null"]),
    ];
    for (fields, kind) in optional {
        for field in fields {
            properties.insert(*field, doc! { "bsonType": kinds(kind) });
        }
    }
    doc! { "bsonType": "object", "required": ["number", "created_at", "base"], "properties": properties }
}
