//! What became of each line, and whether too many came to nothing.

use std::collections::BTreeMap;

use super::Format;
use crate::Error;

/// The largest share of malformed lines that is let pass, as `prowl-preprocess` lets as many rejects.
const MOST: f64 = 0.01;

/// Malformed lines that are told one by one.
const TOLD: u64 = 10;

/// How much of a reason is told, in characters: it may quote the line.
const REPEATED: usize = 200;

/// Counts of lines that are not blank.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Versions of pull requests that became documents.
    pub(super) taken: u64,
    /// Those that were not asked for.
    pub(super) filtered: u64,
    /// Events that do not say when their pull request was opened.
    pub(super) incomplete: u64,
    /// Events of other kinds.
    pub(super) other: u64,
    malformed: u64,
    first: Option<String>,
}

impl Tally {
    /// Counts a line that is not understood, and says so of the first ten.
    pub(super) fn malformed(&mut self, file: &str, line: u64, reason: &str) -> Option<String> {
        self.malformed += 1;
        if self.malformed > TOLD {
            return None;
        }
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        let reason: String = reason.chars().map(visible).take(REPEATED).collect();
        let told = format!("{file}, line {line}: {reason}");
        self.first.get_or_insert_with(|| told.clone());
        Some(told)
    }

    /// # Errors
    /// There is no pull request, or too many lines are malformed.
    pub(super) fn judge(&self, format: &Format, files: &str) -> Result<(), Error> {
        let Self { taken, filtered, incomplete, other, malformed, first } = self;
        let read = taken + filtered + incomplete + malformed;
        if let Some(first) = first
            && *malformed as f64 > MOST * read as f64
        {
            return Err(Error::MalformedEvents {
                malformed: *malformed,
                read,
                most: 100.0 * MOST,
                first: first.clone(),
                wanted: format.wanted,
            });
        }
        if *taken == 0 {
            let lines = read + other;
            let without = match (filtered, incomplete) {
                (0, 0) => String::new(),
                (filtered, 0) => format!(" ({filtered} were not asked for)"),
                (filtered, incomplete) => {
                    format!(" ({filtered} were not asked for, {incomplete} do not say when they were opened)")
                }
            };
            return Err(Error::NoEvents { lines, files: files.to_owned(), without, wanted: format.wanted });
        }
        Ok(())
    }

    /// For the manifest.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let Self { taken, filtered, incomplete, other, malformed, .. } = self;
        let counts = [
            ("pull_request_events", taken),
            ("filtered", filtered),
            ("incomplete", incomplete),
            ("other_events", other),
            ("malformed_lines", malformed),
        ];
        counts.into_iter().map(|(name, count)| (name.to_owned(), *count)).collect()
    }

    /// For people.
    pub(super) fn notes(&self) -> Vec<String> {
        let Self { taken, filtered, incomplete, other, malformed, first } = self;
        let mut notes =
            vec![format!("{taken} events of pull requests; {filtered} not asked for, {other} of other kinds")];
        if *incomplete > 0 {
            notes.push(format!("{incomplete} events do not say when their pull request was opened, and are left out"));
        }
        if let Some(first) = first {
            notes.push(format!("{malformed} lines are malformed and left out, the first: {first}"));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::archive::FORMAT;

    fn said(tally: &Tally) -> String {
        tally.judge(&FORMAT, "2 files").unwrap_err().to_string()
    }

    #[test]
    fn the_first_ten_are_told() {
        let mut tally = Tally::default();
        let told = (1..=12).filter_map(|line| tally.malformed("a.json", line, "no\u{1b} JSON")).collect::<Vec<_>>();
        assert_eq!((told.len(), &*told[0], &*told[9]), (10, "a.json, line 1: no  JSON", "a.json, line 10: no  JSON"));
        assert!(tally.malformed("a.json", 13, "").is_none());
        assert_eq!(tally.counts()["malformed_lines"], 13);
        assert!(Tally::default().malformed("f", 1, &"x".repeat(1_000)).unwrap().len() < 250);
    }

    #[test]
    fn too_many_are_an_error_and_so_is_nothing() {
        let mut tally = Tally { taken: 99, other: 5_000, ..Tally::default() };
        tally.judge(&FORMAT, "2 files").unwrap();
        tally.malformed("a.json", 7, "cut off");
        tally.judge(&FORMAT, "2 files").unwrap();
        tally.malformed("a.json", 8, "cut off");
        let told = said(&tally);
        assert!(
            told.contains("2 of 101 lines") && told.contains("1%") && told.contains("a.json, line 7: cut off"),
            "{told}"
        );

        let told = said(&Tally { other: 7, ..Tally::default() });
        assert!(told.contains("7 lines of 2 files") && told.contains("PullRequestEvent"), "{told}");
        let told = said(&Tally { filtered: 3, incomplete: 4, ..Tally::default() });
        assert!(told.contains("3 were not asked for, 4 do not say"), "{told}");
    }
}
