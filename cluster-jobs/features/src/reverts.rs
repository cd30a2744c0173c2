//! Who took what back, and since when that is known.
//!
//! A pull request names what it reverts by number (`Reverts owner/repo#12`), by commit (`This reverts commit <sha>`)
//! or by title (`Revert "…"`). The revert becomes known when the reverting pull request is merged.

use std::collections::HashMap;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

use crate::PullRequest;
use crate::hash::{KeyMap, key};

/// What a pull request or a commit says it takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RevertReference {
    /// The pull request of that number.
    Number(u64),
    /// The commit whose SHA starts with these hexadecimal digits: their value, left-aligned in 64 bits, and how
    /// many (7 to 16) there are.
    Commit(u64, u8),
    /// The newest earlier pull request with a title of that key.
    Title(u64),
}

impl RevertReference {
    /// Everything that a pull request or a commit of `repository` with this title and text says it takes back.
    pub fn find(title: &str, body: &str, repository: &str) -> Vec<Self> {
        let mut references = Vec::new();
        references.extend(behind(body, &REVERTS_COMMIT).filter_map(commit));
        references.extend(behind(body, &REVERTS).filter_map(|text| number(text, repository)));
        if let Some(quoted) = quoted_title(title) {
            // Squashed titles end in the number of what they quote: `Revert "Add x (#12)"`.
            references.extend(trailing_number(quoted).map(Self::Number));
            // A number is certain; a title may have been used again, so it counts only where there is no number.
            if !references.iter().any(|reference| matches!(reference, Self::Number(_))) {
                references.push(Self::Title(title_key(quoted)));
            }
        }
        references
    }
}

static REVERTS_COMMIT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("This reverts commit "));
static REVERTS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("Reverts "));

/// What follows each occurrence of a phrase in a text.
fn behind<'a>(text: &'a str, phrase: &'static Finder<'_>) -> impl Iterator<Item = &'a str> {
    phrase.find_iter(text.as_bytes()).map(|at| &text[at + phrase.needle().len()..])
}

/// The key under which a title is remembered, with the number that squashing appends left out.
pub fn title_key(title: &str) -> u64 {
    let title = title.trim();
    let bare = match (trailing_number(title), title.rfind(" (#")) {
        (Some(_), Some(end)) => &title[..end],
        _ => title,
    };
    key(bare)
}

/// The first 16 hexadecimal digits of a commit's SHA, as their value.
pub fn commit_key(sha: &str) -> Option<u64> {
    match commit(sha)? {
        RevertReference::Commit(value, 16) => Some(value),
        _ => None,
    }
}

fn quoted_title(title: &str) -> Option<&str> {
    let title = title.trim();
    let start = title.get(..6)?;
    if !start.eq_ignore_ascii_case("revert") {
        return None;
    }
    let open = title.find('"')?;
    let close = title.rfind('"')?;
    // Only `:` and blanks may stand between the word and the quotation: `Revert "…"`, `revert: "…"`.
    let between = title.get(6..open)?;
    (open < close && between.chars().all(|c| c == ':' || c == ' ')).then(|| &title[open + 1..close])
}

fn trailing_number(title: &str) -> Option<u64> {
    let title = title.strip_suffix(')')?;
    title[title.rfind("(#")? + 2..].parse().ok()
}

fn commit(text: &str) -> Option<RevertReference> {
    let digits = text.bytes().take_while(u8::is_ascii_hexdigit).take(16).count();
    if digits < 7 {
        return None;
    }
    let value = u64::from_str_radix(&text[..digits], 16).ok()?;
    Some(RevertReference::Commit(value << (64 - 4 * digits), digits as u8))
}

/// `owner/repo#12` of the same repository, or `#12`.
fn number(text: &str, repository: &str) -> Option<RevertReference> {
    let rest = match text.get(..repository.len()) {
        Some(name) if name.eq_ignore_ascii_case(repository) => &text[repository.len()..],
        _ => text,
    };
    let rest = rest.strip_prefix('#')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest[..digits].parse().ok().map(RevertReference::Number)
}

/// What a pull request says of when it was opened, merged and taken back, and by which others know it: all that outcomes
/// are found by. Times are milliseconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lifecycle {
    /// Number within the repository.
    pub number: u64,
    /// When it was opened.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: Option<i64>,
    /// When it was read.
    pub fetched_at: Option<i64>,
    /// When it was merged; a document that says this was before its creation counts from its creation.
    pub merged_at: Option<i64>,
    /// When its source says that it was taken back.
    pub reverted_at: Option<i64>,
    /// Key of its title.
    pub title_key: u64,
    /// The first 16 hexadecimal digits of its merge commit.
    pub merge_commit: Option<u64>,
    /// What it says it takes back.
    pub reverts: Vec<RevertReference>,
}

impl Lifecycle {
    /// Reads it off a pull request.
    pub(crate) fn of(pull_request: &PullRequest<'_>) -> Self {
        let title = pull_request.title.as_deref().unwrap_or_default();
        let body = pull_request.body.as_deref().unwrap_or_default();
        Self {
            number: pull_request.number,
            created_at: pull_request.created_at,
            updated_at: pull_request.updated_at,
            fetched_at: pull_request.fetched_at,
            merged_at: pull_request.merged_at.map(|at| at.max(pull_request.created_at)),
            reverted_at: pull_request.reverted_at,
            title_key: title_key(title),
            merge_commit: pull_request.merge_commit_sha.as_deref().and_then(commit_key),
            reverts: RevertReference::find(title, body, &pull_request.repository),
        }
    }
}

/// What became of a pull request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// When it became known that it was taken back: an event of its history.
    pub reverted_at: Option<i64>,
    /// The label: whether it was taken back. `None` if it was never merged, or as long as its maturity window has
    /// not passed.
    pub reverted: Option<bool>,
}

/// When a label counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub struct Maturity {
    /// Milliseconds that have to pass since the merge.
    pub window: i64,
    /// The moment of the run, in milliseconds since 1970 UTC. A later time in a document is a mistake and does not count.
    pub now: i64,
}

/// Finds the outcome of each pull request of one repository in one pass from the highest number to the lowest: a
/// revert has a higher number than what it reverts, so it has been seen when its target comes.
///
/// A label needs to know how late it is. The latest time seen so far in the pass is proof of that: whatever of the
/// repository happened at that time, the source had seen it.
#[derive(Debug)]
pub struct Outcomes {
    maturity: Maturity,
    seen_until: i64,
    numbers: HashMap<u64, Vec<i64>>,
    titles: KeyMap<Vec<i64>>,
    /// By the first seven digits; the whole reference is compared after that.
    commits: HashMap<u32, Vec<(u64, u8, i64)>>,
}

impl Outcomes {
    /// For labels that count from `maturity` on.
    pub fn new(maturity: Maturity) -> Self {
        Self {
            maturity,
            seen_until: i64::MIN,
            numbers: HashMap::default(),
            titles: KeyMap::default(),
            commits: HashMap::default(),
        }
    }

    /// The outcome of a pull request, which must not have a higher number than those before it.
    pub fn next(&mut self, lifecycle: &Lifecycle) -> Outcome {
        let Maturity { window, now } = self.maturity;
        let past = |at: Option<i64>| at.filter(|at| *at <= now);
        let (merged_at, reverted_at) = (past(lifecycle.merged_at), past(lifecycle.reverted_at));
        let times = [
            past(Some(lifecycle.created_at)),
            merged_at,
            past(lifecycle.updated_at),
            past(lifecycle.fetched_at),
            reverted_at,
        ];
        self.seen_until = times.into_iter().flatten().fold(self.seen_until, i64::max);
        let Some(merged_at) = merged_at else { return Outcome::default() };
        let known = [reverted_at, self.reverted_at(lifecycle, merged_at)];
        self.remember(lifecycle, merged_at);
        // Nothing can be taken back before it was merged, whatever a document says.
        let reverted_at = known.into_iter().flatten().filter(|at| *at >= merged_at).min();
        let mature = merged_at.saturating_add(window) <= self.seen_until;
        Outcome { reverted_at, reverted: mature.then_some(reverted_at.is_some()) }
    }

    fn reverted_at(&mut self, lifecycle: &Lifecycle, merged_at: i64) -> Option<i64> {
        let by_number =
            self.numbers.remove(&lifecycle.number).into_iter().flatten().filter(|at| *at >= merged_at).min();
        let by_commit = lifecycle.merge_commit.and_then(|commit| {
            let candidates = self.commits.get(&first_seven(commit))?;
            let same = |digits: u8| u64::MAX << (64 - 4 * u32::from(digits));
            candidates
                .iter()
                .filter(|(value, digits, at)| (commit ^ value) & same(*digits) == 0 && *at >= merged_at)
                .map(|(_, _, at)| *at)
                .min()
        });
        // A title names the newest earlier pull request of that title only, so the reference is used up.
        let by_title = self.titles.get_mut(&lifecycle.title_key).and_then(|waiting| {
            let met: Vec<i64> = waiting.extract_if(.., |at| *at >= merged_at).collect();
            met.into_iter().min()
        });
        [by_number, by_commit, by_title].into_iter().flatten().min()
    }

    fn remember(&mut self, lifecycle: &Lifecycle, at: i64) {
        for reference in &lifecycle.reverts {
            match *reference {
                RevertReference::Number(number) => self.numbers.entry(number).or_default().push(at),
                RevertReference::Commit(value, digits) => {
                    self.commits.entry(first_seven(value)).or_default().push((value, digits, at));
                }
                RevertReference::Title(key) => self.titles.entry(key).or_default().push(at),
            }
        }
    }
}

fn first_seven(commit: u64) -> u32 {
    (commit >> 36) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_told_apart_by_their_first_digits() {
        assert_eq!(first_seven(0x0123_4567_89AB_CDEF), 0x0012_3456);
        assert_eq!(commit("0123456 and more"), Some(RevertReference::Commit(0x0123_4560_0000_0000, 7)));
        assert_eq!(commit_key("0123456789abcdef01"), Some(0x0123_4567_89AB_CDEF));
        assert_eq!(commit_key("0123456789abcde"), None, "a digit too few");
    }
}
