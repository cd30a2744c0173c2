//! Temporary folders for shuffle files and spills. What a process leaves there that is killed, the next one takes away.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tempfile::TempDir;

/// Held by the process that a folder belongs to: the system lets go of it, however the process ends.
const LOCK: &str = ".lock";

/// A temporary folder of this process, which goes when it is dropped.
pub(super) struct Scratch {
    folder: TempDir,
    _lock: Option<File>,
}

impl Scratch {
    /// A new one inside `parent`, with a name that begins with `prefix`. Those of dead processes that are named alike go.
    ///
    /// # Errors
    /// None can be made there.
    pub(super) fn new_in(parent: &Path, prefix: &str) -> io::Result<Self> {
        sweep(parent, prefix);
        let folder = tempfile::Builder::new().prefix(prefix).tempdir_in(parent)?;
        let lock = lock(folder.path()).inspect_err(|error| tracing::debug!(%error, "cannot lock a temporary folder"));
        Ok(Self { folder, _lock: lock.ok() })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Some file systems know no locks: there the folder has none, and stays if its process is killed.
fn lock(folder: &Path) -> io::Result<File> {
    // Locked before it has the name by which others find it.
    let unnamed = folder.join(".lock-to-be");
    let file = File::create(&unnamed)?;
    file.try_lock()?;
    fs::rename(unnamed, folder.join(LOCK))?;
    Ok(file)
}

fn sweep(parent: &Path, prefix: &str) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let folder = entry.path();
        if !entry.file_name().to_string_lossy().starts_with(prefix) {
            continue;
        }
        // Held until the folder is gone, so that of two sweeping processes one does it.
        let Ok(lock) = File::open(folder.join(LOCK)) else { continue };
        if lock.try_lock().is_err() {
            continue;
        }
        let shown = folder.display();
        match fs::remove_dir_all(&folder) {
            Ok(()) => tracing::info!(folder = %shown, "removed what a killed process left"),
            Err(error) => tracing::warn!(folder = %shown, %error, "cannot remove what a killed process left"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_dead_go_and_no_others() {
        let parent = tempfile::tempdir().unwrap();
        let alive = Scratch::new_in(parent.path(), "job-").unwrap();
        let dead = Scratch::new_in(parent.path(), "job-").unwrap();
        fs::write(dead.path().join("shuffle"), "rows").unwrap();
        // As a kill does: the lock is let go, the folder stays.
        let Scratch { folder, _lock: lock } = dead;
        let left = folder.keep();
        drop(lock);
        let (other, unlocked) = (parent.path().join("other-1"), parent.path().join("job-by-hand"));
        fs::create_dir(&other).unwrap();
        fs::write(other.join(LOCK), "").unwrap();
        fs::create_dir(&unlocked).unwrap();

        let next = Scratch::new_in(parent.path(), "job-").unwrap();
        assert!(!left.exists());
        assert!(alive.path().exists() && next.path().exists() && other.exists() && unlocked.exists());
        let path = next.path().to_owned();
        drop(next);
        assert!(!path.exists());
    }
}
