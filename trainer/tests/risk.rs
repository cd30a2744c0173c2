//! What the risk head finds in rows whose truth is known.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::ops::ControlFlow;

use prowl_model::{Member, RiskHead, RiskInfo};
use prowl_trainer::Outcome;
use prowl_trainer::figures::Judged;
use prowl_trainer::risk::{self, Fitted, NoHead, Rows};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Distribution, StandardNormal};

const DAY: i64 = 86_400_000;

/// Rows of an hour each, the later ones after `rows` for judging.
struct World {
    names: Vec<&'static str>,
    values: Vec<Vec<f32>>,
    outcomes: Vec<Outcome>,
}

impl World {
    /// `log_odds` says what the features of a row, standard normal ones, mean.
    fn new(names: &[&'static str], rows: usize, log_odds: impl Fn(&[f32]) -> f32) -> Self {
        Self::over_time(names, rows, |_, values| log_odds(values))
    }

    /// As `new`, where the place of the row counts as well.
    fn over_time(names: &[&'static str], rows: usize, log_odds: impl Fn(usize, &[f32]) -> f32) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut world = Self { names: names.to_vec(), values: Vec::new(), outcomes: Vec::new() };
        for row in 0..rows {
            let values: Vec<f32> = names.iter().map(|_| StandardNormal.sample(&mut random)).collect();
            let positive = random.random::<f32>() < 1.0 / (1.0 + (-log_odds(row, &values)).exp());
            let merged = row as i64 * DAY / 24;
            let reverted_at = positive.then(|| merged + 2 * DAY);
            world.outcomes.push(Outcome { reverted_at, mature_at: Some(merged + 30 * DAY) });
            world.values.push(values);
        }
        world
    }

    fn time(row: usize) -> i64 {
        row as i64 * DAY / 24
    }

    fn rows(&self, count: usize) -> Rows<'_> {
        Rows {
            names: self.names.clone(),
            read: (0..self.names.len()).collect(),
            values: self.values[..count].iter().map(Vec::as_slice).collect(),
            times: (0..count).map(Self::time).collect(),
            outcomes: self.outcomes[..count].to_vec(),
        }
    }

    /// The head of the first rows, as known when the one after them came.
    fn fit(&self, count: usize) -> Result<(RiskHead, RiskInfo), NoHead> {
        self.fitted(count).map(|fitted| (fitted.head, fitted.info))
    }

    fn fitted(&self, count: usize) -> Result<Fitted, NoHead> {
        risk::fit(&self.rows(count), Self::time(count), 1, &mut || ControlFlow::Continue(())).unwrap()
    }

    /// AUC and calibration error on the rows after the first.
    fn judge(&self, head: &RiskHead, from: usize) -> (f64, f64) {
        let rows = self.values[from..].iter().zip(&self.outcomes[from..]);
        let judged = Judged::probabilities(
            rows.map(|(values, outcome)| (f64::from(head.probability(values)), outcome.reverted_at.is_some())),
        );
        let figures = judged.figures().unwrap();
        (figures.auc, figures.probability.unwrap().calibration_error)
    }
}

#[test]
fn what_follows_a_line_is_found_and_calibrated() {
    let world = World::new(&["a", "b", "c", "d"], 24_000, |x| 1.2 * x[0] - 0.8 * x[2] - 3.0);
    let (head, info) = world.fit(12_000).unwrap();
    let (auc, error) = world.judge(&head, 12_000);
    // The truth itself has 0.81.
    assert!(auc > 0.79, "{auc}");
    assert!(error < 0.01, "{error}");
    assert!(!info.members.contains(&"factors".to_owned()), "there is none: {info:?}");
    let rates: Vec<f64> = info.bands.iter().map(prowl_model::RiskBand::rate).collect();
    assert!(rates.len() == 4 && rates.is_sorted_by(|a, b| a > b), "{rates:?}");
    // Bands keep their promise on rows that came later still.
    let mut later = vec![(0, 0); 4];
    for (values, outcome) in world.values[12_000..].iter().zip(&world.outcomes[12_000..]) {
        let band = &mut later[info.band(head.probability(values))];
        *band = (band.0 + usize::from(outcome.reverted_at.is_some()), band.1 + 1);
    }
    for (rate, (reverted, rows)) in rates.iter().zip(later) {
        let seen = f64::from(reverted as u32) / f64::from(rows as u32);
        assert!((seen / rate - 1.0).abs() < 0.35, "{rate} promised, {seen} seen");
    }
}

/// The rate rises from 5% to 12% half way: the head begins where the rows that it learnt from are, and follows to where
/// they went.
#[test]
fn a_rate_that_rises_is_followed() {
    let rises = |row: usize, x: &[f32]| x[0] + if row < 8_000 { -3.5 } else { -2.4 };
    let world = World::over_time(&["a", "b"], 24_000, rises);
    let (head, _) = world.fit(16_000).unwrap();
    let later = 16_000..24_000;
    let told: f32 = world.values[later.clone()].iter().map(|values| head.probability(values)).sum();
    let were = world.outcomes[later].iter().filter(|outcome| outcome.reverted_at.is_some()).count() as f32;
    assert!((told / were - 1.0).abs() < 0.12, "{told} told, {were} were");
}

/// On the slices that it was chosen by, with an interval that tells knowledge from chance.
#[test]
fn what_is_learnt_of_nothing_ranks_by_chance() {
    let known = World::new(&["a", "b"], 4_000, |x| x[0] - 2.0).fitted(4_000).unwrap();
    let auc = known.auc(1);
    // The truth itself has 0.75.
    assert!(auc.low > 0.65 && auc.low < auc.value && auc.value < auc.high, "{auc:?}");
    let chosen = known.info.candidates.iter().find(|candidate| candidate.members == known.info.members).unwrap();
    assert!((auc.value - chosen.auc).abs() < 1e-9, "{auc:?} {chosen:?}");
    let chance = World::new(&["a", "b"], 4_000, |_| -2.0).fitted(4_000).unwrap().auc(1);
    assert!(chance.low < 0.53 && chance.high - chance.low < 0.12, "{chance:?}");
}

#[test]
fn what_no_line_tells_is_left_to_the_trees() {
    let world = World::new(&["a", "b", "c"], 16_000, |x| if (x[0] > 0.0) == (x[1] > 0.3) { 0.5 } else { -4.0 });
    let (head, info) = world.fit(10_000).unwrap();
    assert!(info.members.contains(&"trees".to_owned()), "{info:?}");
    let auc = world.judge(&head, 10_000).0;
    // The truth itself has 0.87.
    assert!(auc > 0.83, "{auc}");
}

#[test]
fn factors_are_trusted_unless_others_do_better() {
    let names = ["entropy", "churn", "author_file_experience", "x", "y", "z"];
    let factors = |x: &[f32]| 0.5 * x[0] + 0.5 * x[1] - 0.5 * x[2] - 3.2;
    let world = World::new(&names, 4_000, factors);
    let (head, info) = world.fit(2_500).unwrap();
    assert_eq!(info.members, ["factors"], "{info:?}");
    let [Member::Linear(linear)] = &head.members[..] else { panic!("{info:?}") };
    assert_eq!(linear.terms.iter().map(|term| term.feature).collect::<Vec<_>>(), [0, 1, 2]);
    let values = |experience: f32| [0.0, 0.0, experience, 0.0, 0.0, 0.0];
    assert!(head.probability(&values(-2.0)) > head.probability(&values(2.0)), "the less experience the riskier");

    let other = World::new(&names, 6_000, |x| 2.0 * x[3] - 3.2);
    let (_, info) = other.fit(4_000).unwrap();
    assert_ne!(info.members, ["factors"], "{info:?}");
}

/// With few positive rows nothing can be learnt of a weight: the prior stays.
#[test]
fn few_rows_leave_the_prior() {
    let names = ["entropy", "churn", "author_file_experience", "author_knows_files"];
    let world = World::new(&names, 3_000, |x| 0.3 * (x[0] + x[1] - x[2] - x[3]) - 4.1);
    let (head, info) = world.fit(3_000).unwrap();
    assert!(info.reverted < 80, "{info:?}");
    let [Member::Linear(linear), ..] = &head.members[..] else { panic!("{info:?}") };
    for term in &linear.terms {
        assert!((0.3..1.3).contains(&term.weight), "{}", term.weight);
    }
}

#[test]
fn with_too_few_outcomes_there_is_no_head_and_a_reason() {
    let never = World::new(&["a"], 2_000, |_| -9.0).fit(2_000).unwrap_err();
    assert!(matches!(never, NoHead::TooFew { positives: 0, negatives: 1_201.. }), "{never:?}");
    let told = never.of_pull_requests();
    assert!(told.contains("0 are known to have been taken back") && told.contains("it takes 30"), "{told}");
    assert!(never.to_string().starts_with("0 rows are known to be positive"), "{never}");
    let always = World::new(&["a"], 2_000, |_| 90.0).fit(2_000).unwrap_err();
    assert!(matches!(always, NoHead::TooFew { negatives: 0, .. }), "{always:?}");
    // All at once and too late to learn anything before.
    let mut late = World::new(&["a"], 2_000, |x| x[0] - 2.0);
    for outcome in &mut late.outcomes {
        outcome.reverted_at = outcome.reverted_at.map(|_| World::time(1_999));
    }
    assert_eq!(late.fit(2_000).unwrap_err(), NoHead::TooLate);
    assert!(World::new(&["a"], 1, |_| 0.0).fit(0).is_err());
}

/// What became known later than the origin, and rows whose outcome is open, never count.
#[test]
fn labels_of_the_future_are_not_learnt() {
    let names = ["entropy", "churn", "x"];
    let world = World::new(&names, 3_000, |x| x[0] - 2.5);
    let origin = World::time(3_000);
    let fit = |outcomes: Vec<Outcome>| {
        let rows = Rows { outcomes, ..world.rows(3_000) };
        let fitted = risk::fit(&rows, origin, 1, &mut || ControlFlow::Continue(())).unwrap().unwrap();
        (fitted.head, fitted.info)
    };
    let usual = fit(world.outcomes.clone());
    let mut shuffled = world.outcomes.clone();
    let mut changed = 0;
    for (row, outcome) in shuffled.iter_mut().enumerate() {
        let later = origin + row as i64 * 7919 % (90 * DAY);
        if outcome.known_before(origin).is_none() || (outcome.reverted_at.is_none() && row % 3 == 0) {
            outcome.reverted_at = Some(later);
            changed += 1;
        }
    }
    assert!(changed > 500);
    assert_eq!(fit(shuffled), usual);
    // One moment earlier it would have been known.
    let mut known = world.outcomes.clone();
    for outcome in known.iter_mut().step_by(10) {
        outcome.reverted_at = Some(origin - 1);
    }
    assert_ne!(fit(known), usual);

    let outcome = Outcome { reverted_at: Some(50), mature_at: Some(30) };
    assert_eq!([29, 30, 50, 51].map(|at| outcome.known_before(at)), [None, Some(false), Some(false), Some(true)]);
    let young = Outcome { reverted_at: Some(5), mature_at: Some(30) };
    assert_eq!((young.known_before(6), young.is_mature(6), young.is_mature(30)), (Some(true), false, true));
    assert_eq!(Outcome::default().known_before(i64::MAX), None);
}

/// Those that were taken back are known first; among the youngest rows there are no others.
#[test]
fn the_young_do_not_raise_the_probability() {
    let world = World::new(&["entropy", "churn"], 9_600, |x| 0.5 * x[0] - 3.0);
    let (head, _) = world.fit(9_600).unwrap();
    let mean = world.values.iter().map(|values| f64::from(head.probability(values))).sum::<f64>() / 9_600.0;
    let rate = world.outcomes.iter().filter(|outcome| outcome.reverted_at.is_some()).count() as f64 / 9_600.0;
    assert!((mean / rate - 1.0).abs() < 0.25, "{mean} said, {rate} seen");
}

#[test]
fn the_same_rows_give_the_same_head_on_any_thread_and_it_stops_when_told() {
    let world = World::new(&["entropy", "x", "y"], 3_000, |x| x[1] + x[2] - 2.0);
    let here = world.fit(3_000).unwrap();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| world.fit(3_000).unwrap())).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), here);
        }
    });
    for looks in [1, 2, 50] {
        let mut seen = 0;
        let stopped = risk::fit(&world.rows(3_000), World::time(3_000), 1, &mut || {
            seen += 1;
            if seen == looks { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(stopped.is_err() && seen == looks, "{seen}");
    }
}

#[test]
fn odd_columns_are_no_trouble() {
    let names = ["entropy", "churn", "constant", "never", "infinite", "huge"];
    let mut world = World::new(&names, 2_000, |x| x[0] - 2.0);
    for (row, values) in world.values.iter_mut().enumerate() {
        values[2] = 4.0;
        values[3] = f32::NAN;
        values[4] = if row % 2 == 0 { f32::INFINITY } else { f32::NEG_INFINITY };
        values[5] *= 1e38;
        if row % 5 == 0 {
            values[1] = f32::NAN;
        }
    }
    let (head, _) = world.fit(2_000).unwrap();
    for values in [[f32::NAN; 6], [f32::MAX; 6], [f32::MIN; 6], [f32::INFINITY; 6]] {
        let probability = head.probability(&values);
        assert!(probability > 0.0 && probability < 1.0);
        assert!(head.contributions(&values).iter().all(|part| part.is_finite()));
    }
}
