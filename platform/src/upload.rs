//! A file on its way to the store: written piece by piece in bounded memory, hashed on the way.

use std::sync::Arc;

use bytes::Bytes;
use object_store::{ObjectStore, buffered::BufWriter, path::Path};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use crate::{
    FileEntry,
    error::{Cause, cause},
};

/// A file that is being written. Nobody sees it before [`Upload::complete`].
#[derive(Debug)]
pub struct Upload {
    inner: BufWriter,
    hash: Sha256,
    bytes: u64,
}

impl Upload {
    /// Begins a file at `location`.
    pub fn new(store: Arc<dyn ObjectStore>, location: Path) -> Self {
        Self { inner: BufWriter::new(store, location), hash: Sha256::new(), bytes: 0 }
    }

    /// Appends a piece.
    ///
    /// # Errors
    /// What kept the store from it.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), Cause> {
        self.hash.update(&piece);
        self.bytes += piece.len() as u64;
        self.inner.put(piece).await.map_err(cause)
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// What kept the store from it.
    pub async fn complete(&mut self) -> Result<(), Cause> {
        self.inner.shutdown().await.map_err(cause)
    }

    /// What was written, under its `path` below the folder.
    pub fn entry(self, path: String) -> FileEntry {
        FileEntry { path, bytes: self.bytes, sha256: hex::encode(self.hash.finalize()) }
    }
}
