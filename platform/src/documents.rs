//! Files of documents, such as a copy of an export or what `mongoexport` wrote: those of a folder of this machine by
//! their names, and the text of one by what it is, whatever its name.

use std::{
    fs,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;

use crate::manifest;

/// How files of an export end, packed or not.
pub const ENDS: [&str; 3] = [".json", ".ndjson", ".jsonl"];

/// The file beside the parts of a generated export that lists the planted oddities.
pub const PLANTED: &str = "planted.json";

/// Some editors begin a file with a byte order mark, which is no JSON.
pub const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Unpacked bytes that are read at a time.
const PIECE: usize = 256 << 10;

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

/// The text of a file that may be packed by gzip or zstd, also in several streams one after the other.
///
/// # Errors
/// The file cannot be read.
pub fn unpack<'a>(mut packed: impl Read + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    let mut start = Vec::new();
    packed.by_ref().take(4).read_to_end(&mut start)?;
    let whole = Cursor::new(start.clone()).chain(packed);
    Ok(match &start[..] {
        [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(PIECE, MultiGzDecoder::new(BufReader::new(whole)))),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(BufReader::with_capacity(PIECE, zstd::Decoder::new(whole)?)),
        _ => Box::new(BufReader::with_capacity(PIECE, whole)),
    })
}

/// The error of reading an unpacked text, with what to do about it where the file ends in the middle.
pub fn hinted(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "it ends in the middle; copy it again"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

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
            let told = hinted(text(&cut[..cut.len() - 1]).unwrap_err()).to_string();
            assert!(told.contains("copy it again"), "{told}");
        }
    }
}
