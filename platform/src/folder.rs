//! A finished folder, as its readers see it.

use bytes::{Bytes, BytesMut};
use futures::{Stream, TryStreamExt, stream::try_unfold};
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
    manifest_bytes: u64,
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
        let digest = hex::encode(Sha256::digest(bytes));
        Ok(Self { store, kind, name, manifest, manifest_bytes: bytes.len() as u64, digest })
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
        let (size, pieces) = self.stream(file).await?;
        let append = |mut content: BytesMut, piece: Bytes| async move {
            content.extend_from_slice(&piece);
            Ok(content)
        };
        let content = pieces.try_fold(BytesMut::with_capacity(size as usize), append).await?;
        Ok(content.freeze())
    }

    /// The size of a file, and its content piece by piece, compared with the manifest while it comes. The last piece comes
    /// only after the whole was found to be what was published. `manifest.json` is such a file, too.
    ///
    /// # Errors
    /// Those of [`Folder::read`], here or in place of a piece.
    pub async fn stream(
        &self,
        file: &str,
    ) -> Result<(u64, impl Stream<Item = Result<Bytes, Error>> + Send + 'static), Error> {
        let kind = self.kind;
        let entry = self.entry(file)?;
        let path = display(&self.store, kind, &self.name, file);
        let at = path.clone();
        let failed = move |error| match error {
            object_store::Error::NotFound { .. } => Error::FileMissing { path: at.clone(), kind },
            error => Error::read(&at, &error),
        };
        let changed = move |what, expected, found| Error::Changed { path, kind, what, expected, found };

        let location = self.store.path(&format!("{kind}/{}/{file}", self.name));
        let found = self.store.object_store().get(&location).await.map_err(&failed)?;
        // Before the content, which may be too large to hold.
        if found.meta.size != entry.bytes {
            return Err(changed("size", entry.bytes.to_string(), found.meta.size.to_string()));
        }
        let size = entry.bytes;
        let pieces = found.into_stream().map_err(failed);
        let checked = try_unfold((pieces, Some(Sha256::new()), None), move |(mut pieces, hash, mut held)| {
            let (changed, expected) = (changed.clone(), entry.sha256.clone());
            async move {
                let Some(mut hash) = hash else { return Ok(None) };
                while let Some(piece) = pieces.try_next().await? {
                    hash.update(&piece);
                    if let Some(before) = held.replace(piece) {
                        return Ok(Some((before, (pieces, Some(hash), held))));
                    }
                }
                let found = hex::encode(hash.finalize());
                if found != expected {
                    return Err(changed("SHA-256", expected, found));
                }
                Ok(held.map(|last| (last, (pieces, None, None))))
            }
        });
        Ok((size, checked))
    }

    /// What is known of a file.
    fn entry(&self, file: &str) -> Result<FileEntry, Error> {
        if file == manifest::FILE {
            return Ok(FileEntry { path: file.to_owned(), bytes: self.manifest_bytes, sha256: self.digest.clone() });
        }
        let found = self.manifest.files.iter().find(|entry| entry.path == file);
        found.cloned().ok_or_else(|| Error::NotListed {
            folder: self.url().to_string(),
            file: file.to_owned(),
            kind: self.kind,
        })
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
