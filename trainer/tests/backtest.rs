//! What a backtest says of rows whose truth is known.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::ops::ControlFlow;

use prowl_model::FeatureInfo;
use prowl_trainer::backtest::{Backtest, measure};
use prowl_trainer::{Builder, Dataset, Outcome, Row, Settings, TrainError};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

const DAY: i64 = 86_400_000;

/// A row a day; risky where the entropy is high. `turned` rows and later ones are risky where it is low.
fn data(rows: usize, turned: usize, categories: &[&str]) -> Dataset {
    let feature = |name: &str| FeatureInfo {
        about: "A number.".into(),
        group: "size".into(),
        missing: "unknown".into(),
        name: name.into(),
        source: "nowhere".into(),
        unit: "count".into(),
    };
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut builder = Builder::new(["entropy", "churn"].map(feature).to_vec(), "0123".into());
    for row in 0..rows {
        let values = [random.random::<f32>(), random.random::<f32>() * 100.0];
        let high = if row < turned { values[0] } else { 1.0 - values[0] };
        let reverted = random.random::<f32>() < 0.3 * high * high;
        let created_at = row as i64 * DAY;
        let kind = row % categories.len().max(1);
        let tokens = [kind as u32 * 1000 + random.random_range(0..3), 7];
        builder.push(&Row {
            repository: "o/r",
            number: row as i64,
            created_at,
            values: &values,
            tokens: &tokens,
            kind_tokens: &tokens,
            title: None,
            category: categories.get(kind).copied(),
            outcome: Outcome {
                reverted_at: reverted.then_some(created_at + 2 * DAY),
                mature_at: Some(created_at + 30 * DAY),
            },
        });
    }
    builder.build()
}

fn measured(data: &Dataset, folds: usize) -> Backtest {
    measure(data, "run".into(), folds, &Settings::default(), &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Before the first slice too few were taken back to learn from.
#[test]
fn a_slice_keeps_its_number_where_one_before_it_has_no_head() {
    let backtest = measured(&data(560, 560, &[]), 5);
    assert!(backtest.missing.iter().any(|missing| missing.starts_with("risk, slice 1: ")), "{:?}", backtest.missing);
    let numbers: Vec<usize> = backtest.risk_bands.iter().map(|of| of.slice).collect();
    assert_eq!(numbers.last(), Some(&5));
    assert!(!numbers.contains(&1) && numbers.is_sorted(), "{numbers:?}");
    let rows: u64 = backtest.risk_bands.last().unwrap().bands.iter().map(|band| band.test_rows).sum();
    assert!((20..56).contains(&rows), "{rows} of 56, less those that are too young");
    let table = backtest.table();
    assert!(table.contains("slice 5   from ") && !table.contains("slice 1   from "), "{table}");
}

#[test]
fn ours_wins_where_there_is_something_to_find_and_the_table_says_so() {
    let backtest = measured(&data(1_600, 1_600, &["fix", "docs"]), 4);
    assert!(backtest.missing.is_empty(), "{:?}", backtest.missing);
    let [ours, churn, sizes] = &backtest.risk[..] else { panic!("{backtest:?}") };
    assert_eq!([ours, churn, sizes].map(|row| row.folds.len()), [4; 3]);
    assert!(ours.mean.auc.low > churn.mean.auc.high, "{ours:?} {churn:?}");
    assert!(ours.mean.probability.unwrap().calibration_error.value < 0.06, "{ours:?}");
    assert!(churn.mean.probability.is_none(), "a size is no probability");
    assert!(ours.mean.auc.low < ours.mean.auc.value && ours.mean.auc.value < ours.mean.auc.high);
    let mean = ours.folds.iter().map(|fold| fold.auc.value).sum::<f64>() / 4.0;
    assert!((ours.mean.auc.value - mean).abs() < 1e-12);
    let [ours, _, usual] = &backtest.category[..] else { panic!("{backtest:?}") };
    assert!(ours.accuracy.low > 0.95 && (usual.accuracy.value - 0.5).abs() < 0.05, "{:?}", backtest.category);
    let [ours, forest] = &backtest.anomaly[..] else { panic!("{backtest:?}") };
    assert_eq!((ours.folds.len(), forest.name), (4, "its forest alone"));
    // The two features have nothing to do with each other, so no mixture of them can be told.
    assert!((ours.mean.auc.value - 0.5).abs() < 0.05, "{ours:?}");
    let table = backtest.table();
    assert!(table.contains("churn alone") && !table.contains(", churn alone 0."), "ours is always above it: {table}");
    // Words alone say all of the category here, so ours cannot say more.
    assert!(table.contains("does not win: category accuracy 1.0000, words alone 1.0000"), "{table}");
}

#[test]
fn what_does_not_go_together_is_told_from_what_does() {
    let feature = |name: usize| FeatureInfo {
        about: "A number.".into(),
        group: "size".into(),
        missing: "unknown".into(),
        name: format!("f{name}"),
        source: "nowhere".into(),
        unit: "count".into(),
    };
    let mut builder = Builder::new((0..6).map(feature).collect(), "0123".into());
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for row in 0..1_000_i64 {
        let [first, second] = [0; 2].map(|_| random.random::<f32>());
        let mut near = |value: f32| value + 0.05 * random.random::<f32>();
        let values = [first, near(first), near(1.0 - first), second, near(second), near(first + second)];
        builder.push(&Row {
            repository: "o/r",
            number: row,
            created_at: row * DAY,
            values: &values,
            tokens: &[],
            kind_tokens: &[],
            title: None,
            category: None,
            outcome: Outcome::default(),
        });
    }
    let backtest = measured(&builder.build(), 2);
    let [ours, forest] = &backtest.anomaly[..] else { panic!("{backtest:?}") };
    assert!(ours.mean.auc.low > forest.mean.auc.high && ours.mean.auc.value > 0.75, "{ours:?} {forest:?}");
    assert!(ours.mean.probability.is_none(), "how unusual is no probability");
}

/// Each slice is told from what was before it: what turned in the last one could not be known.
#[test]
fn a_slice_does_not_know_itself() {
    let backtest = measured(&data(2_000, 1_500, &[]), 2);
    let [before, after] = [0, 1].map(|fold| backtest.risk[0].folds[fold].auc.value);
    assert!(before > 0.6 && after < 0.45, "{before} and {after}");
    assert!(backtest.table().contains("does not win: risk"), "{}", backtest.table());
    assert!(backtest.missing[0].contains("category, slice 1: no pull request"), "{:?}", backtest.missing);
}

#[test]
fn what_cannot_be_measured_is_said() {
    let backtest = measured(&data(100, 100, &["fix"]), 2);
    assert!(backtest.risk.is_empty() && backtest.category.is_empty() && backtest.anomaly.len() == 2);
    let said = backtest.table();
    assert!(said.contains("not measured: risk, slice 1: of the pull requests"), "{said}");
    let few = measure(&data(40, 40, &[]), String::new(), 5, &Settings::default(), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(few, Err(TrainError::TooFewRows { found: 40, needed: 50 })));
    let stopped =
        measure(&data(100, 100, &[]), String::new(), 5, &Settings::default(), &mut |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(TrainError::Stopped)));
}
