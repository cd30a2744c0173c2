//! The files that are imported: parts of a published export, verified while they are read, or files of this machine.

use std::{
    fmt, fs,
    io::{self, BufRead, Cursor, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    thread,
    time::Duration,
};

use futures::TryStreamExt;
use prowl_platform::{Folder, Kind, Manifest, Store, documents};
use tokio::runtime::Handle;
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::{Error, mongo::Settings, publish::PRIVACY};

/// Bytes of standard input that travel together.
const PIECE: u64 = 256 << 10;

/// How often one who waits for standard input looks whether anybody still wants it.
const LOOK: Duration = Duration::from_millis(100);

/// A file to import.
#[derive(Debug)]
pub(super) enum Source {
    /// Of an export of the store.
    Part(Arc<Folder>, String),
    /// Of this machine.
    File(PathBuf),
    /// What is piped into the program.
    Stdin,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(folder, part) => write!(f, "{}{part}", folder.url()),
            Self::File(path) => path.display().fmt(f),
            Self::Stdin => f.write_str("standard input"),
        }
    }
}

impl Source {
    /// Its text, unpacked. Only for a thread that may wait. The end of a part comes only if it is what was published; what
    /// is piped may say nothing for long, and ends in an error once it `is_stopped`.
    pub(super) fn open<'a>(
        &self,
        runtime: &Handle,
        is_stopped: &'a dyn Fn() -> bool,
    ) -> io::Result<Box<dyn BufRead + 'a>> {
        match self {
            Self::File(path) => documents::unpack(fs::File::open(path)?),
            Self::Stdin => documents::unpack(Piped { pieces: stdin(), piece: Cursor::default(), is_stopped }),
            Self::Part(folder, part) => {
                let (_, pieces) = runtime.block_on(folder.stream(part)).map_err(io::Error::other)?;
                let pieces = StreamReader::new(Box::pin(pieces.map_err(io::Error::other)));
                documents::unpack(SyncIoBridge::new_with_handle(pieces, runtime.clone()))
            }
        }
    }
}

/// Standard input, which a thread of its own waits for.
struct Piped<'a> {
    pieces: Receiver<io::Result<Vec<u8>>>,
    /// The piece that is being read.
    piece: Cursor<Vec<u8>>,
    is_stopped: &'a dyn Fn() -> bool,
}

impl Read for Piped<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.position() == self.piece.get_ref().len() as u64 {
            match self.pieces.recv_timeout(LOOK) {
                Ok(piece) => self.piece = Cursor::new(piece?),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
                Err(RecvTimeoutError::Timeout) if (self.is_stopped)() => {
                    return Err(io::Error::other("nobody wants it any more"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        self.piece.read(buffer)
    }
}

/// The pieces of standard input, up to its end or an error.
fn stdin() -> Receiver<io::Result<Vec<u8>>> {
    let (sender, pieces) = sync_channel(1);
    thread::spawn(move || {
        loop {
            let mut piece = Vec::new();
            let read = io::stdin().lock().take(PIECE).read_to_end(&mut piece);
            let is_last = !matches!(read, Ok(bytes) if bytes > 0);
            if sender.send(read.map(|_| piece)).is_err() || is_last {
                return;
            }
        }
    });
    pieces
}

/// What each of these names means: `latest` or a name of the store, `-` for standard input, a file, or a folder, which
/// gives its files in the order of their names; and what is left out and hidden of all their documents, as their
/// manifests tell. Of what has no manifest that says it, nothing is.
pub(super) async fn find(asked: &[String], store: Option<&Store>) -> Result<(Vec<Source>, Settings), Error> {
    let mut sources = Vec::new();
    let mut found: Option<(Settings, &String)> = None;
    for name in asked {
        let path = Path::new(name);
        let mut privacy = None;
        if name == "latest" || (Folder::is_name(name) && !path.exists()) {
            let store = store.ok_or_else(|| Error::ImportNeedsStore { name: name.clone() })?;
            let folder = Arc::new(store.folder(Kind::Exports, name).await?);
            let details = &folder.manifest().details;
            privacy = details[PRIVACY].as_str().map(str::to_owned);
            if details["since"].is_string() || details["filter"].as_str().is_some_and(|filter| filter != "{}") {
                tracing::warn!(export = folder.name(), "it holds only a part of its collection, as its manifest tells");
            }
            let parts: Vec<String> = folder.files("part-").map(|entry| entry.path.clone()).collect();
            sources.extend(parts.into_iter().map(|part| Source::Part(Arc::clone(&folder), part)));
        } else if name == "-" {
            sources.push(Source::Stdin);
        } else if path.is_dir() {
            let files = documents::files(path, &documents::ENDS)
                .map_err(|source| Error::File { file: name.clone(), source })?;
            privacy = told_beside(path);
            if files.is_empty() {
                return Err(Error::NoImportFiles { folder: path.to_owned() });
            }
            sources.extend(files.into_iter().map(Source::File));
        } else {
            // Before anything is stored.
            fs::metadata(path).map_err(|source| Error::File { file: name.clone(), source })?;
            sources.push(Source::File(path.to_owned()));
        }
        let settings = privacy.map(|privacy| Settings { privacy }).unwrap_or_default();
        match &found {
            Some((first, other)) if *first != settings => {
                return Err(Error::ImportsDiffer {
                    one: (*other).clone(),
                    with: first.privacy.clone(),
                    other: name.clone(),
                    and: settings.privacy,
                });
            }
            Some(_) => {}
            None => found = Some((settings, name)),
        }
    }
    Ok((sources, found.map(|(settings, _)| settings).unwrap_or_default()))
}

/// What the manifest in a folder tells of what is hidden. This is no check of the folder: a copy may lack its manifest.
fn told_beside(folder: &Path) -> Option<String> {
    let manifest = fs::read(folder.join("manifest.json")).ok()?;
    let manifest: Manifest = serde_json::from_slice(&manifest).ok()?;
    manifest.details[PRIVACY].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_are_exports_files_and_folders() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for name in ["b.ndjson.zst", "a.json.gz", "manifest.json", "notes.txt"] {
            fs::write(path(name), "").unwrap();
        }
        fs::create_dir(path("nested.json")).unwrap();
        let (found, settings) =
            find(&[folder.path().to_str().unwrap().to_owned(), path("notes.txt")], None).await.unwrap();
        assert_eq!(settings, Settings::default());
        let found: Vec<_> = found.iter().map(Source::to_string).collect();
        assert_eq!(found, ["a.json.gz", "b.ndjson.zst", "notes.txt"].map(path));

        let (piped, _) = find(&["-".to_owned()], None).await.unwrap();
        assert_eq!(piped.iter().map(Source::to_string).collect::<Vec<_>>(), ["standard input"]);

        let error = async |name: String| find(&[name], None).await.unwrap_err().to_string();
        assert!(error(path("nested.json")).await.contains("holds no"));
        assert!(error("latest".to_owned()).await.contains("--store"));
        assert!(error("20261124T214500Z".to_owned()).await.contains("--store"));
        assert!(error(path("missing")).await.contains("missing"));
    }

    #[test]
    fn what_is_piped_is_read_to_its_end_or_until_nobody_wants_it() {
        let (sender, pieces) = sync_channel(3);
        let mut piped = Piped { pieces, piece: Cursor::default(), is_stopped: &|| true };
        for piece in ["one", "", "two"] {
            sender.send(Ok(piece.into())).unwrap();
        }
        let mut text = [0; 6];
        piped.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"onetwo");
        assert!(piped.read(&mut text).unwrap_err().to_string().contains("nobody wants it"));
        drop(sender);
        assert_eq!(piped.read(&mut text).unwrap(), 0);
    }
}
