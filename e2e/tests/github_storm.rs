//! Twenty thousand pull requests in forty repositories, a tenth of the answers wrong, and the collector killed twenty times: all of
//! it arrives, and nothing twice.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

#[path = "github/given.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod given;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use given::{Given, figure};
use prowl_e2e::servers::PULL_REQUESTS;
use prowl_e2e::servers::github::{Dice, Fault, Size, World, at_random};

const KILLS: usize = 20;
const CONCURRENCY: usize = 16;

/// The work of those that were killed is not done again. A page is asked for while the one in front of it is stored, so where a
/// third one was asked for, the first is remembered, and nobody may begin above the second. What GitHub could not give is asked for
/// again where it was, in a page of one.
fn nobody_goes_back(given: &Given) {
    let mut walks = BTreeMap::new();
    for page in given.pages() {
        // At the top somebody looks whether there is more.
        let Some(cursor) = page.variables["after"].as_str() else { continue };
        if page.variables["first"] == 1 {
            continue;
        }
        let place = given.github.place(cursor);
        let repository = page.variables["name"].as_str().unwrap().to_owned();
        let (above, last): &mut (Option<Vec<i64>>, Option<Vec<i64>>) = walks.entry(repository).or_default();
        // Newest first: what lies below is smaller.
        let is_below = |other: &Option<Vec<i64>>| other.as_ref().is_none_or(|other| place < *other);
        assert!(is_below(above) || *above == Some(place.clone()), "{page:?} is above {above:?}, which was remembered");
        if is_below(last) {
            *above = last.take();
        }
        *last = Some(place);
    }
    assert_eq!(walks.len(), 40, "all of them have several pages");
}

#[test]
fn nothing_is_lost_in_a_storm() {
    let size = Size { repositories: 40, pull_requests: 20_000, files: 3, ..Size::default() };
    let mut given = Given::of(World::seeded(40, &size));
    given.set("PROWL_LOG", "info");
    given.github.rule(at_random(41, 0.1));
    given.github.latency(Duration::from_millis(20));
    let concurrency = CONCURRENCY.to_string();
    // What a collector that dies leaves behind is free again at once, so that each has to do with all repositories.
    let arguments = ["--org", "acme", "--lease", "1s", "--concurrency", &concurrency];
    let mut dice = Dice::new(42);
    let begun = Instant::now();
    for kill in 0..KILLS {
        let mut running = given.start(&arguments);
        let until = given.github.count() + dice.below(80);
        given.wait_for_requests(&mut running, until);
        thread::sleep(Duration::from_millis(dice.below(120) as u64));
        // By SIGKILL.
        drop(running);
        println!("{:?}: killed {} times, {} documents", begun.elapsed(), kill + 1, given.mongo.count(PULL_REQUESTS));
    }
    let killed = given.mongo.count(PULL_REQUESTS);
    assert!((500..20_000).contains(&killed), "{killed} were stored before the last one was killed");
    let ended = given.succeed(&arguments);
    println!("{:?}: complete", begun.elapsed());
    assert_eq!(given.mongo.count(PULL_REQUESTS), 20_000);
    assert_eq!(figure(&ended, "repositories.busy"), 0);

    let asked = given.github.asked();
    let wrong = asked.iter().filter(|asked| asked.fault.is_some()).count();
    assert!(wrong * 20 > asked.len(), "{wrong} of {} answers were wrong", asked.len());
    // What was on the way when a limit was told, and of who was killed before it could remember it.
    let is_limit = |fault: &Fault| matches!(fault, Fault::PrimaryLimit(_) | Fault::SecondaryLimit(..));
    let limits = asked.iter().filter(|asked| asked.fault.as_ref().is_some_and(is_limit)).count();
    let early = asked.iter().filter(|asked| asked.too_early).count();
    assert!(
        early <= limits * (CONCURRENCY - 1) + KILLS * CONCURRENCY,
        "{early} requests came too early after {limits} limits"
    );
    println!("{} requests, {limits} limits, {early} too early", asked.len());
    nobody_goes_back(&given);

    // Everything is as it should be, and stays so.
    given.github.no_faults();
    given.github.world(|world| {
        for repository in 0..5 {
            world.touch(&format!("acme/repo-{repository:02}"), 250);
        }
    });
    let last = given.complete(&arguments);
    assert_eq!((figure(&last, "pull_requests.changed"), figure(&last, "pull_requests.inserted")), (5, 0));
    println!("{:?}: the same", begun.elapsed());
}
