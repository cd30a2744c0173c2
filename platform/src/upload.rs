//! A file on its way to the store: written piece by piece in bounded memory, hashed on the way.

use std::sync::Arc;

use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, path::Path};
use sha2::{Digest, Sha256};
use tokio::{runtime::Handle, task::JoinSet};

use crate::FileEntry;

/// Bytes of a part. S3 takes 10,000 parts, so a file holds 78 GiB at most.
const PART: usize = 8 << 20;
/// Parts that are on their way at one time; one more is gathered meanwhile.
const AT_ONCE: usize = 2;

/// A file that is being written. Nobody sees it before [`Upload::complete`]; what was sent of one that is dropped before is
/// taken back.
#[derive(Debug)]
pub struct Upload {
    store: Arc<dyn ObjectStore>,
    location: Path,
    /// What was not sent yet, less than a part.
    gathered: Vec<Bytes>,
    length: usize,
    /// Begun with the first whole part: a file that is smaller is sent in one piece.
    parts: Option<Box<dyn MultipartUpload>>,
    sending: JoinSet<object_store::Result<()>>,
    hash: Sha256,
    bytes: u64,
}

impl Upload {
    /// Begins a file at `location`.
    pub fn new(store: Arc<dyn ObjectStore>, location: Path) -> Self {
        Self {
            store,
            location,
            gathered: Vec::new(),
            length: 0,
            parts: None,
            sending: JoinSet::new(),
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    /// Appends a piece.
    ///
    /// # Errors
    /// What kept the store from it.
    pub async fn write(&mut self, mut piece: Bytes) -> object_store::Result<()> {
        self.hash.update(&piece);
        self.bytes += piece.len() as u64;
        while !piece.is_empty() {
            let fits = piece.split_to(piece.len().min(PART - self.length));
            self.length += fits.len();
            self.gathered.push(fits);
            if self.length == PART {
                self.send().await?;
            }
        }
        Ok(())
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// What kept the store from it. What was sent is taken back then.
    pub async fn complete(&mut self) -> object_store::Result<()> {
        if self.parts.is_none() {
            let payload = self.gathered();
            return self.store.put(&self.location, payload).await.map(drop);
        }
        if self.length > 0 {
            self.send().await?;
        }
        while !self.sending.is_empty() {
            self.wait_for_a_part().await?;
        }
        let Some(parts) = &mut self.parts else { return Ok(()) };
        let completed = match parts.complete().await.map(drop) {
            // The store may have done it, and only its answer was lost.
            Err(error) => match self.store.head(&self.location).await {
                Ok(found) if found.size == self.bytes => Ok(()),
                _ => Err(error),
            },
            done => done,
        };
        if completed.is_ok() {
            self.parts = None;
        }
        completed
    }

    /// What was written, under its `path` below the folder.
    pub fn entry(&self, path: String) -> FileEntry {
        FileEntry { path, bytes: self.bytes, sha256: hex::encode(self.hash.clone().finalize()) }
    }

    fn gathered(&mut self) -> PutPayload {
        self.length = 0;
        std::mem::take(&mut self.gathered).into_iter().collect()
    }

    async fn wait_for_a_part(&mut self) -> object_store::Result<()> {
        match self.sending.join_next().await {
            Some(sent) => sent.map_err(|source| object_store::Error::JoinError { source })?,
            None => Ok(()),
        }
    }

    /// Sends what was gathered as the next part, once few enough others are on their way.
    async fn send(&mut self) -> object_store::Result<()> {
        while self.sending.len() >= AT_ONCE {
            self.wait_for_a_part().await?;
        }
        if self.parts.is_none() {
            self.parts = Some(self.store.put_multipart(&self.location).await?);
        }
        let payload = self.gathered();
        if let Some(parts) = &mut self.parts {
            self.sending.spawn(parts.put_part(payload));
        }
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(mut parts) = self.parts.take() else { return };
        let mut sending = std::mem::take(&mut self.sending);
        // Without a runtime the program ends, and the rest of the file stays until the bucket's own rules remove it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                // A part that arrives later would bring the upload back.
                sending.shutdown().await;
                if let Err(error) = parts.abort().await {
                    tracing::debug!(%error, "parts of a file that was given up stay in the store");
                }
            });
        }
    }
}
