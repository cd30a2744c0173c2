//! A list of pull requests that were taken back, for what no document tells: reverts by commits without a pull request, or
//! those that a team kept note of.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use prowl_features::repository_key;
use prowl_platform::Input;
use serde::{Deserialize, Serialize};
use url::Url;

/// Pull requests that a list may name: it travels with the plan, to every task.
const MOST: usize = 100_000;

/// When each of some pull requests was taken back, by key of the repository and number, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub(crate) struct Reverts {
    clock: Clock,
    times: Vec<(u64, u64, i64)>,
}

/// What the times of a list are counted from, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
enum Clock {
    #[default]
    Unix,
    Merge,
}

impl Reverts {
    /// When a pull request was taken back that was merged then, in milliseconds since 1970 UTC.
    pub(crate) fn of(&self, repository: u64, number: u64, merged_at: i64) -> Option<i64> {
        let by_identity = |&(other, its, _): &(u64, u64, i64)| (other, its).cmp(&(repository, number));
        let place = self.times.binary_search_by(by_identity).ok()?;
        let time = self.times[place].2;
        Some(match self.clock {
            Clock::Unix => time,
            Clock::Merge => merged_at.saturating_add(time),
        })
    }

    /// How many pull requests it names.
    pub(crate) fn len(&self) -> u64 {
        self.times.len() as u64
    }
}

/// A list, and the file that it was read from.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) reverts: Reverts,
    /// The file, as the manifest of the run names it.
    pub(crate) input: Input,
}

impl List {
    /// Reads `repo,number,reverted_at` or `repo,number,reverted_after_days`, in any order of columns. Of several lines of one
    /// pull request the earliest time counts.
    ///
    /// # Errors
    /// The file cannot be read, or is no such list: the message names the line and the column.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let read = || {
            let mut text = Vec::new();
            std::fs::File::open(path)?.read_to_end(&mut text)?;
            Ok::<_, std::io::Error>((text, path.canonicalize()?))
        };
        let (text, absolute) = read().with_context(|| {
            format!("cannot read the list of reverts {shown}: allow reading it, or give another with --reverts")
        })?;
        let reverts = parse(&text).with_context(|| {
            format!(
                "the list of reverts {shown} cannot be used: give CSV with the columns repo, number, and reverted_at or \
                 reverted_after_days"
            )
        })?;
        let Ok(url) = Url::from_file_path(absolute) else {
            bail!("the list of reverts {shown} has no absolute path: give it by one")
        };
        let digest = Some(format!("blake3:{}", blake3::hash(&text)));
        Ok(Self { reverts, input: Input { kind: "reverts".into(), name: url.into(), digest } })
    }
}

fn parse(text: &[u8]) -> anyhow::Result<Reverts> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    let names = reader.headers()?.clone();
    let find = |name: &str| names.iter().position(|other| other == name);
    let repo = find("repo").or_else(|| find("repository")).context("it has no column `repo`")?;
    let number = find("number").context("it has no column `number`")?;
    let (clock, time) = match (find("reverted_at"), find("reverted_after_days")) {
        (Some(time), None) => (Clock::Unix, time),
        (None, Some(time)) => (Clock::Merge, time),
        (None, None) => bail!("it has neither a column `reverted_at` nor `reverted_after_days`"),
        (Some(_), Some(_)) => bail!("it has both `reverted_at` and `reverted_after_days`; leave one out"),
    };
    let mut times = BTreeMap::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |column: usize| record.get(column).unwrap_or_default();
        let wrong = |column: usize, expected: &str| {
            format!("line {line}, column `{}`: expected {expected}, found {:?}", &names[column], field(column))
        };
        let repository = field(repo);
        if !repository.contains('/') {
            bail!(wrong(repo, "owner/name"));
        }
        let number: u64 = field(number).parse().with_context(|| wrong(number, "a whole number"))?;
        let at = match clock {
            Clock::Unix => {
                let at: Timestamp =
                    field(time).parse().with_context(|| wrong(time, "a time such as 2024-01-31T12:00:00Z"))?;
                at.as_millisecond()
            }
            Clock::Merge => {
                let days: Option<f64> = field(time).parse().ok().filter(|days| (0.0..1e6).contains(days));
                (days.with_context(|| wrong(time, "days since the merge"))? * 86_400_000.0) as i64
            }
        };
        let earliest = times.entry((repository_key(repository), number)).or_insert(at);
        *earliest = at.min(*earliest);
        if times.len() > MOST {
            bail!("it names more than {MOST} pull requests; put the times into their documents, as `reverted_at`");
        }
    }
    Ok(Reverts { clock, times: times.into_iter().map(|((repository, number), at)| (repository, number, at)).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_of_the_named_ones_alone() {
        let reverts =
            parse(b"number, repo ,note,reverted_at\n7,O/r,x,1970-01-01T00:00:09Z\n7,o/R,,1970-01-01T00:00:05Z\n")
                .unwrap();
        let repository = repository_key("o/r");
        assert_eq!((reverts.len(), reverts.of(repository, 7, 1)), (1, Some(5_000)));
        assert_eq!([reverts.of(repository, 8, 1), reverts.of(repository + 1, 7, 1)], [None; 2]);
        let reverts = parse(b"repository,number,reverted_after_days\no/r,7,0.5\no/r,9,0\n").unwrap();
        assert_eq!(reverts.of(repository, 7, 1), Some(43_200_001));
        assert_eq!(reverts.of(repository, 9, 1), Some(1));
    }

    #[test]
    fn what_is_no_list_is_told_with_its_place() {
        let problem = |text: &str| format!("{:#}", parse(text.as_bytes()).unwrap_err());
        assert!(problem("").contains("no column `repo`"));
        assert!(problem("repo,n\n").contains("no column `number`"));
        assert!(problem("repo,number\n").contains("neither"));
        assert!(problem("repo,number,reverted_at,reverted_after_days\n").contains("both"));
        let days = "repo,number,reverted_after_days\no/r,1,2\n";
        for (line, column, found) in [
            ("r,1,2", "repo", "\"r\""),
            ("o/r,x,2", "number", "\"x\""),
            ("o/r,1,-1", "reverted_after_days", "\"-1\""),
            ("o/r,1,NaN", "reverted_after_days", "\"NaN\""),
        ] {
            let said = problem(&format!("{days}{line}\n"));
            assert!(said.contains("line 3") && said.contains(column) && said.contains(found), "{said}");
        }
        assert!(problem("repo,number,reverted_at\no/r,1,yesterday\n").contains("line 2, column `reverted_at`"));
        assert!(problem(&format!("{days}o/r,1\n")).contains("line"), "a line that is too short");
    }
}
