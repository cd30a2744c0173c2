//! A database that refuses, hangs, goes away and comes back: one clear error, and nothing that was stored is lost.

use std::time::{Duration, Instant};

use bson::doc;
use prowl_e2e::Running;
use prowl_e2e::servers::{self, PULL_REQUESTS};

use super::given::{config, refused, synth};

#[test]
fn only_the_right_password_opens() {
    let server = servers::Mongo::start_secured();
    let opened = synth(&server.environment(), 50, &[]).expect_success();
    assert!(!servers::Mongo::is_given_away_by(&format!("{opened:?}")));
    assert_eq!(server.count(PULL_REQUESTS), 50);

    let wrong = vec![("MONGO_URI", server.uri_of(Some("planted-password-of-the-database-no")))];
    refused(&synth(&wrong, 50, &[]), &["refuses user or password", "mongo_uri", &server.address()]);
    let nobody = server.uri_of(None);
    refused(&synth(&[], 50, &[&nobody]), &["does not allow it", "mongo_uri"]);

    let typed = synth(&[], 50, &[&server.uri()]);
    assert_eq!(typed.code, 2, "{typed:?}");
    assert!(typed.stderr.contains("MONGO_URI") && !servers::Mongo::is_given_away_by(&typed.stderr), "{}", typed.stderr);
    let broken = vec![("MONGO_URI", server.uri().replace("mongodb://", "mongodb://x/"))];
    refused(&synth(&broken, 50, &[]), &["MongoDB URI is wrong"]);
    refused(&synth(&[], 50, &[]), &["mongo_uri", "MONGO_URI"]);
    assert!(!servers::Mongo::is_given_away_by(&format!("{:?}", config(server.uri()))));
}

#[test]
fn the_certificate_is_checked() {
    let server = servers::Mongo::start_with_tls();
    let _ = synth(&server.environment(), 50, &[]).expect_success();
    assert_eq!(server.count(PULL_REQUESTS), 50);
    let authority = format!("&tlsCAFile={}", server.authority().display());
    let unknown = vec![("MONGO_URI", server.uri().replace(&authority, ""))];
    refused(&synth(&unknown, 50, &[]), &["certificate is not trusted", "tlsCAFile"]);
    let plain = vec![("MONGO_URI", server.uri().replace("tls=true", "tls=false").replace(&authority, ""))];
    refused(&synth(&plain, 50, &[]), &["tls=true"]);
    let missing = vec![("MONGO_URI", server.uri().replace("client.pem", "nothing.pem"))];
    refused(&synth(&missing, 50, &[]), &["nothing.pem"]);
}

#[test]
fn a_database_that_is_down_or_hangs_is_one_clear_error() {
    let mut server = servers::Mongo::start_secured();
    server.freeze();
    let begin = Instant::now();
    refused(&synth(&server.environment(), 50, &[]), &["cannot connect to MongoDB", &server.address()]);
    server.resume();
    server.kill();
    refused(
        &synth(&server.environment_in_haste(), 50, &[]),
        &["cannot connect to MongoDB", "Connection refused", "see that it runs"],
    );
    assert!(begin.elapsed() < Duration::from_mins(2), "{:?}", begin.elapsed());
}

/// Loading many pull requests, which has begun to store them.
fn loading(server: &servers::Mongo, count: u32, more: &[&str]) -> Running {
    let count = count.to_string();
    let arguments = ["synth", "--count", &count, "--seed", "7", "--json", "--mongo"];
    let arguments = [&arguments[..], more].concat();
    let mut loading = Running::start_with(&server.environment_in_haste(), "prowl-fetch", &arguments);
    loading.wait_for("the first documents", || (server.count(PULL_REQUESTS) > 0).then_some(()));
    loading
}

#[test]
fn a_database_that_comes_back_is_gone_on_with() {
    let mut server = servers::Mongo::start_secured();
    let loading = loading(&server, 6_000, &[]);
    for _ in 0..3 {
        server.kill();
        std::thread::sleep(Duration::from_millis(500));
        server.restart();
        std::thread::sleep(Duration::from_millis(500));
    }
    let done = loading.wait().expect_success();
    assert_eq!(server.count(PULL_REQUESTS), 6_000);
    assert!(!servers::Mongo::is_given_away_by(&format!("{done:?}")), "{done:?}");
}

#[test]
fn a_database_that_stays_away_ends_the_run_and_the_next_one_does_the_rest() {
    let mut server = servers::Mongo::start_secured();
    let loading = loading(&server, 6_000, &["--mongo-patience", "4s"]);
    server.kill();
    refused(&loading.wait(), &["cannot write to prowl.pull_requests", "Connection refused"]);
    server.restart();
    let stored = server.count(PULL_REQUESTS);
    assert!(stored > 0 && stored < 6_000, "{stored}");
    let rest = synth(&server.environment(), 6_000, &[]).expect_success().json();
    assert_eq!(rest["inserted"].as_u64().unwrap(), 6_000 - stored);
    assert_eq!(server.count(PULL_REQUESTS), 6_000);
}

#[test]
fn a_load_that_is_stopped_keeps_what_it_stored() {
    let server = servers::Mongo::start();
    let stopped = loading(&server, 20_000, &[]).stop();
    refused(&stopped, &["stopped by SIGTERM", "run this again"]);
    let stored = server.count(PULL_REQUESTS);
    assert!(stored > 0 && stored < 20_000, "{stored}");
    // Each change is counted before and after: an export that began in between is no more taken for the present one.
    let changes = server.find_one("fetch_state", doc! { "_id": "changes" }).unwrap();
    let count = changes.get_i64("count").or_else(|_| changes.get_i32("count").map(i64::from)).unwrap();
    assert!(count > 0 && count % 2 == 0, "{count}");
}
