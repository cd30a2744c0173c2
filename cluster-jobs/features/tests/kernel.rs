//! The kernel against values worked out by hand.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{DAY, HOUR, MONDAY, bare, file, value};
use prowl_features::{
    AuthorHistory, ChangedFile, DirectoryHistory, Facts, FileHistory, History, PullRequest, Quartiles,
    RepositoryHistory, RevertRatios, User, features,
};

/// 32 lines over three files, half of them in one; opened on a Saturday at six in the morning.
fn change() -> PullRequest<'static> {
    PullRequest {
        title: Some("fix(auth): Stop the crash".into()),
        body: Some("## Why\n- [ ] tested\nCloses #7, see\n```\ntrace\n```\n".into()),
        user: Some(User { login: "ada".into(), kind: Some("User".into()) }),
        author_association: Some("MEMBER".into()),
        labels: Some(vec!["bug".into(), "p1".into()]),
        assignees: Some(1),
        requested_reviewers: Some(2),
        draft: Some(false),
        additions: Some(24),
        deletions: Some(8),
        changed_files: Some(3),
        commits: Some(4),
        base_ref: Some("release".into()),
        from_fork: Some(false),
        files: Some(vec![
            ChangedFile { status: Some("added".into()), ..file("src/auth/login.rs", 12, 4) },
            ChangedFile { status: Some("renamed".into()), ..file("src/parser.rs", 6, 2) },
            file("tests/parser.rs", 6, 2),
        ]),
        ..bare(9, MONDAY + 5 * DAY + 6 * HOUR)
    }
}

fn past() -> History {
    let now = change().created_at;
    let file = |merged, authors, fixes, reverts, by_author, days: Option<i64>| FileHistory {
        merged,
        authors,
        fixes,
        reverts,
        last_merged_at: days.map(|days| now - days * DAY),
        by_author,
    };
    let directory = |merged, reverts, by_author| DirectoryHistory { merged, reverts, by_author };
    History {
        author: AuthorHistory { opened: 8, merged: 4, reverted: 1, last_opened_at: Some(now - 3 * DAY) },
        repository: RepositoryHistory {
            opened: 100,
            merged: 80,
            reverted: 4,
            churn: Some(Quartiles { lower: 2.0, median: 4.0, upper: 6.0 }),
            changed_files: Some(Quartiles { lower: 1.0, median: 1.0, upper: 1.25 }),
        },
        files: vec![file(10, 4, 3, 1, 2, Some(2)), file(1, 1, 0, 0, 0, Some(10)), file(0, 0, 0, 0, 0, None)],
        directories: vec![directory(12, 1, 2), directory(30, 2, 0), directory(0, 0, 0)],
        reverts: RevertRatios { paths: Some(2.0), title: Some(-1.0), author: Some(0.5) },
    }
}

fn assert_values(pull_request: &PullRequest<'_>, history: &History, expected: &[(&str, f64)]) {
    let vector = features(pull_request, history);
    for (name, expected) in expected {
        let value = value(&vector, name);
        // One rounding to f32 at the end.
        assert!(
            f64::from(value - *expected as f32).abs() <= 1e-6 * expected.abs().max(0.1),
            "{name}: {value}, {expected}"
        );
    }
}

#[test]
fn the_row() {
    assert_values(
        &change(),
        &past(),
        &[
            ("additions", 24.0),
            ("deletions", 8.0),
            ("changed_files", 3.0),
            ("churn", 32.0),
            ("churn_per_file", 32.0 / 3.0),
            ("share_added", 0.75),
            // Halves and quarters: 0.5 * 1 + 0.25 * 2 + 0.25 * 2.
            ("entropy", 1.5),
            ("largest_file_share", 0.5),
            ("directories", 3.0),
            ("subsystems", 2.0),
            ("languages", 1.0),
            ("deepest_path", 2.0),
            ("files_per_directory", 1.0),
            ("share_source", 0.75),
            ("share_test", 0.25),
            ("share_docs", 0.0),
            ("source_without_tests", 0.0),
            ("files_added", 1.0),
            ("files_removed", 0.0),
            ("files_renamed", 1.0),
            ("touches_authentication", 1.0),
            ("touches_cryptography", 0.0),
            ("touches_workflow", 0.0),
            ("author_is_insider", 1.0),
            ("author_is_bot", 0.0),
            ("from_fork", 0.0),
            // "Stop the crash", its type left out.
            ("title_length", 14.0),
            ("title_words", 3.0),
            ("body_length", 49.0),
            ("body_is_missing", 0.0),
            ("checklist", 1.0),
            ("headings", 1.0),
            ("code_block", 1.0),
            ("issue_link", 1.0),
            ("says_fix", 1.0),
            ("says_revert", 0.0),
            ("draft", 0.0),
            ("labels", 2.0),
            ("assignees", 1.0),
            ("requested_reviewers", 2.0),
            ("commits", 4.0),
            ("other_base", 1.0),
        ],
    );
}

#[test]
fn the_time() {
    let turn = (5.0 + 0.25) / 7.0 * std::f64::consts::TAU;
    assert_values(
        &change(),
        &past(),
        &[
            ("hour_sin", 1.0),
            ("hour_cos", 0.0),
            ("weekday_sin", turn.sin()),
            ("weekday_cos", turn.cos()),
            ("weekend", 1.0),
        ],
    );
    // Before 1970, too: 1969-12-31 was a Wednesday.
    let wednesday = PullRequest { created_at: -DAY, ..change() };
    let turn = 2.0 / 7.0 * std::f64::consts::TAU;
    assert_values(&wednesday, &History::default(), &[("weekday_sin", turn.sin()), ("hour_cos", 1.0), ("weekend", 0.0)]);
}

#[test]
fn the_past() {
    assert_values(
        &change(),
        &past(),
        &[
            ("author_is_new", 0.0),
            ("author_opened", 8.0),
            ("author_merged_share", 0.5),
            ("author_reverted_share", 0.25),
            ("author_days_since_last", 3.0),
            ("author_knows_files", 1.0 / 3.0),
            ("author_knows_directories", 1.0 / 3.0),
            ("author_file_experience", 2.0 / 3.0),
            ("file_merges_max", 10.0),
            ("file_merges_mean", 11.0 / 3.0),
            ("file_authors_max", 4.0),
            ("file_authors_mean", 5.0 / 3.0),
            ("file_days_min", 2.0),
            // Of the two that ever changed.
            ("file_days_mean", 6.0),
            ("file_fixes_max", 3.0),
            ("file_fixes_mean", 1.0),
            ("file_reverts_max", 1.0),
            ("file_reverts_mean", 1.0 / 3.0),
            ("files_without_history", 1.0 / 3.0),
            ("directory_merges_max", 30.0),
            ("directory_reverts_max", 2.0),
            ("path_revert_ratio", 2.0),
            ("title_revert_ratio", -1.0),
            ("author_revert_ratio", 0.5),
            ("churn_to_median", 33f64.log2() - 4.0),
            ("churn_in_spreads", (33f64.log2() - 4.0) / 4.0),
            // log2(1 + 3) is one doubling above the median; a spread of a quarter counts as a half.
            ("files_to_median", 1.0),
            ("files_in_spreads", 2.0),
            ("repository_merged_share", 0.8),
            ("repository_reverted_share", 0.05),
        ],
    );
}

#[test]
fn a_few_merges_tell_nothing_of_reverts() {
    let mut history = past();
    history.author = AuthorHistory { opened: 2, merged: 2, reverted: 1, last_opened_at: None };
    assert!(value(&features(&change(), &history), "author_reverted_share").is_nan());
    history.author.merged = 3;
    assert_values(&change(), &history, &[("author_reverted_share", 1.0 / 3.0)]);
}

#[test]
fn a_repository_is_young_for_fifty_pull_requests() {
    for (opened, young) in [(0, 1.0), (49, 1.0), (50, 0.0)] {
        let history = History { repository: RepositoryHistory { opened, ..RepositoryHistory::default() }, ..past() };
        assert_values(&change(), &history, &[("repository_is_young", young)]);
    }
}

#[test]
fn the_usual_branches_are_no_other_base() {
    for (name, other) in [("main", 0.0), ("master", 0.0), ("trunk", 0.0), ("develop", 0.0), ("Main", 1.0), ("", 1.0)] {
        assert_values(&PullRequest { base_ref: Some(name.into()), ..change() }, &past(), &[("other_base", other)]);
    }
}

#[test]
fn what_became_of_the_files_is_counted() {
    let files = ["added", "removed", "removed", "renamed", "renamed", "renamed", "modified"].iter().enumerate();
    let files = files
        .map(|(number, status)| ChangedFile { status: Some((*status).into()), ..file(&format!("{number}.rs"), 1, 1) });
    assert_values(
        &PullRequest { files: Some(files.collect()), ..change() },
        &past(),
        &[("files_added", 1.0), ("files_removed", 2.0), ("files_renamed", 3.0)],
    );
}

#[test]
fn a_title_has_signs() {
    for (title, sign) in [
        ("Fix tabs", "says_fix"),
        ("docs: tell of the REGRESSION", "says_fix"),
        ("Undo tabs", "says_revert"),
        ("Close an XSS hole", "says_security"),
        ("[WIP] tabs", "says_unfinished"),
        ("Reapply tabs", "says_again"),
    ] {
        let vector = features(&PullRequest { title: Some(title.into()), ..change() }, &past());
        for name in ["says_fix", "says_revert", "says_security", "says_unfinished", "says_again"] {
            assert_eq!(value(&vector, name).to_bits(), f32::from(u8::from(name == sign)).to_bits(), "{title}: {name}");
        }
    }
}

#[test]
fn sums_over_the_files_stand_in_for_missing_totals() {
    let without_totals = PullRequest { additions: None, deletions: None, changed_files: None, ..change() };
    assert_values(&without_totals, &past(), &[("additions", 24.0), ("churn", 32.0), ("changed_files", 3.0)]);
    let mut one_unknown = without_totals;
    one_unknown.files.as_mut().unwrap()[1].additions = None;
    let vector = features(&one_unknown, &past());
    assert!(value(&vector, "additions").is_nan() && value(&vector, "churn").is_nan());
    assert_eq!(value(&vector, "deletions").to_bits(), 8f32.to_bits(), "these are known of every file");
}

#[test]
fn the_document_goes_before_its_list_of_files() {
    // GitHub lists 3,000 files at most, and some sources only the first hundred.
    let long = PullRequest { additions: Some(9000), changed_files: Some(500), ..change() };
    assert_values(&long, &past(), &[("additions", 9000.0), ("changed_files", 500.0), ("directories", 3.0)]);
}

#[test]
fn files_count_alike_where_no_line_is_known() {
    let files = ["src/a.rs", "src/b.rs", "docs/c.md", "logo.png"];
    let binary = PullRequest {
        files: Some(
            files.iter().map(|name| ChangedFile { filename: (*name).into(), ..ChangedFile::default() }).collect(),
        ),
        ..bare(1, MONDAY)
    };
    assert_values(
        &binary,
        &History::default(),
        &[
            ("entropy", 2.0),
            ("largest_file_share", 0.25),
            ("share_source", 0.5),
            ("share_docs", 0.25),
            ("share_asset", 0.25),
        ],
    );
}

#[test]
fn a_file_without_a_changed_line_has_no_share() {
    let files = vec![file("a.rs", 4, 0), file("b.rs", 0, 4), file("c.md", 0, 0)];
    assert_values(
        &PullRequest { files: Some(files), ..bare(1, MONDAY) },
        &History::default(),
        &[("entropy", 1.0), ("largest_file_share", 0.5), ("share_source", 1.0), ("share_docs", 0.0)],
    );
}

#[test]
fn a_place_that_is_touched_twice_is_touched() {
    let files = [
        "auth/a.rs",
        "auth/b.rs",
        "tls/a.rs",
        "tls/b.rs",
        "migrations/1.sql",
        "migrations/2.sql",
        ".github/workflows/a.yml",
        ".github/workflows/b.yml",
    ];
    let files = files.iter().map(|name| file(name, 1, 1)).collect();
    let touched = ["touches_authentication", "touches_cryptography", "touches_migration", "touches_workflow"];
    assert_values(
        &PullRequest { files: Some(files), ..bare(1, MONDAY) },
        &History::default(),
        &touched.map(|name| (name, 1.0)),
    );
}

#[test]
fn a_title_is_kept_as_far_as_256_bytes() {
    let kept = |title: String| Facts::of(&PullRequest { title: Some(title.into()), ..change() }).title;
    assert_eq!(kept("fix: tabs".to_owned()).as_deref(), Some("fix: tabs"));
    // One byte and then two each: the 128th of these would end at 257.
    let long = |characters: usize| format!("a{}", "\u{e9}".repeat(characters));
    assert_eq!(kept(long(200)), Some(long(127)));
    assert_eq!(Facts::of(&bare(1, MONDAY)).title, None);
}

#[test]
fn a_path_named_twice_is_one_file() {
    let mut doubled = change();
    let files = doubled.files.as_mut().unwrap();
    files.extend(files.clone());
    let (once, twice) = (features(&change(), &past()), features(&doubled, &past()));
    assert_eq!(common::differing(&once, &twice), [""; 0]);
}

#[test]
fn one_file_has_no_entropy() {
    let single = PullRequest { files: Some(vec![file("a.rs", 5, 5)]), ..bare(1, MONDAY) };
    let vector = features(&single, &History::default());
    assert_eq!(value(&vector, "entropy").to_bits(), 0f32.to_bits(), "and no minus before the zero");
    assert_eq!(value(&vector, "largest_file_share").to_bits(), 1f32.to_bits());
}

#[test]
fn a_bot_is_known_by_its_type_or_its_name() {
    for (login, kind, expected) in
        [("x", Some("Bot"), 1.0), ("x[bot]", None, 1.0), ("x[bot]", Some("User"), 1.0), ("bot", Some("User"), 0.0)]
    {
        let user = User { login: login.into(), kind: kind.map(Into::into) };
        let vector = features(&PullRequest { user: Some(user), ..change() }, &past());
        assert_eq!(value(&vector, "author_is_bot").to_bits(), f32::to_bits(expected), "{login}");
    }
}

#[test]
fn the_same_input_gives_the_same_bits() {
    let (one, other) = (features(&change(), &past()), features(&change(), &past()));
    assert_eq!(common::bits(&one), common::bits(&other));
    assert_eq!(one.tokens, other.tokens);
}
