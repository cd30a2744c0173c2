use std::collections::BTreeMap;

use super::*;
use crate::{
    gate::race::{Settings, figures},
    sample::{Sample, Samples},
    verdict::{Decision, Verdict},
};

/// A race of twenty seconds in which calls take so many microseconds on each side, with some at the end that fail.
fn raced(preview: u64, active: u64, lag: Duration, failing: usize) -> Raced {
    let side = |microseconds: u64, failing: usize| {
        let sample = |number: u64| Sample {
            due: Duration::from_millis(5 * number),
            lag,
            took: Duration::from_micros(microseconds + microseconds * (number % 7) / 20),
            outcome: if number < 4_000 - failing as u64 { Outcome::Answered } else { Outcome::Unreachable },
        };
        Samples((0..4_000).map(sample).collect())
    };
    Raced { preview: side(preview, 0), active: Some(side(active, failing)), answers: BTreeMap::new(), shed: 0 }
}

fn judged(raced: &Raced) -> (Decision, Vec<String>) {
    let settings = Settings { rate: 200.0, length: Duration::from_secs(20), seed: 1, in_flight: 64 };
    let race = figures(raced, settings);
    let mut checks = Checks::new(Limits::default());
    checks.race(&race, raced);
    checks.generator(&race, raced.shed);
    let all = checks.into_all();
    let broken = all.iter().filter(|check| check.holds != Some(true)).map(|check| check.name.clone()).collect();
    (Verdict::decide(&all), broken)
}

#[test]
fn only_what_a_client_notices_is_slower() {
    let none = Duration::ZERO;
    assert_eq!(judged(&raced(5_000, 5_000, none, 0)), (Decision::Go, Vec::new()));
    assert_eq!(judged(&raced(900, 400, none, 0)), (Decision::Go, Vec::new()), "half a millisecond");
    let (decision, broken) = judged(&raced(20_000, 5_000, none, 0));
    assert_eq!((decision, broken), (Decision::NoGo, vec![P50_RATIO.to_owned(), P99_RATIO.to_owned()]));
}

#[test]
fn what_the_load_or_the_active_version_has_spoilt_is_unknown() {
    let (decision, broken) = judged(&raced(20_000, 5_000, Duration::from_millis(9), 0));
    assert_eq!((decision, broken.len()), (Decision::Unknown, 3), "{broken:?}");
    let (decision, broken) = judged(&raced(5_000, 5_000, Duration::ZERO, 2_000));
    assert_eq!((decision, broken), (Decision::Unknown, vec!["active answers".to_owned()]));
    let mut stuck = raced(5_000, 5_000, Duration::ZERO, 2_000);
    stuck.shed = 5;
    assert_eq!(judged(&stuck).0, Decision::Unknown);
    let mut shed = raced(5_000, 5_000, Duration::ZERO, 0);
    shed.shed = 5;
    assert_eq!(judged(&shed).0, Decision::NoGo);
    let nothing = Raced { preview: Samples::default(), active: None, answers: BTreeMap::new(), shed: 0 };
    assert_eq!(judged(&nothing).0, Decision::Unknown);
}

#[test]
fn a_pause_among_the_first_calls_is_not_a_cold_server() {
    let first = |slow: usize| {
        let mut checks = Checks::new(Limits::default());
        let call = |number: usize| (Outcome::Answered, Duration::from_millis(if number < slow { 300 } else { 2 }));
        checks.first_calls(&(0..500).map(call).collect::<Vec<_>>());
        Verdict::decide(&checks.into_all())
    };
    assert_eq!([0, 4, 50, 500].map(first), [Decision::Go, Decision::Go, Decision::NoGo, Decision::NoGo]);
}

#[test]
fn memory_that_settles_is_no_leak() {
    let grown = |megabytes: f64| {
        let mut checks = Checks::new(Limits::default());
        checks.memory(&Memory {
            first_mb: 50.0,
            last_mb: 50.0 + megabytes,
            per_thousand_calls_kb: megabytes * 1e3 / 4.0,
        });
        Verdict::decide(&checks.into_all())
    };
    assert_eq!([-5.0, 5.0, 30.0, 400.0].map(grown), [Decision::Go, Decision::Go, Decision::Go, Decision::NoGo]);
}
