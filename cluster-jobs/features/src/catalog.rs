//! The catalog: every feature with its name, meaning and computation, one row each.
//!
//! To add a feature, add a row. The digest, the documentation, the columns of Parquet and the wording of reasons
//! follow from it.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::facts::Row;
use crate::history::{DirectoryHistory, FileHistory, Quartiles, log2_1p};
use crate::path::FileKind;
use crate::{Facts, History};

/// What a feature is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// How much is changed.
    Size,
    /// Over how many places.
    Spread,
    /// What kinds of files.
    Kind,
    /// Who proposes it.
    Author,
    /// What happened to these files before.
    FileHistory,
    /// When.
    Time,
    /// In which words.
    Text,
    /// How far it is along: what changes while it is open, and by its end is alike for nearly all.
    Process,
    /// Against what is usual in the repository.
    Relative,
    /// What the repository is like, whatever the pull request does.
    Repository,
}

/// What a feature is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Lines of text.
    Lines,
    /// Files.
    Files,
    /// Directories.
    Directories,
    /// Pull requests.
    PullRequests,
    /// Distinct authors.
    People,
    /// Days of 24 hours.
    Days,
    /// Characters.
    Characters,
    /// Words.
    Words,
    /// Bits of entropy; in words as many files as would give that much if each had the same share.
    Bits,
    /// A share from 0 to 1.
    Share,
    /// Logarithm to base 2 of a ratio.
    Doublings,
    /// Interquartile ranges of the repository.
    Spreads,
    /// A number of things.
    Count,
    /// 0 for no, 1 for yes.
    YesNo,
    /// A coordinate on the unit circle, from -1 to 1.
    Coordinate,
}

/// What becomes of a value whose source field is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Never missing: it comes from what every document has.
    Never,
    /// Stays unknown (null in Parquet, NaN in the vector); a model leaves it out of its judgement.
    Unknown,
    /// Nothing is known because nothing has happened yet: counts as zero.
    Zero,
}

/// How a feature is worded; `{}` stands for the value in its unit, `{one|many}` for the value with what it counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Says {
    /// For amounts: `adds {}`.
    Amount(&'static str),
    /// For amounts of which none reads otherwise: that there is some, that there is none.
    AmountOrNone(&'static str, &'static str),
    /// For yes or no: what it does, what it does not.
    Flag(&'static str, &'static str),
    /// Where the number itself means nothing to a reader.
    Plain(&'static str),
}

/// How a feature is computed: from the pull request alone, or from its facts and its history.
#[derive(Clone, Copy)]
pub(crate) enum Compute {
    Row(fn(&Row<'_>) -> f32),
    History(fn(&Facts, &History) -> f32),
}

/// One feature.
#[derive(Clone, Copy, Serialize)]
pub struct Feature {
    /// Its name: the column in Parquet.
    pub name: &'static str,
    /// What it is about.
    pub group: Group,
    /// What it is measured in.
    pub unit: Unit,
    /// The field or the history that it is read from.
    pub source: &'static str,
    /// What becomes of it when its source is missing.
    pub missing: Missing,
    /// One sentence for a reviewer.
    pub about: &'static str,
    #[serde(skip)]
    pub(crate) says: Says,
    #[serde(skip)]
    pub(crate) compute: Compute,
}

impl std::fmt::Debug for Feature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feature").field("name", &self.name).field("group", &self.group).finish_non_exhaustive()
    }
}

/// Number of features.
pub const FEATURE_COUNT: usize = FEATURES.len();

/// The catalog as JSON: what documents the columns of a features run.
pub fn catalog_json() -> serde_json::Value {
    serde_json::json!(FEATURES)
}

/// SHA-256 over the catalog, in hexadecimal. A model and a service fit together only if they agree on it.
///
/// It covers what the catalog says of each feature; a change of a computation that leaves the words alone must raise
/// `REVISION`.
pub fn digest() -> String {
    let mut hasher = Sha256::new();
    hasher.update(REVISION.to_le_bytes());
    // Straight from the structs: the order of keys in a `Value` depends on how other crates configure serde_json.
    hasher.update(serde_json::to_vec(FEATURES).expect("the catalog is plain text"));
    hex::encode(hasher.finalize())
}

/// Raise this when a feature or a token is computed differently under the same description; `tests/revision.rs` notices.
const REVISION: u32 = 5;

const fn row(
    (name, group, unit): (&'static str, Group, Unit),
    (source, missing): (&'static str, Missing),
    about: &'static str,
    says: Says,
    compute: fn(&Row<'_>) -> f32,
) -> Feature {
    Feature { name, group, unit, source, missing, about, says, compute: Compute::Row(compute) }
}

const fn past(
    (name, group, unit): (&'static str, Group, Unit),
    (source, missing): (&'static str, Missing),
    about: &'static str,
    says: Says,
    compute: fn(&Facts, &History) -> f32,
) -> Feature {
    Feature { name, group, unit, source, missing, about, says, compute: Compute::History(compute) }
}

fn count(value: Option<u64>) -> f32 {
    value.map_or(f32::NAN, |value| value as f32)
}

fn flag(value: bool) -> f32 {
    f32::from(u8::from(value))
}

fn known_flag(value: Option<bool>) -> f32 {
    value.map_or(f32::NAN, flag)
}

fn share(part: u64, whole: u64) -> f32 {
    if whole == 0 { f32::NAN } else { (part as f64 / whole as f64) as f32 }
}

const DAY: f64 = 86_400_000.0;

fn days(from: Option<i64>, to: i64) -> f32 {
    from.map_or(f32::NAN, |from| ((to - from) as f64 / DAY) as f32)
}

/// The angle of `created_at` within a day or a week, as a full turn each.
fn turn(created_at: i64, period: f64) -> f64 {
    // 1970-01-01 was a Thursday; three days earlier a week began with Monday.
    let since_monday = created_at as f64 + 3.0 * DAY;
    since_monday.rem_euclid(period) / period * std::f64::consts::TAU
}

fn largest<T>(items: &[T], of: impl Fn(&T) -> f32) -> f32 {
    items.iter().map(of).fold(f32::NAN, f32::max)
}

fn smallest<T>(items: &[T], of: impl Fn(&T) -> f32) -> f32 {
    items.iter().map(of).fold(f32::NAN, f32::min)
}

/// The mean over the items for which the value is known.
fn mean<T>(items: &[T], of: impl Fn(&T) -> f32) -> f32 {
    let (sum, known) = items
        .iter()
        .map(of)
        .filter(|value| !value.is_nan())
        .fold((0.0f64, 0u32), |(sum, known), value| (sum + f64::from(value), known + 1));
    if known == 0 { f32::NAN } else { (sum / f64::from(known)) as f32 }
}

/// How often it was taken back, per merge; unknown before there are a few merges.
fn reverted_share(reverted: u32, merged: u32) -> f32 {
    if merged < 3 { f32::NAN } else { reverted as f32 / merged as f32 }
}

/// `log2(1 + value)` against the repository's median.
fn against_median(value: Option<u64>, usual: Option<Quartiles>) -> f32 {
    match (value, usual) {
        (Some(value), Some(usual)) => log2_1p(value) as f32 - usual.median,
        _ => f32::NAN,
    }
}

/// The same in units of the repository's interquartile range, which is taken as at least half a doubling.
fn in_spreads(value: Option<u64>, usual: Option<Quartiles>) -> f32 {
    match (value, usual) {
        (Some(value), Some(usual)) => (log2_1p(value) as f32 - usual.median) / (usual.upper - usual.lower).max(0.5),
        _ => f32::NAN,
    }
}

fn file_days(facts: &Facts) -> impl Fn(&FileHistory) -> f32 {
    let now = facts.lifecycle.created_at;
    move |file| days(file.last_merged_at, now)
}

use Group::{Author, FileHistory as Files, Kind, Process, Relative, Repository, Size, Spread, Text, Time};
use Missing::{Never, Unknown, Zero};
use Says::{Amount, AmountOrNone, Flag, Plain};

/// Every feature, in the order of the vector.
#[rustfmt::skip]
pub const FEATURES: &[Feature] = &[
    // How much is changed.
    row(("additions", Size, Unit::Lines), ("additions", Unknown), "Lines added.", Amount("adds {}"), |r| count(r.additions)),
    row(("deletions", Size, Unit::Lines), ("deletions", Unknown), "Lines deleted.", Amount("deletes {}"), |r| count(r.deletions)),
    row(("changed_files", Size, Unit::Files), ("changed_files", Unknown), "Files changed.", Amount("changes {}"), |r| count(r.changed_files)),
    row(("commits", Size, Unit::Count), ("commits", Unknown), "Number of commits.", Amount("has {commit|commits}"), |r| count(r.pull_request.commits)),
    row(("churn", Size, Unit::Lines), ("additions, deletions", Unknown), "Lines added and deleted.", Amount("changes {}"), |r| count(r.churn())),
    row(("churn_per_file", Size, Unit::Lines), ("additions, deletions, changed_files", Unknown), "Lines changed per file.", Amount("changes {} per file"), |r| match (r.churn(), r.changed_files) {
        (Some(churn), Some(files)) if files > 0 => (churn as f64 / files as f64) as f32,
        _ => f32::NAN,
    }),
    row(("share_added", Size, Unit::Share), ("additions, deletions", Unknown), "Share of additions among the changed lines.", Amount("has {} additions among its changed lines"), |r| match (r.additions, r.churn()) {
        (Some(additions), Some(churn)) => share(additions, churn),
        _ => f32::NAN,
    }),
    row(("entropy", Size, Unit::Bits), ("files", Unknown), "How evenly the change is spread over its files: 0 for one file, more the more files share it alike.", Amount("is spread as widely as over {} changed alike"), |r| r.of_files(|f| f.entropy as f32)),
    row(("largest_file_share", Size, Unit::Share), ("files", Unknown), "Share of the change that is in its largest file.", Amount("has {} of its lines in one file"), |r| match r.files.listed {
        Some(listed) if listed > 0 => r.files.largest_share as f32,
        _ => f32::NAN,
    }),

    // Over how many places.
    row(("directories", Spread, Unit::Directories), ("files", Unknown), "Directories touched.", Amount("touches {}"), |r| r.of_files(|_| r.distinct_directories as f32)),
    row(("subsystems", Spread, Unit::Count), ("files", Unknown), "Subsystems touched: first parts of the paths.", Amount("touches {top-level part|top-level parts} of the repository"), |r| r.of_files(|f| f.subsystems as f32)),
    row(("languages", Spread, Unit::Count), ("files", Unknown), "Programming languages touched.", Amount("touches code in {language|languages}"), |r| r.of_files(|f| f.languages as f32)),
    row(("deepest_path", Spread, Unit::Directories), ("files", Unknown), "Directories above the deepest file.", AmountOrNone("reaches {} deep", "reaches no deeper than the root"), |r| r.of_files(|f| f.deepest as f32)),
    row(("files_per_directory", Spread, Unit::Files), ("files", Unknown), "Files touched per directory.", Amount("touches {} per directory"), |r| r.of_files(|f| {
        if r.distinct_directories == 0 { f32::NAN } else { f.listed.unwrap_or(0) as f32 / r.distinct_directories as f32 }
    })),

    // What kinds of files.
    row(("share_source", Kind, Unit::Share), ("files", Unknown), "Share of the change in source code.", AmountOrNone("is {} source code", "changes no source code"), |r| r.share(FileKind::Source)),
    row(("share_test", Kind, Unit::Share), ("files", Unknown), "Share of the change in tests.", AmountOrNone("is {} tests", "changes no tests"), |r| r.share(FileKind::Test)),
    row(("share_docs", Kind, Unit::Share), ("files", Unknown), "Share of the change in documentation.", AmountOrNone("is {} documentation", "changes no documentation"), |r| r.share(FileKind::Docs)),
    row(("share_config", Kind, Unit::Share), ("files", Unknown), "Share of the change in configuration and build files.", AmountOrNone("is {} configuration", "changes no configuration"), |r| r.share(FileKind::Config)),
    row(("share_ci", Kind, Unit::Share), ("files", Unknown), "Share of the change in continuous integration.", AmountOrNone("is {} continuous integration", "changes no continuous integration"), |r| r.share(FileKind::Ci)),
    row(("share_dependency", Kind, Unit::Share), ("files", Unknown), "Share of the change in dependency lists and lock files.", AmountOrNone("is {} dependency lists", "changes no dependency lists"), |r| r.share(FileKind::Dependency)),
    row(("share_generated", Kind, Unit::Share), ("files", Unknown), "Share of the change in generated and vendored files.", AmountOrNone("is {} generated or vendored files", "changes no generated or vendored files"), |r| r.share(FileKind::Generated)),
    row(("share_asset", Kind, Unit::Share), ("files", Unknown), "Share of the change in pictures, archives and data.", AmountOrNone("is {} pictures or data", "changes no pictures or data"), |r| r.share(FileKind::Asset)),
    row(("source_without_tests", Kind, Unit::YesNo), ("files", Unknown), "Whether it changes source code and no test.", Flag("changes source code and no test", "does not change source code without a test"), |r| r.of_files(|_| flag(r.share(FileKind::Source) > 0.0 && r.share(FileKind::Test) == 0.0))),
    row(("files_added", Kind, Unit::Files), ("files.status", Unknown), "Files added.", Amount("adds {}"), |r| r.of_files(|f| count(f.with_status.then_some(f.added)))),
    row(("files_removed", Kind, Unit::Files), ("files.status", Unknown), "Files removed.", Amount("removes {}"), |r| r.of_files(|f| count(f.with_status.then_some(f.removed)))),
    row(("files_renamed", Kind, Unit::Files), ("files.status", Unknown), "Files renamed.", Amount("renames {}"), |r| r.of_files(|f| count(f.with_status.then_some(f.renamed)))),
    row(("touches_authentication", Kind, Unit::YesNo), ("files", Unknown), "Whether it touches files named after authentication or permissions.", Flag("touches files named after authentication or permissions", "touches no file named after authentication or permissions"), |r| r.of_files(|f| flag(f.touches_authentication))),
    row(("touches_cryptography", Kind, Unit::YesNo), ("files", Unknown), "Whether it touches files named after cryptography, certificates or secrets.", Flag("touches files named after cryptography, certificates or secrets", "touches no file named after cryptography, certificates or secrets"), |r| r.of_files(|f| flag(f.touches_cryptography))),
    row(("touches_migration", Kind, Unit::YesNo), ("files", Unknown), "Whether it touches files named after migrations or schemas.", Flag("touches files named after migrations or schemas", "touches no file named after migrations or schemas"), |r| r.of_files(|f| flag(f.touches_migration))),
    row(("touches_workflow", Kind, Unit::YesNo), ("files", Unknown), "Whether it touches the repository's workflows or actions.", Flag("touches the repository's workflows or actions", "touches no workflow"), |r| r.of_files(|f| flag(f.touches_workflow))),

    // Who proposes it.
    row(("author_is_insider", Author, Unit::YesNo), ("author_association", Unknown), "Whether the author is an owner, member or collaborator.", Flag("comes from a member of the project", "comes from outside the project"), |r| known_flag(Facts::insider(r.pull_request))),
    row(("author_is_bot", Author, Unit::YesNo), ("user", Unknown), "Whether the author is a bot.", Flag("was opened by a bot", "was opened by a person"), |r| known_flag(r.pull_request.user.as_ref().map(|user| {
        user.kind.as_deref() == Some("Bot") || user.login.ends_with("[bot]")
    }))),
    row(("from_fork", Author, Unit::YesNo), ("head.repo", Unknown), "Whether it comes from a fork.", Flag("comes from a fork", "comes from the repository itself"), |r| known_flag(r.pull_request.from_fork)),
    past(("author_is_new", Author, Unit::YesNo), ("author's history", Unknown), "Whether it is the author's first pull request here.", Flag("is its author's first pull request here", "is not its author's first pull request here"), |f, h| if f.author.is_none() { f32::NAN } else { flag(h.author.opened == 0) }),
    past(("author_opened", Author, Unit::PullRequests), ("author's history", Unknown), "Earlier pull requests of the author.", AmountOrNone("comes from an author with {earlier pull request|earlier pull requests} here", "comes from an author without an earlier pull request here"), |f, h| if f.author.is_none() { f32::NAN } else { h.author.opened as f32 }),
    past(("author_merged_share", Author, Unit::Share), ("author's history", Unknown), "Share of the author's earlier pull requests that was merged.", AmountOrNone("comes from an author of whose pull requests {} were merged", "comes from an author of whose pull requests none was merged"), |_, h| share(u64::from(h.author.merged), u64::from(h.author.opened))),
    past(("author_reverted_share", Author, Unit::Share), ("author's history", Unknown), "Share of the author's earlier merges that was taken back.", AmountOrNone("comes from an author of whose merges {} were reverted", "comes from an author of whose merges none was reverted"), |_, h| reverted_share(h.author.reverted, h.author.merged)),
    past(("author_revert_ratio", Author, Unit::Doublings), ("author's history", Unknown), "How often the author's recent changes were taken back, against the repository's own rate.", Amount("comes from an author with {} this repository's rate of reverts over the last year"), |_, h| h.reverts.author.unwrap_or(f32::NAN)),
    past(("author_days_since_last", Author, Unit::Days), ("author's history", Unknown), "Days since the author's last pull request here.", Amount("comes {} after its author's last pull request"), |f, h| days(h.author.last_opened_at, f.lifecycle.created_at)),
    past(("author_knows_files", Author, Unit::Share), ("author's and files' history", Unknown), "Share of the files that the author has changed before.", AmountOrNone("changes files of which its author knows {}", "changes no file that its author knows"), |f, h| if f.author.is_none() { f32::NAN } else { mean(&h.files, |file| flag(file.by_author > 0)) }),
    past(("author_knows_directories", Author, Unit::Share), ("author's and directories' history", Unknown), "Share of the directories that the author has worked in before.", AmountOrNone("works in directories of which its author knows {}", "works in no directory that its author knows"), |f, h| if f.author.is_none() { f32::NAN } else { mean(&h.directories, |directory| flag(directory.by_author > 0)) }),
    past(("author_file_experience", Author, Unit::PullRequests), ("author's and files' history", Unknown), "Earlier merges of the author in these files, on average.", AmountOrNone("changes files that its author has changed in {} before, on average", "changes no file that its author has changed before"), |f, h| if f.author.is_none() { f32::NAN } else { mean(&h.files, |file| file.by_author as f32) }),

    // What happened to these files before.
    past(("file_merges_max", Files, Unit::PullRequests), ("files' history", Unknown), "Earlier merges that touched the busiest of its files.", AmountOrNone("touches a file that {} changed before", "touches no file that a pull request changed before"), |_, h| largest(&h.files, |file| file.merged as f32)),
    past(("file_merges_mean", Files, Unit::PullRequests), ("files' history", Unknown), "Earlier merges that touched its files, on average.", AmountOrNone("touches files that {} changed before, on average", "touches no file that a pull request changed before"), |_, h| mean(&h.files, |file| file.merged as f32)),
    past(("file_authors_max", Files, Unit::People), ("files' history", Unknown), "Distinct earlier authors of the file with most of them.", AmountOrNone("touches a file that {} changed before", "touches no file that a known author changed before"), |_, h| largest(&h.files, |file| file.authors as f32)),
    past(("file_authors_mean", Files, Unit::People), ("files' history", Unknown), "Distinct earlier authors of its files, on average.", AmountOrNone("touches files that {} changed before, on average", "touches no file that a known author changed before"), |_, h| mean(&h.files, |file| file.authors as f32)),
    past(("file_days_min", Files, Unit::Days), ("files' history", Unknown), "Days since any of its files last changed.", Amount("comes {} after the last change of any of its files"), |f, h| smallest(&h.files, file_days(f))),
    past(("file_days_mean", Files, Unit::Days), ("files' history", Unknown), "Days since its files last changed, on average.", Amount("comes {} after the last change of its files, on average"), |f, h| mean(&h.files, file_days(f))),
    past(("file_fixes_max", Files, Unit::PullRequests), ("files' history", Unknown), "Earlier fixes in the file with most of them.", AmountOrNone("touches a file that needed fixes in {}", "touches no file that needed a fix before"), |_, h| largest(&h.files, |file| file.fixes as f32)),
    past(("file_fixes_mean", Files, Unit::PullRequests), ("files' history", Unknown), "Earlier fixes in its files, on average.", AmountOrNone("touches files that needed fixes in {}, on average", "touches no file that needed a fix before"), |_, h| mean(&h.files, |file| file.fixes as f32)),
    past(("file_reverts_max", Files, Unit::PullRequests), ("files' history", Unknown), "Earlier reverts in the file with most of them.", AmountOrNone("touches a file that had {} reverted", "touches no file that had a pull request reverted"), |_, h| largest(&h.files, |file| file.reverts as f32)),
    past(("file_reverts_mean", Files, Unit::PullRequests), ("files' history", Unknown), "Earlier reverts in its files, on average.", AmountOrNone("touches files that had {} reverted, on average", "touches no file that had a pull request reverted"), |_, h| mean(&h.files, |file| file.reverts as f32)),
    past(("files_without_history", Files, Unit::Share), ("files' history", Unknown), "Share of its files that no earlier merge touched.", AmountOrNone("has no history for {} of its files", "touches only files that a pull request changed before"), |_, h| mean(&h.files, |file| flag(file.merged == 0))),
    past(("path_revert_ratio", Files, Unit::Doublings), ("files' history", Unknown), "How often recent changes of the same files and directories were taken back, against the repository's own rate: the mean of the three highest ratios.", Amount("touches paths with {} this repository's rate of reverts over the last year"), |_, h| h.reverts.paths.unwrap_or(f32::NAN)),
    past(("directory_merges_max", Files, Unit::PullRequests), ("directories' history", Unknown), "Earlier merges in the busiest of its directories.", AmountOrNone("works in a directory that {} changed before", "works in no directory that a pull request changed before"), |_, h| largest(&h.directories, |directory: &DirectoryHistory| directory.merged as f32)),
    past(("directory_reverts_max", Files, Unit::PullRequests), ("directories' history", Unknown), "Earlier reverts in the directory with most of them.", AmountOrNone("works in a directory that had {} reverted", "works in no directory that had a pull request reverted"), |_, h| largest(&h.directories, |directory| directory.reverts as f32)),

    // When.
    past(("hour_sin", Time, Unit::Coordinate), ("created_at", Never), "Hour of the day (UTC), as a sine.", Plain("was opened at an unusual time of day"), |f, _| libm::sin(turn(f.lifecycle.created_at, DAY)) as f32),
    past(("hour_cos", Time, Unit::Coordinate), ("created_at", Never), "Hour of the day (UTC), as a cosine.", Plain("was opened at an unusual time of day"), |f, _| libm::cos(turn(f.lifecycle.created_at, DAY)) as f32),
    past(("weekday_sin", Time, Unit::Coordinate), ("created_at", Never), "Day of the week (UTC), as a sine.", Plain("was opened on an unusual day of the week"), |f, _| libm::sin(turn(f.lifecycle.created_at, 7.0 * DAY)) as f32),
    past(("weekday_cos", Time, Unit::Coordinate), ("created_at", Never), "Day of the week (UTC), as a cosine.", Plain("was opened on an unusual day of the week"), |f, _| libm::cos(turn(f.lifecycle.created_at, 7.0 * DAY)) as f32),
    past(("weekend", Time, Unit::YesNo), ("created_at", Never), "Whether it was opened on a Saturday or Sunday (UTC).", Flag("was opened on a weekend", "was opened on a working day"), |f, _| flag(turn(f.lifecycle.created_at, 7.0 * DAY) >= std::f64::consts::TAU * 5.0 / 7.0)),

    // In which words.
    row(("title_length", Text, Unit::Characters), ("title", Unknown), "Length of the title, its type of change left out.", Amount("has a title of {} without its type of change"), |r| count(r.text.title_characters.map(|n| n as u64))),
    row(("title_words", Text, Unit::Words), ("title", Unknown), "Words in the title, its type of change left out.", Amount("has a title of {} without its type of change"), |r| count(r.text.title_words.map(|n| n as u64))),
    row(("body_length", Text, Unit::Characters), ("body", Zero), "Length of the description; GitHub writes an empty one as missing.", AmountOrNone("has a description of {}", "has no description"), |r| r.text.body_characters.unwrap_or(0) as f32),
    row(("body_is_missing", Text, Unit::YesNo), ("body", Never), "Whether it has no description.", Flag("has no description", "has a description"), |r| flag(r.text.body_characters.unwrap_or(0) == 0)),
    row(("checklist", Text, Unit::YesNo), ("body", Zero), "Whether the description holds a checklist.", Flag("has a checklist in its description", "has no checklist in its description"), |r| flag(r.text.checklist)),
    row(("headings", Text, Unit::YesNo), ("body", Zero), "Whether the description has headings, as templates have.", Flag("has headings in its description", "has no headings in its description"), |r| flag(r.text.headings)),
    row(("code_block", Text, Unit::YesNo), ("body", Zero), "Whether the description quotes code.", Flag("quotes code in its description", "quotes no code in its description"), |r| flag(r.text.code_block)),
    row(("issue_link", Text, Unit::YesNo), ("body", Zero), "Whether the description names an issue.", Flag("names an issue", "names no issue"), |r| flag(r.text.issue_link)),
    row(("says_fix", Text, Unit::YesNo), ("title", Unknown), "Whether the title speaks of a fix or a bug.", Flag("speaks of a fix in its title", "speaks of no fix in its title"), |r| known_flag(r.pull_request.title.as_ref().map(|_| r.text.says_fix))),
    row(("says_revert", Text, Unit::YesNo), ("title", Unknown), "Whether the title speaks of taking something back.", Flag("speaks of a revert in its title", "speaks of no revert in its title"), |r| known_flag(r.pull_request.title.as_ref().map(|_| r.text.says_revert))),
    row(("says_security", Text, Unit::YesNo), ("title", Unknown), "Whether the title speaks of security.", Flag("speaks of security in its title", "does not speak of security in its title"), |r| known_flag(r.pull_request.title.as_ref().map(|_| r.text.says_security))),
    row(("says_unfinished", Text, Unit::YesNo), ("title", Unknown), "Whether the title calls it unfinished, temporary or a hack.", Flag("is called unfinished or temporary in its title", "is not called unfinished in its title"), |r| known_flag(r.pull_request.title.as_ref().map(|_| r.text.says_unfinished))),
    row(("says_again", Text, Unit::YesNo), ("title", Unknown), "Whether the title says that it is tried again.", Flag("says in its title that it is tried again", "does not say in its title that it is tried again"), |r| known_flag(r.pull_request.title.as_ref().map(|_| r.text.says_again))),
    past(("title_revert_ratio", Text, Unit::Doublings), ("title, repository's history", Unknown), "How often earlier changes with the same words in their titles were taken back, against the repository's own rate: the mean over the words.", Amount("has words in its title with {} this repository's rate of reverts"), |_, h| h.reverts.title.unwrap_or(f32::NAN)),

    // How far it is along.
    row(("draft", Process, Unit::YesNo), ("draft", Unknown), "Whether it is a draft.", Flag("is a draft", "is not a draft"), |r| known_flag(r.pull_request.draft)),
    row(("labels", Process, Unit::Count), ("labels", Unknown), "Number of labels.", Amount("has {label|labels}"), |r| count(r.pull_request.labels.as_ref().map(|labels| labels.len() as u64))),
    row(("assignees", Process, Unit::Count), ("assignees", Unknown), "Number of people assigned.", Amount("has {person|people} assigned"), |r| count(r.pull_request.assignees)),
    row(("requested_reviewers", Process, Unit::Count), ("requested_reviewers", Unknown), "Number of people asked for a review that have not given one.", Amount("waits for {reviewer|reviewers}"), |r| count(r.pull_request.requested_reviewers)),

    // Against what is usual in the repository.
    row(("other_base", Relative, Unit::YesNo), ("base.ref", Unknown), "Whether it goes into another branch than main, master, trunk or develop.", Flag("goes into another branch than main, master, trunk or develop", "goes into main, master, trunk or develop"), |r| known_flag(r.pull_request.base_ref.as_deref().map(|name| !matches!(name, "main" | "master" | "trunk" | "develop")))),
    past(("churn_to_median", Relative, Unit::Doublings), ("additions, deletions, repository's history", Unknown), "Lines changed against the repository's median up to then.", Amount("changes {} the lines of this repository's median change"), |f, h| against_median(f.churn, h.repository.churn)),
    past(("churn_in_spreads", Relative, Unit::Spreads), ("additions, deletions, repository's history", Unknown), "Lines changed, in spreads of the repository from its median up to then.", Amount("has a size {} this repository's median (a spread holds the middle half of its changes)"), |f, h| in_spreads(f.churn, h.repository.churn)),
    past(("files_to_median", Relative, Unit::Doublings), ("changed_files, repository's history", Unknown), "Files changed against the repository's median up to then.", Amount("changes {} the files of this repository's median change"), |f, h| against_median(f.changed_files, h.repository.changed_files)),
    past(("files_in_spreads", Relative, Unit::Spreads), ("changed_files, repository's history", Unknown), "Files changed, in spreads of the repository from its median up to then.", Amount("has a number of files {} this repository's median (a spread holds the middle half of its changes)"), |f, h| in_spreads(f.changed_files, h.repository.changed_files)),

    // What the repository is like.
    past(("repository_is_young", Repository, Unit::YesNo), ("repository's history", Never), "Whether the repository has fewer than 50 earlier pull requests, so that little is known of what is usual in it.", Flag("goes into a repository of which little is known yet", "goes into a repository with a history"), |_, h| flag(h.repository.opened < 50)),
    past(("repository_merged_share", Repository, Unit::Share), ("repository's history", Unknown), "Share of the repository's earlier pull requests that was merged.", Amount("goes into a repository that merges {} of its pull requests"), |_, h| share(u64::from(h.repository.merged), u64::from(h.repository.opened))),
    past(("repository_reverted_share", Repository, Unit::Share), ("repository's history", Unknown), "Share of the repository's earlier merges that was taken back.", Amount("goes into a repository that reverts {} of its merges"), |_, h| reverted_share(h.repository.reverted, h.repository.merged)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_documented() {
        let mut names: Vec<_> = FEATURES.iter().map(|feature| feature.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FEATURE_COUNT);
        const { assert!(FEATURE_COUNT >= 60) };
        for feature in FEATURES {
            assert!(feature.about.ends_with('.') && !feature.source.is_empty(), "{}", feature.name);
        }
    }

    #[test]
    fn weeks_begin_on_monday() {
        // 2024-01-01 was a Monday, 2024-01-06 a Saturday.
        let monday = 1_704_067_200_000;
        assert!(turn(monday, 7.0 * DAY).abs() < 1e-9);
        let weekend = |day: i64| turn(monday + day * 86_400_000, 7.0 * DAY) >= std::f64::consts::TAU * 5.0 / 7.0;
        assert_eq!((0..7).map(weekend).collect::<Vec<_>>(), [false, false, false, false, false, true, true]);
    }

    #[test]
    fn a_feature_shows_its_name() {
        assert!(format!("{:?}", FEATURES[0]).contains("additions"));
    }
}
