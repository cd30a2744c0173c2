//! Whether all cursors can see the same moment (<https://www.mongodb.com/docs/manual/reference/read-concern-snapshot/>).

use bson::{Timestamp, doc};
use mongodb::error::{Error as DriverError, ErrorKind};
use serde_json::{Value, json};

use crate::{Error, mongo::Mongo};

/// Codes of a moment that the server keeps no longer: `SnapshotTooOld`, `SnapshotUnavailable`.
const GONE: [i32; 2] = [239, 246];

/// What the documents of an export have in common.
#[derive(Debug)]
pub(super) enum Consistency {
    /// They are those of one moment.
    Snapshot(Timestamp),
    /// One that changed meanwhile is of some moment of the run.
    Live {
        /// Why there is no snapshot.
        reason: String,
    },
}

impl Consistency {
    pub(super) fn is_snapshot(&self) -> bool {
        self.time().is_some()
    }

    pub(super) fn time(&self) -> Option<Timestamp> {
        if let Self::Snapshot(time) = self { Some(*time) } else { None }
    }

    pub(super) fn details(&self) -> Value {
        match self {
            Self::Snapshot(time) => json!({ "kind": "snapshot", "time": { "t": time.time, "i": time.increment } }),
            Self::Live { reason } => json!({ "kind": "live", "reason": reason }),
        }
    }

    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Snapshot(_) => "all documents are of the moment at which the export began".to_owned(),
            Self::Live { reason } => {
                format!("documents that changed while it ran may be of either version: {reason}")
            }
        }
    }
}

/// Asks the server for a moment that all cursors can see.
pub(super) async fn ask(mongo: &Mongo) -> Result<Consistency, Error> {
    let collection = mongo.pull_requests();
    let namespace = collection.namespace();
    let find = doc! {
        "find": &namespace.coll,
        // What is found does not matter, and nothing is found in no time.
        "filter": { "_id": "" },
        "limit": 1,
        "singleBatch": true,
        "readConcern": { "level": "snapshot" },
    };
    let database = collection.client().database(&namespace.db);
    let mut command = database.run_command(find);
    if let Some(criteria) = collection.selection_criteria() {
        command = command.selection_criteria(criteria.clone());
    }
    let time = match command.await {
        Ok(answer) => answer.get_document("cursor").and_then(|cursor| cursor.get_timestamp("atClusterTime")).ok(),
        // Each kind of server refuses in its own way. What else is wrong, the next question will tell.
        Err(error) if is_refusal(&error) => None,
        Err(error) => return Err(mongo.error("read", error)),
    };
    Ok(match time {
        Some(time) => Consistency::Snapshot(time),
        None => Consistency::Live {
            reason: "this server keeps no snapshots, which replica sets do from MongoDB 5 on".to_owned(),
        },
    })
}

fn is_refusal(error: &DriverError) -> bool {
    matches!(&*error.kind, ErrorKind::Command(_))
}

/// Whether the server has let go of the moment.
pub(super) fn is_gone(error: &DriverError) -> bool {
    matches!(&*error.kind, ErrorKind::Command(command) if GONE.contains(&command.code))
}
