//! The store: one URL, below it a folder a kind, below that the published folders.

use std::{
    fmt,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, local::LocalFileSystem, path::Path};
use url::Url;

use crate::{
    Draft, Error, Folder, draft,
    error::{Cause, cause},
    manifest, name,
};

/// How many names are tried for a new folder before giving up. Names are seconds, so this many programs would
/// have to start in one second.
const NAMES_TRIED: u32 = 1_000;

/// What a folder holds, and where below the store it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Pull requests as `mongoexport` writes them.
    Exports,
    /// One feature row a pull request.
    Features,
    /// One trained model.
    Models,
}

impl Kind {
    /// The name of the folder below the store, also the `kind` of its manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Exports => "exports",
            Kind::Features => "features",
            Kind::Models => "models",
        }
    }

    /// The newest schema of this kind that this version writes and reads.
    pub(crate) fn schema(self) -> u32 {
        match self {
            Kind::Exports | Kind::Features | Kind::Models => 1,
        }
    }

    /// What one such folder is called in a message.
    pub(crate) fn one(self) -> &'static str {
        match self {
            Kind::Exports => "export",
            Kind::Features => "features run",
            Kind::Models => "model",
        }
    }

    /// The commands that make one, for a message.
    pub(crate) fn made_by(self) -> &'static str {
        match self {
            Kind::Exports => "`prowl-fetch synth` or `prowl-fetch git`",
            Kind::Features => "`prowl-preprocess`",
            Kind::Models => "`prowl-trainer train`",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything that Prowl keeps, below one URL. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    url: Url,
    directory: PathBuf,
    base: Path,
    objects: Arc<dyn ObjectStore>,
}

impl Store {
    /// Opens `file:///absolute/directory`. Nothing is read or written yet, and the directory need not exist.
    ///
    /// # Errors
    /// [`Error::StoreUrl`] for anything else, with what to write instead.
    pub fn open(url: &str) -> Result<Self, Error> {
        let wrong = |hint: String| Error::StoreUrl { url: url.to_owned(), hint };
        let parsed = match Url::parse(url) {
            Ok(parsed) => parsed,
            Err(url::ParseError::RelativeUrlWithoutBase) => return Err(wrong(as_file_url(url))),
            Err(error) => return Err(wrong(format!("{error}; write file:///absolute/directory"))),
        };
        if parsed.scheme() != "file" {
            return Err(wrong(format!(
                "this version knows no {}:// store; write file:///absolute/directory",
                parsed.scheme()
            )));
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(wrong("in a URL, write ? as %3F and # as %23".to_owned()));
        }
        let directory = parsed.to_file_path().map_err(|()| {
            wrong("three slashes begin the path on this machine: write file:///absolute/directory".to_owned())
        })?;
        let base = Path::from_absolute_path(&directory).map_err(|error| wrong(error.to_string()))?;
        let text = parsed.as_str().trim_end_matches('/').to_owned();
        let url = if base.is_root() { parsed } else { Url::parse(&text).map_err(|e| wrong(e.to_string()))? };
        Ok(Self { url, directory, base, objects: Arc::new(LocalFileSystem::new()) })
    }

    /// The URL, without a slash at its end.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The object store behind the URL; its root is `/` for `file://`, so use the paths of [`Draft::path`].
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects)
    }

    /// Where `relative` (parts separated by `/`) lies in [`Store::object_store`]. Never leaves the store: `..`
    /// and characters that are special in object stores are percent-encoded.
    pub(crate) fn path(&self, relative: &str) -> Path {
        relative.split('/').filter(|part| !part.is_empty()).fold(self.base.clone(), Path::join)
    }

    /// The finished folder `name`; with `latest` the newest one that has a manifest.
    ///
    /// # Errors
    /// The store is missing, nothing is published, there is no such name, the manifest is damaged or of a newer
    /// schema. A damaged newest folder is an error, too: an older one in its place would be a silent surprise.
    pub async fn folder(&self, kind: Kind, name: &str) -> Result<Folder, Error> {
        self.check_no_file()?;
        if !self.directory.is_dir() {
            return Err(Error::StoreMissing { store: self.url.to_string(), kind });
        }
        if name == "latest" {
            for name in self.names(kind).await?.into_iter().rev() {
                if let Some(folder) = Folder::load(self, kind, &name).await? {
                    return Ok(folder);
                }
            }
            return Err(Error::NothingPublished { store: self.url.to_string(), kind });
        }
        if !name.contains('/')
            && !name.is_empty()
            && let Some(folder) = Folder::load(self, kind, name).await?
        {
            return Ok(folder);
        }
        Err(self.no_such_folder(kind, name).await?)
    }

    /// Reserves a new folder, named by the present UTC second, or the next free one. Its directory is made where
    /// it is missing. Names only grow, also when the clock is set back, so the latest name is the newest folder.
    ///
    /// # Errors
    /// [`Error::StoreIsFile`], [`Error::NotWritable`] when the directory cannot be made or written.
    pub async fn draft(&self, kind: Kind) -> Result<Draft, Error> {
        self.check_no_file()?;
        let not_writable = |source: Cause| Error::NotWritable { store: self.url.to_string(), source };
        tokio::fs::create_dir_all(&self.directory).await.map_err(|e| not_writable(e.into()))?;

        let newest = self.names(kind).await?.last().and_then(|newest| name::parse(newest));
        let after_newest = newest.and_then(|time| time.checked_add(Duration::from_secs(1)).ok());
        let mut time = Timestamp::now().max(after_newest.unwrap_or(Timestamp::MIN));
        for _ in 0..NAMES_TRIED {
            let name = name::of(time);
            if self.reserve(kind, &name).await.map_err(|e| not_writable(cause(e)))? {
                return Ok(Draft::new(self.clone(), kind, name));
            }
            time = time.saturating_add(Duration::from_secs(1)).map_err(|e| not_writable(e.into()))?;
        }
        Err(not_writable(format!("no free name below {kind}/ after {NAMES_TRIED} tries").into()))
    }

    /// A file in the place of the store's folder would only look like a missing folder.
    fn check_no_file(&self) -> Result<(), Error> {
        if self.directory.is_file() { Err(Error::StoreIsFile { store: self.url.to_string() }) } else { Ok(()) }
    }

    /// Puts the draft marker of a folder; `false` when the name is taken, by a draft or by a finished folder.
    async fn reserve(&self, kind: Kind, name: &str) -> Result<bool, object_store::Error> {
        let marker = self.path(&format!("{kind}/{name}/{}", draft::MARKER));
        let create = PutOptions::from(PutMode::Create);
        match self.objects.put_opts(&marker, PutPayload::new(), create).await {
            Ok(_) => {}
            Err(object_store::Error::AlreadyExists { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
        // The marker goes once a folder is published, so a manifest without a marker also takes the name. Looking
        // for it after the marker is put leaves no moment in which both programs take the name for free.
        match self.objects.head(&self.path(&format!("{kind}/{name}/{}", manifest::FILE))).await {
            Err(object_store::Error::NotFound { .. }) => Ok(true),
            Ok(_) => self.objects.delete(&marker).await.map(|()| false),
            Err(error) => Err(error),
        }
    }

    /// Names of all folders of a kind, finished or not, oldest first. Others than ours are left out: they have no age.
    async fn names(&self, kind: Kind) -> Result<Vec<String>, Error> {
        let path = self.path(kind.as_str());
        let listed = self.objects.list_with_delimiter(Some(&path)).await;
        let listed =
            listed.map_err(|source| Error::Read { path: format!("{}/{kind}", self.url), source: cause(source) })?;
        let mut names: Vec<String> = listed
            .common_prefixes
            .iter()
            .filter_map(|prefix| prefix.filename())
            .filter(|name| Folder::is_name(name))
            .map(str::to_owned)
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// An object store has no directories, a file system does: takes away what is left of a discarded draft.
    pub(crate) async fn remove_directory(&self, folder: &Path) {
        if let Ok(directory) = LocalFileSystem::new().path_to_filesystem(folder) {
            // Should some of it stay, no reader will ever see it.
            let _ = tokio::fs::remove_dir_all(directory).await;
        }
    }

    /// The error for an explicit name that leads nowhere: says which names there are.
    async fn no_such_folder(&self, kind: Kind, name: &str) -> Result<Error, Error> {
        let mut finished = Vec::new();
        for candidate in self.names(kind).await?.into_iter().rev() {
            let manifest = self.path(&format!("{kind}/{candidate}/{}", manifest::FILE));
            if self.objects.head(&manifest).await.is_ok() {
                finished.push(candidate);
            }
            if finished.len() == 3 {
                break;
            }
        }
        let hint = if finished.is_empty() {
            format!("there is none at all, make one with {}", kind.made_by())
        } else {
            format!("the newest are {}; `latest` takes the first", finished.join(", "))
        };
        Ok(Error::NoSuchFolder { store: self.url.to_string(), kind, name: name.to_owned(), hint })
    }
}

/// For a bare path: the URL that was probably meant.
fn as_file_url(path: &str) -> String {
    let absolute = std::path::absolute(FilePath::new(path)).ok();
    match absolute.and_then(|path| Url::from_file_path(path).ok()) {
        Some(url) => format!("write {url}"),
        None => "write file:///absolute/directory".to_owned(),
    }
}
