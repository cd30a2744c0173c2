//! A store for a test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prowl_platform::{Folder, Secrets, Store, StoreUrl};

use crate::{Documents, Run, read_run, run};

/// Opens a store in the file system.
pub fn open(url: &str) -> Store {
    Store::open(&StoreUrl::parse(url).unwrap(), &Secrets::fixed([].into())).unwrap()
}

/// The digest of each file of a folder.
pub fn digests(folder: &Folder) -> BTreeMap<String, String> {
    folder.files("").map(|entry| (entry.path.clone(), entry.sha256.clone())).collect()
}

/// A store in a temporary folder, and the programs that fill it.
#[derive(Debug)]
pub struct TestStore {
    /// Its folder.
    pub root: PathBuf,
    /// What `--store` takes.
    pub url: String,
    _folder: tempfile::TempDir,
}

impl TestStore {
    /// One that holds nothing.
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        Self { url: format!("file://{}", root.display()), root, _folder: folder }
    }

    /// One that lies at `path` below its temporary folder.
    pub fn below(path: &str) -> Self {
        let mut store = Self::empty();
        store.root.push(path);
        store.url = format!("{}/{path}", store.url);
        store
    }

    /// Documents of the generator, as an export of this store.
    pub fn synth(&self, count: u32, seed: u32) -> Documents {
        let arguments = ["--count", &count.to_string(), "--seed", &seed.to_string(), "--json"];
        let made = run("prowl-fetch", &[&["synth", "--store", &self.url], &arguments[..]].concat()).expect_success();
        let name = made.json()["snapshot"].as_str().unwrap().to_owned();
        Documents::read(&self.root.join("exports").join(name))
    }

    /// Runs the job, which has to succeed.
    pub fn preprocess(&self, export: &str, more: &[&str]) -> Run {
        let arguments = ["--store", &self.url, "--export", export, "--json"];
        let done = run("prowl-preprocess", &[&arguments[..], more].concat()).expect_success();
        read_run(&self.root, done.json()["run"].as_str().unwrap())
    }

    /// Runs the job on these documents.
    pub fn preprocess_documents(&self, documents: &Documents) -> Run {
        let path = self.root.join("documents.ndjson");
        documents.write(&path);
        self.preprocess(path.to_str().unwrap(), &[])
    }

    /// Runs the job, which has to fail and leave nothing, and tells what it says.
    pub fn refuse(&self, export: &str, more: &[&str]) -> String {
        let arguments = ["--store", &self.url, "--export", export];
        let done = run("prowl-preprocess", &[&arguments[..], more].concat());
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(done.stderr.starts_with("error: "), "{}", done.stderr);
        assert_eq!(self.feature_files(), Vec::<PathBuf>::new(), "something was left behind");
        done.stderr
    }

    /// One with a model of as many made-up pull requests, and these.
    pub fn trained(count: u32, seed: u32) -> (Self, Documents) {
        let store = Self::empty();
        let documents = store.synth(count, seed);
        store.preprocess_documents(&documents);
        store.train();
        (store, documents)
    }

    /// Trains a model on what the newest features run holds.
    pub fn train(&self) {
        let arguments = ["train", "--store", &self.url, "--features", "latest", "--epochs", "3"];
        let _ = run("prowl-trainer", &arguments).expect_success();
    }

    /// Every file of every features run.
    pub fn feature_files(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, files) } else { files.push(path) }
            }
        }
        let mut files = Vec::new();
        walk(&self.root.join("features"), &mut files);
        files
    }
}
