//! What the tasks say of their partitions, and the job of all of them: counts, files, rejects, statistics.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use prowl_platform::FileEntry;
use serde::{Deserialize, Serialize};

use crate::rows::Reject;
use crate::statistics::Sketches;

/// Different reasons for rejects that are counted one by one.
const MOST_REASONS: usize = 100;

/// What one partition did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) files: Vec<FileEntry>,
    pub(crate) read: u64,
    pub(crate) kept: u64,
    pub(crate) superseded: u64,
    pub(crate) rejected: u64,
    pub(crate) repositories: u64,
    /// Merged pull requests that the list of reverts names.
    pub(crate) listed: u64,
    /// What is later than the run.
    pub(crate) later: Later,
    /// Time of the newest event of any kind, in milliseconds since 1970 UTC.
    pub(crate) as_of: Option<i64>,
    /// Files read, each with its digest.
    pub(crate) sources: Vec<(String, String)>,
    /// Each reason for a reject.
    pub(crate) reasons: BTreeMap<String, Complaint>,
    /// What the columns of the rows hold.
    pub(crate) statistics: Sketches,
}

/// How often a reason for a reject came up, and where first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Complaint {
    /// How often.
    pub times: u64,
    /// URL of the file.
    pub file: String,
    /// Line in it, from 1.
    pub line: u64,
}

impl Complaint {
    fn add(&mut self, other: &Self) {
        self.times += other.times;
        if (&other.file, other.line) < (&self.file, self.line) {
            self.file.clone_from(&other.file);
            self.line = other.line;
        }
    }
}

/// Pull requests with times after the moment of the run, which count in no history and no label.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Later {
    /// How many.
    pub count: u64,
    /// The latest such time, in milliseconds since 1970 UTC, and the repository and number of whose it is.
    pub latest: Option<(i64, String, u64)>,
}

impl Later {
    /// Adds others.
    pub(crate) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.latest = self.latest.take().max(other.latest);
    }
}

impl fmt::Display for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let have = if self.count == 1 { "pull request has" } else { "pull requests have" };
        write!(f, "{} {have} times after the start of this run, which count in no history and no label", self.count)?;
        if let Some((at, repository, number)) = &self.latest {
            write!(
                f,
                ", the latest {} in {repository}#{number}",
                Timestamp::from_millisecond(*at).unwrap_or(Timestamp::MAX)
            )?;
        }
        f.write_str(": is the clock of this machine right?")
    }
}

impl Report {
    /// Counts a reason. Alike goes with alike: what a message quotes of a document and where in its line a text stops being
    /// JSON stand in the reject.
    pub(crate) fn reason(&mut self, reject: &Reject) {
        let reason = reject.reason.split(" at line ").next().unwrap_or_default();
        // What is expected is always the same, and may have an example in quotation marks.
        let reason = match reason.split_once(", found ").filter(|(expected, _)| expected.starts_with("expected ")) {
            Some((expected, found)) => format!("{expected}, found {}", without_quotes(found)),
            // Tells of characters that JSON has, of none in the document.
            None if reason.starts_with("not JSON") => reason.to_owned(),
            None => without_quotes(reason),
        };
        let reason = match reject.field.as_str() {
            "" => reason,
            field => format!("field `{}`: {reason}", field.replace(|digit: char| digit.is_ascii_digit(), "")),
        };
        let room = self.reasons.len() < MOST_REASONS || self.reasons.contains_key(&reason);
        let reason = if room { reason } else { "other reasons".to_owned() };
        self.complain(reason, Complaint { times: 1, file: reject.file.clone(), line: reject.line });
    }

    fn complain(&mut self, reason: String, complaint: Complaint) {
        self.reasons.entry(reason).and_modify(|known| known.add(&complaint)).or_insert(complaint);
    }

    /// Adds what another partition did.
    pub(crate) fn add(&mut self, other: Self) {
        self.files.extend(other.files);
        self.read += other.read;
        self.kept += other.kept;
        self.superseded += other.superseded;
        self.rejected += other.rejected;
        self.repositories += other.repositories;
        self.listed += other.listed;
        self.later.add(other.later);
        self.as_of = self.as_of.max(other.as_of);
        self.sources.extend(other.sources);
        for (reason, complaint) in other.reasons {
            self.complain(reason, complaint);
        }
        self.statistics.merge(other.statistics);
    }
}

/// A message with an ellipsis for each text in quotation marks or backticks.
fn without_quotes(message: &str) -> String {
    let mut kind = String::new();
    let (mut quote, mut escaped) = (None, false);
    for character in message.chars() {
        match quote {
            None if matches!(character, '"' | '`') => {
                quote = Some(character);
                kind.push('…');
            }
            None => kind.push(character),
            Some(_) if escaped => escaped = false,
            Some('"') if character == '\\' => escaped = true,
            Some(end) if character == end => quote = None,
            Some(_) => {}
        }
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_by_kind_and_not_without_end() {
        let mut report = Report::default();
        let mut reject = |field: &str, reason: &str, line: u64| {
            report.reason(&Reject {
                file: "file:///a.json".into(),
                line,
                offset: 0,
                field: field.into(),
                reason: reason.into(),
                sample: String::new(),
            });
        };
        reject("files[7].additions", r#"expected a whole number, found string "a \"b\"""#, 9);
        reject("files[12].additions", "expected a whole number, found string \"c\"", 4);
        reject("", "not JSON: expected `,` or `}` at line 1 column 2", 5);
        reject("created_at", "expected a time, such as \"2024-01-31\", found string \"today, found\"", 6);
        for index in 0..2 * MOST_REASONS as u64 {
            let letters: String = index.to_string().bytes().map(|digit| char::from(digit + 49)).collect();
            reject(&letters, "missing", 10 + index);
        }
        let of = |reason: &str| report.reasons.get(reason).map(|complaint| (complaint.times, complaint.line));
        assert_eq!(of("field `files[].additions`: expected a whole number, found string …"), Some((2, 4)));
        assert_eq!(of("not JSON: expected `,` or `}`"), Some((1, 5)));
        assert_eq!(of("field `created_at`: expected a time, such as \"2024-01-31\", found string …"), Some((1, 6)));
        assert_eq!(report.reasons.len(), MOST_REASONS + 1);
        assert_eq!(report.reasons.values().map(|complaint| complaint.times).sum::<u64>(), 4 + 2 * MOST_REASONS as u64);
        assert_eq!(of("other reasons").unwrap().0, MOST_REASONS as u64 + 3);
    }

    #[test]
    fn what_is_later_is_told_with_its_place_and_asks_for_the_clock() {
        let mut later = Later { count: 1, latest: Some((1_000, "o/r".into(), 7)) };
        let one = "1 pull request has times after the start of this run, which count in no history and no label, the \
                   latest 1970-01-01T00:00:01Z in o/r#7: is the clock of this machine right?";
        assert_eq!(later.to_string(), one);
        later.add(Later { count: 1, latest: Some((i64::MAX, "o/r".into(), 6)) });
        let two = later.to_string();
        assert!(
            two.starts_with("2 pull requests have") && two.contains("the latest 9999") && two.contains("o/r#6"),
            "{two}"
        );
    }

    #[test]
    fn partitions_add_up_in_any_order() {
        let report = |index: u64, as_of: Option<i64>| Report {
            files: vec![FileEntry { path: format!("part-{index}"), bytes: index, sha256: String::new() }],
            read: index,
            kept: 10 * index,
            superseded: 100 * index,
            rejected: 1000 * index,
            repositories: 10_000 * index,
            listed: index,
            later: Later { count: index, latest: as_of.map(|at| (at, "o/r".to_owned(), index)) },
            as_of,
            sources: vec![(format!("file-{index}"), String::new())],
            reasons: BTreeMap::from([(
                "missing".to_owned(),
                Complaint { times: index, file: format!("file:///{}.json", 9 - index), line: index },
            )]),
            statistics: Sketches::default(),
        };
        let partitions = [report(1, Some(5)), report(2, Some(9)), report(3, None), report(4, Some(7))];
        let sum = |partitions: &mut dyn Iterator<Item = &Report>| {
            let mut sum = Report::default();
            partitions.for_each(|report| sum.add(report.clone()));
            sum.files.sort_by(|a, b| a.path.cmp(&b.path));
            sum.sources.sort();
            serde_json::to_value(sum).unwrap()
        };
        let forwards = sum(&mut partitions.iter());
        assert_eq!(forwards, sum(&mut partitions.iter().rev()));
        assert_eq!(forwards["as_of"], 9);
        assert_eq!(forwards["later"], serde_json::json!({ "count": 10, "latest": [9, "o/r", 2] }));
        let counts = ["read", "kept", "superseded", "rejected", "repositories"].map(|name| forwards[name].as_u64());
        assert_eq!(counts, [10, 100, 1000, 10_000, 100_000].map(Some));
        assert_eq!(
            forwards["reasons"]["missing"],
            serde_json::json!({ "times": 10, "file": "file:///5.json", "line": 4 })
        );
        assert_eq!(
            (forwards["files"].as_array().unwrap().len(), forwards["sources"].as_array().unwrap().len()),
            (4, 4)
        );
    }
}
