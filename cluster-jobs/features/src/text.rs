//! What the words tell: signs in title and body, and the hashed tokens.

use std::sync::LazyLock;

use memchr::{memchr_iter, memmem};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::category::{Category, split_title};
use crate::words::words;
use crate::{Facts, PullRequest};

/// Words beyond this many are left out of the tokens, so that a pasted log weighs no more than a long description.
const BODY_WORDS: usize = 400;

/// Signs in the text of a pull request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TextFacts {
    pub(crate) title_characters: Option<usize>,
    pub(crate) title_words: Option<usize>,
    pub(crate) body_characters: Option<usize>,
    pub(crate) checklist: bool,
    pub(crate) headings: bool,
    pub(crate) code_block: bool,
    pub(crate) issue_link: bool,
    pub(crate) says_fix: bool,
    pub(crate) says_revert: bool,
    pub(crate) says_security: bool,
    pub(crate) says_unfinished: bool,
    pub(crate) says_again: bool,
}

/// A part of an address of an issue.
static ISSUES: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("/issues/"));

impl TextFacts {
    /// Reads title and body. The type of change before the title's colon is left out: it declares the category,
    /// which the model is asked to tell from the rest.
    pub(crate) fn of(pull_request: &PullRequest<'_>) -> Self {
        let mut facts = Self::default();
        if let Some(title) = pull_request.title.as_deref() {
            let rest = split_title(title).rest;
            facts.title_characters = Some(rest.chars().count());
            let lower = rest.to_ascii_lowercase();
            facts.title_words = Some(words(&lower).inspect(|word| facts.note(word)).count());
        }
        if let Some(body) = pull_request.body.as_deref() {
            facts.body_characters = Some(body.chars().count());
            facts.issue_link = ISSUES.find(body.as_bytes()).is_some() || has_issue_number(body);
            for line in split(body, b'\n') {
                let line = line.trim_start();
                // Most lines begin like none of these.
                match line.as_bytes().first() {
                    Some(b'-' | b'*') => {
                        facts.checklist |=
                            ["- [ ]", "- [x]", "- [X]", "* [ ]", "* [x]"].iter().any(|box_| line.starts_with(box_));
                    }
                    Some(b'#') => facts.headings |= ["# ", "## ", "### "].iter().any(|mark| line.starts_with(mark)),
                    Some(b'`') => facts.code_block |= line.starts_with("```"),
                    _ => {}
                }
            }
        }
        facts
    }

    /// Takes note of a word of the title, in lower case.
    fn note(&mut self, word: &str) {
        match word {
            "fix" | "fixes" | "fixed" | "fixing" | "bug" | "bugfix" | "hotfix" | "regression" | "crash" => {
                self.says_fix = true;
            }
            "revert" | "reverts" | "reverted" | "reverting" | "rollback" | "undo" | "backout" => {
                self.says_revert = true;
            }
            "security" | "vulnerability" | "cve" | "exploit" | "xss" | "csrf" | "injection" => {
                self.says_security = true;
            }
            "wip" | "draft" | "experiment" | "experimental" | "hack" | "temporary" | "temp" | "workaround" => {
                self.says_unfinished = true;
            }
            // Not `retry`: it is what a change adds to a program more often than what is done with a change.
            "reland" | "reapply" | "again" | "redo" | "unrevert" => self.says_again = true,
            _ => {}
        }
    }
}

/// `#123`, also behind the name of a repository; no entity (`&#39;`) and no fragment of an address (`/#3`).
fn has_issue_number(text: &str) -> bool {
    let text = text.as_bytes();
    memchr_iter(b'#', text).any(|at| {
        let before = at.checked_sub(1).map(|before| text[before]);
        text.get(at + 1).is_some_and(u8::is_ascii_digit) && !matches!(before, Some(b'&' | b'/'))
    })
}

/// What stands between the places of a plain character: as [`str::split`], which looks at one byte after the other.
pub(crate) fn split(text: &str, plain: u8) -> impl Iterator<Item = &str> {
    debug_assert!(plain.is_ascii());
    let mut begin = 0;
    memchr_iter(plain, text.as_bytes()).chain([text.len()]).map(move |end| {
        let part = &text[begin..end];
        begin = end + 1;
        part
    })
}

/// Where a token stands is part of what it says; each place hashes with a seed of its own.
#[derive(Clone, Copy)]
#[repr(u64)]
enum Place {
    Title = 1,
    TitlePair = 2,
    Body = 3,
    Label = 4,
    Association = 5,
}

/// The hashed words of a pull request.
pub(crate) struct Tokens {
    /// Words and pairs of words of the title, words of the body, labels, and whether the author belongs to the repository:
    /// ascending, each once. What declares the category (its type in the title, labels that name one) is left out.
    pub(crate) all: Vec<u32>,
    /// Keys of the words of the title: ascending, each once.
    pub(crate) title: Vec<u64>,
}

impl Tokens {
    /// Reads them off a pull request.
    pub(crate) fn of(pull_request: &PullRequest<'_>) -> Self {
        let mut all = Vec::with_capacity(BODY_WORDS / 2);
        let mut keys = Vec::new();
        let mut lower = String::new();
        let mut pair = String::new();
        let key = |place: Place, text: &str| xxh3_64_with_seed(text.as_bytes(), place as u64);

        let title = split_title(pull_request.title.as_deref().unwrap_or_default()).rest.to_ascii_lowercase();
        for word in words(&title) {
            let word = fully_lower(word, &mut lower);
            let word_key = key(Place::Title, word);
            keys.push(word_key);
            all.push(word_key as u32);
            if !pair.is_empty() {
                pair.push(' ');
                pair.push_str(word);
                all.push(key(Place::TitlePair, &pair) as u32);
                pair.clear();
            }
            pair.push_str(word);
        }
        let body = pull_request.body.as_deref().unwrap_or_default().to_ascii_lowercase();
        let is_plain = body.is_ascii();
        for word in words(&body).take(BODY_WORDS) {
            all.push(key(Place::Body, if is_plain { word } else { fully_lower(word, &mut lower) }) as u32);
        }
        for label in pull_request.labels.as_deref().unwrap_or_default() {
            if Category::from_label(label).is_none() {
                all.push(key(Place::Label, fully_lower(&label.to_ascii_lowercase(), &mut lower)) as u32);
            }
        }
        if let Some(insider) = Facts::insider(pull_request) {
            all.push(key(Place::Association, if insider { "insider" } else { "outsider" }) as u32);
        }
        all.sort_unstable();
        all.dedup();
        keys.sort_unstable();
        keys.dedup();
        Self { all, title: keys }
    }
}

/// A text in lower case, of one whose plain letters are already: a whole text is brought so far at once, which is faster
/// than word by word. `room` holds the rest where there is any.
fn fully_lower<'a>(text: &'a str, room: &'a mut String) -> &'a str {
    if text.is_ascii() {
        return text;
    }
    room.clear();
    room.extend(text.chars().flat_map(char::to_lowercase));
    room
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titled<'a>(title: &'a str, labels: &[&'a str]) -> PullRequest<'a> {
        PullRequest {
            title: Some(title.into()),
            labels: Some(labels.iter().map(|label| (*label).into()).collect()),
            ..PullRequest::default()
        }
    }

    #[test]
    fn what_declares_the_category_leaves_no_token() {
        let tokens = |title: &str, labels: &[&str]| Tokens::of(&titled(title, labels)).all;
        let bare = tokens("accept tabs", &[]);
        assert_eq!(tokens("fix(parser): accept tabs", &["bug"]), bare);
        assert_ne!(tokens("accept tabs", &["later"]), bare);
        assert_eq!(bare.len(), 3, "two words and their pair");
    }

    #[test]
    fn signs_are_read() {
        let pull_request = PullRequest {
            title: Some("WIP: Fix a crash".into()),
            body: Some("## Why\n- [ ] done\nSee #12\n```\ncode\n```".into()),
            ..PullRequest::default()
        };
        let facts = TextFacts::of(&pull_request);
        assert!(facts.says_fix && facts.says_unfinished && facts.headings && facts.checklist);
        assert!(facts.issue_link && facts.code_block && !facts.says_security);
        assert!(!has_issue_number("&#39; and a/#3"));
    }

    #[test]
    fn a_sign_that_comes_twice_is_still_one() {
        let body = "# Why\n# How\n- [x] done\n- [ ] tested\n```\n```";
        let facts = TextFacts::of(&PullRequest { body: Some(body.into()), ..PullRequest::default() });
        assert!(facts.headings && facts.checklist && facts.code_block && !facts.issue_link);
    }
}
