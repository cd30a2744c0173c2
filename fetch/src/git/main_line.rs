//! The main line of a history: which commits stand for pull requests, and which of them are taken back later. Keeps
//! numbers, hashes and dates only, no text.

use std::collections::{BTreeMap, HashMap, HashSet};

use prowl_features::{RevertReference, commit_key, title_key};

use super::{command::Git, graph::Graph, id::Id, message};
use crate::{Error, outlet::Outlet};

/// What the main line says of pull requests.
#[derive(Debug, Default)]
pub(crate) struct MainLine {
    /// Commits on it.
    pub commits: usize,
    /// The commit of each pull request, by number.
    pub merges: BTreeMap<u64, Merge>,
    /// When each reverted pull request was first taken back.
    pub reverted_at: HashMap<u64, i64>,
    /// Merges whose message names another repository.
    pub foreign: u64,
    /// What is named by reverts of which it is not found what they take back.
    unfound: Vec<Unfound>,
}

/// A commit that stands for no pull request of the main line.
#[derive(Debug)]
struct Unfound {
    /// Place of the revert that names it.
    place: usize,
    /// Its first digits, left-aligned in 64 bits, and how many there are.
    value: u64,
    digits: u8,
}

/// One commit that stands for a pull request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Merge {
    pub commit: Id,
    pub merged_at: i64,
    /// Place in the history, 0 is the newest commit.
    place: usize,
}

/// A commit that takes something back, until it is known what.
struct Revert {
    place: usize,
    at: i64,
    target: RevertReference,
}

/// A commit that a revert may mean, by a number that stands for its name or its title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    key: u64,
    place: usize,
    number: u64,
}

impl MainLine {
    /// Reads the first-parent history of `head`, newest commit first.
    pub(crate) fn read(git: &Git, head: &str, repository: &str, outlet: &Outlet) -> Result<Self, Error> {
        let mut line = Self::default();
        let mut reverts = Vec::new();
        let (mut commits, mut titles) = (Vec::new(), Vec::new());

        let arguments = ["--first-parent", "-z", "--encoding=UTF-8", "--format=%H%x00%ct%x00%B", head];
        let mut tokens = git.stream("log", &arguments, None)?;
        while let Some(commit) = tokens.id()? {
            let at = tokens.number("a committer date")?;
            let text = tokens.text("a message")?;
            let place = line.commits;
            line.commits += 1;
            outlet.check()?;

            let (subject, body) = message::split(&text);
            let merged = message::merged(&text);
            let title = merged.as_ref().map_or(subject, |merged| merged.title.as_str());
            let named = merged.as_ref().and_then(|merged| merged.repository.as_deref());
            let foreign = named.is_some_and(|named| !named.eq_ignore_ascii_case(repository));
            let mut targets = RevertReference::find(title, body, repository);
            // The numbers of another repository are not ours.
            targets.retain(|target| !foreign || !matches!(target, RevertReference::Number(_)));
            reverts.extend(targets.into_iter().map(|target| Revert { place, at, target }));
            if foreign {
                line.foreign += 1;
                continue;
            }
            let Some(merged) = merged else { continue };
            let number = merged.number;
            commits.extend(commit_key(&commit.to_string()).map(|key| Known { key, place, number }));
            titles.push(Known { key: title_key(&merged.title), place, number });
            if merged.title != subject {
                titles.push(Known { key: title_key(subject), place, number });
            }
            // A number that comes twice was taken back and applied again with the same subject: the pull request is
            // the older one.
            line.merges.insert(number, Merge { commit, merged_at: at, place });
        }
        commits.sort_unstable();
        titles.sort_unstable();

        let mut taking_back = HashSet::new();
        // The oldest first, since that is the one that counts.
        for Revert { place, at, target } in reverts.into_iter().rev() {
            let number = match target {
                RevertReference::Number(number) => Some(number),
                RevertReference::Commit(value, digits) => unique(&commits, value, digits, place),
                // Titles repeat ("Update dependencies"): the last one before the revert is meant.
                RevertReference::Title(title) => last_before(&titles, title, place),
            };
            // A number may be an issue's, or of a pull request that is merged only later.
            let Some((number, merge)) = number.and_then(|number| line.merges.get_key_value(&number)) else {
                if let RevertReference::Commit(value, digits) = target {
                    line.unfound.push(Unfound { place, value, digits });
                }
                continue;
            };
            if merge.place > place {
                taking_back.insert(place);
                // A clock that was wrong must not take anything back before its merge.
                line.reverted_at.entry(*number).or_insert(at.max(merge.merged_at));
            }
        }
        line.unfound.retain(|unfound| !taking_back.contains(&unfound.place));
        Ok(line)
    }

    /// Reverts of which it is not found what they take back, since the history does not have the commit that they name.
    pub(crate) fn lost_reverts(&self, graph: &Graph) -> u64 {
        let lost = self.unfound.iter().filter(|unfound| !graph.has(unfound.value, unfound.digits));
        lost.map(|unfound| unfound.place).collect::<HashSet<_>>().len() as u64
    }

    /// Leaves out the oldest commit: where a shallow clone ends, git shows every file as new.
    pub(crate) fn cut_edge(&mut self) {
        let edge = self.commits - 1;
        self.merges.retain(|_, merge| merge.place < edge);
    }
}

/// The pull request whose commit begins with these digits, of those older than `place`, unless two do.
fn unique(commits: &[Known], value: u64, digits: u8, place: usize) -> Option<u64> {
    let from = commits.partition_point(|known| known.key < value);
    let alike = commits[from..].iter().take_while(|known| known.key <= last(value, digits));
    let mut found = alike.filter(|known| known.place > place);
    match (found.next(), found.next()) {
        (Some(known), None) => Some(known.number),
        _ => None,
    }
}

/// The last name, by its first 16 digits, that begins with these.
pub(crate) fn last(value: u64, digits: u8) -> u64 {
    value | u64::MAX.checked_shr(4 * u32::from(digits)).unwrap_or(0)
}

/// The newest pull request with that title, of those older than `place`.
fn last_before(titles: &[Known], title: u64, place: usize) -> Option<u64> {
    let older = titles.partition_point(|known| (known.key, known.place) <= (title, place));
    titles.get(older).filter(|known| known.key == title).map(|known| known.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_that_two_commits_have_names_neither() {
        let known = |sha: &str, place, number| Known { key: commit_key(sha).unwrap(), place, number };
        let commits =
            [known("abcdef0111111111", 7, 1), known("abcdef0222222222", 5, 2), known("ffffffff00000000", 6, 3)];
        let find = |digits: &str, place| {
            let padded = format!("{digits:0<16}");
            unique(&commits, commit_key(&padded).unwrap(), digits.len() as u8, place)
        };
        assert_eq!(find("abcdef0", 0), None);
        assert_eq!(find("abcdef01", 0), Some(1));
        assert_eq!(find("fffffff", 0), Some(3));
        assert_eq!(find("ffffffff00000000", 0), Some(3));
        assert_eq!(find("fffffff", 6), None, "nothing takes itself back");
        assert_eq!(find("abcdef0", 6), Some(1), "the other one is younger than who names it");
        assert_eq!(find("1234567", 0), None);
    }

    #[test]
    fn a_title_that_comes_again_means_the_last_one_before() {
        let known = |key, place, number| Known { key, place, number };
        let titles = [known(7, 1, 90), known(8, 3, 70), known(8, 5, 50), known(9, 2, 80)];
        let find = |place| last_before(&titles, 8, place);
        assert_eq!((find(0), find(3), find(4), find(5)), (Some(70), Some(50), Some(50), None));
        assert_eq!(last_before(&titles, 6, 0), None);
    }
}
