//! Profiles as Arrow batches: what comes back answers as what went in.
#![cfg(feature = "arrow")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt8Array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use common::{MONDAY, NOW, REPOSITORY, batch, by, generated};
use prowl_features::{
    Facts, Ledger, ProfileBatchError, Profiles, PullRequest, Replay, profile_schema, push_batch, repository_batch,
};

fn of_batches<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> Profiles {
    let mut profiles = Profiles::default();
    for batch in batches {
        push_batch(&mut profiles, batch).unwrap();
    }
    profiles
}

fn known(profiles: &Profiles) -> &Ledger {
    profiles.ledger(REPOSITORY).unwrap()
}

#[test]
fn what_comes_back_answers_as_what_went_in() {
    let all = generated(300, 8);
    let ledger = batch(&all).1;
    let written = repository_batch(REPOSITORY, &ledger).unwrap();
    assert_eq!(written.schema(), profile_schema());
    let profiles = of_batches([&written]);
    assert_eq!((profiles.len(), profiles.as_of()), (1, ledger.as_of()));
    let mut asked: Vec<Facts> = all.iter().map(Facts::of).collect();
    asked.push(Facts::of(&by("nobody", 999, MONDAY, &["no/such/file.rs"])));
    for facts in &asked {
        assert_eq!(known(&profiles).history(facts), ledger.history(facts), "number {}", facts.lifecycle.number);
    }
}

#[test]
fn the_batch_depends_on_nothing_but_its_content() {
    // All at one moment, so that they may come in any order, and each order fills the maps in another one.
    let facts: Vec<Facts> = generated(200, 9)
        .into_iter()
        .map(|pull_request| Facts::of(&PullRequest { created_at: MONDAY, merged_at: Some(MONDAY), ..pull_request }))
        .collect();
    let written = |facts: &mut dyn Iterator<Item = &Facts>| {
        let mut replay = Replay::new(NOW);
        facts.for_each(|facts| drop(replay.next(facts, None)));
        repository_batch(REPOSITORY, &replay.finish()).unwrap()
    };
    assert_eq!(written(&mut facts.iter()), written(&mut facts.iter().rev()));
}

#[test]
fn a_repository_may_be_spread_over_batches() {
    let all = generated(120, 10);
    let ledger = batch(&all).1;
    let whole = repository_batch(REPOSITORY, &ledger).unwrap();
    let other = repository_batch("prowl/elsewhere", &batch(&generated(50, 11)).1).unwrap();
    let step = 7;
    let mut pieces: Vec<RecordBatch> =
        (0..whole.num_rows()).step_by(step).map(|at| whole.slice(at, step.min(whole.num_rows() - at))).collect();
    pieces.reverse();
    pieces.insert(pieces.len() / 2, other);
    let profiles = of_batches(&pieces);
    assert_eq!(profiles.len(), 2);
    for facts in all.iter().map(Facts::of) {
        assert_eq!(known(&profiles).history(&facts), ledger.history(&facts));
    }
}

#[test]
fn a_batch_may_hold_several_repositories() {
    let (here, there) = (batch(&generated(60, 12)).1, batch(&generated(60, 13)).1);
    let [one, other] = [(REPOSITORY, &here), ("prowl/elsewhere", &there)]
        .map(|(name, ledger)| repository_batch(name, ledger).unwrap());
    let pieces =
        [one.slice(0, 20), other.slice(0, 9), one.slice(20, one.num_rows() - 20), other.slice(9, other.num_rows() - 9)];
    let profiles = of_batches([&concat_batches(&profile_schema(), &pieces).unwrap()]);
    for facts in generated(60, 12).iter().chain(&generated(60, 13)).map(Facts::of) {
        assert_eq!(known(&profiles).history(&facts), here.history(&facts));
        assert_eq!(profiles.ledger("prowl/elsewhere").unwrap().history(&facts), there.history(&facts));
    }
}

#[test]
fn an_empty_ledger_is_a_batch_too() {
    let written = repository_batch(REPOSITORY, &Ledger::default()).unwrap();
    let profiles = of_batches([&written]);
    assert_eq!(profiles.as_of(), None);
    let asked = Facts::of(&by("ada", 1, MONDAY, &["a.rs"]));
    assert_eq!(known(&profiles).history(&asked), Ledger::default().history(&asked));
}

#[test]
fn other_columns_are_refused() {
    let written = repository_batch(REPOSITORY, &Ledger::default()).unwrap();
    let column: ArrayRef = Arc::new(UInt8Array::from(vec![0; written.num_rows()]));
    let with = |name: &str, place: std::ops::Range<usize>| {
        let (mut fields, mut columns) = (written.schema().fields().to_vec(), written.columns().to_vec());
        fields.splice(place.clone(), [Arc::new(Field::new(name, DataType::UInt8, false))]);
        columns.splice(place, [Arc::clone(&column)]);
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    };
    let all = written.num_columns();
    for (other, first) in [
        (with("key", 2..3), "key"),
        (with("kind", 1..2), "about"),
        (with("more", all..all), "more"),
        (written.project(&[0, 1, 2]).unwrap(), "opened"),
    ] {
        let error = push_batch(&mut Profiles::default(), &other).unwrap_err();
        assert!(matches!(error, ProfileBatchError::Columns(_)), "{error}");
        let expected = format!("the columns of profiles are not those that this version reads, from `{first}` on");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_row_of_an_unknown_kind_is_refused() {
    let written = repository_batch(REPOSITORY, &Ledger::default()).unwrap();
    let mut columns = written.columns().to_vec();
    columns[1] = Arc::new(UInt8Array::from(vec![99; written.num_rows()]));
    let newer = RecordBatch::try_new(written.schema(), columns).unwrap();
    let error = push_batch(&mut Profiles::default(), &newer).unwrap_err();
    assert!(matches!(error, ProfileBatchError::About(99)), "{error}");
}
