//! A finished folder, as its readers see it.

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use sha2::{Digest, Sha256};
use url::Url;

use crate::{Error, FileEntry, Kind, Manifest, Store, manifest, name};

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
    /// Whether a folder may be called so: by a UTC second, such as `20261124T214500Z`.
    pub fn is_name(name: &str) -> bool {
        name::parse(name).is_some()
    }

    /// The folder, or `None` when it has no manifest and so does not exist for a reader.
    pub(crate) async fn load(store: &Store, kind: Kind, name: &str) -> Result<Option<Self>, Error> {
        let path = store.path(&format!("{kind}/{name}/{}", manifest::FILE));
        let failed = |error: &_| Error::read(display(store, kind, name, manifest::FILE), error);
        let bytes = match store.object_store().get(&path).await {
            Ok(found) => found.bytes().await.map_err(|error| failed(&error))?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(&error)),
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

    /// The files whose path begins with `prefix`, sorted by path.
    pub fn files(&self, prefix: &str) -> impl Iterator<Item = &FileEntry> {
        self.manifest.files.iter().filter(move |entry| entry.path.starts_with(prefix))
    }

    /// The content of a file, compared with the manifest while it comes.
    ///
    /// # Errors
    /// [`Error::NotListed`], [`Error::FileMissing`], [`Error::Changed`], [`Error::Read`].
    pub async fn read(&self, file: &str) -> Result<Bytes, Error> {
        let kind = self.kind;
        let entry = self.manifest.files.iter().find(|entry| entry.path == file).ok_or_else(|| Error::NotListed {
            folder: self.url().to_string(),
            file: file.to_owned(),
            kind,
        })?;
        let path = display(&self.store, kind, &self.name, file);
        let failed = |error| match error {
            object_store::Error::NotFound { .. } => Error::FileMissing { path: path.clone(), kind },
            error => Error::read(&path, &error),
        };
        let changed = |what, expected, found| Error::Changed { path: path.clone(), kind, what, expected, found };

        let location = self.store.path(&format!("{kind}/{}/{file}", self.name));
        let found = self.store.object_store().get(&location).await.map_err(failed)?;
        // Before the content, which may be too large to hold.
        if found.meta.size != entry.bytes {
            return Err(changed("size", entry.bytes.to_string(), found.meta.size.to_string()));
        }
        let mut content = BytesMut::with_capacity(entry.bytes as usize);
        let mut hash = Sha256::new();
        let mut pieces = found.into_stream();
        while let Some(piece) = pieces.try_next().await.map_err(failed)? {
            hash.update(&piece);
            content.extend_from_slice(&piece);
        }
        let sha256 = hex::encode(hash.finalize());
        if sha256 == entry.sha256 {
            Ok(content.freeze())
        } else {
            Err(changed("SHA-256", entry.sha256.clone(), sha256))
        }
    }
}

/// How a file of a folder is named in a message.
pub(crate) fn display(store: &Store, kind: Kind, name: &str, file: &str) -> String {
    format!("{}{file}", url_of(store, kind, name))
}

pub(crate) fn url_of(store: &Store, kind: Kind, name: &str) -> Url {
    let mut url = store.url().clone();
    url.path_segments_mut().expect("a URL with a host or a path has path segments").pop_if_empty().extend([
        kind.as_str(),
        name,
        "",
    ]);
    url
}
