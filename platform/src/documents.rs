//! Files of documents in a folder of this machine, such as a copy of an export or what `mongoexport` wrote.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::manifest;

/// How files of an export end, packed or not.
pub const ENDS: [&str; 3] = [".json", ".ndjson", ".jsonl"];

/// The file beside the parts of a generated export that lists the planted oddities.
pub const PLANTED: &str = "planted.json";

/// The files of a folder that have one of these ends, in letters of any case, packed or not; in the order of their names.
/// What the store and the generator write beside documents is left out. A warning names what else is passed over.
///
/// # Errors
/// The folder cannot be listed.
pub fn files(folder: &Path, ends: &[&str]) -> io::Result<Vec<PathBuf>> {
    let (mut files, mut passed) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let lower = name.to_lowercase();
        let unpacked = [".gz", ".zst"].iter().find_map(|end| lower.strip_suffix(end)).unwrap_or(&lower);
        if lower == manifest::FILE || lower == PLANTED {
            continue;
        }
        // A link that leads nowhere is taken: whoever opens it tells that a file is missing.
        if ends.iter().any(|end| unpacked.ends_with(end)) && !lower.starts_with('.') && !path.is_dir() {
            files.push(path);
        } else {
            passed.push(name);
        }
    }
    files.sort();
    passed.sort();
    if !passed.is_empty() {
        let (folder, count, names) = (folder.display(), passed.len(), passed[..passed.len().min(10)].join(", "));
        tracing::warn!(
            %folder,
            names,
            count,
            "passed over folders, and what is hidden or has no ending of these documents; name it to have it read"
        );
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_files_of_documents_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (taken, others) =
            (["D.JSONL.ZST", "a.json", "b.ndjson.gz"], ["Manifest.json", PLANTED, ".d.json", "e.log"]);
        for name in taken.into_iter().chain(others) {
            fs::write(path(name), "").unwrap();
        }
        fs::create_dir(path("below.json")).unwrap();
        assert_eq!(files(folder.path(), &ENDS).unwrap(), taken.map(path));
        assert_eq!(files(folder.path(), &[".log"]).unwrap(), [path("e.log")]);
        std::os::unix::fs::symlink("gone", path("below.json/link.json")).unwrap();
        assert_eq!(files(&path("below.json"), &ENDS).unwrap(), [path("below.json/link.json")]);
    }
}
