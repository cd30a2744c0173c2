use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};

use super::{
    race::{P50_RATIO, P99, P99_RATIO, THROUGHPUT},
    *,
};
use crate::{
    gate::{
        look::Cost,
        race::{Lane, Raced, Settings, figures},
    },
    generator::Watch,
    load::Row,
    sample::{Fault, Sample, Samples},
    verdict::{Decision, Verdict},
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
            took: Duration::from_micros(microseconds + microseconds * (number % 7) / 20),
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
        checks.generator(&race, raced);
    })
}

/// What checks come to, and those that do not hold.
fn ended(check: impl FnOnce(&mut Checks)) -> (Decision, Vec<String>) {
    let mut checks = Checks::new(Limits::default());
    check(&mut checks);
    let all = checks.into_all();
    assert!(all.iter().all(|check| (check.holds == Some(true)) == check.why.is_empty()), "{all:?}");
    let broken = all.iter().filter(|check| check.holds != Some(true)).map(|check| check.name.clone()).collect();
    (Verdict::decide(&all), broken)
}

fn decision(check: impl FnOnce(&mut Checks)) -> Decision {
    ended(check).0
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
    let (decision, broken) = judged(&raced(20_000, 5_000, Duration::from_millis(9), 0));
    assert_eq!((decision, broken.len()), (Decision::Unknown, 3), "{broken:?}");
    let (decision, broken) = judged(&raced(5_000, 5_000, Duration::ZERO, 2_000));
    assert_eq!((decision, broken), (Decision::Unknown, vec!["active answers".to_owned()]));
    let mut stuck = raced(5_000, 5_000, Duration::ZERO, 0);
    stuck.active.as_mut().unwrap().shed = 500;
    assert_eq!(judged(&stuck), (Decision::Unknown, vec!["active answers".to_owned()]), "its own calls alone");
    let mut shed = raced(5_000, 5_000, Duration::ZERO, 0);
    shed.preview.shed = 5;
    assert_eq!(judged(&shed), (Decision::NoGo, vec!["calls in flight".to_owned()]));
    assert_eq!(judged(&Raced::default()), (Decision::Unknown, vec!["answered".to_owned()]));
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
    assert_eq!(judged(&shed).1, [THROUGHPUT, "calls in flight"]);
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
fn first_calls_may_pause_and_not_wait_for_a_cold_server() {
    let first = |slow: std::ops::Range<usize>| {
        let call = |number| (Outcome::Answered, Duration::from_millis(if slow.contains(&number) { 300 } else { 2 }));
        ended(|checks| checks.first_calls(&(0..500).map(call).collect::<Vec<_>>())).1
    };
    assert_eq!([first(0..0), first(40..44)], [const { Vec::<String>::new() }; 2]);
    // All wait for one that loads.
    assert_eq!(first(0..4), ["very first calls"]);
    assert_eq!(first(3..4), ["very first calls"]);
    assert_eq!(first(0..500), ["very first calls", "first calls"]);
    assert_eq!(first(100..150), ["first calls"]);
    let failing = |count: usize, outcome| {
        let call = |number| (if number < count { outcome } else { Outcome::Answered }, Duration::from_millis(2));
        decision(|checks| checks.first_calls(&(0..500).map(call).collect::<Vec<_>>()))
    };
    assert_eq!((failing(0, Outcome::Silent), failing(1, Outcome::Silent)), (Decision::Go, Decision::NoGo));
    assert_eq!(failing(1, Outcome::Wrong(Fault::Model)), Decision::NoGo);
    assert_eq!(decision(|checks| checks.first_calls(&[])), Decision::NoGo);
}

#[test]
fn each_part_of_the_model_counts() {
    let id = |version: &str, digest: &str| ModelId {
        version: version.to_owned(),
        digest: digest.to_owned(),
        ..ModelId::default()
    };
    let of = |found: &ModelId, digest: Option<&str>| {
        ended(|checks| {
            checks.model(found, "v", digest);
        })
    };
    assert_eq!(of(&id("v", "d"), Some("d")), (Decision::Go, Vec::new()));
    let other = (Decision::NoGo, vec!["expected model".to_owned()]);
    assert_eq!((of(&id("w", "d"), Some("d")), of(&id("v", "e"), Some("d"))), (other.clone(), other));
    assert_eq!(of(&id("v", "d"), None), (Decision::Unknown, vec!["expected digest".to_owned()]));
    assert_eq!(decision(|checks| checks.unchanged(&id("v", "d"), Some(&id("v", "d")))), Decision::Go);
    assert_eq!(decision(|checks| checks.unchanged(&id("v", "e"), Some(&id("v", "d")))), Decision::NoGo);
}

#[test]
fn one_row_of_the_panel_is_enough() {
    assert_eq!(decision(|checks| checks.panel(64, &[])), Decision::Go);
    assert_eq!(decision(|checks| checks.panel(64, &["row 3".to_owned()])), Decision::NoGo);
}

#[test]
fn each_figure_of_the_answers_has_its_limit() {
    let limits = Limits::default();
    let same = || Answers {
        compared: 1_000,
        judged_by_one: 0,
        psi: Some(limits.psi),
        ks: Some(limits.ks),
        ks_p: Some(0.5),
        rank_correlation: Some(limits.rank_correlation),
        bands_changed: limits.bands_changed,
        histogram: Vec::new(),
        moved: Vec::new(),
    };
    let of = |change: fn(&mut Answers)| {
        let mut answers = same();
        change(&mut answers);
        ended(|checks| checks.answers(Some(&answers)))
    };
    assert_eq!(of(|_| ()), (Decision::Go, Vec::new()));
    type Case = (fn(&mut Answers), Decision, &'static str);
    let cases: [Case; 8] = [
        (|answers| answers.psi = Some(0.26), Decision::NoGo, "percentiles (PSI)"),
        (|answers| answers.ks = Some(0.16), Decision::NoGo, "percentiles (Kolmogorov–Smirnov)"),
        (|answers| answers.rank_correlation = Some(0.79), Decision::NoGo, "rank correlation"),
        (|answers| answers.bands_changed = 0.11, Decision::NoGo, "bands changed"),
        (|answers| answers.psi = None, Decision::Unknown, "percentiles (PSI)"),
        (|answers| answers.ks = None, Decision::Unknown, "percentiles (Kolmogorov–Smirnov)"),
        (|answers| answers.rank_correlation = None, Decision::Unknown, "rank correlation"),
        (|answers| answers.compared = 199, Decision::Unknown, "answers"),
    ];
    for (change, decision, name) in cases {
        assert_eq!(of(change), (decision, vec![name.to_owned()]));
    }
    let by_one = of(|answers| {
        (answers.compared, answers.judged_by_one, answers.bands_changed) = (100, 900, 0.9);
    });
    assert_eq!(by_one, (Decision::NoGo, vec!["answers".to_owned(), "bands changed".to_owned()]));
    assert_eq!(decision(|checks| checks.answers(None)), Decision::Unknown);
}

fn load_test(failures: &[(&str, usize)], rules: &[bool], is_limit: bool) -> Report {
    let mut generator = Watch::begin().end();
    generator.is_limit = is_limit;
    let row = Row {
        name: "GRPC score".to_owned(),
        calls: 2_000,
        failed: 0,
        p50: 1.0,
        p99: 2.0,
        max: 3.0,
        corrected_p99: None,
    };
    let rule = |holds: &bool| Rule { rule: "p99<20ms".to_owned(), observed: "2".to_owned(), holds: *holds };
    Report {
        version: "v".to_owned(),
        digest: "d".to_owned(),
        rows: vec![row],
        generator,
        rules: rules.iter().map(rule).collect(),
        failures: failures.iter().map(|(outcome, count)| ((*outcome).to_owned(), *count)).collect(),
        holds: true,
        stopped: None,
    }
}

#[test]
fn a_load_test_has_its_failures_and_its_rules() {
    let of = |report: &Report, rules| ended(|checks| checks.load_test(report, rules));
    let wrong = Outcome::Wrong(Fault::NotFinite).to_string();
    let (go, no_go) = ((Decision::Go, Vec::new()), |name: &str| (Decision::NoGo, vec![name.to_owned()]));
    let unknown = |name: &str| (Decision::Unknown, vec![name.to_owned()]);
    assert_eq!(of(&load_test(&[("no answer in time", 1)], &[true], false), 1), go);
    assert_eq!(of(&load_test(&[("no answer in time", 2)], &[], false), 0), no_go("load test"));
    assert_eq!(of(&load_test(&[(&wrong, 1)], &[], false), 0), no_go("load test"));
    assert_eq!(of(&load_test(&[], &[false], false), 1), no_go("p99<20ms"));
    // Nobody has looked at the rules.
    assert_eq!(of(&load_test(&[], &[], false), 1), unknown("rules"));
    // It may be the load that has failed, but no load makes an answer wrong.
    assert_eq!(of(&load_test(&[], &[true], true), 1), go);
    assert_eq!(of(&load_test(&[("no answer in time", 2)], &[], true), 0), unknown("load test"));
    assert_eq!(of(&load_test(&[(&wrong, 1)], &[], true), 0), no_go("load test"));
    assert_eq!(of(&load_test(&[], &[false], true), 1), unknown("p99<20ms"));
    let mut nothing = load_test(&[], &[], false);
    nothing.rows.clear();
    assert_eq!(of(&nothing, 0), unknown("load test"));
}

#[test]
fn what_both_refuse_in_the_race_the_load_test_may_fail_by() {
    let mut raced = raced(5_000, 5_000, Duration::ZERO, 0);
    raced.preview.refused = 8;
    let race = figures(&raced, Settings { rate: 200.0, length: LENGTH, seed: 1, in_flight: 64, compared: 0 });
    let of = |failed| {
        decision(|checks| {
            checks.race(&race, &raced);
            checks.load_test(&load_test(&[("refused with INVALID_ARGUMENT", failed)], &[], false), 0);
        })
    };
    // Two in a thousand, and one in two thousand more.
    assert_eq!([4, 6].map(of), [Decision::Go, Decision::NoGo]);
}

#[test]
fn a_full_house_is_no_failure_at_the_knee_and_all_else_is() {
    let failing = |failures| Climb { calls: 100, failures, ..Climb::default() };
    assert_eq!(decision(|checks| checks.knee(&failing(BTreeMap::new()))), Decision::Go);
    let failures = BTreeMap::from([("unreachable".to_owned(), 1)]);
    assert_eq!(
        ended(|checks| checks.knee(&failing(failures))),
        (Decision::NoGo, vec!["answers at the knee".to_owned()])
    );
}

#[test]
fn a_call_may_cost_more_only_within_its_limit_and_what_the_counters_leave_open() {
    let cost = |seconds, off| Cost { seconds, off, calls: 6_000.0 };
    let of = |ours, theirs| decision(|checks| checks.cpu(Some([ours, theirs])));
    assert_eq!(of(cost(1.4, 0.01), cost(1.0, 0.01)), Decision::Go);
    assert_eq!(of(cost(1.6, 0.01), cost(1.0, 0.01)), Decision::NoGo);
    assert_eq!(of(cost(2.0, 1.0), cost(1.0, 1.0)), Decision::Go, "that may be the same");
    assert_eq!(of(cost(9.0, 1.0), cost(2.0, 1.0)), Decision::NoGo);
    assert_eq!(decision(|checks| checks.cpu(None)), Decision::Go);
}

#[test]
fn memory_that_settles_is_no_leak() {
    let grown = |megabytes: f64| {
        let growth = Memory { first_mb: 50.0, last_mb: 50.0 + megabytes, per_thousand_calls_kb: megabytes * 1e3 / 4.0 };
        decision(|checks| checks.memory(&growth))
    };
    assert_eq!([-5.0, 5.0, 30.0, 400.0].map(grown), [Decision::Go, Decision::Go, Decision::Go, Decision::NoGo]);
}
