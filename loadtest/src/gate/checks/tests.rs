use super::*;
use crate::{
    generator::Watch,
    load::Row,
    sample::Fault,
    verdict::{Decision, Step, Verdict},
};

/// What checks come to, and those that do not hold.
pub(super) fn ended(check: impl FnOnce(&mut Checks)) -> (Decision, Vec<String>) {
    let mut checks = Checks::new(Limits::default());
    check(&mut checks);
    let all = checks.into_all();
    assert!(all.iter().all(|check| (check.holds == Some(true)) == check.why.is_empty()), "{all:?}");
    let broken = all.iter().filter(|check| check.holds != Some(true)).map(|check| check.name.clone()).collect();
    (Verdict::decide(&all), broken)
}

pub(super) fn decision(check: impl FnOnce(&mut Checks)) -> Decision {
    ended(check).0
}

#[test]
fn causes_come_before_what_they_bring_about() {
    let mut checks = Checks::new(Limits::default());
    for name in [THROUGHPUT, "answered", P99, "memory", LOAD_IN_TIME, "preview is serving at the end"] {
        checks.untold(name, "unknown");
    }
    let names: Vec<_> = checks.into_all().into_iter().map(|check| check.name).collect();
    assert_eq!(names, ["preview is serving at the end", LOAD_IN_TIME, "answered", "memory", P99, THROUGHPUT]);
}

#[test]
fn first_calls_may_pause_and_not_wait_for_a_cold_server() {
    let first = |slow: std::ops::Range<usize>| {
        let call = |number| (Outcome::Answered, Duration::from_millis(if slow.contains(&number) { 300 } else { 2 }));
        ended(|checks| checks.first_calls(&[call(500); 4], &(0..500).map(call).collect::<Vec<_>>())).1
    };
    assert_eq!([first(0..0), first(40..44)], [const { Vec::<String>::new() }; 2]);
    // All wait for one that loads.
    assert_eq!(first(0..4), ["very first calls"]);
    assert_eq!(first(3..4), ["very first calls"]);
    assert_eq!(first(0..500), ["very first calls", "first calls"]);
    assert_eq!(first(100..150), ["first calls"]);
    // The replica behind one of the connections is cold.
    assert_eq!(first(500..501), ["very first calls"]);
    let failing = |count: usize, outcome| {
        let call = |number| (if number < count { outcome } else { Outcome::Answered }, Duration::from_millis(2));
        decision(|checks| checks.first_calls(&[call(500)], &(0..500).map(call).collect::<Vec<_>>()))
    };
    assert_eq!((failing(0, Outcome::Silent), failing(1, Outcome::Silent)), (Decision::Go, Decision::NoGo));
    assert_eq!(failing(1, Outcome::Wrong(Fault::Model)), Decision::NoGo);
    assert_eq!((failing(500, Outcome::Silent), failing(501, Outcome::Silent)), (Decision::NoGo, Decision::NoGo));
    assert_eq!(decision(|checks| checks.first_calls(&[], &[])), Decision::NoGo);
    let silent = [(Outcome::Silent, Duration::from_secs(5)); 4];
    let mut checks = Checks::new(Limits::default());
    checks.first_calls(&silent, &silent);
    let why: Vec<String> = checks.into_all().into_iter().map(|check| check.why).collect();
    assert_eq!(why[..2], ["its first calls were not answered"; 2], "nobody knows how warm it is: {why:?}");
}

#[test]
fn each_of_the_last_calls_has_to_be_answered() {
    let last = |failing: usize| {
        let all = std::iter::repeat_n(Outcome::Silent, failing).chain([Outcome::Answered; 19]);
        ended(|checks| checks.last_calls(all))
    };
    let name = "last calls answered".to_owned();
    assert_eq!((last(0), last(1)), ((Decision::Go, Vec::new()), (Decision::NoGo, vec![name])));
}

#[test]
fn who_answers_another_gate_as_well_is_not_judged() {
    let alone = |answered| ended(|checks| checks.alone(answered, 6_000));
    assert_eq!([5_000.0, 6_010.0].map(alone), [(); 2].map(|()| (Decision::Go, Vec::new())));
    assert_eq!(alone(9_000.0), (Decision::Unknown, vec!["asked alone".to_owned()]));
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

/// A change of the answers, and what comes of it in which check.
type Case = (fn(&mut Answers), Decision, &'static str);

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
        answers: None,
        again: 0,
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
fn a_full_house_is_no_failure_at_the_knee_and_all_else_is() {
    let climb = |answered: f64, failures: &[(&str, usize)]| {
        let step = Step { rate: 100.0, answered, p99: 1.0, error_rate: 0.0, generator_limited: false };
        let failures = failures.iter().map(|(outcome, count)| ((*outcome).to_owned(), *count)).collect();
        ended(|checks| checks.knee(&Climb { steps: vec![step], calls: 100, failures }))
    };
    let name = || vec!["answers at the knee".to_owned()];
    assert_eq!(climb(100.0, &[]), (Decision::Go, Vec::new()));
    assert_eq!(climb(100.0, &[("unreachable", 1)]), (Decision::NoGo, name()));
    // It was not even asked for more than in the race.
    assert_eq!(climb(40.0, &[]), (Decision::Unknown, name()));
    assert_eq!(climb(40.0, &[("unreachable", 1)]), (Decision::NoGo, name()));
    let nothing = ended(|checks| checks.knee(&Climb::default()));
    assert_eq!(nothing, (Decision::Unknown, name()));
}

#[test]
fn memory_that_settles_is_no_leak() {
    let grown = |megabytes: f64| {
        let growth = Memory { first_mb: 50.0, last_mb: 50.0 + megabytes, per_thousand_calls_kb: megabytes * 1e3 / 4.0 };
        decision(|checks| checks.memory(&growth))
    };
    assert_eq!([-5.0, 5.0, 30.0, 400.0].map(grown), [Decision::Go, Decision::Go, Decision::Go, Decision::NoGo]);
}
