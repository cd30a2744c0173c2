//! What the words tell: signs in title and body, and the hashed tokens.

use std::sync::LazyLock;

use memchr::{memchr_iter, memmem};
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
            "reland" | "reapply" | "again" | "retry" | "redo" | "unrevert" => self.says_again = true,
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

/// The words of a text: runs of letters and digits.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut characters = Characters { text, block: 0, of_words: of_words(text, 0) };
    let mut at = 0;
    std::iter::from_fn(move || {
        let begin = characters.next(at, true);
        at = characters.next(begin, false);
        (begin < at).then(|| &text[begin..at])
    })
}

/// Finds where words begin and end, for a block of bytes at once: a look at one character after the other is a guess at each
/// end, which a processor pays for.
struct Characters<'a> {
    text: &'a str,
    /// Where the block begins that was looked at.
    block: usize,
    /// Its bytes, the first as the lowest bit: whether they are part of a word.
    of_words: u64,
}

impl Characters<'_> {
    /// The first place from `at` on that is, or is not, part of a word; else the end of the text.
    #[inline]
    fn next(&mut self, mut at: usize, of_word: bool) -> usize {
        while at < self.text.len() {
            if at >= self.block + BLOCK {
                self.block = at - at % BLOCK;
                self.of_words = of_words(self.text, self.block);
            }
            let wanted = if of_word { self.of_words } else { !self.of_words } >> (at - self.block);
            if wanted != 0 {
                return self.text.len().min(at + wanted.trailing_zeros() as usize);
            }
            at = self.block + BLOCK;
        }
        self.text.len()
    }
}

/// Bytes of a block.
const BLOCK: usize = 64;

/// Which bytes of the block at `begin` are part of a word. None behind the end of the text is.
fn of_words(text: &str, begin: usize) -> u64 {
    let rest = &text.as_bytes()[begin..];
    let mut block = [0; BLOCK];
    let length = rest.len().min(BLOCK);
    block[..length].copy_from_slice(&rest[..length]);
    if block.is_ascii() {
        let eights = block.as_chunks().0.iter().enumerate();
        return eights.fold(0, |found, (at, eight)| found | (plain_of_words(u64::from_le_bytes(*eight)) << (8 * at)));
    }
    let first = text.floor_char_boundary(begin);
    let characters = text[first..].char_indices().map(|(at, character)| (first + at, character));
    characters
        .take_while(|(at, _)| *at < begin + BLOCK)
        .filter(|(_, character)| character.is_alphanumeric())
        .flat_map(|(at, character)| at.max(begin)..(at + character.len_utf8()).min(begin + BLOCK))
        .fold(0, |found, at| found | (1 << (at - begin)))
}

/// Which of eight plain characters, the first in the lowest byte, are letters or digits: one bit each.
fn plain_of_words(eight: u64) -> u64 {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    // A sum's highest bit tells that a byte is at least `first`, or above `last`; none is carried into the next byte.
    let between = |eight: u64, first: u8, last: u8| (eight + each(0x80 - first)) & !(eight + each(0x7f - last));
    let small_letters = eight | each(b'a' ^ b'A');
    let found = between(small_letters, b'a', b'z') | between(eight, b'0', b'9');
    // The product brings the highest bits of all bytes together in the highest byte.
    ((found & each(0x80)) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
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
pub(crate) fn tokens(pull_request: &PullRequest<'_>) -> Vec<u32> {
    let mut tokens = Vec::with_capacity(BODY_WORDS / 2);
    let mut lower = String::new();
    let mut pair = String::new();
    let mut add = |place: Place, text: &str| tokens.push(xxh3_64_with_seed(text.as_bytes(), place as u64) as u32);

    let title = split_title(pull_request.title.as_deref().unwrap_or_default()).rest.to_ascii_lowercase();
    for word in words(&title) {
        let word = fully_lower(word, &mut lower);
        add(Place::Title, word);
        if !pair.is_empty() {
            pair.push(' ');
            pair.push_str(word);
            add(Place::TitlePair, &pair);
            pair.clear();
        }
        pair.push_str(word);
    }
    let body = pull_request.body.as_deref().unwrap_or_default().to_ascii_lowercase();
    let is_plain = body.is_ascii();
    for word in words(&body).take(BODY_WORDS) {
        add(Place::Body, if is_plain { word } else { fully_lower(word, &mut lower) });
    }
    for label in pull_request.labels.as_deref().unwrap_or_default() {
        if Category::from_label(label).is_none() {
            add(Place::Label, fully_lower(&label.to_ascii_lowercase(), &mut lower));
        }
    }
    if let Some(insider) = Facts::insider(pull_request) {
        add(Place::Association, if insider { "insider" } else { "outsider" });
    }
    tokens.sort_unstable();
    tokens.dedup();
    tokens
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
        let bare = tokens(&titled("accept tabs", &[]));
        assert_eq!(tokens(&titled("fix(parser): accept tabs", &["bug"])), bare);
        assert_ne!(tokens(&titled("accept tabs", &["later"])), bare);
        assert_eq!(bare.len(), 3, "two words and their pair");
    }

    #[test]
    fn words_are_runs_of_letters_and_digits_wherever_blocks_end() {
        let pieces =
            ["a", "Z9", " ", "@[`{/:", "\u{e9}", "\u{4e16}\u{754c}", "\u{2014}", "\u{1f600}", "\0\x7f", "long0word"];
        let mut state = 7u64;
        for length in 0..400 {
            let mut text = String::new();
            for _ in 0..length {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            let expected: Vec<_> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
            assert_eq!(words(&text).collect::<Vec<_>>(), expected, "{text}");
        }
        for byte in 0..0x80u8 {
            let expected = u64::from(byte.is_ascii_alphanumeric());
            assert_eq!(plain_of_words(u64::from(byte) << 16), expected << 2, "{byte}");
        }
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
