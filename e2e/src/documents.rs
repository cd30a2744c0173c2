//! Exports as documents, and as they were at an earlier time.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};

/// The documents of an export, in the order of its lines.
#[derive(Clone, Debug)]
pub struct Documents(pub Vec<Value>);

impl Documents {
    /// Reads every `part-*` of an export folder.
    pub fn read(folder: &Path) -> Self {
        let mut parts: Vec<PathBuf> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("part-"))
            .collect();
        parts.sort();
        let lines = parts.iter().flat_map(|path| {
            BufReader::new(MultiGzDecoder::new(std::fs::File::open(path).unwrap())).lines().map(Result::unwrap)
        });
        Self(lines.map(|line| serde_json::from_str(&line).unwrap()).collect())
    }

    /// Writes them as one plain file, a document a line.
    pub fn write(&self, path: &Path) {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
        for document in &self.0 {
            serde_json::to_writer(&mut file, document).unwrap();
            file.write_all(b"\n").unwrap();
        }
        file.flush().unwrap();
    }
}

/// A time of a document as it is written. Those of one writer have one form, so that they compare as text.
fn time<'a>(document: &'a Value, field: &str) -> Option<&'a str> {
    document.get(field)?.get("$date")?.as_str()
}

/// The export as it would have been just before `moment`: without what was opened later, and with what was known
/// then of the rest: no later merge, revert, closing, comment or edit.
pub fn known_before(documents: &Documents, moment: &str) -> Documents {
    let mut known = Vec::new();
    for document in &documents.0 {
        if time(document, "created_at").unwrap() >= moment {
            continue;
        }
        let mut document = document.clone();
        let is_later = |document: &Value, field: &str| time(document, field).is_some_and(|time| time >= moment);
        if is_later(&document, "merged_at") {
            document["merged"] = json!(false);
            document["merged_at"] = Value::Null;
            document["merge_commit_sha"] = Value::Null;
        }
        if is_later(&document, "closed_at") {
            document["state"] = json!("open");
            document["closed_at"] = Value::Null;
        }
        if is_later(&document, "reverted_at") {
            document["reverted_at"] = Value::Null;
        }
        if is_later(&document, "updated_at") {
            document["updated_at"] = document["created_at"].clone();
            document["comments"] = json!(0);
            document["review_comments"] = json!(0);
        }
        if is_later(&document, "fetched_at") {
            document["fetched_at"] = Value::Null;
        }
        known.push(document);
    }
    Documents(known)
}

/// A later pull request that takes `target` back, opened and merged at `moment`.
pub fn revert_of(target: &Value, number: u64, moment: &str) -> Value {
    let mut revert = target.clone();
    let at = json!({ "$date": moment });
    revert["_id"] = json!(format!("revert#{number}"));
    revert["number"] = json!(number);
    revert["title"] = json!(format!("Revert \"{}\"", target["title"].as_str().unwrap()));
    revert["body"] = json!(format!("Reverts #{}", target["number"]));
    for field in ["created_at", "updated_at", "closed_at", "merged_at"] {
        revert[field] = at.clone();
    }
    revert["merged"] = json!(true);
    revert["reverted_at"] = Value::Null;
    revert
}
