//! Whether features and tokens are computed as they were when `REVISION` was last raised.

mod common;

use common::{MONDAY, batch, bits, by, file, generated, owned};
use prowl_features::{ChangedFile, Facts, History, PullRequest, User};
use sha2::{Digest, Sha256};

/// SHA-256 of all that is computed from the documents below.
const COMPUTED: &str = "c196236372aa3cb98198e7788e477a3623e804f4db952d48c2dcbbefd87190b4";

/// The sources that hold lists of words.
const WORDY: [&str; 4] = [
    include_str!("../src/category.rs"),
    include_str!("../src/facts.rs"),
    include_str!("../src/path.rs"),
    include_str!("../src/text.rs"),
];

/// Each text in quotation marks in these sources: whoever adds a word to a list or takes one away changes the corpus.
fn words() -> Vec<&'static str> {
    let code = WORDY.iter().map(|source| source.split_once("#[cfg(test)]").map_or(*source, |(code, _)| code));
    let lines = code.flat_map(str::lines).filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| line.split('"').skip(1).step_by(2)).collect()
}

/// A document for each place in which a word may mean something, the word before it in the list beside it.
fn worded(word: &str, before: &str) -> Vec<PullRequest<'static>> {
    let places = [
        (word.to_owned(), word.to_owned(), format!("a/{word}/b.rs")),
        (format!("{word}: change"), format!("{word}bug"), format!("{word}/a.rs")),
        (format!("build({word}): change"), format!("kind/{word}"), format!("{word}a/b.txt")),
        (format!("{word}change\""), format!("a {word}"), format!("a/b.{word}")),
        (format!("a {word} b"), format!("type: {word}"), word.to_owned()),
        (format!("a{word}"), String::new(), format!("a/b{word}.rs")),
        (String::new(), word.to_uppercase(), format!("a/{word}B.rs")),
        (format!("a {before} {word}"), before.to_owned(), format!("a/{word}.txt")),
    ];
    let document = |(title, label, path): (String, String, String)| PullRequest {
        title: Some(owned(title)),
        body: Some(owned(format!("{word} a\nb {word}1\n"))),
        labels: Some(vec![owned(label)]),
        author_association: Some(owned(word)),
        user: Some(User { login: owned(format!("a{word}")), kind: Some(owned(word)) }),
        base_ref: Some(owned(word)),
        files: Some(vec![
            ChangedFile { status: Some(owned(word)), ..file(&path, 3, 1) },
            file(&format!("c/d.{before}"), 1, 1),
        ]),
        ..by("ada", 1, MONDAY, &[])
    };
    places.map(document).into()
}

/// Documents with few words and all else that a feature is read off.
fn plain(number: u64) -> PullRequest<'static> {
    let yes = |divisor: u64| number.is_multiple_of(divisor);
    PullRequest {
        user: Some(User { login: owned(format!("a{number}")), kind: Some(if yes(2) { "Bot" } else { "User" }.into()) }),
        assignees: Some(number),
        requested_reviewers: Some(number / 2),
        draft: Some(yes(3)),
        from_fork: Some(yes(5)),
        commits: Some(number * 7),
        base_ref: ["main", "master", "trunk", "develop"].get(number as usize).map(|name| (*name).into()),
        body: Some(owned(
            (0..number * 15).map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ") + "\nas in #12",
        )),
        ..by("", number, MONDAY + number as i64 * 40_000_000, &["a/b.c", "a/d/e.py"])
    }
}

#[test]
fn what_is_computed_in_another_way_is_of_another_revision() {
    let words = words();
    for word in ["vulnerability", "schnorrsig", "mjs", "tweak/refactor", "COLLABORATOR"] {
        assert!(words.contains(&word), "{word} is a word of a list");
    }
    let pairs = words.iter().zip(words.iter().skip(1));
    let alone = pairs.flat_map(|(before, word)| worded(word, before)).chain((0..40).map(plain)).chain([by(
        "ada",
        1,
        MONDAY,
        &[],
    )]);
    let alone = alone.map(|document| (Facts::of(&document), History::default()));
    let in_history = batch(&generated(400, 1)).0.into_iter().map(|answer| (answer.facts, answer.history));

    let mut hasher = Sha256::new();
    for (facts, history) in alone.chain(in_history) {
        let vector = facts.vector(&history);
        let keys = (facts.author, &facts.files, &facts.directories, &facts.areas, &facts.title_words);
        hasher.update(format!("{:?} {:?} {keys:?} ", bits(&vector), vector.tokens));
        hasher.update(format!("{:?} ", vector.kind_tokens));
        hasher.update(format!("{} {:?};", facts.is_fix, facts.category));
    }
    let computed = hex::encode(hasher.finalize());
    assert!(
        computed == COMPUTED,
        "features, tokens or keys come out otherwise, and a model that learned from the former ones must not be served over \
         these: raise REVISION in src/catalog.rs (needless where a row of the catalog or only what this test tries was \
         changed), then set COMPUTED in tests/revision.rs to {computed}"
    );
}
