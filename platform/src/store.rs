//! The store: one URL, below it a folder a kind, below that the published folders.

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, local::LocalFileSystem, path::Path};
use url::Url;

use crate::{
    Cause, Draft, Error, Folder, Secrets, StoreUrl, draft, innermost, manifest, name,
    s3::{self, NoAnswer},
    store_url::Place,
};

/// How many names are tried for a new folder before giving up. Names are seconds, so this many programs would
/// have to start in one second.
const NAMES_TRIED: u32 = 1_000;

/// For how long a file is created anew whose fate is not known, and how often.
const CREATION_PATIENCE: Duration = Duration::from_secs(20);
const CREATION_PAUSE: Duration = Duration::from_secs(1);
/// In a file system, whose answers are not lost: a file that went in between may come and go with other programs.
const LOCAL_CREATION_PAUSE: Duration = Duration::from_millis(5);

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
            Kind::Exports => "`prowl-fetch export`, or `prowl-fetch git` or `synth` without a database",
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
    base: Path,
    /// Of a store in a file system, which has directories that may be missing and stay when they are empty.
    directory: Option<PathBuf>,
    objects: Arc<dyn ObjectStore>,
}

impl Store {
    /// The secrets that a store on S3 is reached with: all but the region have to be there. Key and secret are asked for at
    /// each request, endpoint and region once.
    pub const SECRETS: [&str; 4] = s3::NAMES;

    /// Opens a store with the secrets of this program, which come from Vault or from the environment.
    ///
    /// # Errors
    /// Those of [`Secrets::open`] and [`Store::open`].
    pub async fn connect(url: &StoreUrl) -> Result<Self, Error> {
        Self::open(url, &Secrets::open(&Self::SECRETS).await?)
    }

    /// Opens a store; one in a file system needs none of the secrets. Nothing is read or written yet, and it need not exist.
    ///
    /// # Errors
    /// [`Error::SecretMissing`], [`Error::Secret`], [`Error::Variable`].
    pub fn open(url: &StoreUrl, secrets: &Secrets) -> Result<Self, Error> {
        let (directory, objects): (_, Arc<dyn ObjectStore>) = match &url.place {
            Place::Directory(directory) => (Some(directory.clone()), Arc::new(LocalFileSystem::new())),
            Place::Bucket(name) => (None, s3::open(name, secrets)?),
        };
        Ok(Self { url: url.as_url().clone(), base: url.base.clone(), directory, objects })
    }

    /// The URL, without a slash at its end.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The object store behind the URL; its root is `/` for `file://` and that of the bucket for `s3://`, so use the paths of
    /// [`Draft::path`].
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
        self.check_there(kind)?;
        if name == "latest" {
            let newest = self.newest(kind, |_| true).await?;
            return newest.ok_or_else(|| Error::NothingPublished { store: self.url.to_string(), kind });
        }
        // In a bucket that is not there nothing is found, either, and that has another way out.
        self.names(kind).await?;
        if !name.contains('/')
            && !name.is_empty()
            && let Some(folder) = Folder::load(self, kind, name).await?
        {
            return Ok(folder);
        }
        Err(self.no_such_folder(kind, name).await?)
    }

    /// A directory may be missing; of a bucket that is, nothing is found.
    pub(crate) fn check_there(&self, kind: Kind) -> Result<(), Error> {
        self.check_no_file()?;
        if self.directory.as_ref().is_some_and(|directory| !directory.is_dir()) {
            return Err(Error::StoreMissing { store: self.url.to_string(), kind });
        }
        Ok(())
    }

    /// The newest finished folder that is `wanted`; `None` where there is none, or no store yet.
    ///
    /// # Errors
    /// The store cannot be read, or a manifest on the way is damaged or of a newer schema.
    pub async fn newest(&self, kind: Kind, wanted: impl Fn(&Folder) -> bool) -> Result<Option<Folder>, Error> {
        for name in self.names(kind).await?.into_iter().rev() {
            if let Some(folder) = Folder::load(self, kind, &name).await?.filter(&wanted) {
                return Ok(Some(folder));
            }
        }
        Ok(None)
    }

    /// Reserves a new folder, named by the present UTC second, or the next free one. Its directory is made where
    /// it is missing. Names only grow, also when the clock is set back, so the latest name is the newest folder.
    ///
    /// # Errors
    /// [`Error::StoreIsFile`], [`Error::NotWritable`] when the directory cannot be made or written.
    pub async fn draft(&self, kind: Kind) -> Result<Draft, Error> {
        self.check_no_file()?;
        let not_writable = |source: Cause| Error::NotWritable { store: self.url.to_string(), source };
        if let Some(directory) = &self.directory {
            tokio::fs::create_dir_all(directory).await.map_err(|e| not_writable(e.into()))?;
        }
        let failed = |error: &object_store::Error| match Error::write(format_args!("{}/{kind}", self.url), error) {
            Error::Write { source, .. } => not_writable(source),
            error => error,
        };
        let newest = self.names(kind).await?.last().and_then(|newest| name::parse(newest));
        let after_newest = newest.and_then(|time| time.checked_add(Duration::from_secs(1)).ok());
        let mut time = Timestamp::now().max(after_newest.unwrap_or(Timestamp::MIN));
        for _ in 0..NAMES_TRIED {
            let name = name::of(time);
            if self.reserve(kind, &name).await.map_err(|error| failed(&error))? {
                return Ok(Draft::new(self.clone(), kind, name));
            }
            time = time.saturating_add(Duration::from_secs(1)).map_err(|e| not_writable(e.into()))?;
        }
        Err(not_writable(format!("no free name below {kind}/ after {NAMES_TRIED} tries").into()))
    }

    /// A file in the place of the store's folder would only look like a missing folder.
    fn check_no_file(&self) -> Result<(), Error> {
        let is_file = self.directory.as_ref().is_some_and(|directory| directory.is_file());
        if is_file { Err(Error::StoreIsFile { store: self.url.to_string() }) } else { Ok(()) }
    }

    /// Puts the draft marker of a folder; `false` when the name is taken, by a draft or by a finished folder.
    async fn reserve(&self, kind: Kind, name: &str) -> Result<bool, object_store::Error> {
        let marker = self.path(&format!("{kind}/{name}/{}", draft::MARKER));
        // No two markers are alike, so that one's own is told from another's.
        let content = format!("{} {:032x}\n", draft::program(), rand::random::<u128>());
        if !self.create(&marker, &content.into()).await? {
            return Ok(false);
        }
        // The marker goes once a folder is published, so a manifest without a marker also takes the name. Looking
        // for it after the marker is put leaves no moment in which both programs take the name for free.
        match self.objects.head(&self.path(&format!("{kind}/{name}/{}", manifest::FILE))).await {
            Err(object_store::Error::NotFound { .. }) => Ok(true),
            Ok(_) => self.objects.delete(&marker).await.map(|()| false),
            Err(error) => Err(error),
        }
    }

    /// Puts a file where there is none; `false` when there is one with another content.
    ///
    /// When an answer was lost on the way, one's own file may be found there, or one that another program is about to put, so
    /// that what is found decides.
    pub(crate) async fn create(&self, path: &Path, content: &Bytes) -> Result<bool, object_store::Error> {
        let began = Instant::now();
        let pause = if self.directory.is_some() { LOCAL_CREATION_PAUSE } else { CREATION_PAUSE };
        loop {
            let create = PutOptions::from(PutMode::Create);
            let error = match self.objects.put_opts(path, content.clone().into(), create).await {
                Ok(_) => return Ok(true),
                Err(error @ object_store::Error::AlreadyExists { .. }) => match self.objects.get(path).await {
                    Ok(found) => return Ok(found.bytes().await? == *content),
                    // It is gone again, or S3 has spoken of one that is still being put.
                    Err(object_store::Error::NotFound { .. }) => error,
                    Err(error) => return Err(error),
                },
                Err(error) if innermost(&error).is::<NoAnswer>() => error,
                Err(error) => return Err(error),
            };
            if began.elapsed() >= CREATION_PATIENCE {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Adds a file to a folder of files that stand each by themselves, and tells its path below the store. Its name begins
    /// with the time; files of one moment come from different programs.
    pub(crate) async fn add(&self, folder: &str, ending: &str, content: &Bytes) -> Result<String, Error> {
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%S%6fZ");
        let file = format!("{folder}/{time}-{:016x}.{ending}", rand::random::<u64>());
        match self.create(&self.path(&file), content).await {
            Ok(_) => Ok(file),
            Err(error) => Err(Error::write(format_args!("{}/{file}", self.url), &error)),
        }
    }

    /// The files of such a folder, by their names and so by their times.
    pub(crate) async fn added(&self, folder: &str, ending: &str) -> Result<Vec<Path>, Error> {
        let path = self.path(folder);
        let listed: Result<Vec<Path>, _> =
            self.objects.list(Some(&path)).map_ok(|file| file.location).try_collect().await;
        let mut files = listed.map_err(|error| Error::read(format_args!("{}/{folder}", self.url), &error))?;
        files.retain(|file| file.extension() == Some(ending));
        files.sort_unstable();
        Ok(files)
    }

    /// Removes files; one that is not there any more is as good as removed.
    pub(crate) async fn delete(&self, paths: Vec<Path>) -> Result<(), object_store::Error> {
        let mut deleted = self.objects.delete_stream(stream::iter(paths).map(Ok).boxed());
        loop {
            match deleted.try_next().await {
                Ok(Some(_)) | Err(object_store::Error::NotFound { .. }) => {}
                Ok(None) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Names of all folders of a kind, finished or not, oldest first. Others than ours are left out: they have no age.
    pub(crate) async fn names(&self, kind: Kind) -> Result<Vec<String>, Error> {
        let path = self.path(kind.as_str());
        let listed = self.objects.list_with_delimiter(Some(&path)).await;
        let listed = listed.map_err(|error| Error::read(format_args!("{}/{kind}", self.url), &error))?;
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

    /// Whether it lies in a file system, where a folder may be there and empty.
    pub(crate) fn has_directories(&self) -> bool {
        self.directory.is_some()
    }

    /// An object store has no directories, a file system does: takes away what is left of a discarded draft.
    pub(crate) async fn remove_directory(&self, folder: &Path) {
        if self.directory.is_some()
            && let Ok(directory) = LocalFileSystem::new().path_to_filesystem(folder)
        {
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
