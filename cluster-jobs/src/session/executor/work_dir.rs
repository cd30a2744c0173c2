//! The folder that an executor works in.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::super::scratch::{self, Scratch};

/// The folder of an executor, with one for shuffle files, which Ballista cleans up, and one for spills.
pub(super) struct WorkDir {
    path: PathBuf,
    /// A temporary folder must live as long as the process; Ballista's own is dropped before it is used.
    _temporary: Option<Scratch>,
    /// Of a folder that was given.
    _lock: Option<File>,
}

impl WorkDir {
    pub(super) fn open(path: Option<&str>) -> anyhow::Result<Self> {
        if let Some(path) = path {
            std::fs::create_dir_all(path)
                .and_then(|()| tempfile::tempfile_in(path))
                .with_context(|| format!("cannot write into the work folder {path}: give another with --work-dir"))?;
            let lock = match scratch::lock(path.as_ref()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    bail!("another executor works in the folder {path}: give this one another with --work-dir")
                }
                // Some file systems know no locks.
                lock => lock.ok(),
            };
            return Ok(Self { path: path.into(), _temporary: None, _lock: lock });
        }
        let temporary = Scratch::new_in(&std::env::temp_dir(), "prowl-executor-")
            .context("cannot create a temporary folder: give one with --work-dir")?;
        Ok(Self { path: temporary.path().to_owned(), _temporary: Some(temporary), _lock: None })
    }

    /// Both folders, without what an executor left there that was killed.
    pub(super) fn emptied(&self) -> anyhow::Result<(PathBuf, PathBuf)> {
        let emptied = |name: &str| {
            let folder = self.path.join(name);
            empty(&folder)
                .with_context(|| format!("cannot empty {}: give another folder with --work-dir", folder.display()))?;
            anyhow::Ok(folder)
        };
        Ok((emptied("shuffle")?, emptied("spill")?))
    }
}

fn empty(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => std::fs::create_dir_all(folder),
    }
}
