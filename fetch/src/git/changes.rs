//! Second reading: the file changes of commits that stand for pull requests, one document each.

use std::collections::HashMap;

use super::{
    author::Author,
    command::{Git, Tokens},
    graph::Graph,
    id::Id,
    main_line::Merge,
    message,
};
use crate::{
    Error,
    document::{Base, BaseRepository, Date, Document, File, Head, HeadRepository, State, Status, User},
};

/// Begins each commit; no file record begins with it.
const BEGIN: u8 = 1;
/// What follows for each commit. File records come after, each with its own NULs (`-z`).
const FORMAT: &str = "--format=%x01%H%x00%P%x00%an%x00%ae%x00%at%x00%ct%x00%B";

/// What is known besides the commits themselves.
pub(crate) struct Context<'a> {
    pub repository: &'a str,
    /// Where pull requests go; `None` where the history begins at a commit that no branch names.
    pub branch: Option<&'a str>,
    /// When each reverted pull request was first taken back.
    pub reverted_at: &'a HashMap<u64, i64>,
    pub graph: &'a Graph,
}

/// The documents of a list of commits, in its order.
pub(crate) struct Documents<'a> {
    tokens: Tokens,
    context: &'a Context<'a>,
    /// The pull requests that are still to come, by number.
    left: std::slice::Iter<'a, (u64, Merge)>,
    /// The name of the commit whose record begins, read while looking for the end of the one before.
    begun: Option<Id>,
    /// Documents whose author's login is not known, only a name.
    pub authors_by_name: u64,
}

/// One commit as `git log` prints it.
struct Commit {
    id: Id,
    parents: Vec<Id>,
    author: Author,
    authored_at: i64,
    committed_at: i64,
    message: String,
    files: Vec<File>,
}

impl<'a> Documents<'a> {
    pub(crate) fn start(git: &Git, merges: &'a [(u64, Merge)], context: &'a Context<'a>) -> Result<Self, Error> {
        let arguments = [
            "--no-walk=unsorted",
            "--stdin",
            // A merge is compared with the main line before it, the first commit of all with nothing.
            "--first-parent",
            "-m",
            "--root",
            "--find-renames",
            // Status and new path of each file, then its lines.
            "--raw",
            "--numstat",
            "-z",
            "--diff-algorithm=myers",
            // No order of the user's own.
            "-O/dev/null",
            "--ignore-submodules=none",
            "--no-ext-diff",
            "--no-textconv",
            "--encoding=UTF-8",
            FORMAT,
        ];
        let commits = merges.iter().map(|(_, merge)| merge.commit.to_string()).collect();
        let mut tokens = git.stream("log", &arguments, Some(commits))?;
        let begun = match tokens.next()?.map(<[u8]>::to_vec) {
            Some(token) => Some(begin(&token).ok_or_else(|| tokens.unreadable(&token, "a commit"))?),
            None => None,
        };
        Ok(Self { tokens, context, left: merges.iter(), begun, authors_by_name: 0 })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Document>, Error> {
        match (self.left.next(), self.begun.take()) {
            (None, None) => Ok(None),
            (Some((number, merge)), Some(id)) if merge.commit == id => {
                let commit = self.commit(id)?;
                self.document(*number, commit).map(Some)
            }
            (wanted, found) => {
                let found = found.map(|id| id.to_string()).unwrap_or_default();
                let expected = if wanted.is_some() { "the next commit that was asked for" } else { "the end" };
                Err(self.tokens.unreadable(found.as_bytes(), expected))
            }
        }
    }

    fn commit(&mut self, id: Id) -> Result<Commit, Error> {
        let tokens = &mut self.tokens;
        let parents = tokens.ids("parents")?;
        let author = (tokens.text("an author")?, tokens.text("an address")?);
        let authored_at = tokens.number("an author date")?;
        let committed_at = tokens.number("a committer date")?;
        let message = tokens.text("a message")?;

        let mut statuses: HashMap<String, Status> = HashMap::new();
        let mut files = Vec::new();
        while let Some(token) = tokens.next()? {
            // The first record after a message stands behind a line feed.
            let token = token.strip_prefix(b"\n").unwrap_or(token);
            match token.first() {
                None => {}
                Some(&BEGIN) => {
                    self.begun = begin(token);
                    break;
                }
                Some(b':') => {
                    let letter = token.rsplit(|b| *b == b' ').next().and_then(|word| word.first().copied());
                    let status = status(letter.unwrap_or_default());
                    if matches!(status, Status::Renamed | Status::Copied) {
                        tokens.text("the old path")?;
                    }
                    statuses.insert(tokens.text("a path")?, status);
                }
                Some(_) => {
                    let line = String::from_utf8_lossy(token).into_owned();
                    let (additions, deletions, mut path) =
                        numbers(&line).ok_or_else(|| tokens.unreadable(line.as_bytes(), "the lines of a file"))?;
                    if path.is_empty() {
                        tokens.text("the old path")?;
                        path = tokens.text("the new path")?;
                    }
                    let status = statuses.get(&path).copied().unwrap_or(Status::Modified);
                    files.push(File { filename: path, status, additions, deletions });
                }
            }
        }
        Ok(Commit { id, parents, author, authored_at, committed_at, message, files })
    }

    fn document(&mut self, number: u64, commit: Commit) -> Result<Document, Error> {
        let Context { repository, branch, reverted_at, graph } = self.context;
        let merged = message::merged(&commit.message)
            .filter(|merged| merged.number == number)
            .ok_or_else(|| self.tokens.unreadable(commit.message.as_bytes(), "the message of a pull request"))?;
        let from = (commit.parents.len() > 1).then(|| graph.branches.get(&commit.id.key())).flatten();
        let merged_at = Date(commit.committed_at);
        // A clock that was wrong must not open a pull request after its merge.
        let created_at = Date(from.map_or(commit.authored_at, |from| from.begun_at)).min(merged_at);
        let author = from.map_or(commit.author, |from| graph.author(from).clone());
        let login = graph.logins.find(&author);
        self.authors_by_name += u64::from(login.is_none());
        Ok(Document {
            key: format!("{repository}#{number}"),
            number,
            id: None,
            node_id: None,
            title: Some(merged.title),
            body: (!merged.body.is_empty()).then_some(merged.body),
            state: State::Closed,
            draft: None,
            merged: Some(true),
            merged_at: Some(merged_at),
            created_at,
            updated_at: Some(merged_at),
            closed_at: Some(merged_at),
            user: login.or(Some(author.0)).filter(|login| !login.is_empty()).map(User::new),
            author_association: None,
            labels: None,
            assignees: None,
            requested_reviewers: None,
            milestone: None,
            additions: Some(commit.files.iter().map(|file| file.additions).sum()),
            deletions: Some(commit.files.iter().map(|file| file.deletions).sum()),
            changed_files: Some(commit.files.len() as u64),
            commits: from.map(|from| from.commits),
            comments: None,
            review_comments: None,
            base: Base {
                branch: branch.map(str::to_owned),
                sha: commit.parents.first().map(Id::to_string),
                repo: BaseRepository { full_name: (*repository).to_owned() },
            },
            head: Head {
                sha: from.and_then(|_| commit.parents.get(1).map(Id::to_string)),
                repo: match &merged.branch {
                    Some((owner, _)) => head_repository(owner, repository),
                    None => HeadRepository::Unknown,
                },
                branch: merged.branch.map(|(_, name)| name),
            },
            merge_commit_sha: Some(commit.id.to_string()),
            files: Some(commit.files),
            fetched_at: None,
            reverted_at: reverted_at.get(&number).map(|at| Date(*at)),
        })
    }
}

fn begin(token: &[u8]) -> Option<Id> {
    token.strip_prefix(&[BEGIN]).and_then(Id::parse)
}

/// The letter of `git diff --raw` in REST's words.
fn status(letter: u8) -> Status {
    match letter {
        b'A' => Status::Added,
        b'D' => Status::Removed,
        b'R' => Status::Renamed,
        b'C' => Status::Copied,
        b'T' => Status::Changed,
        _ => Status::Modified,
    }
}

/// `additions TAB deletions TAB path`; `-` for a binary file; no path when an old and a new one follow.
fn numbers(line: &str) -> Option<(u64, u64, String)> {
    let number = |field| if field == "-" { Some(0) } else { str::parse(field).ok() };
    let (additions, rest) = line.split_once('\t')?;
    let (deletions, path) = rest.split_once('\t')?;
    Some((number(additions)?, number(deletions)?, path.to_owned()))
}

/// A branch of another owner comes from a fork, whose name the history does not tell.
fn head_repository(owner: &str, repository: &str) -> HeadRepository {
    let own = repository.split_once('/').is_some_and(|(base, _)| base.eq_ignore_ascii_case(owner));
    HeadRepository::Known { full_name: own.then(|| repository.to_owned()), fork: !own }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_text_binary_and_renamed_files() {
        assert_eq!(numbers("3\t4\tsrc/a b\tc.rs"), Some((3, 4, "src/a b\tc.rs".into())));
        assert_eq!(numbers("-\t-\tlogo.png"), Some((0, 0, "logo.png".into())));
        assert_eq!(numbers("1\t0\t"), Some((1, 0, String::new())));
        for none in ["", "1\t2", "a\tb\tc", "-1\t0\tx"] {
            assert_eq!(numbers(none), None, "{none}");
        }
    }

    #[test]
    fn a_branch_of_another_owner_is_a_fork() {
        let own = HeadRepository::Known { full_name: Some("owner/repo".into()), fork: false };
        assert_eq!(head_repository("Owner", "owner/repo"), own);
        assert_eq!(head_repository("someone", "owner/repo"), HeadRepository::Known { full_name: None, fork: true });
    }
}
