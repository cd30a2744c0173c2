//! Taking away what nobody needs any more: what dead programs left behind, and all but the newest finished folders.

use std::{collections::BTreeSet, time::Duration};

use futures::TryStreamExt;
use jiff::Timestamp;
use object_store::{ObjectMeta, ObjectStoreExt, path::Path};
use serde::Serialize;

use crate::{Error, Folder, Kind, Store, folder::url_of, manifest, name};

/// What [`Store::prune`] leaves.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// So many of the newest finished folders.
    pub newest: usize,
    /// Unfinished folders into which something was written this lately: their program may still be at it.
    pub unfinished: Duration,
    /// Everything: only tell what would go.
    pub dry_run: bool,
}

impl Keep {
    /// Keeps `newest` finished folders, and unfinished ones for a day.
    pub fn newest(newest: usize) -> Self {
        Self { newest, unfinished: Duration::from_hours(24), dry_run: false }
    }
}

/// What [`Store::prune`] took away, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Names of the finished folders that went, oldest first.
    pub finished: Vec<String>,
    /// Names of the unfinished folders that went, oldest first.
    pub unfinished: Vec<String>,
    /// Names of unfinished folders that stay, because something was written into them lately.
    pub at_work: Vec<String>,
    /// Names of older finished folders that stay, because a finished folder of the next stage was made from them.
    pub needed: Vec<String>,
    /// How many files the folders that went held.
    pub files: u64,
    /// How many bytes these held.
    pub bytes: u64,
}

impl Store {
    /// Removes folders of `kind`: those that a dead program left without a manifest, and all but the newest finished ones.
    /// A finished folder that a finished one of the next stage names as its input stays. Folders with names that are not
    /// ours are left alone.
    ///
    /// # Errors
    /// There is no store, or it cannot be read or written, or a manifest of the next stage cannot be understood, so
    /// that what it needs is not known. Nothing was removed then, or only folders that are whole in no reader's eyes.
    pub async fn prune(&self, kind: Kind, keep: Keep) -> Result<Pruned, Error> {
        self.check_there(kind)?;
        let needed = self.needed(kind).await?;
        let mut pruned = Pruned::default();
        let (mut finished, mut dead) = (Vec::new(), Vec::new());
        for name in self.names(kind).await? {
            let folder = FolderObjects::list(self, kind, name).await?;
            if folder.is_finished() {
                finished.push(folder);
            } else if folder.is_there(self) {
                if folder.is_older_than(keep.unfinished) {
                    dead.push(folder);
                } else {
                    pruned.at_work.push(folder.name);
                }
            }
        }
        finished.truncate(finished.len().saturating_sub(keep.newest));
        let (stay, go): (Vec<_>, Vec<_>) = finished.into_iter().partition(|folder| needed.contains(&folder.name));
        pruned.needed = stay.into_iter().map(|folder| folder.name).collect();
        for folder in dead {
            // Its program may have been alive after all.
            if keep.dry_run || !folder.was_finished(self).await? {
                folder.remove(self, keep.dry_run, &mut pruned).await?;
                pruned.unfinished.push(folder.name);
            }
        }
        for folder in go {
            folder.remove(self, keep.dry_run, &mut pruned).await?;
            pruned.finished.push(folder.name);
        }
        Ok(pruned)
    }

    /// Names of the folders of `kind` from which finished folders of the next stage were made.
    async fn needed(&self, kind: Kind) -> Result<BTreeSet<String>, Error> {
        let next = match kind {
            Kind::Exports => Kind::Features,
            Kind::Features => Kind::Models,
            Kind::Models => return Ok(BTreeSet::new()),
        };
        let mut needed = BTreeSet::new();
        for name in self.names(next).await? {
            if let Some(folder) = Folder::load(self, next, &name).await? {
                let inputs = folder.manifest().inputs.iter().filter(|input| input.kind == kind.as_str());
                needed.extend(inputs.map(|input| input.name.clone()));
            }
        }
        Ok(needed)
    }
}

/// A folder, finished or not, and all that lies in it.
struct FolderObjects {
    kind: Kind,
    name: String,
    manifest: Path,
    objects: Vec<ObjectMeta>,
}

impl FolderObjects {
    async fn list(store: &Store, kind: Kind, name: String) -> Result<Self, Error> {
        let path = store.path(&format!("{kind}/{name}"));
        let objects = store.object_store().list(Some(&path)).try_collect().await;
        let objects = objects.map_err(|error| Error::read(url_of(store, kind, &name), &error))?;
        Ok(Self { kind, name, manifest: path.join(manifest::FILE), objects })
    }

    fn is_finished(&self) -> bool {
        self.objects.iter().any(|object| object.location == self.manifest)
    }

    /// Some servers go on listing a folder of which every file is gone.
    fn is_there(&self, store: &Store) -> bool {
        store.has_directories() || !self.objects.is_empty()
    }

    /// Whether nothing was written into it for so long; an empty one is as old as its name says.
    fn is_older_than(&self, age: Duration) -> bool {
        let seconds = self.objects.iter().map(|object| object.last_modified.timestamp()).max();
        let newest = seconds.map_or_else(|| name::parse(&self.name), |seconds| Timestamp::from_second(seconds).ok());
        let passed = newest.and_then(|newest| Duration::try_from(Timestamp::now().duration_since(newest)).ok());
        passed.is_some_and(|passed| passed >= age)
    }

    async fn was_finished(&self, store: &Store) -> Result<bool, Error> {
        match store.object_store().head(&self.manifest).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(Error::read(url_of(store, self.kind, &self.name), &error)),
        }
    }

    /// Removes it, its manifest first: from then on it does not exist for a reader.
    async fn remove(&self, store: &Store, dry_run: bool, pruned: &mut Pruned) -> Result<(), Error> {
        pruned.files += self.objects.len() as u64;
        pruned.bytes += self.objects.iter().map(|object| object.size).sum::<u64>();
        if dry_run {
            return Ok(());
        }
        let (first, rest): (Vec<_>, Vec<_>) =
            self.objects.iter().map(|object| object.location.clone()).partition(|location| *location == self.manifest);
        for locations in [first, rest] {
            let deleted = store.delete(locations).await;
            deleted.map_err(|error| Error::write(url_of(store, self.kind, &self.name), &error))?;
        }
        store.remove_directory(&store.path(&format!("{}/{}", self.kind, self.name))).await;
        Ok(())
    }
}
