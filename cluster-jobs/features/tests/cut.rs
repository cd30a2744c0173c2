//! No future: whatever happens from a moment on, the features of everything opened before it stay as they are, and
//! profiles made just before it answer for the next pull request as the batch does.

mod common;

use common::{REPOSITORY, batch, differing, generated};
use prowl_features::{Profiles, PullRequest};

const COUNT: u64 = 300;

/// The set as it was known just before `moment`.
fn cut<'a>(all: &[PullRequest<'a>], moment: i64) -> Vec<PullRequest<'a>> {
    let before = |at: Option<i64>| at.filter(|at| *at < moment);
    all.iter()
        .filter(|pull_request| pull_request.created_at < moment)
        .map(|pull_request| PullRequest {
            merged_at: before(pull_request.merged_at),
            reverted_at: before(pull_request.reverted_at),
            ..pull_request.clone()
        })
        .collect()
}

/// Twenty creations spread over the set.
fn moments(all: &[PullRequest<'_>]) -> impl Iterator<Item = i64> {
    (1..=20).map(|step| all[all.len() * step / 21].created_at)
}

#[test]
fn the_set_holds_what_the_test_is_about() {
    let all = generated(COUNT, 1);
    let (answers, _) = batch(&all);
    let merges: Vec<_> = all.iter().filter_map(|pull_request| pull_request.merged_at).collect();
    assert!(merges.windows(2).filter(|pair| pair[0] > pair[1]).count() > 50, "merges out of order");
    assert!(all.windows(2).filter(|pair| pair[0].created_at == pair[1].created_at).count() > 20, "equal times");
    assert!(all.iter().filter(|pull_request| pull_request.merged_at.is_none()).count() > 30, "never merged");
    let reverted = answers.iter().filter(|answer| answer.outcome.reverted_at.is_some()).count();
    assert!((20..150).contains(&reverted), "{reverted} reverted");
    let told =
        answers.iter().filter(|a| a.facts.lifecycle.reverted_at.is_none() && a.outcome.reverted_at.is_some()).count();
    assert!(told > 15, "{told} reverts are told by another pull request");
    let spanning = |moment: i64| {
        let later = |at: &Option<i64>| at.is_some_and(|at| at >= moment);
        all.iter().any(|pull_request| pull_request.created_at < moment && later(&pull_request.merged_at))
    };
    assert!(moments(&all).filter(|moment| spanning(*moment)).count() > 15, "merges reach over the cuts");
}

#[test]
fn what_happens_later_changes_nothing_earlier() {
    for seed in 1..=3 {
        let all = generated(COUNT, seed);
        let (whole, _) = batch(&all);
        for moment in moments(&all) {
            let (known, _) = batch(&cut(&all, moment));
            assert!(!known.is_empty());
            for (one, other) in known.iter().zip(&whole) {
                assert_eq!(one.facts.lifecycle.number, other.facts.lifecycle.number);
                let differ = differing(&one.vector, &other.vector);
                assert_eq!(differ, [""; 0], "number {}, cut at {moment}, seed {seed}", one.facts.lifecycle.number);
                assert_eq!(one.vector.tokens, other.vector.tokens);
                assert_eq!(one.history, other.history);
            }
        }
    }
}

#[test]
fn profiles_of_the_set_so_far_answer_for_the_next_as_the_batch_does() {
    for seed in 1..=3 {
        let all = generated(COUNT, seed);
        let (whole, _) = batch(&all);
        for moment in moments(&all) {
            let (_, ledger) = batch(&cut(&all, moment));
            let mut profiles = Profiles::default();
            profiles.insert(REPOSITORY, ledger);
            assert!(profiles.as_of().is_some_and(|at| at < moment));
            // Everything opened at that very moment sees the same past.
            let now: Vec<_> = whole.iter().filter(|answer| answer.facts.lifecycle.created_at == moment).collect();
            assert!(!now.is_empty());
            for answer in now {
                let history = profiles.ledger(REPOSITORY).unwrap().history(&answer.facts);
                assert_eq!(history, answer.history, "number {}, seed {seed}", answer.facts.lifecycle.number);
                assert_eq!(differing(&answer.facts.vector(&history), &answer.vector), [""; 0]);
            }
        }
    }
}
