//! What became of each line, and whether too many came to nothing.

use std::collections::BTreeMap;

use super::Format;
use crate::{Error, rejects::Rejects};

/// The largest share of malformed lines that is let pass, as `prowl-preprocess` lets as many rejects.
const MOST: f64 = 0.01;

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
    pub(super) malformed: Rejects,
}

impl Tally {
    /// # Errors
    /// There is no pull request, or too many lines are malformed.
    pub(super) fn judge(&self, format: &Format, files: &str) -> Result<(), Error> {
        let Self { taken, filtered, incomplete, other, malformed } = self;
        let read = taken + filtered + incomplete + malformed.count();
        if let Some(first) = malformed.too_many(MOST, read) {
            return Err(Error::MalformedEvents {
                malformed: malformed.count(),
                read,
                most: 100.0 * MOST,
                first: first.to_owned(),
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
        let counts = [
            ("pull_request_events", self.taken),
            ("filtered", self.filtered),
            ("incomplete", self.incomplete),
            ("other_events", self.other),
            ("malformed_lines", self.malformed.count()),
        ];
        counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
    }

    /// For people.
    pub(super) fn notes(&self) -> Vec<String> {
        let Self { taken, filtered, incomplete, other, malformed } = self;
        let mut notes =
            vec![format!("{taken} events of pull requests; {filtered} not asked for, {other} of other kinds")];
        if *incomplete > 0 {
            notes.push(format!("{incomplete} events do not say when their pull request was opened, and are left out"));
        }
        if let Some(first) = malformed.told().first() {
            notes.push(format!("{} lines are malformed and left out, the first: {first}", malformed.count()));
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
    fn too_many_are_an_error_and_so_is_nothing() {
        let mut tally = Tally { taken: 99, other: 5_000, ..Tally::default() };
        tally.judge(&FORMAT, "2 files").unwrap();
        tally.malformed.add("a.json", 7, "cut off");
        tally.judge(&FORMAT, "2 files").unwrap();
        tally.malformed.add("a.json", 8, "cut off");
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
