//! What the tests share: documents, a small generator of them, and the batch job in a few lines.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::borrow::Cow;

use prowl_features::{
    ChangedFile, FEATURE_COUNT, FEATURES, Facts, FeatureVector, History, Ledger, Maturity, Outcome, Outcomes,
    PullRequest, Replay, User,
};
use serde_json::{Value, json};

/// 2024-01-01T00:00:00Z, a Monday.
pub const MONDAY: i64 = 1_704_067_200_000;
pub const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 24 * HOUR;
/// How long after its merge a pull request's label counts.
pub const MATURITY: i64 = 30 * DAY;
/// When the batch job runs.
pub const NOW: i64 = MONDAY + 1000 * DAY;
pub const REPOSITORY: &str = "prowl/den";

/// A document whose whole numbers and times are written by `number` and `time`.
pub fn document(number: impl Fn(i64) -> Value, time: impl Fn(&str) -> Value) -> Value {
    json!({
        "_id": {"$oid": "65920080f1d2c3b4a5968778"},
        "id": number(1_650_000_001),
        "number": number(41),
        "state": "closed",
        "title": "Fix the parser",
        "body": "It crashed.\r\n\nCloses #7 – sorry 🦀",
        "user": {"login": "ada", "type": "User", "id": number(5)},
        "author_association": "MEMBER",
        "labels": [{"id": number(9), "name": "bug"}, {"name": "parser"}],
        "assignees": [{"login": "ben"}],
        "requested_reviewers": [{"login": "cleo"}, {"login": "dan"}],
        "draft": false,
        "merged": true,
        "created_at": time("2024-01-01T12:00:00Z"),
        "updated_at": time("2024-01-03T01:02:03.250Z"),
        "merged_at": time("2024-01-02T00:00:00Z"),
        "fetched_at": time("2024-02-01T00:00:00Z"),
        "reverted_at": null,
        "merge_commit_sha": "0123456789abcdef0123456789abcdef01234567",
        "base": {"ref": "main", "sha": "00", "repo": {"full_name": "prowl/den", "fork": false}},
        "head": {"ref": "fix", "sha": "01", "repo": {"full_name": "ada/den", "fork": true}},
        "additions": number(120),
        "deletions": number(0),
        "changed_files": number(2),
        "commits": number(3),
        "comments": null,
        "files": [
            {"filename": "src/parser.rs", "status": "modified", "additions": number(100), "deletions": number(0)},
            {"filename": "tests/parser.rs", "status": "added", "additions": number(20), "deletions": null},
        ],
    })
}

/// As GitHub writes it.
pub fn rest() -> Value {
    document(|value| json!(value), |text| json!(text))
}

/// A text that a pull request may hold without borrowing it.
pub fn owned(text: impl Into<String>) -> Cow<'static, str> {
    Cow::Owned(text.into())
}

/// A pull request with nothing but its identity.
pub fn bare(number: u64, created_at: i64) -> PullRequest<'static> {
    PullRequest { repository: REPOSITORY.into(), number, created_at, ..PullRequest::default() }
}

/// One by `author` that changes `files` by ten lines each.
pub fn by(author: &str, number: u64, created_at: i64, files: &[&str]) -> PullRequest<'static> {
    PullRequest {
        user: Some(User { login: owned(author), kind: Some("User".into()) }),
        title: Some(owned(format!("change {number}"))),
        files: Some(files.iter().map(|name| file(name, 7, 3)).collect()),
        ..bare(number, created_at)
    }
}

pub fn file(name: &str, additions: u64, deletions: u64) -> ChangedFile<'static> {
    ChangedFile {
        filename: owned(name),
        status: Some("modified".into()),
        additions: Some(additions),
        deletions: Some(deletions),
    }
}

/// The value of a feature by its name.
pub fn value(vector: &FeatureVector, name: &str) -> f32 {
    let index = FEATURES.iter().position(|feature| feature.name == name);
    vector.values[index.unwrap_or_else(|| panic!("no feature `{name}`"))]
}

/// The values as bits: NaN equals NaN, 0 differs from -0.
pub fn bits(vector: &FeatureVector) -> [u32; FEATURE_COUNT] {
    vector.values.map(f32::to_bits)
}

/// The names of the features that differ between two vectors.
pub fn differing(one: &FeatureVector, other: &FeatureVector) -> Vec<&'static str> {
    let pairs = bits(one).into_iter().zip(bits(other));
    FEATURES.iter().zip(pairs).filter(|(_, (a, b))| a != b).map(|(feature, _)| feature.name).collect()
}

/// What the batch job makes of one pull request.
pub struct Answer {
    pub facts: Facts,
    pub outcome: Outcome,
    pub history: History,
    pub vector: FeatureVector,
}

/// The outcomes of one repository, as of [`NOW`].
pub fn outcomes() -> Outcomes {
    Outcomes::new(Maturity { window: MATURITY, now: NOW })
}

/// The batch job over one repository, as `prowl-preprocess` runs it: outcomes from the highest number down, then the
/// replay by creation. Answers come by creation and number.
pub fn batch(pull_requests: &[PullRequest<'_>]) -> (Vec<Answer>, Ledger) {
    let mut facts: Vec<Facts> = pull_requests.iter().map(Facts::of).collect();
    facts.sort_by_key(|facts| std::cmp::Reverse(facts.lifecycle.number));
    let mut outcomes = outcomes();
    let mut rows: Vec<(Facts, Outcome)> = facts
        .into_iter()
        .map(|facts| {
            let outcome = outcomes.next(&facts.lifecycle);
            (facts, outcome)
        })
        .collect();
    rows.sort_by_key(|(facts, _)| (facts.lifecycle.created_at, facts.lifecycle.number));
    let mut replay = Replay::new(NOW);
    let answers = rows
        .into_iter()
        .map(|(facts, outcome)| {
            let history = replay.next(&facts, outcome.reverted_at);
            let vector = facts.vector(&history);
            Answer { facts, outcome, history, vector }
        })
        .collect();
    (answers, replay.finish())
}

/// The answer for the pull request of that number.
pub fn numbered(answers: &[Answer], number: u64) -> &Answer {
    answers
        .iter()
        .find(|answer| answer.facts.lifecycle.number == number)
        .unwrap_or_else(|| panic!("no number {number}"))
}

/// `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014): small, and the same everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len() as u64) as usize]
    }
}

const AUTHORS: [&str; 7] = ["ada", "ben", "cleo", "dan", "eve", "fay", "dependabot[bot]"];
const FILES: [&str; 14] = [
    "src/lib.rs",
    "src/parser.rs",
    "src/auth/login.rs",
    "src/auth/session.rs",
    "src/store/mod.rs",
    "tests/parser.rs",
    "tests/login.rs",
    "docs/guide.md",
    "README.md",
    "Cargo.toml",
    "Cargo.lock",
    ".github/workflows/ci.yml",
    "migrations/0001_init.sql",
    "config/default.toml",
];
const VERBS: [&str; 6] = ["add", "drop", "fix", "speed up", "tidy", "document"];
const NOUNS: [&str; 5] = ["the parser", "login", "the cache", "sessions", "the build"];

/// A SHA-like name of the merge commit of a pull request.
pub fn sha(number: u64) -> String {
    let mut dice = Dice(number ^ 0x5EED);
    format!("{:016x}{:016x}{:08x}", dice.next(), dice.next(), dice.next() as u32)
}

/// `count` pull requests of one repository over about a year: merges out of order, some never merged, reverts by
/// number, commit and title, changes landed again, several at the same moment, fields missing here and there.
pub fn generated(count: u64, seed: u64) -> Vec<PullRequest<'static>> {
    let mut dice = Dice(seed);
    let mut now = MONDAY;
    let mut made: Vec<PullRequest<'static>> = Vec::new();
    for number in 1..=count {
        // Whole hours, and often none at all between two: many events share a moment.
        now += HOUR * (dice.below(5) * dice.below(20)) as i64;
        let target = if made.is_empty() { None } else { Some(made[dice.below(made.len() as u64) as usize].clone()) };
        let mut next = match target {
            Some(target) if dice.once_in(6) => reverting(&target, number, now, &mut dice),
            Some(target) if dice.once_in(12) => {
                PullRequest { title: target.title, files: target.files, ..ordinary(number, now, &mut dice) }
            }
            _ => ordinary(number, now, &mut dice),
        };
        if !dice.once_in(5) {
            next.merged_at = Some(now + HOUR * (dice.below(30) * dice.below(30)) as i64);
            next.merge_commit_sha = Some(owned(sha(number)));
            if dice.once_in(15) {
                // The source itself may know of a revert, even of one that came before the merge, which is nonsense.
                next.reverted_at = next.merged_at.map(|at| at + HOUR * (dice.below(600) as i64 - 50));
            }
        }
        made.push(next);
    }
    // Numbers need not follow creation, as in imported histories; some merges are then said to precede it.
    for index in 1..made.len() {
        if dice.once_in(9) {
            let (earlier, later) = (made[index - 1].created_at, made[index].created_at);
            (made[index - 1].created_at, made[index].created_at) = (later, earlier);
        }
    }
    made
}

fn ordinary(number: u64, created_at: i64, dice: &mut Dice) -> PullRequest<'static> {
    let author = dice.pick(&AUTHORS);
    let names: Vec<&str> = (0..=dice.below(4)).map(|_| dice.pick(&FILES)).collect();
    let mut made = by(author, number, created_at, &names);
    made.title = Some(owned(format!("{} {}", dice.pick(&VERBS), dice.pick(&NOUNS))));
    made.additions = (!dice.once_in(10)).then(|| dice.below(400));
    made.deletions = made.additions.map(|additions| additions / 3);
    if dice.once_in(10) {
        made.user = None;
    }
    if dice.once_in(10) {
        made.files = None;
    }
    made
}

fn reverting(target: &PullRequest<'static>, number: u64, created_at: i64, dice: &mut Dice) -> PullRequest<'static> {
    let title = target.title.clone().unwrap_or_default();
    let body = match dice.below(3) {
        0 => Some(format!("Reverts {REPOSITORY}#{}", target.number)),
        1 => Some(format!("This reverts commit {}.", &sha(target.number)[..7 + dice.below(34) as usize])),
        _ => None,
    };
    PullRequest {
        title: Some(owned(format!("Revert \"{title}\""))),
        body: body.map(owned),
        files: target.files.clone(),
        ..ordinary(number, created_at, dice)
    }
}
