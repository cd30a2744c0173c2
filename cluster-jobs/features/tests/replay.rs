//! What a replay answers: everything that happened before the moment asked about, and nothing of that moment or later.

mod common;

use common::{DAY, HOUR, MONDAY, NOW, REPOSITORY, bare, batch, by, differing, generated, numbered, owned, value};
use prowl_features::{Facts, History, Ledger, Profiles, PullRequest, Replay};

const FILE: &str = "src/parser.rs";

/// What is known for a pull request of `author` that touches `FILE`, opened at `at`, after `earlier`.
fn known(earlier: &[PullRequest<'_>], author: &str, at: i64) -> History {
    let mut all = earlier.to_vec();
    all.push(by(author, 1000, at, &[FILE]));
    numbered(&batch(&all).0, 1000).history.clone()
}

#[test]
fn an_event_counts_only_after_its_own_moment() {
    let mut earlier = by("ada", 1, MONDAY, &[FILE]);
    earlier.merged_at = Some(MONDAY + DAY);
    earlier.reverted_at = Some(MONDAY + 2 * DAY);
    let earlier = [earlier];
    // Opened, merged, taken back: known one millisecond after each, not at it.
    for (at, opened, merged, reverted) in [
        (MONDAY, 0, 0, 0),
        (MONDAY + 1, 1, 0, 0),
        (MONDAY + DAY, 1, 0, 0),
        (MONDAY + DAY + 1, 1, 1, 0),
        (MONDAY + 2 * DAY, 1, 1, 0),
        (MONDAY + 2 * DAY + 1, 1, 1, 1),
    ] {
        let history = known(&earlier, "ada", at);
        let author = history.author;
        assert_eq!((author.opened, author.merged, author.reverted), (opened, merged, reverted), "{}", at - MONDAY);
        let repository = history.repository;
        assert_eq!((repository.opened, repository.merged, repository.reverted), (opened, merged, reverted));
        let file = history.files[0];
        assert_eq!((file.merged, file.authors, file.reverts, file.by_author), (merged, merged, reverted, merged));
        let directory = history.directories[0];
        assert_eq!((directory.merged, directory.reverts, directory.by_author), (merged, reverted, merged));
        assert_eq!(file.last_merged_at, (merged > 0).then_some(MONDAY + DAY));
        assert_eq!(author.last_opened_at, (opened > 0).then_some(MONDAY));
    }
}

#[test]
fn logins_and_repositories_are_the_same_in_any_case() {
    let earlier = [PullRequest { merged_at: Some(MONDAY + HOUR), ..by("Ada", 1, MONDAY, &[FILE]) }];
    let history = known(&earlier, "aDA", MONDAY + DAY);
    assert_eq!((history.author.opened, history.files[0].by_author), (1, 1));
    let mut profiles = Profiles::default();
    profiles.insert("Prowl/DEN", batch(&earlier).1);
    let asked = Facts::of(&by("ada", 2, MONDAY + DAY, &[FILE]));
    assert_eq!(asked.repository, "prowl/den");
    assert_eq!(profiles.ledger(&asked.repository).unwrap().history(&asked).repository.opened, 1);
}

#[test]
fn a_merge_counts_when_it_was_merged_not_when_it_was_opened() {
    // Opened first, merged last: what lies between its creation and its merge must not know of the merge.
    let mut slow = by("ada", 1, MONDAY, &[FILE]);
    slow.merged_at = Some(MONDAY + 9 * DAY);
    let mut quick = by("ben", 2, MONDAY + DAY, &[FILE]);
    quick.merged_at = Some(MONDAY + 2 * DAY);
    let earlier = [slow, quick];
    let before = known(&earlier, "cleo", MONDAY + 5 * DAY);
    assert_eq!((before.repository.opened, before.repository.merged), (2, 1));
    assert_eq!((before.files[0].merged, before.files[0].authors), (1, 1));
    assert_eq!(before.files[0].last_merged_at, Some(MONDAY + 2 * DAY));
    let after = known(&earlier, "cleo", MONDAY + 10 * DAY);
    assert_eq!((after.repository.merged, after.files[0].merged, after.files[0].authors), (2, 2, 2));
    assert_eq!(after.files[0].last_merged_at, Some(MONDAY + 9 * DAY));
}

#[test]
fn a_merge_before_its_creation_counts_from_its_creation() {
    let mut odd = by("ada", 1, MONDAY + DAY, &[FILE]);
    odd.merged_at = Some(MONDAY);
    assert_eq!(known(&[odd.clone()], "ben", MONDAY + HOUR).repository.merged, 0);
    let after = known(&[odd], "ben", MONDAY + DAY + 1);
    assert_eq!((after.repository.merged, after.files[0].last_merged_at), (1, Some(MONDAY + DAY)));
}

#[test]
fn history_is_of_this_author_these_files_and_their_directories() {
    let mut fix = by("ada", 1, MONDAY, &["src/parser.rs", "src/lexer.rs"]);
    fix.title = Some("fix: a crash".into());
    let mut other = by("ben", 2, MONDAY + 1, &["src/parser.rs", "docs/guide.md"]);
    let mut again = by("ada", 4, MONDAY + 2, &["src/parser.rs"]);
    for merged in [&mut fix, &mut other, &mut again] {
        merged.merged_at = Some(MONDAY + HOUR);
    }
    let mut asked = by("ada", 3, MONDAY + DAY, &["src/parser.rs", "docs/index.md", "src/new.rs"]);
    asked.additions = Some(5);
    let (answers, _) = batch(&[fix, other, again, asked]);
    let history = &numbered(&answers, 3).history;
    let files: Vec<_> = history.files.iter().map(|f| (f.merged, f.authors, f.fixes, f.by_author)).collect();
    // Three merges by two authors.
    assert_eq!(files, [(3, 2, 1, 2), (0, 0, 0, 0), (0, 0, 0, 0)]);
    // Each directory once, in the order of first appearance: src, docs. Two files of one merge count once.
    let directories: Vec<_> = history.directories.iter().map(|d| (d.merged, d.by_author)).collect();
    assert_eq!(directories, [(3, 2), (1, 0)]);
    assert_eq!((history.author.opened, history.author.merged), (2, 2));
    // The last of two.
    assert_eq!(history.author.last_opened_at, Some(MONDAY + 2));
}

#[test]
fn the_usual_size_is_known_after_a_few() {
    let sized = |number: u64, lines: u64| PullRequest {
        additions: Some(lines),
        deletions: Some(0),
        changed_files: Some(1),
        ..bare(number, MONDAY + number as i64 * HOUR)
    };
    let mut all: Vec<_> = (1..=4).map(|number| sized(number, 15)).collect();
    all.push(PullRequest { additions: None, ..sized(5, 0) });
    assert_eq!(known(&all, "ada", MONDAY + DAY).repository.churn, None, "four sizes are known");
    all.push(sized(6, 15));
    let usual = known(&all, "ada", MONDAY + DAY).repository.churn.map(|usual| (usual.lower, usual.median, usual.upper));
    // log2(1 + 15) = 4, in a bin of a quarter: the quartiles lie within it.
    assert_eq!(usual, Some((4.0625, 4.125, 4.1875)));
    // One file each, and one pull request more than sizes are known of: log2(1 + 1) = 1.
    let usual = known(&all, "ada", MONDAY + DAY).repository.changed_files;
    assert_eq!(usual.map(|usual| (usual.lower, usual.upper)), Some((1.0625, 1.1875)));
    // Half of them small and half large: the median is where the small ones end.
    let halves: Vec<_> = (1..=8).map(|number| sized(number, if number % 2 == 0 { 15 } else { 1023 })).collect();
    let usual = known(&halves, "ada", MONDAY + DAY).repository.churn;
    assert_eq!(usual.map(|usual| usual.median), Some(4.25));
}

#[test]
fn a_fix_is_one_that_declares_so_or_says_so() {
    let earlier = |title: &str, labels: &[&str]| PullRequest {
        title: Some(owned(title)),
        labels: Some(labels.iter().map(|label| owned(*label)).collect()),
        merged_at: Some(MONDAY + HOUR),
        ..by("ada", 1, MONDAY, &[FILE])
    };
    for (title, labels, fixes) in [
        ("fix: accept tabs", &[][..], 1),
        ("Accept tabs", &["bug"], 1),
        ("Mend a bug in tabs", &[], 1),
        ("docs: tell of a bug", &[], 1),
        ("Accept tabs", &["parser"], 0),
    ] {
        assert_eq!(known(&[earlier(title, labels)], "ben", MONDAY + DAY).files[0].fixes, fixes, "{title} {labels:?}");
    }
}

#[test]
fn a_revert_that_another_pull_request_tells_is_history_from_its_merge() {
    let mut change = by("ada", 1, MONDAY, &[FILE]);
    change.merged_at = Some(MONDAY + HOUR);
    let mut back = by("ben", 2, MONDAY + DAY, &["src/other.rs"]);
    back.body = Some("Reverts #1".into());
    back.merged_at = Some(MONDAY + 2 * DAY);
    let earlier = [change, back];
    for (at, reverted) in [(MONDAY + 2 * DAY, 0), (MONDAY + 2 * DAY + 1, 1)] {
        let history = known(&earlier, "ada", at);
        assert_eq!((history.author.reverted, history.repository.reverted), (reverted, reverted));
        assert_eq!((history.files[0].reverts, history.directories[0].reverts), (reverted, reverted));
    }
}

#[test]
fn events_of_one_moment_give_the_same_in_any_order() {
    let mut all = generated(60, 5);
    for (index, pull_request) in all.iter_mut().enumerate() {
        // Three moments for everything: creations, merges and reverts fall together.
        pull_request.created_at = MONDAY + DAY * (index as i64 / 30);
        pull_request.merged_at = pull_request.merged_at.map(|_| MONDAY + DAY);
        pull_request.reverted_at = pull_request.reverted_at.map(|_| MONDAY + DAY);
    }
    let question = Facts::of(&by("ada", 99, MONDAY + 3 * DAY, &[FILE, "src/lib.rs", "README.md"]));
    let answer = |order: &[usize]| {
        let mut replay = Replay::new(NOW);
        let mut vectors: Vec<_> = order
            .iter()
            .map(|index| {
                let facts = Facts::of(&all[*index]);
                let history = replay.next(&facts, all[*index].reverted_at);
                (facts.lifecycle.number, facts.vector(&history))
            })
            .collect();
        vectors.push((99, question.vector(&replay.next(&question, None))));
        vectors.sort_by_key(|(number, _)| *number);
        vectors
    };
    let forwards: Vec<usize> = (0..60).collect();
    let expected = answer(&forwards);
    let mut dice = common::Dice(3);
    for _ in 0..20 {
        // Only what shares a creation may change places.
        let mut order = forwards.clone();
        for half in order.chunks_mut(30) {
            for index in (1..half.len()).rev() {
                half.swap(index, dice.below(index as u64 + 1) as usize);
            }
        }
        for ((number, one), (_, other)) in answer(&order).iter().zip(&expected) {
            assert_eq!(differing(one, other), [""; 0], "number {number}");
            assert_eq!(one.tokens, other.tokens);
        }
    }
}

#[test]
fn a_ledger_knows_until_when() {
    assert_eq!(Ledger::default().as_of(), None);
    let mut merged = by("ada", 1, MONDAY, &[FILE]);
    merged.merged_at = Some(MONDAY + DAY);
    assert_eq!(batch(&[merged.clone()]).1.as_of(), Some(MONDAY + DAY));
    merged.reverted_at = Some(MONDAY + 3 * DAY);
    assert_eq!(batch(&[merged]).1.as_of(), Some(MONDAY + 3 * DAY));
}

#[test]
fn what_has_not_come_yet_is_not_played() {
    let opened = by("ada", 1, MONDAY, &[FILE]);
    let merged = PullRequest { merged_at: Some(MONDAY + DAY), ..opened.clone() };
    let ended = |pull_request: &PullRequest<'_>| {
        let (_, ledger) = batch(std::slice::from_ref(pull_request));
        let asked = Facts::of(&by("ada", 2, i64::MAX, &[FILE]));
        (ledger.as_of(), ledger.history(&asked))
    };
    let at = |merged_at: i64| ended(&PullRequest { merged_at: Some(merged_at), ..opened.clone() });
    assert_eq!((at(NOW).0, at(NOW).1.files[0].merged), (Some(NOW), 1));
    assert_eq!(at(NOW + 1), ended(&opened));
    let back = PullRequest { reverted_at: Some(NOW + 1), ..merged.clone() };
    assert_eq!(ended(&back), ended(&merged));

    // One that is opened later still is answered for by what is known now, and adds nothing.
    let later = |number: u64| by("ada", number, NOW + number as i64, &[FILE]);
    let (answers, ledger) = batch(&[merged.clone(), later(3), later(4)]);
    assert_eq!(numbered(&answers, 4).history, ended(&merged).1);
    assert_eq!(ledger.as_of(), ended(&merged).0);
}

#[test]
fn profiles_answer_for_each_repository_by_itself() {
    let mut merged = by("ada", 1, MONDAY, &[FILE]);
    merged.merged_at = Some(MONDAY + DAY);
    let mut profiles = Profiles::default();
    assert!(profiles.is_empty());
    profiles.insert(REPOSITORY, batch(&[merged]).1);
    let here = Facts::of(&by("ada", 2, MONDAY + 2 * DAY, &[FILE]));
    let history = profiles.ledger(&here.repository).unwrap().history(&here);
    assert_eq!(value(&here.vector(&history), "file_merges_max").to_bits(), 1.0f32.to_bits());
    assert!(profiles.ledger("prowl/elsewhere").is_none());
    assert_eq!((profiles.len(), profiles.is_empty(), profiles.as_of()), (1, false, Some(MONDAY + DAY)));
}
