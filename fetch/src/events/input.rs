//! The files that events are read from.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use prowl_platform::documents;

use crate::Error;

/// How files of a folder end that are taken, packed or not.
const ENDS: [&str; 4] = [".json", ".ndjson", ".jsonl", ".log"];

/// Where events come from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    Stdin,
    File(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Source {
    /// Without its folder.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdin => self.to_string(),
            Self::File(path) => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        }
    }

    pub(super) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Stdin => Box::new(io::stdin()),
            Self::File(path) => Box::new(File::open(path)?),
        })
    }
}

/// The sources that a person has named; of a folder, the files in the order of their names.
pub(super) fn find(paths: &[PathBuf]) -> Result<Vec<Source>, Error> {
    let mut sources = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            sources.push(Source::Stdin);
        } else if path.is_dir() {
            let files = documents::files(path, &ENDS)
                .map_err(|source| Error::File { file: path.display().to_string(), source })?;
            if files.is_empty() {
                return Err(Error::NoEventFiles { folder: path.clone() });
            }
            sources.extend(files.into_iter().map(Source::File));
        } else {
            sources.push(Source::File(path.clone()));
        }
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_files_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["2024-01-01-1.json.gz", "2024-01-01-0.json.gz", "hook.log", "x.txt"] {
            std::fs::write(path(name), "").unwrap();
        }
        std::fs::create_dir(path("nested.json")).unwrap();
        let found = find(&["-".into(), folder.path().to_owned(), path("x.txt")]).unwrap();
        let names = ["2024-01-01-0.json.gz", "2024-01-01-1.json.gz", "hook.log", "x.txt"];
        let expected: Vec<Source> =
            [Source::Stdin].into_iter().chain(names.map(|name| Source::File(path(name)))).collect();
        assert_eq!(found, expected);
        let error = find(&[path("nested.json")]).unwrap_err().to_string();
        assert!(error.contains("nested.json") && error.contains(".ndjson"), "{error}");
    }
}
