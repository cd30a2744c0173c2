//! The database is away, at the start, in the middle and for good.

use std::thread;
use std::time::{Duration, Instant};

use prowl_e2e::servers::Mongo;

use crate::given::{Given, small};

#[test]
fn a_database_that_cannot_be_used_is_told_at_the_start() {
    let mut given = Given::of(small(1, 10));
    let uri = given.mongo.uri();
    given.set("MONGO_URI", &given.mongo.uri_of(Some("planted-wrong-password")));
    let told = given.refused(&["--org", "acme"]);
    assert!(told.contains("mongo_uri") && !told.contains("planted-wrong"), "{told}");
    given.environment.retain(|(name, _)| *name != "MONGO_URI");
    let told = given.refused(&["--org", "acme"]);
    assert!(told.contains("mongo_uri"), "{told}");

    given.set("MONGO_URI", &uri);
    given.mongo.kill();
    let begun = Instant::now();
    let told = given.refused(&["--org", "acme"]);
    assert!(told.contains(&given.mongo.address()), "{told}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(given.github.count(), 0, "GitHub was asked for nothing");
    given.mongo.restart();
    given.complete(&["--org", "acme"]);
}

#[test]
fn a_database_that_is_away_for_a_moment_is_waited_for() {
    let mut given = Given::of(small(4, 1_600));
    given.github.latency(Duration::from_millis(300));
    let mut running = given.start(&["--org", "acme"]);
    given.wait_for_requests(&mut running, 10);
    given.mongo.kill();
    thread::sleep(Duration::from_secs(3));
    given.mongo.restart();
    given.succeeded(running);
    given.assert_complete();

    // It hangs.
    given.github.world(|world| {
        for number in 1..=400 {
            world.touch("acme/repo-02", number);
        }
    });
    let before = given.github.count();
    let mut running = given.start(&["--org", "acme"]);
    given.wait_for_requests(&mut running, before + 5);
    given.mongo.freeze();
    thread::sleep(Duration::from_secs(3));
    given.mongo.resume();
    given.succeeded(running);
    given.assert_complete();
}

#[test]
fn a_database_that_is_away_for_good_ends_the_run_and_nothing_is_lost() {
    let mut given = Given::of(small(2, 1_600));
    given.github.latency(Duration::from_millis(300));
    let arguments = ["--org", "acme", "--lease", "5s", "--mongo-patience", "5s"];
    let mut running = given.start(&arguments);
    given.wait_for_requests(&mut running, 6);
    given.mongo.kill();
    let ended = given.checked(running.wait());
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.error().contains(&given.mongo.address()), "{}", ended.error());
    let asked = given.github.count();
    assert!(asked < 20, "{asked} requests, and nowhere to put the answers");
    given.mongo.restart();
    given.github.latency(Duration::ZERO);
    given.complete(&arguments);
    assert!(!Mongo::is_given_away_by(&ended.stderr));
}
