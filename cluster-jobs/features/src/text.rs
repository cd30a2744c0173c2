//! What the words tell: signs in title and body, and the hashed tokens.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::category::{Category, split_title};
use crate::{Facts, PullRequest};

/// Words beyond this many are left out of the tokens, so that a pasted log costs no more than a long description.
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

impl TextFacts {
    /// Reads title and body. The type of change before the title's colon is left out: it declares the category,
    /// which the model is asked to tell from the rest.
    pub(crate) fn of(pull_request: &PullRequest) -> Self {
        let mut facts = Self::default();
        if let Some(title) = pull_request.title.as_deref() {
            let rest = split_title(title).rest;
            facts.title_characters = Some(rest.chars().count());
            facts.title_words = Some(words(rest).count());
            for word in words(rest) {
                facts.note(word);
            }
        }
        if let Some(body) = pull_request.body.as_deref() {
            facts.body_characters = Some(body.chars().count());
            facts.issue_link = body.contains("/issues/");
            for line in body.lines() {
                let line = line.trim_start();
                facts.checklist |=
                    ["- [ ]", "- [x]", "- [X]", "* [ ]", "* [x]"].iter().any(|box_| line.starts_with(box_));
                facts.headings |= line.starts_with("## ") || line.starts_with("### ") || line.starts_with("# ");
                facts.code_block |= line.starts_with("```");
                facts.issue_link |= has_issue_number(line);
            }
        }
        facts
    }

    fn note(&mut self, word: &str) {
        let is = |words: &[&str]| words.iter().any(|other| word.eq_ignore_ascii_case(other));
        self.says_fix |= is(&["fix", "fixes", "fixed", "fixing", "bug", "bugfix", "hotfix", "regression", "crash"]);
        self.says_revert |= is(&["revert", "reverts", "reverted", "reverting", "rollback", "undo", "backout"]);
        self.says_security |= is(&["security", "vulnerability", "cve", "exploit", "xss", "csrf", "injection"]);
        self.says_unfinished |=
            is(&["wip", "draft", "experiment", "experimental", "hack", "temporary", "temp", "workaround"]);
        self.says_again |= is(&["reland", "reapply", "again", "retry", "redo", "unrevert"]);
    }
}

/// `#123`, also behind the name of a repository; no entity (`&#39;`) and no fragment of an address (`/#3`).
fn has_issue_number(line: &str) -> bool {
    line.match_indices('#').any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let digits = line[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        digits > 0 && !before.is_some_and(|c| c == '&' || c == '/')
    })
}

/// The words of a text: runs of letters and digits.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
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

/// The hashed tokens: words and pairs of words of the title, words of the body, labels, and whether the author
/// belongs to the repository. What declares the category (its type in the title, labels that name one) is left out.
pub(crate) fn tokens(pull_request: &PullRequest) -> Vec<u32> {
    let mut tokens = Vec::with_capacity(64);
    let mut lower = String::with_capacity(32);
    let mut pair = String::with_capacity(64);
    let mut add = |place: Place, text: &str| tokens.push(xxh3_64_with_seed(text.as_bytes(), place as u64) as u32);

    for word in words(split_title(pull_request.title.as_deref().unwrap_or_default()).rest) {
        lower_into(word, &mut lower);
        add(Place::Title, &lower);
        if !pair.is_empty() {
            pair.push(' ');
            pair.push_str(&lower);
            add(Place::TitlePair, &pair);
            pair.clear();
        }
        pair.push_str(&lower);
    }
    for word in words(pull_request.body.as_deref().unwrap_or_default()).take(BODY_WORDS) {
        lower_into(word, &mut lower);
        add(Place::Body, &lower);
    }
    for label in pull_request.labels.as_deref().unwrap_or_default() {
        if Category::from_label(label).is_none() {
            lower_into(label, &mut lower);
            add(Place::Label, &lower);
        }
    }
    if let Some(insider) = Facts::insider(pull_request) {
        add(Place::Association, if insider { "insider" } else { "outsider" });
    }
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

fn lower_into(word: &str, lower: &mut String) {
    lower.clear();
    // Most words are plain ones, which need no look into Unicode's tables.
    if word.is_ascii() {
        lower.push_str(word);
        lower.make_ascii_lowercase();
    } else {
        lower.extend(word.chars().flat_map(char::to_lowercase));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titled(title: &str, labels: &[&str]) -> PullRequest {
        PullRequest {
            title: Some(title.into()),
            labels: Some(labels.iter().map(|label| (*label).to_owned()).collect()),
            ..PullRequest::default()
        }
    }

    #[test]
    fn what_declares_the_category_leaves_no_token() {
        let bare = tokens(&titled("accept tabs", &[]));
        assert_eq!(tokens(&titled("fix(parser): accept tabs", &["bug"])), bare);
        assert_ne!(tokens(&titled("accept tabs", &["later"])), bare);
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
}
