//! A finished folder, as its readers see it.

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use sha2::{Digest, Sha256};
use url::Url;

use crate::{Error, FileEntry, Kind, Manifest, Store, error::cause, manifest};

/// A published folder. What it holds never changes; every read is checked against the manifest.
#[derive(Debug, Clone)]
pub struct Folder {
    store: Store,
    kind: Kind,
    name: String,
    manifest: Manifest,
    digest: String,
}

impl Folder {
    /// The folder, or `None` when it has no manifest and so does not exist for a reader.
    pub(crate) async fn load(store: &Store, kind: Kind, name: &str) -> Result<Option<Self>, Error> {
        let path = store.path(&format!("{kind}/{name}/{}", manifest::FILE));
        let failed = |source| Error::Read { path: display(store, kind, name, manifest::FILE), source: cause(source) };
        let bytes = match store.object_store().get(&path).await {
            Ok(found) => found.bytes().await.map_err(failed)?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        Self::from_manifest(store.clone(), kind, name.to_owned(), &bytes).map(Some)
    }

    pub(crate) fn from_manifest(store: Store, kind: Kind, name: String, bytes: &[u8]) -> Result<Self, Error> {
        let manifest = Manifest::parse(bytes, kind, &display(&store, kind, &name, manifest::FILE))?;
        Ok(Self { store, kind, name, manifest, digest: hex::encode(Sha256::digest(bytes)) })
    }

    /// Its name, a UTC time such as `20261124T214500Z`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it holds.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its URL, with a slash at the end.
    pub fn url(&self) -> Url {
        url_of(&self.store, self.kind, &self.name)
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Hexadecimal SHA-256 of its `manifest.json`, and so of everything in it.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Where `file` lies in [`Store::object_store`].
    pub fn path(&self, file: &str) -> Path {
        self.store.path(&format!("{}/{}/{file}", self.kind, self.name))
    }

    /// The files whose path begins with `prefix`, sorted by path.
    pub fn files(&self, prefix: &str) -> impl Iterator<Item = &FileEntry> {
        self.manifest.files.iter().filter(move |entry| entry.path.starts_with(prefix))
    }

    /// The content of a file, hashed as it arrives and compared with the manifest.
    ///
    /// # Errors
    /// [`Error::NotListed`], [`Error::FileMissing`], [`Error::Changed`], [`Error::Read`].
    pub async fn read(&self, file: &str) -> Result<Bytes, Error> {
        let mut content = BytesMut::new();
        self.check(file, |chunk| content.extend_from_slice(chunk)).await?;
        Ok(content.freeze())
    }

    /// Checks a file as [`Folder::read`] does without keeping it, for files that something else will read.
    ///
    /// # Errors
    /// Those of [`Folder::read`].
    pub async fn verify(&self, file: &str) -> Result<(), Error> {
        self.check(file, |_| {}).await
    }

    async fn check(&self, file: &str, mut each_chunk: impl FnMut(&[u8])) -> Result<(), Error> {
        let kind = self.kind;
        let entry = self.manifest.files.iter().find(|entry| entry.path == file).ok_or_else(|| Error::NotListed {
            folder: self.url().to_string(),
            file: file.to_owned(),
            kind,
        })?;
        let path = display(&self.store, kind, &self.name, file);
        let store = self.store.object_store();
        let found = measure(store.as_ref(), &self.path(file), &mut each_chunk).await;
        let (bytes, sha256) = found.map_err(|source| match source {
            object_store::Error::NotFound { .. } => Error::FileMissing { path: path.clone(), kind },
            source => Error::Read { path: path.clone(), source: cause(source) },
        })?;
        let changed = |what, expected, found| Err(Error::Changed { path: path.clone(), kind, what, expected, found });
        if bytes != entry.bytes {
            return changed("size", entry.bytes.to_string(), bytes.to_string());
        }
        if sha256 != entry.sha256 {
            return changed("SHA-256", entry.sha256.clone(), sha256);
        }
        Ok(())
    }
}

/// Size and hexadecimal SHA-256 of an object, streamed.
pub(crate) async fn measure(
    store: &dyn ObjectStore,
    path: &Path,
    mut each_chunk: impl FnMut(&[u8]),
) -> Result<(u64, String), object_store::Error> {
    let mut chunks = store.get(path).await?.into_stream();
    let mut hash = Sha256::new();
    let mut bytes = 0;
    while let Some(chunk) = chunks.try_next().await? {
        hash.update(&chunk);
        bytes += chunk.len() as u64;
        each_chunk(&chunk);
    }
    Ok((bytes, hex::encode(hash.finalize())))
}

/// How a file of a folder is named in a message.
pub(crate) fn display(store: &Store, kind: Kind, name: &str, file: &str) -> String {
    format!("{}{file}", url_of(store, kind, name))
}

pub(crate) fn url_of(store: &Store, kind: Kind, name: &str) -> Url {
    let mut url = store.url().clone();
    url.path_segments_mut().expect("a file URL has path segments").pop_if_empty().extend([kind.as_str(), name, ""]);
    url
}
