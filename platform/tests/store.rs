//! The store through its public door: publish, read, tamper, and each error a user can run into.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use prowl_platform::{Error, Folder, Input, Kind, Store};
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

fn store() -> (TempDir, Store) {
    let directory = TempDir::new().unwrap();
    let url = format!("file://{}", directory.path().display());
    let store = Store::open(&url).unwrap();
    (directory, store)
}

/// Publishes an export of two small files and one streamed one.
async fn publish(store: &Store) -> Folder {
    let mut draft = store.draft(Kind::Exports).await.unwrap();
    draft.put("part-00001.json.gz", "second".into()).await.unwrap();
    draft.put("part-00000.json.gz", "first".into()).await.unwrap();
    let mut writer = draft.writer("notes/long.txt").unwrap();
    for _ in 0..1_000 {
        writer.write("0123456789".into()).await.unwrap();
    }
    assert_eq!(writer.finish().await.unwrap().bytes, 10_000);
    let inputs = vec![Input { kind: "git".into(), name: "owner/repo".into(), digest: None }];
    let counts = BTreeMap::from([("documents".to_owned(), 2)]);
    draft.publish(inputs, counts, json!({"source": "test"})).await.unwrap()
}

fn on_disk(directory: &TempDir, folder: &Folder, file: &str) -> PathBuf {
    directory.path().join(folder.kind().as_str()).join(folder.name()).join(file)
}

#[test]
fn the_error_type_crosses_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Error>();
}

#[tokio::test]
async fn a_published_folder_is_read_back_and_its_manifest_tells_all() {
    let (directory, store) = store();
    let published = publish(&store).await;
    let folder = store.folder(Kind::Exports, "latest").await.unwrap();

    assert_eq!(folder.name(), published.name());
    let written = fs::read(on_disk(&directory, &folder, "manifest.json")).unwrap();
    assert_eq!(folder.digest(), hex::encode(Sha256::digest(&written)));
    assert_eq!(folder.digest(), published.digest());
    assert_eq!(folder.manifest(), published.manifest());
    assert_eq!(store.folder(Kind::Exports, folder.name()).await.unwrap().digest(), folder.digest());
    assert_eq!(folder.read("part-00000.json.gz").await.unwrap(), "first");
    assert_eq!(folder.read("notes/long.txt").await.unwrap().len(), 10_000);

    let parts: Vec<&str> = folder.files("part-").map(|entry| entry.path.as_str()).collect();
    assert_eq!(parts, ["part-00000.json.gz", "part-00001.json.gz"], "sorted by path");
    let manifest = folder.manifest();
    assert_eq!((manifest.kind.as_str(), manifest.schema), ("exports", 1));
    assert_eq!(manifest.counts["documents"], 2);
    assert_eq!(manifest.inputs[0].name, "owner/repo");
    assert_eq!(manifest.details["source"], "test");

    let first = manifest.files.iter().find(|entry| entry.path == "part-00000.json.gz").unwrap();
    assert_eq!(
        first.sha256, "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e",
        "sha256sum of `first`"
    );
    let left: Vec<_> =
        fs::read_dir(on_disk(&directory, &folder, "")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "three files and the manifest, no marker: {left:?}");
}

#[tokio::test]
async fn a_changed_file_is_refused() {
    let (directory, store) = store();
    let folder = publish(&store).await;

    fs::write(on_disk(&directory, &folder, "part-00000.json.gz"), "First").unwrap();
    let error = folder.read("part-00000.json.gz").await.unwrap_err();
    assert!(matches!(error, Error::Changed { what: "SHA-256", .. }), "{error}");
    assert!(error.to_string().contains("was changed after it was published"), "{error}");

    fs::write(on_disk(&directory, &folder, "part-00000.json.gz"), "first and more").unwrap();
    let error = folder.read("part-00000.json.gz").await.unwrap_err();
    assert!(matches!(error, Error::Changed { what: "size", .. }), "{error}");

    fs::remove_file(on_disk(&directory, &folder, "part-00001.json.gz")).unwrap();
    let error = folder.read("part-00001.json.gz").await.unwrap_err();
    assert!(matches!(error, Error::FileMissing { .. }), "{error}");

    let error = folder.read("part-00002.json.gz").await.unwrap_err();
    assert!(matches!(error, Error::NotListed { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_or_newer_manifest_is_refused_and_no_older_folder_takes_its_place() {
    let (directory, store) = store();
    publish(&store).await;
    let folder = publish(&store).await;
    let path = on_disk(&directory, &folder, "manifest.json");
    let whole = fs::read_to_string(&path).unwrap();

    fs::write(&path, whole.replace(r#""schema": 1"#, r#""schema": 2, "unheard_of": []"#)).unwrap();
    let error = store.folder(Kind::Exports, "latest").await.unwrap_err();
    assert!(matches!(error, Error::NewerSchema { found: 2, known: 1, .. }), "{error}");
    assert!(error.to_string().contains("update this program"), "{error}");

    let no_schema = whole.replace(r#""schema": 1"#, r#""schema": 0"#);
    for broken in ["", "{}", "[1]", &whole[..whole.len() / 2], &whole.replace("exports", "models"), &no_schema] {
        fs::write(&path, broken).unwrap();
        let error = store.folder(Kind::Exports, "latest").await.unwrap_err();
        assert!(matches!(error, Error::Manifest { .. }), "{error}");
        assert!(error.to_string().contains("prowl-fetch"), "{error}");
    }
}

#[tokio::test]
async fn a_draft_is_invisible_until_it_is_published() {
    let (_directory, store) = store();
    let older = publish(&store).await;
    let mut draft = store.draft(Kind::Exports).await.unwrap();
    draft.put("part-00000.json.gz", "new".into()).await.unwrap();

    assert_eq!(store.folder(Kind::Exports, "latest").await.unwrap().name(), older.name());
    let error = store.folder(Kind::Exports, draft.name()).await.unwrap_err();
    assert!(matches!(error, Error::NoSuchFolder { .. }), "{error}");
    assert!(error.to_string().contains(older.name()), "names the ones there are: {error}");

    let newer = draft.publish(vec![], BTreeMap::new(), json!(null)).await.unwrap();
    assert_eq!(store.folder(Kind::Exports, "latest").await.unwrap().name(), newer.name());
}

#[tokio::test]
async fn a_discarded_draft_leaves_nothing() {
    let (directory, store) = store();
    let mut draft = store.draft(Kind::Models).await.unwrap();
    draft.put("model.safetensors", "x".into()).await.unwrap();
    draft.put("deep/er", "x".into()).await.unwrap();
    drop(draft.writer("unfinished").unwrap());
    let folder = directory.path().join("models").join(draft.name());
    assert!(folder.join(".draft").exists());
    draft.discard().await;
    assert!(!folder.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn programs_that_start_in_one_second_never_share_a_folder() {
    let (_directory, store) = store();
    let starts = Arc::new(tokio::sync::Barrier::new(16));
    let tasks: Vec<_> = (0..16)
        .map(|i| {
            let (store, starts) = (store.clone(), Arc::clone(&starts));
            tokio::spawn(async move {
                starts.wait().await;
                let mut draft = store.draft(Kind::Exports).await.unwrap();
                draft.put("who", format!("{i}").into()).await.unwrap();
                let folder = draft.publish(vec![], BTreeMap::new(), json!(i)).await.unwrap();
                assert_eq!(folder.read("who").await.unwrap(), format!("{i}"));
                folder.name().to_owned()
            })
        })
        .collect();
    let mut names = Vec::new();
    for task in tasks {
        names.push(task.await.unwrap());
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 16);
    assert_eq!(store.folder(Kind::Exports, "latest").await.unwrap().name(), names[15]);
}

#[tokio::test]
async fn the_newest_folder_has_the_latest_name_even_when_the_clock_was_set_back() {
    let (directory, store) = store();
    let ahead = directory.path().join("exports/20990101T000000Z");
    fs::create_dir_all(&ahead).unwrap();
    fs::write(ahead.join(".draft"), "").unwrap();
    assert_eq!(publish(&store).await.name(), "20990101T000001Z");
    assert_eq!(publish(&store).await.name(), "20990101T000002Z");
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
async fn an_empty_or_missing_store_names_the_command_that_fills_it() {
    let (directory, store) = store();
    for (kind, command) in [
        (Kind::Exports, "`prowl-fetch synth` or `prowl-fetch git`"),
        (Kind::Features, "`prowl-preprocess`"),
        (Kind::Models, "`prowl-trainer train`"),
    ] {
        let error = store.folder(kind, "latest").await.unwrap_err();
        assert!(matches!(error, Error::NothingPublished { .. }), "{error}");
        assert!(error.to_string().contains(command), "{error}");
        for name in ["20200101T000000Z", "", "../exports", "a/b"] {
            let error = store.folder(kind, name).await.unwrap_err();
            assert!(matches!(error, Error::NoSuchFolder { .. }), "{error}");
            assert!(error.to_string().contains(command), "{error}");
        }
    }
    let missing = Store::open(&format!("file://{}/nowhere", directory.path().display())).unwrap();
    let error = missing.folder(Kind::Models, "latest").await.unwrap_err();
    assert!(matches!(error, Error::StoreMissing { .. }), "{error}");
    assert!(error.to_string().contains("/nowhere does not exist"), "{error}");
}

#[tokio::test]
async fn a_store_that_cannot_be_written_says_so() {
    let (directory, _) = store();
    fs::write(directory.path().join("file"), "").unwrap();
    let store = Store::open(&format!("file://{}/file/deeper", directory.path().display())).unwrap();
    let error = store.draft(Kind::Exports).await.unwrap_err();
    assert!(matches!(error, Error::NotWritable { .. }), "{error}");
    assert!(error.to_string().contains("choose a folder with --store"), "{error}");
    assert!(std::error::Error::source(&error).is_some());

    let store = Store::open(&format!("file://{}/file", directory.path().display())).unwrap();
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
        let store = Store::open(&format!("file://{}/{in_url}/", directory.path().display())).unwrap();
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

#[test]
fn a_url_that_is_none_is_answered_with_one_that_would_do() {
    for (url, hint) in [
        ("data/store", "/data/store"),
        ("/data/store", "write file:///data/store"),
        ("s3://bucket/prefix", "no s3:// store"),
        ("file://data/store", "three slashes"),
        ("file:///data#1", "# as %23"),
        ("file:///data?x", "? as %3F"),
        ("", "write file:///"),
    ] {
        let error = Store::open(url).unwrap_err();
        assert!(matches!(error, Error::StoreUrl { .. }), "{url}: {error}");
        assert!(error.to_string().contains(hint), "{url}: {error}");
    }
}

#[tokio::test]
async fn file_names_that_would_break_a_folder_are_refused() {
    let (_directory, store) = store();
    let mut draft = store.draft(Kind::Exports).await.unwrap();
    for name in ["manifest.json", ".draft", "", "/etc/passwd", "../x", "a//b", "a/./b"] {
        let error = draft.put(name, "x".into()).await.unwrap_err();
        assert!(matches!(error, Error::FileName { .. }), "{name}: {error}");
        assert!(draft.writer(name).is_err(), "{name}");
    }
    draft.put("once", "x".into()).await.unwrap();
    let error = draft.put("once", "y".into()).await.unwrap_err();
    assert!(matches!(error, Error::Write { .. }), "{error}");

    let entry = prowl_platform::FileEntry { path: "once".into(), bytes: 1, sha256: String::new() };
    draft.add(entry);
    let error = draft.publish(vec![], BTreeMap::new(), json!({})).await.unwrap_err();
    assert!(error.to_string().contains("written twice"), "{error}");
    assert!(store.folder(Kind::Exports, "latest").await.is_err(), "and nothing is published");
}

#[tokio::test]
async fn a_path_never_leaves_the_store() {
    let (directory, store) = store();
    let draft = store.draft(Kind::Exports).await.unwrap();
    let base = format!("{}/exports/{}", directory.path().to_str().unwrap().trim_start_matches('/'), draft.name());
    assert_eq!(draft.path("x//part").as_ref(), format!("{base}/x/part"));
    assert_eq!(draft.path("../../x#1").as_ref(), format!("{base}/%2E%2E/%2E%2E/x%231"));
}
