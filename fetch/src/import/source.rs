//! The files that are imported: parts of a published export, verified while they are read, or files of this machine.

use std::{
    fmt, fs,
    io::{self, BufRead},
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::TryStreamExt;
use prowl_platform::{Folder, Kind, Store};
use tokio::runtime::Handle;
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::{
    Error,
    files::{self, unpack},
};

/// How files of a folder end that are taken, packed or not.
const ENDS: [&str; 3] = [".json", ".ndjson", ".jsonl"];

/// What the store and the generator write beside the documents.
const BESIDE: [&str; 2] = ["manifest.json", "planted.json"];

/// A file to import.
#[derive(Debug)]
pub(super) enum Source {
    /// Of an export of the store.
    Part(Arc<Folder>, String),
    /// Of this machine.
    File(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(folder, part) => write!(f, "{}{part}", folder.url()),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Source {
    /// Its text, unpacked. Only for a thread that may wait. The end of a part comes only if it is what was published.
    pub(super) fn open(&self, runtime: &Handle) -> io::Result<Box<dyn BufRead>> {
        match self {
            Self::File(path) => unpack(fs::File::open(path)?),
            Self::Part(folder, part) => {
                let (_, pieces) = runtime.block_on(folder.stream(part)).map_err(io::Error::other)?;
                let pieces = StreamReader::new(Box::pin(pieces.map_err(io::Error::other)));
                unpack(SyncIoBridge::new_with_handle(pieces, runtime.clone()))
            }
        }
    }
}

/// What each of these names means: `latest` or a name of the store, a file, or a folder, which gives its files in the
/// order of their names.
pub(super) async fn find(asked: &[String], store: Option<&Store>) -> Result<Vec<Source>, Error> {
    let mut sources = Vec::new();
    for name in asked {
        let path = Path::new(name);
        if name == "latest" || (Folder::is_name(name) && !path.exists()) {
            let store = store.ok_or_else(|| Error::ImportNeedsStore { name: name.clone() })?;
            let folder = Arc::new(store.folder(Kind::Exports, name).await?);
            let parts: Vec<String> = folder.files("part-").map(|entry| entry.path.clone()).collect();
            sources.extend(parts.into_iter().map(|part| Source::Part(Arc::clone(&folder), part)));
        } else if path.is_dir() {
            let mut files =
                files::of(path, &ENDS).map_err(|source| Error::ImportFile { file: name.clone(), source })?;
            files.retain(|file| !is_beside(file));
            if files.is_empty() {
                return Err(Error::NoImportFiles { folder: path.to_owned() });
            }
            sources.extend(files.into_iter().map(Source::File));
        } else {
            // Before anything is stored.
            fs::metadata(path).map_err(|source| Error::ImportFile { file: name.clone(), source })?;
            sources.push(Source::File(path.to_owned()));
        }
    }
    Ok(sources)
}

fn is_beside(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    BESIDE.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_are_exports_files_and_folders() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for name in ["b.ndjson.zst", "a.json.gz", "manifest.json", "planted.json", ".c.json", "notes.txt", "D.JSONL"] {
            fs::write(path(name), "").unwrap();
        }
        fs::create_dir(path("nested.json")).unwrap();
        let found = find(&[folder.path().to_str().unwrap().to_owned(), path("notes.txt")], None).await.unwrap();
        let found: Vec<_> = found.iter().map(Source::to_string).collect();
        assert_eq!(found, ["D.JSONL", "a.json.gz", "b.ndjson.zst", "notes.txt"].map(path));

        let error = async |name: String| find(&[name], None).await.unwrap_err().to_string();
        assert!(error(path("nested.json")).await.contains("holds no"));
        assert!(error("latest".to_owned()).await.contains("--store"));
        assert!(error("20261124T214500Z".to_owned()).await.contains("--store"));
        assert!(error(path("missing")).await.contains("missing"));
    }
}
