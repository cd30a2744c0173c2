//! Points are spent evenly, and whoever says to wait is waited for.

use std::time::{Duration, Instant};

use bson::doc;
use prowl_e2e::servers::github::{Asked, Fault};

use crate::given::{Given, STATE, figure, small};

/// The points that were spent within a time after a moment.
fn spent(asked: &[Asked], from: Instant, within: Duration) -> u64 {
    let in_it = asked.iter().filter(|asked| asked.at >= from && asked.at < from + within);
    in_it.map(|asked| asked.points).sum()
}

#[test]
fn points_are_spent_evenly() {
    // A page costs four points, however few pull requests there are.
    let given = Given::of(small(40, 120));
    let (points, window) = (60, Duration::from_secs(6));
    given.github.limit(points, window.as_secs());
    let begun = Instant::now();
    given.succeed(&["--org", "acme"]);
    let took = begun.elapsed();
    given.assert_complete();

    let asked: Vec<Asked> = given.github.asked().into_iter().filter(Asked::is_graphql).collect();
    let all: u64 = asked.iter().map(|asked| asked.points).sum();
    assert!(all > 2 * points, "{all} points are no test");
    assert!(asked.iter().all(|asked| !asked.too_early && asked.points > 0), "the points were used up");
    // A tenth of a window at once, and what is on the way meanwhile. Nobody knows the budget before the first answers.
    let third = window / 3;
    for later in asked.iter().filter(|later| later.at > asked[0].at + third) {
        let spent = spent(&asked, later.at, third);
        assert!(spent <= points / 3 + points / 10 + 4 * 6, "{spent} points within {third:?}");
    }
    let windows = all as f64 / (points as f64 * 0.95);
    let longest = window.mul_f64(windows + 1.0);
    assert!(took < longest, "{took:?} for {windows:.1} windows");
}

#[test]
fn a_limit_is_waited_for() {
    let given = Given::of(small(3, 900));
    let seconds = 2;
    for fault in
        [Fault::PrimaryLimit(seconds), Fault::SecondaryLimit(403, seconds), Fault::SecondaryLimit(429, seconds)]
    {
        given.mongo.command(doc! { "dropDatabase": 1 });
        given.github.forget();
        let of_pages = fault.clone();
        given.github.rule(move |asked| (asked.page > 0 && asked.index == 8).then(|| of_pages.clone()));
        given.complete(&["--org", "acme"]);
        let asked = given.github.asked();
        let limited = asked.iter().find(|asked| asked.fault.is_some()).unwrap_or_else(|| panic!("no {fault:?} came"));
        // What was on the way when the answer came could not know.
        let early = asked.iter().filter(|asked| asked.too_early).count();
        assert!(early < 6, "{early} came too early after {fault:?}: {asked:#?}");
        let told = limited.at + limited.took;
        let next = asked.iter().find(|asked| asked.at > told && !asked.too_early).unwrap();
        // The clock of the primary limit has whole seconds.
        assert!(next.at > told + Duration::from_millis(900), "{:?} after {fault:?}", next.at - told);
    }
}

#[test]
fn what_was_told_is_remembered_by_the_next_run() {
    let given = Given::of(small(2, 600));
    let seconds = 8;
    given.github.rule(move |asked| (asked.index == 4).then_some(Fault::SecondaryLimit(429, seconds)));
    let mut running = given.start(&["--org", "acme", "--lease", "1s"]);
    running.wait_for("the pause to be stored", || given.mongo.find_one(STATE, doc! { "_id": { "$regex": "^pause:" } }));
    drop(running);
    let limited = given.github.asked().into_iter().find(|asked| asked.fault.is_some()).unwrap();
    let before = given.github.count();
    given.complete(&["--org", "acme", "--lease", "1s"]);
    let asked = given.github.asked();
    let until = limited.at + Duration::from_secs(seconds);
    assert!(asked[before..].iter().all(|asked| asked.at >= until && !asked.too_early), "{asked:#?}");
}

#[test]
fn a_server_that_is_down_is_no_nail() {
    let given = Given::of(small(8, 80));
    for status in [502, 503] {
        given.github.forget();
        given.github.rule(move |_| Some(Fault::Status(status)));
        let begun = Instant::now();
        let told = given.refused(&["--org", "acme", "--patience", "6s"]);
        assert!(told.contains(&given.github.address().to_owned()), "{told}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        let asked = given.github.asked();
        assert!((3..=12).contains(&asked.len()), "{} requests within six seconds", asked.len());
        let gaps: Vec<Duration> = asked.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
        assert!(gaps.last() > gaps.first(), "the pauses do not grow: {gaps:?}");
    }
    given.github.no_faults();
    given.complete(&["--org", "acme"]);
}

#[test]
fn the_page_is_halved_and_grows_again() {
    let given = Given::of(small(1, 1_000));
    // For a while, a page of more than twenty is too much.
    given.github.rule(|asked| (asked.page > 20 && asked.index < 16).then_some(Fault::Status(502)));
    given.complete(&["--repo", "acme/repo-00"]);
    let pages = given.pages();
    let sizes: Vec<(u64, bool)> = pages.iter().map(|page| (page.page, page.fault.is_none())).collect();
    let mut halved = 0;
    for pair in sizes.windows(2) {
        let ((size, came), (next, _)) = (pair[0], pair[1]);
        if came {
            assert!(next == size || next == (size * 2).min(100), "{sizes:?}");
        } else {
            assert_eq!(next, size / 2, "{sizes:?}");
            halved += 1;
        }
    }
    assert!(halved >= 3, "{sizes:?}");
    assert_eq!(sizes.iter().rev().find(|(_, came)| *came), Some(&(100, true)), "{sizes:?}");
}

#[test]
fn a_wrong_clock_changes_nothing() {
    let given = Given::of(small(12, 60));
    for ahead in [7_200, -7_200] {
        given.mongo.command(doc! { "dropDatabase": 1 });
        given.github.world(|world| world.set_clock_ahead(ahead));
        given.github.limit(40, 4);
        given.github.forget();
        // Of REST, and of GraphQL.
        given.github.rule(|asked| [1, 8].contains(&asked.index).then_some(Fault::PrimaryLimit(1)));
        let begun = Instant::now();
        let ended = given.complete(&["--org", "acme"]);
        assert!(begun.elapsed() < Duration::from_secs(40), "{:?}, two hours off", begun.elapsed());
        assert!(figure(&ended, "points") >= 48);
        let early = given.github.asked().iter().filter(|asked| asked.too_early).count();
        assert!(early < 6, "{early} came too early");
    }
}
