//! Folders for shuffle files and spills, each of one process. What one that is killed leaves in a temporary folder, the next
//! one takes away.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Held by the process that a folder belongs to: the system lets go of it, however the process ends.
const LOCK: &str = ".lock";

/// A folder without the file to lock is one that was brought back when it had been removed, unless it is in use where there
/// are no locks.
const DAY: Duration = Duration::from_hours(24);

/// Takes a folder for this process, for as long as the file lives.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] if it belongs to another process; others where nothing can be written or locked there.
pub(super) fn lock(folder: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK))?;
    file.try_lock()?;
    Ok(file)
}

/// A temporary folder of this process, which goes when it is dropped.
pub(super) struct Scratch {
    folder: PathBuf,
    lock: Option<File>,
}

impl Scratch {
    /// A new one inside `parent`, with a name that begins with `prefix`. Those of dead processes that are named alike go
    /// meanwhile.
    ///
    /// # Errors
    /// None can be made there.
    pub(super) fn new_in(parent: &Path, prefix: &'static str) -> io::Result<Self> {
        let scratch = Self::alone_in(parent, prefix)?;
        // Without locks nothing is known of others.
        if scratch.lock.is_some() {
            let parent = parent.to_owned();
            // There may be much to remove; what is not done when this process ends, is left to the next.
            std::thread::spawn(move || sweep(&parent, prefix, SystemTime::now()));
        }
        Ok(scratch)
    }

    fn alone_in(parent: &Path, prefix: &str) -> io::Result<Self> {
        // Locked before it has the name by which others find it.
        let unnamed = tempfile::Builder::new().prefix(&format!(".{prefix}")).tempdir_in(parent)?;
        let lock = lock(unnamed.path()).inspect_err(|error| tracing::debug!(%error, "cannot lock a temporary folder"));
        let name = unnamed.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = parent.join(name.trim_start_matches('.'));
        fs::rename(unnamed.path(), &folder)?;
        let _ = unnamed.keep();
        Ok(Self { folder, lock: lock.ok() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.folder) {
            // The next process takes it away.
            tracing::debug!(folder = %self.folder.display(), %error, "cannot remove a temporary folder");
        }
    }
}

/// The file to lock goes last: what is interrupted can be done again. Ballista may be removing files of its own there.
fn remove(folder: &Path) -> io::Result<()> {
    let gone = |done: io::Result<()>| match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    };
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == LOCK {
            continue;
        }
        gone(if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())
        } else {
            fs::remove_file(entry.path())
        })?;
    }
    gone(fs::remove_dir_all(folder))
}

fn sweep(parent: &Path, prefix: &str, now: SystemTime) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(prefix) {
            continue;
        }
        let folder = entry.path();
        let touched = entry.metadata().and_then(|about| about.modified());
        let age = touched.ok().and_then(|touched| now.duration_since(touched).ok()).unwrap_or_default();
        // Held until the folder is gone, so that of two sweeping processes one does it.
        let _lock = match File::open(folder.join(LOCK)) {
            Ok(lock) if lock.try_lock().is_ok() => Some(lock),
            Err(error) if age >= DAY && error.kind() == io::ErrorKind::NotFound => None,
            _ => continue,
        };
        let shown = folder.display();
        tracing::debug!(folder = %shown, "removing what a killed process left");
        if let Err(error) = remove(&folder) {
            tracing::debug!(folder = %shown, %error, "cannot remove what a killed process left");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::ManuallyDrop;

    use super::*;

    #[test]
    fn folders_of_the_dead_go_and_no_others() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = || Scratch::alone_in(parent.path(), "job-").unwrap();
        let (alive, dead) = (scratch(), scratch());
        fs::write(dead.path().join("shuffle"), "rows").unwrap();
        // As a kill does: the lock is let go, the folder stays.
        let mut dead = ManuallyDrop::new(dead);
        drop(dead.lock.take());
        let left = dead.path();
        let (other, half) = (parent.path().join("other-1"), parent.path().join("job-2"));
        fs::create_dir(&other).unwrap();
        fs::write(other.join(LOCK), "").unwrap();
        fs::create_dir(&half).unwrap();

        let there = || [left, &half, &other].map(Path::exists);
        let now = SystemTime::now();
        for (later, expected) in [(DAY / 2, [false, true, true]), (2 * DAY, [false, false, true])] {
            sweep(parent.path(), "job-", now + later);
            assert_eq!(there(), expected, "{later:?}");
            assert!(alive.path().exists());
        }
    }

    #[test]
    fn a_folder_has_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        assert_eq!(lock(folder.path()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        lock(folder.path()).unwrap();
    }
}
