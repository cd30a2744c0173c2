//! The whole graph of a history: what was on each branch before it was merged, and who wrote the commits. About 100
//! bytes a commit while it is read.

use std::collections::HashMap;

use prowl_features::commit_key;

use super::{
    author::{Author, Logins},
    command::Git,
    id::Key,
    main_line,
};
use crate::{Error, outlet::Outlet};

/// What was on a branch before it was merged.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    /// Commits that the merge brought to the main line.
    pub commits: u64,
    /// Earliest author date among them.
    pub begun_at: i64,
    /// Author of its last commit: a place among [`Graph::authors`].
    author: u32,
}

/// What the whole history tells.
pub(crate) struct Graph {
    /// The merged branches, by the merge commit.
    pub branches: HashMap<Key, Branch>,
    /// Of everybody who wrote a commit.
    pub logins: Logins,
    authors: Vec<Author>,
    /// The first 16 digits of every commit's name, ascending.
    names: Vec<u64>,
}

/// One commit of the whole history. One that is named as a parent only lies below the edge of a shallow clone.
#[derive(Clone, Default)]
struct Commit {
    authored_at: i64,
    author: u32,
    /// Where its parents begin, and how many there are.
    parents: (u32, u32),
    read: bool,
}

/// Every commit at its place: 0 is the head, the others come as they are first named.
#[derive(Default)]
struct Commits {
    all: Vec<Commit>,
    parents: Vec<u32>,
    /// Names of those that merge something.
    merges: HashMap<u32, Key>,
}

impl Graph {
    /// Reads the graph of `head` and looks at each branch that was merged into its main line: the commits that a merge
    /// brought are those that no earlier commit of the main line reaches. Every commit is visited once.
    pub(crate) fn read(git: &Git, head: &str, outlet: &Outlet) -> Result<Self, Error> {
        let (commits, authors, names) = Commits::read(git, head, outlet)?;
        Ok(Self { branches: commits.branches(), logins: Logins::of(&authors), authors, names })
    }

    /// Whether the name of a commit begins with these digits, left-aligned in 64 bits.
    pub(crate) fn has(&self, value: u64, digits: u8) -> bool {
        let from = self.names.partition_point(|&name| name < value);
        self.names.get(from).is_some_and(|&name| name <= main_line::last(value, digits))
    }

    /// Who wrote the last commit of a branch.
    pub(crate) fn author(&self, branch: &Branch) -> &Author {
        &self.authors[branch.author as usize]
    }
}

impl Commits {
    /// Beside them everybody who wrote one, and the first 16 digits of their names, ascending.
    fn read(git: &Git, head: &str, outlet: &Outlet) -> Result<(Self, Vec<Author>, Vec<u64>), Error> {
        let (mut graph, mut names) = (Self::default(), Vec::new());
        let mut places: HashMap<Key, u32> = HashMap::new();
        let mut author_places: HashMap<Author, u32> = HashMap::new();
        let arguments = ["-z", "--encoding=UTF-8", "--format=%H%x00%P%x00%at%x00%an%x00%ae", head];
        let mut tokens = git.stream("log", &arguments, None)?;
        while let Some(commit) = tokens.id()? {
            let parents = tokens.ids("parents")?;
            let authored_at = tokens.number("an author date")?;
            let author = (tokens.text("an author")?, tokens.text("an address")?);
            outlet.check()?;

            let next = author_places.len() as u32;
            let author = *author_places.entry(author).or_insert(next);
            // A commit may be named as a parent before or after its own record.
            let mut place = |key: Key| {
                *places.entry(key).or_insert_with(|| {
                    graph.all.push(Commit::default());
                    (graph.all.len() - 1) as u32
                })
            };
            let here = place(commit.key());
            names.extend(commit_key(&commit.to_string()));
            let begin = graph.parents.len() as u32;
            graph.parents.extend(parents.iter().map(|parent| place(parent.key())));
            if parents.len() > 1 {
                graph.merges.insert(here, commit.key());
            }
            graph.all[here as usize] =
                Commit { authored_at, author, parents: (begin, parents.len() as u32), read: true };
        }
        let mut authors = vec![Author::default(); author_places.len()];
        for (author, place) in author_places {
            authors[place as usize] = author;
        }
        names.sort_unstable();
        Ok((graph, authors, names))
    }

    fn branches(&self) -> HashMap<Key, Branch> {
        let mut main_line = Vec::new();
        let mut next = Some(0);
        while let Some(place) = next {
            main_line.push(place);
            next = self.known(place).and_then(|commit| self.parents(commit).first().copied());
        }
        let mut seen = vec![false; self.all.len()];
        let mut branches = HashMap::new();
        for place in main_line.into_iter().rev() {
            let Some(merge) = self.known(place) else { continue };
            seen[place as usize] = true;
            let (Some(name), Some(&tip)) = (self.merges.get(&place), self.parents(merge).get(1)) else { continue };
            let Some(last) = self.known(tip) else { continue };
            let mut branch = Branch { commits: 0, begun_at: last.authored_at, author: last.author };
            let mut open = vec![tip];
            while let Some(place) = open.pop() {
                if std::mem::replace(&mut seen[place as usize], true) {
                    continue;
                }
                let Some(commit) = self.known(place) else { continue };
                branch.commits += 1;
                branch.begun_at = branch.begun_at.min(commit.authored_at);
                open.extend(self.parents(commit));
            }
            branches.insert(*name, branch);
        }
        branches
    }

    fn known(&self, place: u32) -> Option<&Commit> {
        self.all.get(place as usize).filter(|commit| commit.read)
    }

    fn parents(&self, commit: &Commit) -> &[u32] {
        let (begin, count) = commit.parents;
        &self.parents[begin as usize..][..count as usize]
    }
}
