//! What holds for every store, wherever it lies: each test gets an empty one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use prowl_platform::{Draft, Error, Folder, Input, Keep, Kind, Store};
use serde_json::json;
use sha2::{Digest, Sha256};

/// Hands the names of all tests to a macro.
macro_rules! with_suite {
    ($run:ident) => {
        $run! {
            a_published_folder_is_read_back_and_its_manifest_tells_all,
            a_changed_file_is_refused,
            a_damaged_or_newer_manifest_is_refused_and_no_older_folder_takes_its_place,
            a_draft_is_invisible_until_it_is_published,
            a_discarded_draft_leaves_nothing,
            programs_that_start_in_one_second_never_share_a_folder,
            the_newest_folder_has_the_latest_name_even_when_the_clock_was_set_back,
            an_empty_store_names_the_command_that_fills_it,
            file_names_that_would_break_a_folder_are_refused,
            a_second_writer_of_a_name_loses_and_changes_nothing,
            a_file_of_many_parts_is_written_and_read_back,
            a_file_that_is_given_up_is_not_there,
            old_folders_and_what_dead_programs_left_are_pruned,
        }
    };
}

/// Publishes an export of two small files and one streamed one.
pub(crate) async fn publish(store: &Store) -> Folder {
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

/// Where a file of the store lies behind it.
fn path(store: &Store, relative: &str) -> Path {
    let base = Path::from_url_path(store.url().path().trim_start_matches('/')).unwrap();
    relative.split('/').fold(base, Path::join)
}

fn path_of(store: &Store, folder: &Folder, file: &str) -> Path {
    path(store, &format!("{}/{}/{file}", folder.kind(), folder.name()))
}

async fn get(store: &Store, path: &Path) -> Bytes {
    store.object_store().get(path).await.unwrap().bytes().await.unwrap()
}

async fn overwrite(store: &Store, path: &Path, content: impl Into<Bytes>) {
    store.object_store().put(path, content.into().into()).await.unwrap();
}

/// All files below a folder, by name.
async fn files(store: &Store, relative: &str) -> Vec<String> {
    let folder = path(store, relative);
    let listed: Vec<_> = store.object_store().list(Some(&folder)).try_collect().await.unwrap();
    let below = |object: object_store::ObjectMeta| object.location.as_ref()[folder.as_ref().len() + 1..].to_owned();
    let mut files: Vec<_> = listed.into_iter().map(below).collect();
    files.sort_unstable();
    files
}

async fn finish(draft: Draft) -> Result<Folder, Error> {
    draft.publish(vec![], BTreeMap::new(), json!(null)).await
}

pub(crate) async fn a_published_folder_is_read_back_and_its_manifest_tells_all(store: &Store) {
    let published = publish(store).await;
    let folder = store.folder(Kind::Exports, "latest").await.unwrap();

    assert_eq!(folder.name(), published.name());
    let written = get(store, &path_of(store, &folder, "manifest.json")).await;
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
    let url = format!("{}/exports/{}/", store.url(), folder.name());
    assert_eq!(folder.url().as_str(), url);
    let left = files(store, &format!("exports/{}", folder.name())).await;
    assert_eq!(left, ["manifest.json", "notes/long.txt", "part-00000.json.gz", "part-00001.json.gz"], "no marker");
}

pub(crate) async fn a_changed_file_is_refused(store: &Store) {
    let folder = publish(store).await;
    let (first, second) =
        (path_of(store, &folder, "part-00000.json.gz"), path_of(store, &folder, "part-00001.json.gz"));

    overwrite(store, &first, "First").await;
    let error = folder.read("part-00000.json.gz").await.unwrap_err();
    assert!(matches!(error, Error::Changed { what: "SHA-256", .. }), "{error}");
    assert!(error.to_string().contains("was changed after it was published"), "{error}");

    overwrite(store, &first, "first and more").await;
    let error = folder.read("part-00000.json.gz").await.unwrap_err();
    assert!(matches!(error, Error::Changed { what: "size", .. }), "{error}");

    store.object_store().delete(&second).await.unwrap();
    let error = folder.read("part-00001.json.gz").await.unwrap_err();
    assert!(matches!(error, Error::FileMissing { .. }), "{error}");

    let error = folder.read("part-00002.json.gz").await.unwrap_err();
    assert!(matches!(error, Error::NotListed { .. }), "{error}");
}

pub(crate) async fn a_damaged_or_newer_manifest_is_refused_and_no_older_folder_takes_its_place(store: &Store) {
    publish(store).await;
    let folder = publish(store).await;
    let path = path_of(store, &folder, "manifest.json");
    let whole = String::from_utf8(get(store, &path).await.to_vec()).unwrap();

    overwrite(store, &path, whole.replace(r#""schema": 1"#, r#""schema": 2, "unheard_of": []"#)).await;
    let error = store.folder(Kind::Exports, "latest").await.unwrap_err();
    assert!(matches!(error, Error::NewerSchema { found: 2, known: 1, .. }), "{error}");
    assert!(error.to_string().contains("update this program"), "{error}");

    let no_schema = whole.replace(r#""schema": 1"#, r#""schema": 0"#);
    for broken in ["", "{}", "[1]", &whole[..whole.len() / 2], &whole.replace("exports", "models"), &no_schema] {
        overwrite(store, &path, broken.to_owned()).await;
        let error = store.folder(Kind::Exports, "latest").await.unwrap_err();
        assert!(matches!(error, Error::Manifest { .. }), "{error}");
        assert!(error.to_string().contains("prowl-fetch"), "{error}");
    }
}

pub(crate) async fn a_draft_is_invisible_until_it_is_published(store: &Store) {
    let older = publish(store).await;
    let mut draft = store.draft(Kind::Exports).await.unwrap();
    draft.put("part-00000.json.gz", "new".into()).await.unwrap();

    assert_eq!(store.folder(Kind::Exports, "latest").await.unwrap().name(), older.name());
    let error = store.folder(Kind::Exports, draft.name()).await.unwrap_err();
    assert!(matches!(error, Error::NoSuchFolder { .. }), "{error}");
    assert!(error.to_string().contains(older.name()), "names the ones there are: {error}");

    let newer = finish(draft).await.unwrap();
    assert_eq!(store.folder(Kind::Exports, "latest").await.unwrap().name(), newer.name());
}

pub(crate) async fn a_discarded_draft_leaves_nothing(store: &Store) {
    let mut draft = store.draft(Kind::Models).await.unwrap();
    draft.put("model.safetensors", "x".into()).await.unwrap();
    draft.put("deep/er", "x".into()).await.unwrap();
    drop(draft.writer("unfinished").unwrap());
    let folder = format!("models/{}", draft.name());
    assert!(files(store, &folder).await.contains(&".draft".to_owned()));
    draft.discard().await;
    assert_eq!(files(store, &folder).await, [""; 0]);
}

pub(crate) async fn programs_that_start_in_one_second_never_share_a_folder(store: &Store) {
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

pub(crate) async fn the_newest_folder_has_the_latest_name_even_when_the_clock_was_set_back(store: &Store) {
    overwrite(store, &path(store, "exports/20990101T000000Z/.draft"), "").await;
    assert_eq!(publish(store).await.name(), "20990101T000001Z");
    assert_eq!(publish(store).await.name(), "20990101T000002Z");
}

pub(crate) async fn an_empty_store_names_the_command_that_fills_it(store: &Store) {
    for (kind, command) in [
        (Kind::Exports, "`prowl-fetch export`, or `prowl-fetch git` or `synth` without a database"),
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
}

pub(crate) async fn file_names_that_would_break_a_folder_are_refused(store: &Store) {
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
    let error = finish(draft).await.unwrap_err();
    assert!(error.to_string().contains("written twice"), "{error}");
    assert!(store.folder(Kind::Exports, "latest").await.is_err(), "and nothing is published");
}

pub(crate) async fn a_second_writer_of_a_name_loses_and_changes_nothing(store: &Store) {
    let mut loser = store.draft(Kind::Exports).await.unwrap();
    loser.put("part", "loser's".into()).await.unwrap();
    let folder = format!("exports/{}", loser.name());
    // What a program may have written that took the name since the other one's marker was removed as a dead one's.
    let winners = json!({
        "kind": "exports", "schema": 1, "name": loser.name(), "program": "other", "inputs": [], "counts": {},
        "details": null, "files": [],
    });
    overwrite(store, &path(store, &format!("{folder}/manifest.json")), winners.to_string()).await;
    let error = finish(loser).await.unwrap_err();
    assert!(matches!(error, Error::Taken { .. }), "{error}");
    assert!(error.to_string().contains(&folder) && error.to_string().contains("run this again"), "{error}");
    let winner = store.folder(Kind::Exports, "latest").await.unwrap();
    assert_eq!(winner.manifest().program, "other");
    assert!(files(store, &folder).await.contains(&"part".to_owned()), "what lies there may be the winner's");
}

pub(crate) async fn a_file_of_many_parts_is_written_and_read_back(store: &Store) {
    let mut draft = store.draft(Kind::Exports).await.unwrap();
    // Pieces that fit no part, one of several parts, and one of a single byte.
    let content: Bytes = (0..20_000_003_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut writer = draft.writer("large").unwrap();
    let mut rest = content.clone();
    for length in [7_000_001, 1, 12_900_000] {
        writer.write(rest.split_to(length)).await.unwrap();
    }
    writer.write(rest).await.unwrap();
    let entry = writer.finish().await.unwrap();
    assert_eq!((entry.bytes, entry.sha256), (20_000_003, hex::encode(Sha256::digest(&content))));
    let folder = finish(draft).await.unwrap();
    assert_eq!(folder.read("large").await.unwrap(), content);

    // One bit far behind.
    let mut changed = content.to_vec();
    changed[19_999_999] ^= 1;
    overwrite(store, &path_of(store, &folder, "large"), changed).await;
    let error = folder.read("large").await.unwrap_err();
    assert!(matches!(error, Error::Changed { what: "SHA-256", .. }), "{error}");
}

pub(crate) async fn a_file_that_is_given_up_is_not_there(store: &Store) {
    let mut draft = store.draft(Kind::Exports).await.unwrap();
    let mut writer = draft.writer("large").unwrap();
    writer.write(vec![7; 18_000_000].into()).await.unwrap();
    drop(writer);
    // Taking back goes on by itself.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let folder = finish(draft).await.unwrap();
    assert_eq!(files(store, &format!("exports/{}", folder.name())).await, ["manifest.json"]);
}

pub(crate) async fn old_folders_and_what_dead_programs_left_are_pruned(store: &Store) {
    let mut exports = Vec::new();
    for _ in 0..4 {
        exports.push(publish(store).await.name().to_owned());
    }
    let mut run = store.draft(Kind::Features).await.unwrap();
    run.put("part-00000.parquet", "x".into()).await.unwrap();
    let input = Input { kind: "exports".into(), name: exports[0].clone(), digest: None };
    let run = run.publish(vec![input], BTreeMap::new(), json!(null)).await.unwrap();
    let mut dead = store.draft(Kind::Exports).await.unwrap();
    dead.put("part-00000.json.gz", "half".into()).await.unwrap();
    overwrite(store, &path(store, "exports/notes/README"), "not ours").await;

    // A program may still be at it.
    let keep = Keep { dry_run: true, ..Keep::newest(2) };
    let pruned = store.prune(Kind::Exports, keep).await.unwrap();
    assert_eq!(pruned.finished, [exports[1].as_str()]);
    assert_eq!(pruned.needed, [exports[0].as_str()]);
    assert_eq!(pruned.unfinished, [""; 0]);
    assert_eq!(store.folder(Kind::Exports, &exports[1]).await.unwrap().name(), exports[1], "nothing goes in a dry run");

    let keep = Keep { unfinished: Duration::ZERO, ..Keep::newest(2) };
    let pruned = store.prune(Kind::Exports, keep).await.unwrap();
    assert_eq!(pruned.finished, [exports[1].as_str()]);
    assert_eq!(pruned.unfinished, [dead.name()]);
    assert_eq!(pruned.files, 6, "four of a finished one, marker and part of a dead one");
    assert!(pruned.bytes > 10_015, "{}", pruned.bytes);
    for (name, stays) in exports.iter().zip([true, false, true, true]) {
        assert_eq!(store.folder(Kind::Exports, name).await.is_ok(), stays, "{name}");
    }
    for gone in [exports[1].as_str(), dead.name()] {
        assert_eq!(files(store, &format!("exports/{gone}")).await, [""; 0]);
    }
    assert_eq!(files(store, "exports/notes").await, ["README"]);

    // Once nothing was made from it any more, it goes, too.
    let keep = Keep::newest(0);
    assert_eq!(store.prune(Kind::Features, keep).await.unwrap().finished, [run.name()]);
    let pruned = store.prune(Kind::Exports, Keep::newest(2)).await.unwrap();
    assert_eq!((pruned.finished, pruned.needed.len()), (vec![exports[0].clone()], 0));

    // What cannot be understood may need anything.
    overwrite(store, &path(store, "features/20260101T000000Z/manifest.json"), "{}").await;
    let error = store.prune(Kind::Exports, Keep::newest(0)).await.unwrap_err();
    assert!(matches!(error, Error::Manifest { .. }), "{error}");
    assert!(store.folder(Kind::Exports, &exports[3]).await.is_ok());
}
