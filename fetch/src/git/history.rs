//! First reading of a history, without file changes: which commits stand for pull requests, which of them are taken
//! back later, and what was on the merged branches. Keeps numbers, hashes and dates only, no text.

use std::collections::{BTreeMap, HashMap};

use prowl_features::{RevertReference, commit_key, title_key};

use super::{
    author::{Author, Logins},
    command::Git,
    message,
};
use crate::{Error, export::Outlet};

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
}

/// One commit that stands for a pull request.
#[derive(Debug, Clone)]
pub(crate) struct Merge {
    pub commit: String,
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

impl MainLine {
    /// Reads the first-parent history of `head`, newest commit first.
    pub(crate) fn read(git: &Git, head: &str, repository: &str, outlet: &Outlet) -> Result<Self, Error> {
        let mut line = Self::default();
        let mut reverts = Vec::new();
        let mut by_commit = BTreeMap::new();
        let mut by_title: HashMap<u64, Vec<(usize, u64)>> = HashMap::new();

        let arguments = ["--first-parent", "-z", "--encoding=UTF-8", "--format=%H%x00%ct%x00%B", head];
        let mut tokens = git.stream("log", &arguments, None)?;
        while let Some(commit) = tokens.next()? {
            let commit = String::from_utf8_lossy(commit).into_owned();
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
            by_commit.extend(commit_key(&commit).map(|key| (key, (place, number))));
            for title in [merged.title.as_str(), subject] {
                by_title.entry(title_key(title)).or_default().push((place, number));
            }
            // A number that comes twice was taken back and applied again with the same subject: the pull request is
            // the older one.
            line.merges.insert(number, Merge { commit, merged_at: at, place });
        }

        // The oldest first, since that is the one that counts.
        for Revert { place, at, target } in reverts.into_iter().rev() {
            let number = match target {
                RevertReference::Number(number) => Some(number),
                RevertReference::Commit(value, digits) => unique(&by_commit, value, digits, place),
                // Titles repeat ("Update dependencies"): the last one before the revert is meant.
                RevertReference::Title(title) => by_title
                    .get(&title)
                    .and_then(|found| found.iter().find(|(older, _)| *older > place).map(|(_, number)| *number)),
            };
            // A number may be an issue's, or of a pull request that is merged only later.
            let Some((number, merge)) = number.and_then(|number| line.merges.get_key_value(&number)) else { continue };
            if merge.place > place {
                // A clock that was wrong must not take anything back before its merge.
                line.reverted_at.entry(*number).or_insert(at.max(merge.merged_at));
            }
        }
        Ok(line)
    }

    /// Leaves out the oldest commit: where a shallow clone ends, git shows every file as new.
    pub(crate) fn cut_edge(&mut self) {
        let edge = self.commits - 1;
        self.merges.retain(|_, merge| merge.place < edge);
    }
}

/// The pull request whose commit begins with these digits, of those older than `place`, unless two do.
fn unique(by_commit: &BTreeMap<u64, (usize, u64)>, value: u64, digits: u8, place: usize) -> Option<u64> {
    let rest = u64::MAX.checked_shr(4 * u32::from(digits)).unwrap_or(0);
    let mut found = by_commit.range(value..=value | rest).filter(|(_, (older, _))| *older > place);
    match (found.next(), found.next()) {
        (Some((_, (_, number))), None) => Some(*number),
        _ => None,
    }
}

/// What was on a branch before it was merged.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    /// Commits that the merge brought to the main line.
    pub commits: u64,
    /// Earliest author date among them.
    pub begun_at: i64,
    /// Author of its last commit.
    pub author: Author,
}

/// What the whole history tells.
pub(crate) struct Graph {
    /// The merged branches, by the merge commit.
    pub branches: HashMap<String, Branch>,
    /// Of everybody who wrote a commit.
    pub logins: Logins,
}

/// One commit of the whole history: about 150 bytes with its entry in the map.
struct Commit {
    /// Its name, where it merges a branch.
    merge: Option<String>,
    parents: Vec<u32>,
    authored_at: i64,
    author: u32,
}

/// Reads the graph of `head` and looks at each branch that was merged into its main line: the commits that a merge
/// brought are those that no earlier commit of the main line reaches. Every commit is visited once.
pub(crate) fn graph(git: &Git, head: &str, outlet: &Outlet) -> Result<Graph, Error> {
    let mut places: HashMap<String, u32> = HashMap::new();
    let mut commits: Vec<Option<Commit>> = Vec::new();
    let mut author_places: HashMap<Author, u32> = HashMap::new();

    let arguments = ["-z", "--encoding=UTF-8", "--format=%H%x00%P%x00%at%x00%an%x00%ae", head];
    let mut tokens = git.stream("log", &arguments, None)?;
    while let Some(commit) = tokens.next()? {
        let commit = String::from_utf8_lossy(commit).into_owned();
        let parents = tokens.text("parents")?;
        let authored_at = tokens.number("an author date")?;
        let author = (tokens.text("an author")?, tokens.text("an address")?);
        outlet.check()?;

        // A commit may be named as a parent before or after its own record.
        let mut place = |sha: &str| {
            *places.entry(sha.to_owned()).or_insert_with(|| {
                commits.push(None);
                (commits.len() - 1) as u32
            })
        };
        let here = place(&commit) as usize;
        let parents: Vec<u32> = parents.split_whitespace().map(place).collect();
        let next = author_places.len() as u32;
        let author = *author_places.entry(author).or_insert(next);
        commits[here] = Some(Commit { merge: (parents.len() > 1).then_some(commit), parents, authored_at, author });
    }
    drop(places);
    let mut authors: Vec<Author> = vec![Default::default(); author_places.len()];
    for (author, place) in author_places {
        authors[place as usize] = author;
    }

    // The first commit read is the head, at place 0. A commit without an entry lies below the edge of a shallow clone.
    let known = |place: u32| commits.get(place as usize).and_then(Option::as_ref);
    let mut main_line = Vec::new();
    let mut next = Some(0);
    while let Some(place) = next {
        main_line.push(place);
        next = known(place).and_then(|commit| commit.parents.first().copied());
    }
    let mut seen = vec![false; commits.len()];
    let mut branches = HashMap::new();
    for place in main_line.into_iter().rev() {
        let Some(merge) = known(place) else { continue };
        seen[place as usize] = true;
        let (Some(name), Some(&tip)) = (&merge.merge, merge.parents.get(1)) else { continue };
        let Some(last) = known(tip) else { continue };
        let author = authors[last.author as usize].clone();
        let mut branch = Branch { commits: 0, begun_at: last.authored_at, author };
        let mut open = vec![tip];
        while let Some(place) = open.pop() {
            if std::mem::replace(&mut seen[place as usize], true) {
                continue;
            }
            let Some(commit) = known(place) else { continue };
            branch.commits += 1;
            branch.begun_at = branch.begun_at.min(commit.authored_at);
            open.extend(&commit.parents);
        }
        branches.insert(name.clone(), branch);
    }
    Ok(Graph { branches, logins: Logins::of(&authors) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_that_two_commits_have_names_neither() {
        let key = |sha: &str| commit_key(sha).unwrap();
        let by_commit = BTreeMap::from([
            (key("abcdef0111111111"), (7, 1)),
            (key("abcdef0222222222"), (5, 2)),
            (key("ffffffff00000000"), (6, 3)),
        ]);
        let find = |digits: &str, place| {
            let padded = format!("{digits:0<16}");
            unique(&by_commit, key(&padded), digits.len() as u8, place)
        };
        assert_eq!(find("abcdef0", 0), None);
        assert_eq!(find("abcdef01", 0), Some(1));
        assert_eq!(find("fffffff", 0), Some(3));
        assert_eq!(find("ffffffff00000000", 0), Some(3));
        assert_eq!(find("fffffff", 6), None, "nothing takes itself back");
        assert_eq!(find("abcdef0", 6), Some(1), "the other one is younger than who names it");
        assert_eq!(find("1234567", 0), None);
    }
}
