//! A folder in the making: reserved, filled, and then published by writing its manifest.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStoreExt, path::Path};
use sha2::{Digest, Sha256};
use url::Url;

use crate::{
    Error, FileEntry, Folder, Input, Kind, Manifest, Store, Upload,
    folder::{display, url_of},
    manifest, reason,
};

/// Object that reserves the name of a draft. A folder that holds it and no manifest was interrupted, or is still
/// being written.
pub const MARKER: &str = ".draft";

/// A reserved folder that no reader sees until [`Draft::publish`].
#[derive(Debug)]
pub struct Draft {
    store: Store,
    kind: Kind,
    name: String,
    /// Shared with the writers, which add their file when it is whole.
    files: Arc<Mutex<Vec<FileEntry>>>,
}

impl Draft {
    pub(crate) fn new(store: Store, kind: Kind, name: String) -> Self {
        Self { store, kind, name, files: Arc::default() }
    }

    /// The name it will be published under, a UTC time such as `20261124T214500Z`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL, with a slash at the end.
    pub fn url(&self) -> Url {
        url_of(&self.store, self.kind, &self.name)
    }

    /// Where `file` lies in [`Store::object_store`].
    pub fn path(&self, file: &str) -> Path {
        self.store.path(&format!("{}/{}/{file}", self.kind, self.name))
    }

    /// Writes a small file in one piece. A file that is there already is an error.
    ///
    /// # Errors
    /// [`Error::FileName`], [`Error::Write`].
    pub async fn put(&mut self, file: &str, bytes: Bytes) -> Result<(), Error> {
        check_name(file)?;
        let entry =
            FileEntry { path: file.to_owned(), bytes: bytes.len() as u64, sha256: hex::encode(Sha256::digest(&bytes)) };
        let path = display(&self.store, self.kind, &self.name, file);
        let created = self.store.create(&self.path(file), &bytes).await;
        if !created.map_err(|error| Error::write(&path, &error))? {
            return Err(Error::Write { path, source: "it is there already, with another content".into() });
        }
        self.add(entry);
        Ok(())
    }

    /// Starts a file that is written piece by piece, in bounded memory. It belongs to the folder once it is
    /// [finished](DraftWriter::finish).
    ///
    /// # Errors
    /// [`Error::FileName`].
    pub fn writer(&mut self, file: &str) -> Result<DraftWriter, Error> {
        check_name(file)?;
        Ok(DraftWriter {
            file: file.to_owned(),
            display: display(&self.store, self.kind, &self.name, file),
            upload: Upload::new(self.store.object_store(), self.path(file)),
            files: Arc::clone(&self.files),
        })
    }

    /// Takes in a file that something else wrote below this folder and measured.
    pub fn add(&mut self, entry: FileEntry) {
        lock(&self.files).push(entry);
    }

    /// Takes the marker away before the folder is published or given up: other processes that write into it, for as long as
    /// it is a draft, begin nothing more. Its name stays taken by the files in it.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub async fn close(&self) -> Result<(), Error> {
        match self.store.object_store().delete(&self.path(MARKER)).await {
            Err(error) if !matches!(error, object_store::Error::NotFound { .. }) => {
                Err(Error::write(display(&self.store, self.kind, &self.name, MARKER), &error))
            }
            _ => Ok(()),
        }
    }

    /// Publishes the folder: writes `manifest.json`, which is the commit, and then removes the draft marker.
    ///
    /// # Errors
    /// [`Error::FileName`] when two files have one path, [`Error::Write`]: the draft is discarded then. [`Error::Taken`]
    /// when another program has published this very folder: what lies in it belongs to that program and stays.
    pub async fn publish(
        self,
        inputs: Vec<Input>,
        counts: BTreeMap<String, u64>,
        details: serde_json::Value,
    ) -> Result<Folder, Error> {
        let committed = self.commit(inputs, counts, details).await;
        if committed.as_ref().is_err_and(|error| !matches!(error, Error::Taken { .. })) {
            self.discard().await;
        }
        committed
    }

    async fn commit(
        &self,
        inputs: Vec<Input>,
        counts: BTreeMap<String, u64>,
        details: serde_json::Value,
    ) -> Result<Folder, Error> {
        let mut files = std::mem::take(&mut *lock(&self.files));
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        if let Some(twice) = files.windows(2).find(|pair| pair[0].path == pair[1].path) {
            return Err(Error::FileName { file: twice[0].path.clone(), reason: "it was written twice" });
        }
        let manifest = Manifest {
            kind: self.kind.as_str().to_owned(),
            schema: self.kind.schema(),
            name: self.name.clone(),
            program: program(),
            inputs,
            counts,
            details,
            files,
        };
        let bytes = Bytes::from(manifest.to_bytes());
        let created = self.store.create(&self.path(manifest::FILE), &bytes).await;
        let path = || display(&self.store, self.kind, &self.name, manifest::FILE);
        if !created.map_err(|error| Error::write(path(), &error))? {
            return Err(Error::Taken { folder: self.url().to_string() });
        }
        if let Err(error) = self.close().await {
            // The folder is published already; the marker only means something without a manifest.
            tracing::debug!(folder = %self.url(), %error, "the draft marker stays behind");
        }
        Folder::from_manifest(self.store.clone(), self.kind, self.name.clone(), &bytes)
    }

    /// Removes what was written, for a program that failed and wants to leave nothing behind. Why it failed is what
    /// its user has to hear, so that something stays is only a warning: no reader ever sees it.
    pub async fn discard(self) {
        let folder = self.store.path(&format!("{}/{}", self.kind, self.name));
        if let Err(error) = self.remove(&folder).await {
            let (folder, error) = (self.url(), reason(&error));
            tracing::warn!(%folder, %error, "what was written of the unfinished folder stays behind; it may be deleted");
        }
    }

    async fn remove(&self, folder: &Path) -> Result<(), object_store::Error> {
        let store = self.store.object_store();
        let objects: Vec<_> = store.list(Some(folder)).try_collect().await?;
        self.store.delete(objects.into_iter().map(|object| object.location).collect()).await?;
        self.store.remove_directory(folder).await;
        Ok(())
    }
}

/// One file of a draft, written piece by piece.
#[derive(Debug)]
pub struct DraftWriter {
    file: String,
    display: String,
    upload: Upload,
    files: Arc<Mutex<Vec<FileEntry>>>,
}

impl DraftWriter {
    /// Appends a piece.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub async fn write(&mut self, piece: Bytes) -> Result<(), Error> {
        let written = self.upload.write(piece).await;
        written.map_err(|error| Error::write(&self.display, &error))
    }

    /// Completes the file and adds it to the draft.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub async fn finish(mut self) -> Result<FileEntry, Error> {
        self.upload.complete().await.map_err(|error| Error::write(&self.display, &error))?;
        let entry = self.upload.entry(self.file);
        lock(&self.files).push(entry.clone());
        Ok(entry)
    }
}

/// The list is only ever pushed to or taken whole, so it is right even after a panic elsewhere.
fn lock(files: &Mutex<Vec<FileEntry>>) -> std::sync::MutexGuard<'_, Vec<FileEntry>> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check_name(file: &str) -> Result<(), Error> {
    let wrong = |reason| Err(Error::FileName { file: file.to_owned(), reason });
    if file == manifest::FILE || file == MARKER {
        return wrong("the name is taken by the store itself");
    }
    if file.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return wrong("it must be a path below the folder, parts separated by single slashes");
    }
    Ok(())
}

/// Name and version of the running program. All of Prowl has one version.
pub(crate) fn program() -> String {
    let path = std::env::args_os().next().map(std::path::PathBuf::from);
    let name = path.as_deref().and_then(|path| path.file_stem()).map(|name| name.to_string_lossy().into_owned());
    format!("{} {}", name.unwrap_or_else(|| "unknown".to_owned()), env!("CARGO_PKG_VERSION"))
}
