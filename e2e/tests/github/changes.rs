//! Runs that are cut off, and a world that changes under the collector's hands.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use prowl_e2e::servers::github::{Ailment, Dice};

use crate::given::{Given, figure, small};

/// A collector that dies leaves its repository to others after a second.
const ONE: [&str; 4] = ["--repo", "acme/repo-00", "--lease", "1s"];

#[test]
fn a_run_that_is_stopped_goes_on_where_it_was() {
    let given = Given::of(small(1, 1_200));
    given.github.latency(Duration::from_millis(300));
    let mut running = given.start(&ONE);
    given.wait_for_requests(&mut running, 6);
    let ended = given.checked(running.stop());
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.error().contains("SIGTERM"), "{}", ended.error());
    let stored = given.stored().len();
    assert!((100..1_200).contains(&stored), "{stored}");
    let before = given.pages().len();

    given.github.forget();
    given.github.latency(Duration::ZERO);
    given.complete(&ONE);
    let pages = before + given.pages().len();
    assert!(pages <= 12 + 3, "{pages} pages of 12 in both runs");
}

#[test]
fn cursors_that_are_worth_nothing_any_more_are_done_without() {
    let given = Given::of(small(1, 900));
    given.github.latency(Duration::from_millis(300));
    let mut running = given.start(&ONE);
    given.wait_for_requests(&mut running, 5);
    given.checked(running.stop());
    given.github.world(prowl_e2e::servers::github::World::forget_cursors);
    given.github.latency(Duration::ZERO);
    given.complete(&ONE);
}

#[test]
fn what_changes_between_two_halves_of_a_run_is_not_lost() {
    let given = Given::of(small(1, 900));
    given.github.latency(Duration::from_millis(200));
    let mut running = given.start(&ONE);
    given.wait_for_requests(&mut running, 5);
    drop(running);
    given.github.latency(Duration::ZERO);
    // Some were fetched already, and some would have been.
    given.github.world(|world| {
        for number in (1..900).step_by(45) {
            world.touch("acme/repo-00", number);
        }
    });
    for _ in 0..2 {
        given.succeed(&ONE);
    }
    given.assert_complete();
}

#[test]
fn what_changes_while_it_is_fetched_is_not_lost() {
    let given = Given::of(small(3, 1_500));
    given.github.latency(Duration::from_millis(50));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut dice = Dice::new(5);
            while !done.load(Ordering::Relaxed) {
                let repository = format!("acme/repo-{:02}", dice.below(3));
                given.github.world(|world| {
                    let number = 1 + dice.below(500) as u64;
                    world.touch(&repository, number);
                    if dice.chance(0.2) {
                        let like = world.repository(&repository).pull_request(number).clone();
                        world.open(&repository, &like);
                    }
                });
                thread::sleep(Duration::from_millis(20));
            }
        });
        for _ in 0..2 {
            given.succeed(&["--org", "acme"]);
        }
        done.store(true, Ordering::Relaxed);
    });
    given.complete(&["--org", "acme"]);
}

#[test]
fn what_github_fails_at_is_named_and_fetched_later() {
    let given = Given::of(small(2, 500));
    given.github.world(|world| {
        world.spoil("acme/repo-00", 40, Ailment::Null);
        world.spoil("acme/repo-00", 41, Ailment::Null);
        world.spoil("acme/repo-01", 100, Ailment::Timeout);
        world.spoil("acme/repo-01", 101, Ailment::Files);
    });
    let ended = given.collect(&["--org", "acme"]);
    assert_eq!((ended.code, figure(&ended, "pull_requests.missed")), (1, 4), "{}", ended.stderr);
    for name in ["acme/repo-00#40", "acme/repo-00#41", "acme/repo-01#100", "acme/repo-01#101"] {
        assert!(ended.stderr.contains(name), "{name} is not named: {}", ended.stderr);
    }
    let stored = given.stored();
    assert_eq!(stored.len(), 497);
    // What could be had of it is there, and says that its files are unknown.
    assert_eq!(stored[&("acme/repo-01".to_owned(), 101)].get("files"), None);

    // Nothing has changed for the list of the newest, and they are asked for nonetheless.
    let again = given.collect(&["--org", "acme"]);
    assert_eq!((again.code, figure(&again, "pull_requests.missed")), (1, 4), "{}", again.stderr);
    given.github.world(prowl_e2e::servers::github::World::heal);
    given.complete(&["--org", "acme"]);
}
