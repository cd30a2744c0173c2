//! Which files `--export` means.

use std::collections::HashSet;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, bail};
use prowl_platform::{Folder, Input, Kind, Store, documents};
use url::Url;

use crate::scan::{ExportFile, Form, START};

/// The files of an export, and what the manifest of the run says of them.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) files: Vec<ExportFile>,
    /// Set for an export of the store; files given by path become inputs one by one when they have been read.
    pub(crate) snapshot: Option<Input>,
}

impl Export {
    /// `latest` or a name means an export of the store; anything else is a path.
    pub(crate) async fn resolve(store: &Store, asked: &[String]) -> anyhow::Result<Self> {
        if let [name] = asked
            && (name == "latest" || (Folder::is_name(name) && !Path::new(name).exists()))
        {
            return Self::of_snapshot(store, name).await;
        }
        if let Some(name) = asked.iter().find(|name| *name == "latest") {
            bail!(
                "--export {name} stands alone: an export of the store is not read together with files; leave these out"
            );
        }
        let mut files = Vec::new();
        for path in asked {
            files.extend(files_of(path)?);
        }
        let mut seen = HashSet::new();
        if let Some(twice) = files.iter().find(|file| !seen.insert(&file.url)) {
            bail!("--export names {} twice, by itself or in a folder: leave one out", twice.url);
        }
        Ok(Self { files, snapshot: None })
    }

    async fn of_snapshot(store: &Store, name: &str) -> anyhow::Result<Self> {
        let folder = store.folder(Kind::Exports, name).await?;
        let base = folder.url();
        let files = folder
            .files("part-")
            .map(|entry| {
                let url = base.join(&entry.path).with_context(|| {
                    format!("the export {base} lists {}, which names no file: write it again", entry.path)
                })?;
                // The SHA-256 of the whole is to be checked, so the whole is read in one go.
                Ok(ExportFile {
                    url: url.into(),
                    bytes: entry.bytes,
                    sha256: Some(entry.sha256.clone()),
                    divisible: false,
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        if files.is_empty() {
            bail!("the export {base} holds no part-* file: write it again");
        }
        let input = Input {
            kind: Kind::Exports.as_str().to_owned(),
            name: folder.name().to_owned(),
            digest: Some(folder.digest().to_owned()),
        };
        Ok(Self { files, snapshot: Some(input) })
    }
}

/// The file at `path`, or the files of an export in the folder there, by name.
fn files_of(path: &str) -> anyhow::Result<Vec<ExportFile>> {
    let path = &match Url::parse(path).ok().filter(|url| url.scheme().len() > 1) {
        Some(url) if url.scheme() == "file" => {
            let Ok(path) = url.to_file_path() else {
                bail!("the export {url} is no path of this machine: give one that is")
            };
            path.to_string_lossy().into_owned()
        }
        Some(url) if path.contains("://") => bail!(
            "cannot read the export {url}: what was not published is read from paths, which each machine of the cluster has to \
             see; copy it, or mount it"
        ),
        _ => path.to_owned(),
    };
    // A pipe of the shell has a name that leads to no path.
    let here = match std::fs::canonicalize(path) {
        Err(_) if Path::new(path).exists() => Path::new(path).to_owned(),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(error)
                .with_context(|| format!("cannot reach the export {path}: allow entering the folders above it"));
        }
        found => found
            .with_context(|| format!("cannot find the export {path}: give `latest`, a name in the store, or a path"))?,
    };
    if !here.is_dir() {
        return Ok(vec![file_at(&here)?]);
    }
    let files = documents::files(&here, &documents::ENDS)
        .with_context(|| format!("cannot list the folder {path}: allow reading it, or name its files"))?;
    if files.is_empty() {
        bail!(
            "the folder {path} holds no .json, .ndjson or .jsonl file (also .gz or .zst): name its files to have them read"
        );
    }
    files.iter().map(|file| file_at(file)).collect()
}

/// The file at a path. Refuses what no task could read, such as a link that leads nowhere.
fn file_at(file: &Path) -> anyhow::Result<ExportFile> {
    let shown = file.display();
    let unreadable = || format!("cannot read the export file {shown}: restore it or allow reading it, or take it away");
    // Opening a pipe would wait for somebody to write into it.
    let about = std::fs::metadata(file).with_context(unreadable)?;
    if !about.is_file() {
        bail!("the export {shown} is neither a file nor a folder: write what comes from a pipe into a file first");
    }
    let mut start = Vec::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(START as u64).read_to_end(&mut start))
        .with_context(unreadable)?;
    let Ok(url) = Url::from_file_path(file) else {
        bail!("the export file {shown} has no absolute path: give it by one")
    };
    let form = Form::of(&start);
    if let Form::Foreign(what) = form {
        bail!("the export file {shown} is {what}: give JSON as mongoexport writes it, plain or packed by gzip or zstd");
    }
    let divisible = form == Form::Lines && !Form::is_unclear(&start);
    Ok(ExportFile { url: url.into(), bytes: about.len(), sha256: None, divisible })
}
