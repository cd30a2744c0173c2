//! The files that events are read from, unpacked by what they are and not by their names.

use std::{
    fmt,
    fs::{self, File},
    io::{self, BufRead, BufReader, Cursor, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;

use crate::Error;

/// Unpacked bytes that are read at a time.
const PIECE: usize = 256 << 10;

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
            let mut files =
                files(path).map_err(|source| Error::EventFile { file: path.display().to_string(), source })?;
            if files.is_empty() {
                return Err(Error::NoEventFiles { folder: path.clone() });
            }
            files.sort();
            sources.extend(files.into_iter().map(Source::File));
        } else {
            sources.push(Source::File(path.clone()));
        }
    }
    Ok(sources)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let unpacked = [".gz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        if path.is_file() && !name.starts_with('.') && ENDS.iter().any(|end| unpacked.ends_with(end)) {
            found.push(path);
        }
    }
    Ok(found)
}

/// The text of a file that may be packed by gzip or zstd, also in several streams one after the other.
pub(crate) fn unpack<'a>(mut packed: impl Read + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    let mut start = Vec::new();
    packed.by_ref().take(4).read_to_end(&mut start)?;
    let whole = Cursor::new(start.clone()).chain(packed);
    Ok(match &start[..] {
        [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(PIECE, MultiGzDecoder::new(BufReader::new(whole)))),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(BufReader::with_capacity(PIECE, zstd::Decoder::new(whole)?)),
        _ => Box::new(BufReader::with_capacity(PIECE, whole)),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn text(packed: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        unpack(packed)?.read_to_string(&mut text)?;
        Ok(text)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn a_file_is_unpacked_by_what_it_is() {
        let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
        for packed in [b"one\ntwo".to_vec(), gzip("one\ntwo"), [gzip("one\n"), gzip("two")].concat(), zstd("one\ntwo")]
        {
            assert_eq!(text(&packed).unwrap(), "one\ntwo");
        }
        assert_eq!(text(&[zstd("one\n"), zstd("two")].concat()).unwrap(), "one\ntwo");
        assert_eq!((text(b"").unwrap(), text(b"{}").unwrap()), (String::new(), "{}".to_owned()));
        for cut in [gzip("one"), zstd("one")] {
            assert!(text(&cut[..cut.len() - 1]).is_err());
        }
    }

    #[test]
    fn a_folder_gives_its_files_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["2024-01-01-1.json.gz", "2024-01-01-0.json.gz", "hook.ndjson", "B.JSONL.ZST", ".json", "x.txt"] {
            fs::write(path(name), "").unwrap();
        }
        fs::create_dir(path("nested.json")).unwrap();
        let found = find(&["-".into(), folder.path().to_owned(), path("x.txt")]).unwrap();
        let names = ["2024-01-01-0.json.gz", "2024-01-01-1.json.gz", "B.JSONL.ZST", "hook.ndjson", "x.txt"];
        let expected: Vec<Source> =
            [Source::Stdin].into_iter().chain(names.map(|name| Source::File(path(name)))).collect();
        assert_eq!(found, expected);
        let error = find(&[path("nested.json")]).unwrap_err().to_string();
        assert!(error.contains("nested.json") && error.contains(".ndjson"), "{error}");
    }
}
