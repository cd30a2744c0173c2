//! `manifest.json`: what a published folder holds and what it was made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, Kind};

/// File name of the manifest inside its folder.
pub(crate) const FILE: &str = "manifest.json";

/// The commit of a folder: written last, never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// `exports`, `features` or `models`.
    pub kind: String,
    /// Version of the folder's layout; a reader refuses one that is newer than it knows.
    pub schema: u32,
    /// Name of the folder, a UTC time such as `20261124T214500Z`.
    pub name: String,
    /// Name and version of the program that made it.
    pub program: String,
    /// What it was made from.
    pub inputs: Vec<Input>,
    /// How much of what: for example `documents`, or `read` = `kept` + `superseded` + `rejected`.
    pub counts: BTreeMap<String, u64>,
    /// What else this kind of folder says of itself.
    pub details: serde_json::Value,
    /// Every other file of the folder, sorted by path.
    pub files: Vec<FileEntry>,
}

/// One file of a published folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path below the folder, parts separated by `/`.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Hexadecimal SHA-256 of the content.
    pub sha256: String,
}

/// One thing that a folder was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// What it is: a kind of folder, or for example `git`.
    pub kind: String,
    /// Its name: of the folder, or for example `owner/repo`.
    pub name: String,
    /// Its digest, where it has one: of a folder the SHA-256 of its manifest, of a file `blake3:` and its BLAKE3, of a
    /// clone its commit.
    pub digest: Option<String>,
}

impl Manifest {
    /// Whether it says all of this of itself, whatever else it says.
    pub fn says(&self, details: &serde_json::Map<String, serde_json::Value>) -> bool {
        details.iter().all(|(name, value)| self.details.get(name) == Some(value))
    }

    /// Reads a manifest. The schema is looked at before anything else, since a newer one may have other fields.
    pub(crate) fn parse(bytes: &[u8], kind: Kind, path: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Header {
            kind: String,
            schema: u64,
        }
        let broken = |reason: String| Error::Manifest { path: path.to_owned(), kind, reason };

        let header: Header = serde_json::from_slice(bytes).map_err(|e| broken(e.to_string()))?;
        if header.kind != kind.as_str() {
            return Err(broken(format!("its kind is {:?}", header.kind)));
        }
        if header.schema > u64::from(kind.schema()) {
            return Err(Error::NewerSchema { path: path.to_owned(), kind, found: header.schema, known: kind.schema() });
        }
        if header.schema == 0 {
            return Err(broken("its schema is 0, and the first one is 1".to_owned()));
        }
        serde_json::from_slice(bytes).map_err(|e| broken(e.to_string()))
    }

    /// The bytes of `manifest.json`; its SHA-256 is the folder's digest.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes =
            serde_json::to_vec_pretty(self).expect("every key of a manifest is a string, every number finite");
        bytes.push(b'\n');
        bytes
    }
}
