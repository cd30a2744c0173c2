//! A file on its way to the store: written piece by piece in bounded memory, hashed on the way.

use std::sync::Arc;

use bytes::Bytes;
use object_store::{ObjectStore, buffered::BufWriter, path::Path};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use crate::FileEntry;

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
    /// The store's.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), object_store::Error> {
        self.hash.update(&piece);
        self.bytes += piece.len() as u64;
        self.inner.put(piece).await
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// The store's.
    pub async fn complete(&mut self) -> Result<(), object_store::Error> {
        let shut = self.inner.shutdown().await;
        shut.map_err(|source| object_store::Error::Generic { store: "store", source: source.into() })
    }

    /// What was written, under its `path` below the folder.
    pub fn entry(self, path: String) -> FileEntry {
        FileEntry { path, bytes: self.bytes, sha256: hex::encode(self.hash.finalize()) }
    }
}
