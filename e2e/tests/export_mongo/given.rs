//! A collection, a store, and what the two commands between them do.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use bson::{DateTime, Document, doc};
use flate2::read::GzDecoder;
use prowl_e2e::servers::{Mongo, PULL_REQUESTS, program};
use prowl_e2e::{Outcome, Running, TestStore, Variable, open, run_with};
use prowl_platform::{Folder, Kind, Store};
use serde_json::Value;

/// Prints each document of a collection, by `_id`, as the reference implementation of extended JSON does.
const REFERENCE: &str = "
import sys
from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import MongoClient
uri, database, collection, mode = sys.argv[1:]
codec = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
options = getattr(json_util, mode + '_JSON_OPTIONS')
for document in MongoClient(uri)[database].get_collection(collection, codec).find():
    print(json_util.dumps(document, json_options=options))
";

/// A server and a store.
pub(crate) struct Given {
    pub(crate) server: Mongo,
    pub(crate) store: TestStore,
}

/// A published export.
pub(crate) struct Exported {
    /// What `--json` printed.
    pub(crate) report: Value,
    pub(crate) manifest: Value,
    /// Its parts by name, unpacked.
    pub(crate) parts: BTreeMap<String, String>,
}

impl Given {
    pub(crate) fn start() -> Self {
        Self { server: Mongo::start(), store: TestStore::empty() }
    }

    /// One that holds these.
    pub(crate) fn with(documents: &[Document]) -> Self {
        let given = Self::start();
        documents.chunks(2_000).for_each(|chunk| given.server.insert(PULL_REQUESTS, chunk));
        given
    }

    /// What the command needs beside its own arguments.
    fn arguments<'a>(&'a self, command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&[command, "--store", &self.store.url], more].concat()
    }

    /// Exports as far as it can be done.
    pub(crate) fn try_export(&self, more: &[&str]) -> Outcome {
        self.try_export_with(&self.server.environment(), more)
    }

    pub(crate) fn try_export_with(&self, environment: &[Variable], more: &[&str]) -> Outcome {
        checked(run_with(environment, "prowl-fetch", &self.arguments("export", more)))
    }

    /// Begins an export.
    pub(crate) fn begin_export(&self, more: &[&str]) -> Running {
        Running::start_with(&self.server.environment(), "prowl-fetch", &self.arguments("export", more))
    }

    pub(crate) fn export(&self, more: &[&str]) -> Exported {
        let done = self.try_export(&[&["--json"], more].concat()).expect_success();
        Exported::read(&open(&self.store.url), done.json())
    }

    /// Imports as far as it can be done.
    pub(crate) fn try_import(&self, what: &[&str]) -> Outcome {
        checked(run_with(&self.server.environment(), "prowl-fetch", &self.arguments("import", what)))
    }

    /// Imports, and tells how many were read, new, changed, unchanged and rejected.
    pub(crate) fn import(&self, what: &[&str]) -> [u64; 5] {
        let report = self.try_import(&[what, &["--json"]].concat()).expect_success().json();
        ["read", "inserted", "changed", "unchanged", "rejected"].map(|count| report[count].as_u64().unwrap())
    }

    /// The documents as pymongo prints them.
    pub(crate) fn reference(&self, mode: &str) -> Vec<Value> {
        let mut python = Command::new(program("pymongo", "4.16.0", "python3"));
        let done = python.args(["-c", REFERENCE, &self.server.uri(), "prowl", PULL_REQUESTS, mode]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        sorted(std::str::from_utf8(&done.stdout).unwrap().lines().map(parsed))
    }

    /// Folders below `exports/`, finished or not, and the files in them.
    pub(crate) fn left_behind(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                }
                found.push(path);
            }
        }
        let mut found = Vec::new();
        walk(&self.store.root.join("exports"), &mut found);
        found
    }
}

impl Exported {
    pub(crate) fn read(store: &Store, report: Value) -> Self {
        let name = report["snapshot"].as_str().unwrap().to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = store.folder(Kind::Exports, &name).await.unwrap();
            let manifest = serde_json::to_value(folder.manifest()).unwrap();
            let mut parts = BTreeMap::new();
            for entry in folder.files("part-") {
                parts.insert(entry.path.clone(), part(&folder, &entry.path).await);
            }
            Self { report, manifest, parts }
        })
    }

    pub(crate) fn lines(&self) -> Vec<&str> {
        self.parts.values().flat_map(|part| part.lines()).collect()
    }

    /// Its documents, by `_id`.
    pub(crate) fn documents(&self) -> Vec<Value> {
        sorted(self.lines().into_iter().map(parsed))
    }

    /// The numbers of its pull requests, in order.
    pub(crate) fn numbers(&self) -> Vec<i64> {
        let mut numbers: Vec<i64> =
            self.documents().iter().map(|document| document["number"].as_i64().unwrap()).collect();
        numbers.sort_unstable();
        numbers
    }

    pub(crate) fn count(&self, name: &str) -> u64 {
        self.manifest["counts"][name].as_u64().unwrap()
    }
}

async fn part(folder: &Folder, name: &str) -> String {
    let packed = folder.read(name).await.unwrap();
    let mut text = String::new();
    match name.rsplit('.').next() {
        Some("gz") => GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap(),
        Some("zst") => zstd::Decoder::new(&packed[..]).unwrap().read_to_string(&mut text).unwrap(),
        _ => (&packed[..]).read_to_string(&mut text).unwrap(),
    };
    text
}

/// The same outcome, if it gives no secret away.
fn checked(ended: Outcome) -> Outcome {
    assert!(!Mongo::is_given_away_by(&ended.stderr) && !Mongo::is_given_away_by(&ended.stdout), "{ended:?}");
    ended
}

fn sorted(documents: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut documents: Vec<Value> = documents.collect();
    documents.sort_by_key(|document| document["_id"].to_string());
    documents
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
}

/// Minutes of an hour.
pub(crate) fn date(minutes: i64) -> DateTime {
    DateTime::from_millis(1_700_000_000_000 + minutes * 60_000)
}

/// A pull request.
pub(crate) fn pull_request(repository: &str, number: i32) -> Document {
    doc! {
        "_id": format!("{repository}#{number}"), "number": number, "title": format!("Change {number}"), "state": "closed",
        "created_at": date(i64::from(number)), "updated_at": date(i64::from(number)), "fetched_at": date(100),
        "user": { "login": "ann", "type": "User" }, "additions": 5, "deletions": 1_i64, "changed_files": 1,
        "base": { "ref": "main", "sha": "0a1b2c", "repo": { "full_name": repository } },
        "files": [{ "filename": "src/a.rs", "status": "modified", "additions": 5, "deletions": 1 }],
    }
}
