//! Whatever goes wrong: one clear error, and nothing is published.

use std::process::{Command, Stdio};
use std::time::Duration;

use bson::Document;
use prowl_e2e::servers::{Mongo, Seaweedfs, free_port};
use prowl_e2e::{Running, TestStore, run_with};

use super::given::{Given, pull_request};

/// So many that they take a while, of text that no compression makes small.
fn many() -> Vec<Document> {
    let mut seed = 1_u32;
    let mut noise = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b' ' + (seed >> 24) as u8 % 94)
    };
    let with_text = |number| {
        let mut document = pull_request("tide/harbour", number);
        document.insert("body", (0..30_000).map(|_| noise()).collect::<String>());
        document
    };
    (1..=400).map(with_text).collect()
}

/// Waits until something of the export is in the store.
fn wait_for_draft(given: &Given, export: &mut Running) {
    export.wait_for("a draft", || (!given.left_behind().is_empty()).then_some(()));
}

#[test]
fn a_database_that_goes_away_is_one_error_and_leaves_nothing() {
    let mut given = Given::with(&many());
    let mut export = given.begin_export(&["--part-size", "1MB"]);
    wait_for_draft(&given, &mut export);
    given.server.kill();
    let ended = export.wait();
    assert_eq!(ended.code, 1);
    assert!(ended.error().contains("cannot read prowl.pull_requests at 127.0.0.1:"), "{}", ended.error());
    assert_eq!(ended.stderr.matches("error: ").count(), 1, "{}", ended.stderr);
    assert!(
        ended.stdout.is_empty() && given.left_behind().iter().all(|path| path.is_dir()),
        "{:?}",
        given.left_behind()
    );

    // At the start, too.
    let refused = given.try_export_with(&given.server.environment_in_haste(), &[]);
    assert!(refused.error().contains("see that it runs"), "{}", refused.error());

    given.server.restart();
    assert_eq!(given.export(&[]).count("documents"), 400);
}

#[test]
fn one_who_is_stopped_or_killed_publishes_nothing() {
    let given = Given::with(&many());
    let mut export = given.begin_export(&["--part-size", "1MB"]);
    wait_for_draft(&given, &mut export);
    let ended = export.stop();
    assert_eq!(
        (ended.code, ended.error()),
        (1, "error: stopped by SIGTERM: nothing was published"),
        "{}",
        ended.stderr
    );
    assert!(given.left_behind().iter().all(|path| path.is_dir()), "{:?}", given.left_behind());

    let mut export = given.begin_export(&["--part-size", "1MB"]);
    wait_for_draft(&given, &mut export);
    drop(export);
    let refused = run_with(&[], "prowl-preprocess", &["--store", &given.store.url, "--export", "latest"]);
    assert!(refused.error().contains("no finished export"), "{}", refused.error());

    assert_eq!(given.export(&[]).count("documents"), 400);
}

#[test]
fn a_full_disk_is_one_error_and_leaves_nothing() {
    let given = Given::with(&many());
    // No file may grow beyond 4 MB, and who tries is told so.
    let program = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("prowl-fetch");
    let limited = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\""])
        .arg(program)
        .args(["export", "--store", &given.store.url])
        .envs(given.server.environment())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8(limited.stderr).unwrap();
    assert_eq!(limited.status.code(), Some(1), "{told}");
    assert!(told.contains("error: cannot write ") && told.contains("File too large"), "{told}");
    assert_eq!(told.matches("error: ").count(), 1, "{told}");
    assert!(given.left_behind().iter().all(|path| path.is_dir()), "{:?}", given.left_behind());
}

#[test]
fn a_store_that_refuses_is_one_error() {
    let given = Given::with(&[pull_request("tide/harbour", 1)]);
    let s3 = Seaweedfs::start();
    let url = s3.url("exported");
    let arguments = ["export", "--store", &url];
    let environment = [s3.environment_of_a_reader(), given.server.environment()].concat();
    let refused = run_with(&environment, "prowl-fetch", &arguments);
    assert_eq!(refused.code, 1);
    assert!(refused.error().contains("S3 does not allow it (403 AccessDenied)"), "{}", refused.error());
    assert!(!Seaweedfs::is_given_away_by(&refused.stderr), "{}", refused.stderr);
    assert_eq!(s3.unfinished_uploads(), 0);
}

#[test]
fn no_password_is_told_and_a_wrong_one_is_one_error() {
    let server = Mongo::start_secured();
    server.insert("pull_requests", &[pull_request("tide/harbour", 1)]);
    let given = Given { server, store: TestStore::empty() };
    assert_eq!(given.export(&[]).count("documents"), 1);
    assert_eq!(given.import(&["latest", "--database", "copy"]), [1, 1, 0, 0, 0]);
    for (uri, expected) in [
        (given.server.uri_of(Some("planted-wrong")), "MongoDB refuses user or password"),
        (given.server.uri_of(None), "MongoDB does not allow it"),
        (format!("mongodb://127.0.0.1:{}/?serverSelectionTimeoutMS=1000", free_port()), "see that it runs"),
    ] {
        let refused = given.try_export_with(&[("MONGO_URI", uri)], &[]);
        assert_eq!(refused.code, 1);
        assert!(refused.error().contains(expected) && !refused.stderr.contains("planted"), "{}", refused.stderr);
    }
}

/// The most memory that a process has had, in MiB.
fn peak(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? >> 10)
}

#[test]
fn the_largest_documents_take_little_memory() {
    let given = Given::with(&(1..=4_000).map(|number| pull_request("tide/harbour", number)).collect::<Vec<_>>());
    let text = "\u{1}ab\"é".repeat((16 << 20) / 6 - 1_000);
    for number in 0..6 {
        // One in each range, whatever the ranges are.
        let mut document = pull_request(&format!("tide/harbour#{}", number * 700), number);
        document.insert("body", &text);
        given.server.insert("pull_requests", &[document]);
    }
    let export = given.begin_export(&["--parallel", "4", "--compression", "zst", "--json"]);
    let mut most = 0;
    // One that has ended and is not waited for yet has no memory any more.
    while let Some(now) = peak(export.id()) {
        most = most.max(now);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(export.wait().expect_success().json()["documents"], 4_006);
    println!("{most} MiB at most");
    assert!((10..200).contains(&most), "{most} MiB");
}
