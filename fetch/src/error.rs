//! What can go wrong while collecting, in words for the person who started it.

use std::path::PathBuf;

/// An error of a collecting program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] prowl_platform::Error),
    /// SIGINT or SIGTERM came before the end.
    #[error("stopped by {0}: nothing was published")]
    Stopped(&'static str),
    /// The writer failed or was stopped while a source worked. Its own error is the one that is reported.
    #[error("nobody takes the documents any more")]
    Cancelled,
    /// `git` cannot be started.
    #[error("cannot run `git`: install it, or put it in PATH")]
    NoGit(#[source] std::io::Error),
    /// `--path` leads to something that is no repository.
    #[error("{path} is no git repository: give the folder of a clone with --path ({reason})", path = path.display())]
    NoRepository {
        /// What was given.
        path: PathBuf,
        /// What `git` or the file system says.
        reason: String,
    },
    /// The repository has no commit on the branch that was asked for.
    #[error("{path} has no commit on {branch}: fetch the branch, or name another with --branch", path = path.display())]
    NoCommits {
        /// The clone.
        path: PathBuf,
        /// The branch.
        branch: String,
    },
    /// `git` refused the repository, or failed while it read it.
    #[error("`git {command}` failed in {path}: {reason}", path = path.display())]
    Git {
        /// Its first argument.
        command: &'static str,
        /// The clone.
        path: PathBuf,
        /// What it wrote to stderr.
        reason: String,
    },
    /// Reading from or writing to `git` failed.
    #[error("lost the connection to `git {command}`")]
    Pipe {
        /// Its first argument.
        command: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// `git` printed something that this program does not understand.
    #[error("`git {command}` printed {found:?} where {expected} should be: please report this with `git --version`")]
    Unreadable {
        /// Its first argument.
        command: &'static str,
        /// What came.
        found: String,
        /// What should have come.
        expected: &'static str,
    },
    /// No commit stands for a pull request.
    #[error(
        "no pull request found among {commits} commits of {branch} in {path}{since}: looked for subjects that end in \
         ` (#123)`, or begin with `Merge pull request #123 from owner/branch`, `Merge {repository}#123: title` or \
         `Merge #123: title`; is this a clone of {repository} with its whole history?",
        path = path.display()
    )]
    NoPullRequests {
        /// The clone.
        path: PathBuf,
        /// The branch.
        branch: String,
        /// Commits of its first-parent history.
        commits: usize,
        /// `owner/name` as given.
        repository: String,
        /// ` since …` where that was given.
        since: String,
    },
}
