use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};

use super::{
    super::{
        Limits,
        tests::{decision, ended},
    },
    *,
};
use crate::{
    gate::race::{Settings, figures},
    sample::{Fault, Sample, Samples},
    verdict::Decision,
};

const LENGTH: Duration = Duration::from_secs(20);

fn lane(samples: impl Iterator<Item = Sample>) -> Lane {
    let samples = Samples(samples.collect());
    let judged = samples.answered_ms().len() as u64;
    Lane { samples, judged, ..Lane::default() }
}

/// A race of twenty seconds in which calls take so many microseconds on each side, with some at the end of active that
/// fail.
fn raced(preview: u64, active: u64, lag: Duration, failing: u64) -> Raced {
    let side = |microseconds: u64, failing: u64| {
        let sample = |number: u64| Sample {
            due: Duration::from_millis(5 * number),
            lag,
            took: lag + Duration::from_micros(microseconds + microseconds * (number % 7) / 20),
            outcome: if number < 4_000 - failing { Outcome::Answered } else { Outcome::Unreachable },
        };
        lane((0..4_000).map(sample))
    };
    let (preview, active) = (side(preview, 0), Some(side(active, failing)));
    Raced { preview, active, length: LENGTH, ..Raced::default() }
}

/// What a race comes to, and the checks that do not hold.
fn judged(raced: &Raced) -> (Decision, Vec<String>) {
    let settings = Settings { rate: 200.0, length: raced.length, seed: 1, in_flight: 64, compared: 0 };
    let race = figures(raced, settings);
    ended(|checks| {
        checks.race(&race, raced);
        checks.generator(&race);
    })
}

#[test]
fn only_what_a_client_notices_is_slower() {
    let none = Duration::ZERO;
    assert_eq!(judged(&raced(5_000, 5_000, none, 0)), (Decision::Go, Vec::new()));
    assert_eq!(judged(&raced(900, 400, none, 0)), (Decision::Go, Vec::new()), "half a millisecond");
    let (decision, broken) = judged(&raced(20_000, 5_000, none, 0));
    assert_eq!((decision, broken), (Decision::NoGo, vec![P50_RATIO.to_owned(), P99_RATIO.to_owned()]));
    let (decision, broken) = judged(&raced(300_000, 290_000, none, 0));
    assert_eq!((decision, &broken[0]), (Decision::NoGo, &P99.to_owned()));
}

/// The same race with other times of the calls, by their numbers, on each side.
fn timed(preview: impl Fn(usize) -> u64, active: impl Fn(usize) -> u64) -> (Decision, Vec<String>) {
    let mut raced = raced(0, 0, Duration::ZERO, 0);
    let change = |lane: &mut Lane, took: &dyn Fn(usize) -> u64| {
        for (number, sample) in lane.samples.0.iter_mut().enumerate() {
            sample.took = Duration::from_micros(took(number));
        }
    };
    change(&mut raced.preview, &preview);
    if let Some(lane) = &mut raced.active {
        change(lane, &active);
    }
    judged(&raced)
}

#[test]
fn what_the_generator_adds_to_both_hides_no_slow_one() {
    let (decision, broken) = judged(&raced(20_000, 5_000, Duration::from_millis(40), 0));
    assert_eq!((decision, broken), (Decision::NoGo, vec![P50_RATIO.to_owned(), P99_RATIO.to_owned()]));
}

#[test]
fn two_milliseconds_more_are_not_noticed() {
    let both = || vec![P50_RATIO.to_owned(), P99_RATIO.to_owned()];
    assert_eq!(timed(|_| 2_300, |_| 400), (Decision::Go, Vec::new()));
    assert_eq!(timed(|_| 2_600, |_| 400), (Decision::NoGo, both()));
}

#[test]
fn it_fails_only_where_all_of_the_interval_is_above_what_is_allowed() {
    // Seven times as slow for some seconds, and three times for as many, which nobody notices.
    let slow = |number: usize| if number % 2_000 < 1_100 { 2_800 } else { 1_200 };
    let with_tail = |number: usize| if number.is_multiple_of(50) { 2_500 } else { 400 };
    assert_eq!(timed(slow, with_tail), (Decision::Unknown, vec![P50_RATIO.to_owned()]));
}

#[test]
fn a_stall_of_preview_alone_is_unknown_from_where_a_p99_shows_it() {
    // So many calls wait for the end of it, which come each five milliseconds.
    let waiting = |count: usize| {
        move |number: usize| {
            let left = (2_000 + count).saturating_sub(number.max(2_000));
            if number < 2_000 { 5_000 } else { 5_000 + 5_000 * left as u64 }
        }
    };
    let unknown = (Decision::Unknown, vec![P99_RATIO.to_owned()]);
    // Of four thousand calls, forty lie beyond the p99.
    assert_eq!(timed(waiting(45), waiting(0)), unknown);
    assert_eq!(timed(waiting(35), waiting(0)), (Decision::Go, Vec::new()));
    // Those of both, which the dice share out.
    assert_eq!(timed(waiting(45), waiting(30)), (Decision::Go, Vec::new()));
}

#[test]
fn of_a_few_calls_no_p99_is_told() {
    let of = |calls: usize| {
        let mut raced = raced(5_000, 5_000, Duration::ZERO, 0);
        (raced.active, raced.length) = (None, Duration::from_secs(1));
        raced.preview.samples.0.truncate(calls);
        raced.preview.judged = calls as u64;
        judged(&raced)
    };
    assert_eq!((of(200), of(199)), ((Decision::Go, Vec::new()), (Decision::Unknown, vec![P99.to_owned()])));
}

/// Thirty seconds of two hundred calls a second, of a few milliseconds with a tail; those that become due in a stall
/// wait for its end.
fn stalling(seed: u64, stalls: &[(f64, f64)]) -> Lane {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut due = 0.0;
    let calls = std::iter::from_fn(|| {
        due -= (1.0 - dice.random::<f64>()).ln() / 200.0;
        let waits = stalls
            .iter()
            .map(|(begin, length)| if (*begin..begin + length).contains(&due) { begin + length - due } else { 0.0 });
        let took = 0.002 - 0.0004 * (1.0 - dice.random::<f64>()).ln() + waits.sum::<f64>();
        let [due, took] = [due, took].map(Duration::from_secs_f64);
        Some(Sample { due, lag: Duration::ZERO, took, outcome: Outcome::Answered })
    });
    lane(calls.take_while(|sample| sample.due < Duration::from_secs(30)))
}

fn stalled(seed: u64, ours: &[(f64, f64)], theirs: &[(f64, f64)]) -> (Decision, Vec<String>) {
    let (preview, active) = (stalling(2 * seed, ours), Some(stalling(2 * seed + 1, theirs)));
    judged(&Raced { preview, active, length: Duration::from_secs(30), ..Raced::default() })
}

#[test]
fn three_stalls_are_not_a_go() {
    let stalls = [(4.2, 0.24), (13.7, 0.24), (22.1, 0.24)];
    for seed in 0..6 {
        assert_eq!(stalled(seed, &stalls, &[]), (Decision::Unknown, vec![P99_RATIO.to_owned()]), "{seed}");
    }
}

#[test]
fn an_identical_side_with_shared_stalls_is_a_go() {
    let many = [(4.2, 0.24), (13.7, 0.24), (22.1, 0.24)];
    for seed in 0..6 {
        assert_eq!(stalled(seed, &[], &[]), (Decision::Go, Vec::new()), "{seed}");
        assert_eq!(stalled(seed, &many, &many), (Decision::Go, Vec::new()), "{seed}");
        // As many calls wait as lie beyond a p99, which so is now that of the pause, and now that of the others.
        let one = [(9.3, 0.3)];
        assert_eq!(stalled(seed, &one, &one), (Decision::Go, Vec::new()), "{seed}");
    }
}

#[test]
fn what_the_load_or_the_active_version_has_spoilt_is_unknown() {
    let (decision, broken) = judged(&raced(20_000, 5_000, Duration::from_millis(60), 0));
    assert_eq!((decision, broken.len()), (Decision::Unknown, 3), "{broken:?}");
    let (decision, broken) = judged(&raced(5_000, 5_000, Duration::ZERO, 2_000));
    assert_eq!((decision, broken), (Decision::Unknown, vec!["active answers".to_owned()]));
    let mut stuck = raced(5_000, 5_000, Duration::ZERO, 0);
    stuck.active.as_mut().unwrap().shed = 500;
    assert_eq!(judged(&stuck), (Decision::Unknown, vec!["active answers".to_owned()]), "its own calls alone");
    let mut shed = raced(5_000, 5_000, Duration::ZERO, 0);
    shed.preview.shed = 5;
    assert_eq!(judged(&shed), (Decision::NoGo, vec![IN_FLIGHT.to_owned()]));
    shed.active.as_mut().unwrap().shed = 5;
    assert_eq!(judged(&shed), (Decision::Unknown, vec![IN_FLIGHT.to_owned()]), "both have them");
    let mut late = raced(5_000, 5_000, Duration::from_millis(60), 0);
    late.preview.shed = 5;
    assert_eq!(judged(&late), (Decision::Unknown, vec![LOAD_IN_TIME.to_owned(), IN_FLIGHT.to_owned()]));
    assert_eq!(judged(&Raced::default()), (Decision::Unknown, vec!["answered".to_owned()]));
}

#[test]
fn who_reads_what_active_cannot_may_go() {
    let refusing = |outcome: Outcome| {
        let mut raced = raced(5_000, 5_000, Duration::ZERO, 0);
        let active = raced.active.as_mut().unwrap();
        active.samples.0.iter_mut().step_by(4).for_each(|sample| sample.outcome = outcome);
        active.judged = 3_000;
        judged(&raced)
    };
    assert_eq!(refusing(Outcome::Refused(3)), (Decision::Go, Vec::new()));
    let ill = (Decision::Unknown, vec!["active answers".to_owned()]);
    assert_eq!([Outcome::Refused(13), Outcome::Wrong(Fault::NotFinite)].map(refusing), [ill.clone(), ill]);
}

#[test]
fn what_comes_after_the_end_does_not_keep_up() {
    let late = |from: u64| {
        let sample = |number: u64| Sample {
            due: Duration::from_millis(5 * number),
            lag: Duration::ZERO,
            took: Duration::from_millis(if number < from { 2 } else { 2_000 }),
            outcome: Outcome::Answered,
        };
        let (preview, length) = (lane((0..4_000).map(sample)), LENGTH);
        judged(&Raced { preview, length, ..Raced::default() }).1
    };
    assert_eq!(late(4_000), [""; 0]);
    assert_eq!(late(3_900), [P99, THROUGHPUT]);
    let mut shed = raced(5_000, 5_000, Duration::ZERO, 0);
    shed.preview.shed = 50;
    assert_eq!(judged(&shed).1, [THROUGHPUT, IN_FLIGHT]);
}

#[test]
fn a_version_that_judges_less_than_the_other_or_hardly_at_all_does_not_pass() {
    let judging = |ours: u64, theirs: Option<u64>| {
        let mut raced = raced(5_000, 5_000, Duration::ZERO, 0);
        raced.preview.judged = ours;
        match (&mut raced.active, theirs) {
            (Some(active), Some(judged)) => active.judged = judged,
            (active, _) => *active = None,
        }
        self::judged(&raced)
    };
    let fails = || (Decision::NoGo, vec!["judged".to_owned()]);
    assert_eq!(judging(3_700, Some(4_000)).0, Decision::Go);
    assert_eq!(judging(3_500, Some(4_000)), fails());
    assert_eq!((judging(1_000, Some(1_100)).0, judging(3_900, None).0), (Decision::Go, Decision::Go));
    assert_eq!((judging(0, None), judging(1_900, None)), (fails(), fails()));
}

#[test]
fn a_call_may_cost_more_only_within_its_limit_and_what_the_counters_leave_open() {
    let cost = |seconds, off| Cost { seconds, off, calls: 6_000.0 };
    let of = |ours, theirs| decision(|checks| checks.cpu(Some([ours, theirs]), 6_000, true));
    assert_eq!(of(cost(1.4, 0.01), cost(1.0, 0.01)), Decision::Go);
    assert_eq!(of(cost(1.6, 0.01), cost(1.0, 0.01)), Decision::NoGo);
    assert_eq!(of(cost(2.0, 1.0), cost(1.0, 1.0)), Decision::Go, "that may be the same");
    assert_eq!(of(cost(9.0, 1.0), cost(2.0, 1.0)), Decision::NoGo);
}

#[test]
fn a_cost_that_is_not_compared_is_told() {
    let told = |costs, asked, are_named| {
        let mut checks = Checks::new(Limits::default());
        checks.cpu(costs, asked, are_named);
        let check = checks.into_all().remove(0);
        (check.holds, check.observed)
    };
    let cost = |seconds| Cost { seconds, off: 0.01, calls: 6_000.0 };
    let both = || Some([cost(9.0), cost(6.0)]);
    assert_eq!(told(both(), 6_000, true), (Some(true), "1.500 and 1.000 ms a call, of 9.00 and 6.00 s".to_owned()));
    // It has answered a thousand others.
    assert_eq!(told(both(), 5_000, true), (Some(true), "not compared: active answers others as well".to_owned()));
    let left_out = told(None, 6_000, false);
    assert!(left_out.0 == Some(true) && left_out.1.starts_with("not looked at"), "{left_out:?}");
    assert_eq!(told(None, 6_000, true), (None, "unknown".to_owned()));
}
