//! Who took what back, and since when that is known.

mod common;

use common::{DAY, MATURITY, MONDAY, NOW, bare, batch, numbered, outcomes, owned, sha};
use prowl_features::{Facts, Outcome, PullRequest};

/// Number `number`, opened on day `number`, merged half a day later, titled `title`.
fn merged(number: u64, title: &str) -> PullRequest<'static> {
    let created_at = MONDAY + number as i64 * DAY;
    PullRequest {
        title: Some(owned(title)),
        merged_at: Some(created_at + DAY / 2),
        merge_commit_sha: Some(owned(sha(number))),
        ..bare(number, created_at)
    }
}

fn described(number: u64, title: &str, body: &str) -> PullRequest<'static> {
    PullRequest { body: Some(owned(body)), ..merged(number, title) }
}

/// When number `number` merged.
#[expect(clippy::unnecessary_wraps, reason = "reads like the answers that it is compared with")]
fn at(number: u64) -> Option<i64> {
    Some(MONDAY + number as i64 * DAY + DAY / 2)
}

/// For each pull request, by number, when it was known to be taken back.
fn reverted_at(pull_requests: &[PullRequest<'_>]) -> Vec<Option<i64>> {
    let mut answers = batch(pull_requests).0;
    answers.sort_by_key(|answer| answer.facts.lifecycle.number);
    answers.iter().map(|answer| answer.outcome.reverted_at).collect()
}

#[test]
fn by_number() {
    for (title, body) in [
        ("Take it back", "Reverts prowl/den#1"),
        ("Take it back", "Reverts Prowl/Den#1."),
        ("Take it back", "It broke.\n\nReverts #1\n"),
        ("Revert \"Add it (#1)\"", ""),
        ("Revert \"Add it (#1)\" (#3)", ""),
        ("revert: \"Add it (#1)\"", ""),
    ] {
        let all = [merged(1, "Add it"), merged(2, "Other"), described(3, title, body)];
        assert_eq!(reverted_at(&all), [at(3), None, None], "{title} / {body}");
    }
}

#[test]
fn a_number_is_certain_where_a_title_was_used_again() {
    let all = [merged(1, "Add it"), merged(2, "Add it"), merged(3, "Revert \"Add it (#1)\"")];
    assert_eq!(reverted_at(&all), [at(3), None, None]);
}

#[test]
fn two_at_once() {
    let all = [merged(1, "a"), merged(2, "b"), described(3, "Back", "Reverts #1\nReverts prowl/den#2")];
    assert_eq!(reverted_at(&all), [at(3), at(3), None]);
}

#[test]
fn foreign_numbers_do_not_count() {
    for body in [
        "Reverts other/den#1",
        "Reverts prowl/denim#1",
        "Reverts the change of #1",
        "Reverts prowl/den#",
        "Reverts prowl/den 1",
        "Reverts #99999999999999999999",
        "It Reverts",
        "reverts #1 of last year",
    ] {
        let all = [merged(1, "Add it"), described(2, "Take it back", body)];
        assert_eq!(reverted_at(&all), [None, None], "{body}");
    }
}

#[test]
fn by_any_prefix_of_a_commit() {
    let whole = sha(1);
    for digits in 7..=40 {
        let body = format!("This reverts commit {}.\n", &whole[..digits]);
        let all = [merged(1, "Add it"), merged(2, "Other"), described(3, "Back", &body)];
        assert_eq!(reverted_at(&all), [at(3), None, None], "{digits} digits");
    }
    let upper = format!("This reverts commit {}, reversing\nchanges made to {}.", whole.to_uppercase(), sha(2));
    let all = [merged(1, "Add it"), merged(2, "Other"), described(3, "Back", &upper)];
    assert_eq!(reverted_at(&all), [at(3), None, None]);
}

#[test]
fn other_commits_do_not_count() {
    let whole = sha(1);
    // One digit differs, first at the eighth, then at the sixteenth: the first seven alone do not decide.
    let differing = |at: usize| {
        let digit = if &whole[at..=at] == "0" { "1" } else { "0" };
        format!("{}{digit}{}", &whole[..at], &whole[at + 1..])
    };
    for commit in [whole[..6].to_owned(), differing(7), differing(15), differing(0), "none of them".into()] {
        let all = [merged(1, "Add it"), described(2, "Back", &format!("This reverts commit {commit}"))];
        assert_eq!(reverted_at(&all), [None, None], "{commit}");
    }
}

#[test]
fn by_title_the_newest_earlier_one_and_once_only() {
    let all = [
        merged(1, "Add it"),
        merged(2, "Add it"),
        merged(3, "Revert \"Add it\""),
        merged(4, "Add it"),
        merged(5, "Revert \"Add it\""),
    ];
    assert_eq!(reverted_at(&all), [None, at(3), None, at(5), None]);
    // Two reverts, two changes of that title: each takes one.
    let all =
        [merged(1, "Add it"), merged(2, "Revert \"Add it\""), merged(3, "Add it"), merged(4, "Revert \"Add it\"")];
    assert_eq!(reverted_at(&all), [at(2), None, at(4), None]);
}

#[test]
fn a_title_is_the_same_with_the_number_that_squashing_appends() {
    let all = [merged(1, "Add it (#1)"), merged(2, "Revert \"Add it\" (#2)")];
    assert_eq!(reverted_at(&all), [at(2), None]);
    let all = [merged(1, "Add it"), merged(2, "Add it, too"), merged(3, "Revert \"Add\"")];
    assert_eq!(reverted_at(&all), [None, None, None], "a part of a title is another title");
}

#[test]
fn words_that_only_look_like_a_revert() {
    for title in ["Reverted \"Add it\"", "Revert Add it", "Revert the \"Add it\"", "Revert \"\"", "Revert \"", "revert"]
    {
        assert_eq!(reverted_at(&[merged(1, "Add it"), merged(2, title)]), [None, None], "{title}");
    }
}

#[test]
fn a_revert_of_a_revert_takes_back_the_revert() {
    let all = [merged(1, "Add it"), merged(2, "Revert \"Add it\""), merged(3, "Revert \"Revert \"Add it\"\"")];
    assert_eq!(reverted_at(&all), [at(2), at(3), None]);
    let all = [merged(1, "Add it"), described(2, "Back", "Reverts #1"), described(3, "Forth", "Reverts #2")];
    assert_eq!(reverted_at(&all), [at(2), at(3), None]);
}

#[test]
fn only_what_was_merged_takes_back_and_is_taken_back() {
    let open = PullRequest { merged_at: None, ..described(2, "Revert \"Add it\"", "Reverts #1") };
    assert_eq!(reverted_at(&[merged(1, "Add it"), open]), [None, None]);
    let closed = PullRequest { merged_at: None, ..merged(2, "Add it") };
    let all = [merged(1, "Add it"), closed, merged(3, "Revert \"Add it\"")];
    assert_eq!(reverted_at(&all), [at(3), None, None], "a title means one that was merged");
    let told = PullRequest { merged_at: None, reverted_at: at(5), ..merged(1, "Add it") };
    assert_eq!(reverted_at(&[told]), [None]);
}

#[test]
fn a_revert_comes_later_than_what_it_takes_back() {
    // By number: a lower one cannot take a higher one back. By time: it must be merged after it.
    assert_eq!(reverted_at(&[described(1, "Back", "Reverts #2"), merged(2, "Add it")]), [None, None]);
    assert_eq!(reverted_at(&[described(1, "Back", "Reverts #1")]), [None]);
    let late = PullRequest { merged_at: at(4), ..merged(1, "Add it") };
    let all = [late.clone(), described(2, "Back", "Reverts #1")];
    assert_eq!(reverted_at(&all), [None, None]);
    let all = [late, described(2, "Back", "Reverts #1"), described(5, "Back", "Reverts #1")];
    assert_eq!(reverted_at(&all), [at(5), None, None], "an impossible revert does not hide a possible one");
}

#[test]
fn the_earliest_word_of_it_counts() {
    let told = PullRequest { reverted_at: at(4), ..merged(1, "Add it") };
    let by_source = [told.clone(), described(6, "Back", "Reverts #1")];
    assert_eq!(reverted_at(&by_source), [at(4), None]);
    let by_other = [told, described(3, "Back", "Reverts #1"), described(6, "Back", "Reverts #1")];
    assert_eq!(reverted_at(&by_other), [at(3), None, None]);
    let before_its_merge = PullRequest { reverted_at: Some(MONDAY), ..merged(1, "Add it") };
    assert_eq!(reverted_at(&[before_its_merge]), [None]);
}

#[test]
fn a_label_waits_until_it_is_ripe() {
    let change = merged(1, "Add it");
    let outcome = |later: &PullRequest<'_>| {
        let mut outcomes = outcomes();
        outcomes.next(&Facts::of(later).lifecycle);
        outcomes.next(&Facts::of(&change).lifecycle)
    };
    let opened = |at: i64| bare(9, at);
    let ripe_at = MONDAY + DAY + DAY / 2 + MATURITY;
    assert_eq!(outcome(&opened(ripe_at - 1)), Outcome { reverted_at: None, reverted: None });
    assert_eq!(outcome(&opened(ripe_at)), Outcome { reverted_at: None, reverted: Some(false) });
    // Any later sign of life of the repository is as good.
    for field in [
        |at: i64| PullRequest { updated_at: Some(at), ..bare(9, MONDAY) },
        |at: i64| PullRequest { fetched_at: Some(at), ..bare(9, MONDAY) },
        |at: i64| PullRequest { merged_at: Some(at), ..bare(9, MONDAY) },
    ] {
        assert_eq!(outcome(&field(ripe_at - 1)).reverted, None);
        assert_eq!(outcome(&field(ripe_at)).reverted, Some(false));
    }
    // A revert is history at once, and a label when ripe.
    let revert = PullRequest { body: Some("Reverts #1".into()), ..merged(2, "Back") };
    assert_eq!(outcome(&revert), Outcome { reverted_at: at(2), reverted: None });
    let seen_later = PullRequest { fetched_at: Some(ripe_at), ..revert };
    assert_eq!(outcome(&seen_later), Outcome { reverted_at: at(2), reverted: Some(true) });
}

#[test]
fn a_time_that_has_not_come_ripens_no_label() {
    let label = |later: &PullRequest<'_>| {
        let mut outcomes = outcomes();
        outcomes.next(&Facts::of(later).lifecycle);
        outcomes.next(&Facts::of(&merged(1, "Add it")).lifecycle).reverted
    };
    for field in [
        |at: i64| bare(9, at),
        |at: i64| PullRequest { merged_at: Some(at), ..bare(9, MONDAY) },
        |at: i64| PullRequest { updated_at: Some(at), ..bare(9, MONDAY) },
        |at: i64| PullRequest { fetched_at: Some(at), ..bare(9, MONDAY) },
        |at: i64| PullRequest { reverted_at: Some(at), ..bare(9, MONDAY) },
    ] {
        assert_eq!(label(&field(NOW)), Some(false));
        assert_eq!(label(&field(NOW + 1)), None);
    }
    let one_wrong = PullRequest { updated_at: Some(i64::MAX), fetched_at: Some(NOW), ..bare(9, MONDAY) };
    assert_eq!(label(&one_wrong), Some(false), "the other times of the document still count");
}

#[test]
fn a_revert_that_has_not_come_takes_nothing_back() {
    let change = merged(1, "Add it");
    let outcome = |pull_requests: &[PullRequest<'_>]| numbered(&batch(pull_requests).0, 1).outcome;
    let known = bare(9, NOW);
    let told = |at: i64| outcome(&[PullRequest { reverted_at: Some(at), ..change.clone() }, known.clone()]);
    let revert = described(2, "Back", "Reverts #1");
    let merged_at =
        |at: i64| outcome(&[change.clone(), PullRequest { merged_at: Some(at), ..revert.clone() }, known.clone()]);
    for outcome in [&told as &dyn Fn(i64) -> Outcome, &merged_at] {
        assert_eq!(outcome(NOW), Outcome { reverted_at: Some(NOW), reverted: Some(true) });
        assert_eq!(outcome(NOW + 1), Outcome { reverted_at: None, reverted: Some(false) });
    }
}

#[test]
fn what_was_never_merged_has_no_label() {
    let open = PullRequest { merged_at: None, fetched_at: Some(MONDAY + 900 * DAY), ..merged(1, "Add it") };
    assert_eq!(numbered(&batch(&[open]).0, 1).outcome, Outcome::default());
}

#[test]
fn a_title_that_is_a_fault_line_of_bytes_is_no_panic() {
    for title in
        ["Revert", "Rever\u{20ac}\"x\"", "\u{1f980}\u{1f980}", "Revert \"\u{1f980}\"", "(#", "(#)", "x (#1", "#1)"]
    {
        let all = [merged(1, title), described(2, title, &format!("This reverts commit {title} Reverts {title}"))];
        reverted_at(&all);
    }
}

#[test]
fn a_long_body_of_reverts_is_read_in_one_go() {
    // A body within the limits of a request must not cost the square of its length.
    let body = "Reverts ".repeat(1_000_000);
    let all = [merged(1, "Add it"), described(2, "Back", &body)];
    let start = std::time::Instant::now();
    assert_eq!(reverted_at(&all), [None, None]);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
