//! Stores that hold nothing to serve: one clear error, exit code 1, and no port left open.

use std::{fs, process::Output};

use bytes::Bytes;

use crate::{
    fixture::{TempStore, made, model},
    programs::{fail_to_start, text},
};

/// The error that ends the server, without the log before it.
fn error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let stderr = text(&output.stderr);
    let errors: Vec<_> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    errors[0].to_owned()
}

fn served(store: &TempStore) -> String {
    error(&fail_to_start(&store.url(), &[]))
}

fn artifact() -> Vec<u8> {
    model("made", &prowl_features::digest()).to_bytes().unwrap()
}

#[test]
fn no_store_and_no_model() {
    let store = TempStore::empty();
    assert!(served(&store).contains("prowl-trainer train"));
    let gone = format!("{}/gone", store.url());
    assert!(error(&fail_to_start(&gone, &[])).contains("does not exist"));
    let store = TempStore::with_model();
    let message = error(&fail_to_start(&store.url(), &["--model", "20200101T000000Z"]));
    assert!(message.contains("20200101T000000Z"), "{message}");
}

#[test]
fn wrong_use() {
    let output = fail_to_start("/srv/prowl", &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("file:///srv/prowl"), "{output:?}");
    for args in [["--max-batch", "0"], ["--request-timeout", "0s"]] {
        let output = fail_to_start("file:///srv/prowl", &args);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains(args[0]), "{output:?}");
    }
}

#[test]
fn one_byte_changed() {
    for file in ["model.safetensors", "profiles.parquet"] {
        let store = TempStore::empty();
        let name = store.publish(&artifact(), &made().profiles);
        let path = store.file(&name, file);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        let message = served(&store);
        assert!(message.contains(file) && message.contains("SHA-256"), "{message}");
    }
}

#[test]
fn a_file_missing() {
    for file in ["model.safetensors", "profiles.parquet"] {
        let store = TempStore::empty();
        let name = store.publish(&artifact(), &made().profiles);
        fs::remove_file(store.file(&name, file)).unwrap();
        let message = served(&store);
        assert!(message.contains(file) && message.contains("missing"), "{message}");
    }
}

#[test]
fn a_copy_under_another_name() {
    let store = TempStore::empty();
    let name = store.publish(&artifact(), &made().profiles);
    let copy = "20991231T235959Z";
    fs::create_dir(store.file(copy, "")).unwrap();
    for file in ["model.safetensors", "profiles.parquet", "manifest.json"] {
        fs::copy(store.file(&name, file), store.file(copy, file)).unwrap();
    }
    let message = served(&store);
    assert!(message.contains(&format!("models/{copy}/")) && message.contains(&format!("--model {name}")), "{message}");
}

#[test]
fn features_of_another_version() {
    let store = TempStore::empty();
    let theirs = "ab".repeat(32);
    store.publish(&model("made", &theirs).to_bytes().unwrap(), &made().profiles);
    let message = served(&store);
    assert!(message.contains(&theirs) && message.contains(&prowl_features::digest()), "{message}");
}

#[test]
fn a_manifest_that_contradicts_its_model() {
    for (field, from, to) in [
        ("features_digest", prowl_features::digest(), "ab".repeat(32)),
        ("model_digest", prowl_model::digest(&artifact()), "ab".repeat(32)),
        ("metrics", "\"validation_error\": 0.25".to_owned(), "\"validation_error\": 0.125".to_owned()),
    ] {
        let store = TempStore::empty();
        let name = store.publish(&artifact(), &made().profiles);
        let path = store.file(&name, "manifest.json");
        let manifest = fs::read_to_string(&path).unwrap();
        // The digest of the model stands in the list of files as well, which is read by itself.
        let (files, details) = (manifest.find("\"files\"").unwrap(), manifest.find("\"details\"").unwrap());
        assert!(details < files);
        let changed = format!("{}{}", manifest[..files].replace(&from, &to), &manifest[files..]);
        assert_ne!(manifest, changed);
        fs::write(&path, changed).unwrap();
        let message = served(&store);
        assert!(message.contains(&format!("`details.{field}` of its manifest.json")), "{message}");
        assert!(message.contains("model.safetensors") && message.contains(&name), "{message}");
    }
}

#[test]
fn a_newer_schema() {
    // Of the folder.
    let store = TempStore::empty();
    let name = store.publish(&artifact(), &made().profiles);
    let path = store.file(&name, "manifest.json");
    let manifest = fs::read_to_string(&path).unwrap();
    let newer = manifest.replace("\"schema\": 1", "\"schema\": 99");
    assert_ne!(manifest, newer);
    fs::write(&path, newer).unwrap();
    let message = served(&store);
    assert!(message.contains("schema 99") && message.contains("update"), "{message}");

    // Of the model file.
    let store = TempStore::empty();
    let mut bytes = artifact();
    // Inside the header's JSON text, so its quotes are escaped; one digit stays one digit.
    let old = format!(r#"\"schema\":{}"#, prowl_model::SCHEMA);
    let at = bytes.windows(old.len()).position(|window| window == old.as_bytes()).unwrap();
    bytes[at + old.len() - 1] = b'9';
    store.publish(&bytes, &made().profiles);
    let message = served(&store);
    assert!(message.contains("schema 9") && message.contains("update"), "{message}");
}

#[test]
fn published_whole_but_senseless() {
    let store = TempStore::empty();
    store.publish(b"not a model", &made().profiles);
    let message = served(&store);
    assert!(message.contains("model.safetensors is damaged"), "{message}");
    let store = TempStore::empty();
    store.publish(&artifact(), &Bytes::from_static(b"not profiles"));
    let message = served(&store);
    assert!(message.contains("profiles.parquet is damaged"), "{message}");
}

#[test]
fn a_port_in_use() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let store = TempStore::with_model();
    let message = error(&fail_to_start(&store.url(), &["--http-addr", &address]));
    assert!(message.contains(&address) && message.contains("--http-addr"), "{message}");
}
