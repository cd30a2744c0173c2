//! Running the program and reading what it published.
#![allow(dead_code, clippy::unwrap_used, reason = "each test program uses its part, and may fail loudly")]

use std::{
    io::Read,
    path::Path,
    process::{Command, Output},
};

use flate2::read::GzDecoder;
use prowl_platform::{Folder, Kind, Secrets, Store, StoreUrl};
use serde_json::Value;

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prowl-fetch"));
    command.env_remove("PROWL_STORE").env_remove("PROWL_LOG").env_remove("PROWL_LOG_FORMAT");
    command
}

pub(crate) fn url(store: &Path) -> String {
    format!("file://{}", store.display())
}

/// Runs the program with `--store`, and expects it to end well.
pub(crate) fn publish(store: &Path, arguments: &[&str]) -> Output {
    let output = program().args(arguments).args(["--store", &url(store)]).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    output
}

/// Runs the program with `--store`, and expects it to fail with that code and to publish nothing.
pub(crate) fn fail(store: &Path, code: i32, arguments: &[&str]) -> String {
    let output = program().args(arguments).args(["--store", &url(store)]).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
    assert!(output.stdout.is_empty(), "nothing on stdout");
    assert!(!store.join("exports").is_dir() || std::fs::read_dir(store.join("exports")).unwrap().next().is_none());
    stderr(&output)
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The newest export.
pub(crate) fn export(store: &Path) -> Folder {
    let store = Store::open(&StoreUrl::parse(&url(store)).unwrap(), &Secrets::fixed([].into())).unwrap();
    block_on(store.folder(Kind::Exports, "latest")).unwrap()
}

/// A file of the newest export, verified.
pub(crate) fn file(store: &Path, name: &str) -> Vec<u8> {
    block_on(export(store).read(name)).unwrap().to_vec()
}

/// The text of each part of the newest export.
pub(crate) fn parts(store: &Path) -> Vec<String> {
    let folder = export(store);
    let parts = folder.files("part-").map(|entry| {
        let mut text = String::new();
        GzDecoder::new(&block_on(folder.read(&entry.path)).unwrap()[..]).read_to_string(&mut text).unwrap();
        text
    });
    parts.collect()
}

/// The documents of the newest export, in their order.
pub(crate) fn documents(store: &Path) -> Vec<Value> {
    parts(store).iter().flat_map(|part| part.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn text<'a>(document: &'a Value, pointer: &str) -> &'a str {
    document.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {pointer}: {document}"))
}

/// The text of a date.
pub(crate) fn date<'a>(document: &'a Value, name: &str) -> &'a str {
    text(document, &format!("/{name}/$date"))
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
