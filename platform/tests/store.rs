//! The store in a file system, through its public door: what holds for every store, and each error a user can run into.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[macro_use]
mod suite;

use std::{collections::BTreeMap, fs, path::PathBuf};

use prowl_platform::{Error, Folder, Kind, Secrets, Store, StoreUrl};
use serde_json::json;
use suite::publish;
use tempfile::TempDir;

fn open(url: &str) -> Store {
    Store::open(&StoreUrl::parse(url).unwrap(), &Secrets::fixed(BTreeMap::new())).unwrap()
}

fn store() -> (TempDir, Store) {
    let directory = TempDir::new().unwrap();
    let store = open(&format!("file://{}", directory.path().display()));
    (directory, store)
}

fn on_disk(directory: &TempDir, folder: &Folder, file: &str) -> PathBuf {
    directory.path().join(folder.kind().as_str()).join(folder.name()).join(file)
}

macro_rules! in_a_file_system {
    ($($name:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                let (_directory, store) = store();
                suite::$name(&store).await;
            }
        )*
    };
}

with_suite!(in_a_file_system);

#[test]
fn the_error_type_crosses_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Error>();
}

#[tokio::test]
async fn a_folder_that_goes_leaves_no_directory() {
    let (directory, store) = store();
    let draft = store.draft(Kind::Models).await.unwrap();
    let folder = directory.path().join("models").join(draft.name());
    assert!(folder.join(".draft").exists());
    draft.discard().await;
    assert!(!folder.exists());

    let folder = publish(&store).await;
    let path = on_disk(&directory, &folder, "");
    fs::create_dir(directory.path().join("exports/20200101T000000Z")).unwrap();
    let pruned = store.prune(Kind::Exports, prowl_platform::Keep::newest(0)).await.unwrap();
    assert_eq!(pruned.unfinished, ["20200101T000000Z"], "an empty one is as old as its name");
    assert!(!path.exists() && fs::read_dir(directory.path().join("exports")).unwrap().next().is_none());
}

#[tokio::test]
async fn what_is_no_run_is_passed_over() {
    let (directory, store) = store();
    let folder = publish(&store).await;
    let exports = directory.path().join("exports");
    fs::write(exports.join("README"), "notes").unwrap();
    fs::create_dir(exports.join("zzz")).unwrap();
    fs::copy(on_disk(&directory, &folder, "manifest.json"), exports.join("zzz/manifest.json")).unwrap();
    fs::create_dir(exports.join("20990101T000000Z")).unwrap();
    assert_eq!(store.folder(Kind::Exports, "latest").await.unwrap().name(), folder.name());
    assert_eq!(store.folder(Kind::Exports, "zzz").await.unwrap().name(), "zzz", "by its own name it can be read");
}

#[tokio::test]
async fn a_store_that_cannot_be_written_says_so() {
    let (directory, _) = store();
    fs::write(directory.path().join("file"), "").unwrap();
    let store = open(&format!("file://{}/file/deeper", directory.path().display()));
    let error = store.draft(Kind::Exports).await.unwrap_err();
    assert!(matches!(error, Error::NotWritable { .. }), "{error}");
    assert!(error.to_string().contains("choose a folder with --store"), "{error}");
    assert!(std::error::Error::source(&error).is_some());

    let store = open(&format!("file://{}/file", directory.path().display()));
    for error in
        [store.draft(Kind::Exports).await.unwrap_err(), store.folder(Kind::Exports, "latest").await.unwrap_err()]
    {
        assert!(error.to_string().ends_with("/file is a file: give a folder with --store"), "{error}");
    }
}

#[tokio::test]
async fn a_draft_that_cannot_be_published_leaves_nothing_and_says_why_once() {
    let (directory, store) = store();
    let mut draft = store.draft(Kind::Exports).await.unwrap();
    draft.put("part-00000.json.gz", "x".into()).await.unwrap();
    let folder = directory.path().join("exports").join(draft.name());
    // In the way of the manifest.
    fs::create_dir_all(folder.join("manifest.json/x")).unwrap();
    let error = draft.publish(vec![], BTreeMap::new(), json!({})).await.unwrap_err();
    assert!(matches!(&error, Error::Write { path, .. } if path.ends_with("manifest.json")), "{error}");
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.to_string().starts_with("File exists (os error"), "{source}");
    assert!(source.source().is_none(), "{source}");
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_store_is_made_where_it_is_missing_and_may_have_any_name() {
    let (directory, _) = store();
    for (name, in_url) in
        [("new/er", "new/er"), ("with space", "with%20space"), ("50%", "50%25"), ("größe#1", "größe%231")]
    {
        let store = open(&format!("file://{}/{in_url}/", directory.path().display()));
        assert!(!store.url().as_str().ends_with('/'), "{}", store.url());
        let folder = publish(&store).await;
        assert!(
            directory.path().join(name).join("exports").join(folder.name()).join("manifest.json").is_file(),
            "{name}"
        );
        assert_eq!(store.folder(Kind::Exports, "latest").await.unwrap().digest(), folder.digest());
        let here = folder.url().to_file_path().unwrap();
        assert!(here.join("manifest.json").is_file(), "{}", folder.url());
    }
}

#[tokio::test]
async fn a_path_never_leaves_the_store() {
    let (directory, store) = store();
    let draft = store.draft(Kind::Exports).await.unwrap();
    let base = format!("{}/exports/{}", directory.path().to_str().unwrap().trim_start_matches('/'), draft.name());
    assert_eq!(draft.path("x//part").as_ref(), format!("{base}/x/part"));
    assert_eq!(draft.path("../../x#1").as_ref(), format!("{base}/%2E%2E/%2E%2E/x%231"));
}

#[tokio::test]
async fn a_missing_store_is_named() {
    let (directory, _) = store();
    let missing = open(&format!("file://{}/nowhere", directory.path().display()));
    let error = missing.folder(Kind::Models, "latest").await.unwrap_err();
    assert!(matches!(error, Error::StoreMissing { .. }), "{error}");
    assert!(error.to_string().contains("/nowhere does not exist"), "{error}");
}
