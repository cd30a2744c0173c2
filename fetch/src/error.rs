//! What can go wrong while collecting, in words for the person who started it.

use std::path::PathBuf;

/// An error of a collecting program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // ---- Any part ----
    /// The store refused.
    #[error(transparent)]
    Store(#[from] prowl_platform::Error),
    /// SIGINT or SIGTERM came before the end.
    #[error("stopped by {0}: nothing was published")]
    Stopped(&'static str),
    /// The writer failed or was stopped while a source worked. Its own error is the one that is reported.
    #[error("nobody takes the documents any more")]
    Cancelled,
    /// A file to read is not there, or is damaged.
    #[error("cannot read {file}: see that it is whole and may be read, or leave it out")]
    File {
        /// Its path or URL, or standard input.
        file: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },

    // ---- `git` ----
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
    #[error(
        "`git {command}` failed in {path}: {reason}; do what it says, or clone the repository anew",
        path = path.display()
    )]
    Git {
        /// Its first argument.
        command: &'static str,
        /// The clone.
        path: PathBuf,
        /// What it wrote to stderr.
        reason: String,
    },
    /// Reading from or writing to `git` failed.
    #[error("lost the connection to `git {command}`: run it again")]
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

    // ---- `github` ----
    /// GitHub does not give what was asked for.
    #[error(transparent)]
    GitHub(#[from] crate::github::Trouble),
    /// A signal came before the end.
    #[error("stopped by {0}: what was collected is kept, and the next run goes on there")]
    Interrupted(&'static str),
    /// A signal came before all was looked at.
    #[error("stopped by {0}: there is no estimate, and nothing was written; run it again for one")]
    StoppedEstimating(&'static str),
    /// Not all could be looked at.
    #[error(
        "the estimate leaves out {failures} of the repositories and owners{first}: see what is said above, and run it \
         again"
    )]
    PartOfEstimate {
        /// How many.
        failures: usize,
        /// The first repository or owner, and why, in brackets.
        first: String,
    },
    /// A run came to its end, and not everything could be had.
    #[error("{}{first}: what else there is was collected; see what is said above, and run it again", lacking(*failures, *missed))]
    Incomplete {
        /// Repositories and owners.
        failures: u64,
        /// Pull requests.
        missed: u64,
        /// The first repository or owner, and why, in brackets; nothing where it is pull requests alone.
        first: String,
    },

    // ---- `events`, `privacy` ----
    /// A folder has no files of events.
    #[error(
        "{folder} holds no file of events: looked for names that end in .json, .ndjson, .jsonl or .log, with or without .gz \
         or .zst",
        folder = folder.display()
    )]
    NoEventFiles {
        /// What was given.
        folder: PathBuf,
    },
    /// No event is one of a pull request, or none is wanted.
    #[error("no pull request found in {lines} lines of {files}{without}: {wanted}")]
    NoEvents {
        /// Lines that were read.
        lines: u64,
        /// How many files, or which, they are from.
        files: String,
        /// How many were found and left out, and why.
        without: String,
        /// What was looked for.
        wanted: &'static str,
    },
    /// Too much is left out, as it is not understood.
    #[error(
        "{malformed} of {read} lines are malformed, of which {most}% may be: {first}; mend or leave out the file ({wanted})"
    )]
    MalformedEvents {
        /// Lines that are not understood.
        malformed: u64,
        /// Those, and those of pull requests.
        read: u64,
        /// What may be, in per cent.
        most: f64,
        /// The first of them: its file, its line, and why.
        first: String,
        /// What was looked for.
        wanted: &'static str,
    },
    /// The key for logins could be guessed.
    #[error(
        "the secret login_hash_key is too short: write at least {shortest} characters that nobody can guess, for example \
         those of `openssl rand -hex 32`"
    )]
    WeakLoginKey {
        /// The fewest characters that are taken.
        shortest: usize,
    },

    // ---- `mongo` ----
    /// The URI of the database is none.
    #[error("the MongoDB URI is wrong: {reason}")]
    MongoUri {
        /// What is wrong, without a word that stands in it.
        reason: String,
    },
    /// The database refused, or could not be reached.
    #[error("cannot {what} {place}: {reason}")]
    Mongo {
        /// What was to be done, such as `write to`.
        what: &'static str,
        /// The collection and its hosts.
        place: String,
        /// Why it cannot be done, and what to do about it.
        reason: String,
    },
    /// A collection that cannot be kept free of duplicates, since it holds some.
    #[error(
        "{collection} holds a pull request more than once: remove all but the newest of the documents that have the \
         same base.repo.full_name and number, then run this again"
    )]
    Duplicates {
        /// The collection and its hosts.
        collection: String,
    },
    /// A document that is of no pull request.
    #[error(
        "a document has no base.repo.full_name or no number, which every pull request has: nothing of its batch was \
         stored; remove it from the source"
    )]
    NoIdentity,
    /// The collection was begun with other options.
    #[error(
        "{collection} was filled with {stored}, and this run has {wanted}: give the --drop-bodies and --hash-logins that \
         it was filled with, import what was exported of such a collection, or name another one with --collection"
    )]
    OtherSettings {
        /// The collection and its hosts.
        collection: String,
        /// What it was begun with.
        stored: String,
        /// What this run has.
        wanted: String,
    },
    /// The state is no place for pull requests.
    #[error("the collection {collection} holds the collector's own state: name another with --collection")]
    StateCollection {
        /// Its name.
        collection: String,
    },
    /// SIGINT or SIGTERM came before all was stored.
    #[error("stopped by {0}: what was stored so far stays; run this again for the rest")]
    StoppedLoading(&'static str),

    // ---- `publish`, `export`, `import`, `extjson` ----
    /// A document that BSON cannot hold.
    #[error("{document} cannot be written as BSON: {reason}; correct it where it comes from")]
    NoBson {
        /// Which one.
        document: String,
        /// Why not.
        reason: String,
    },
    /// What the database sent is no document.
    #[error(
        "the database sent what is no document: see that nothing between it and this machine changes what it sends"
    )]
    NoDocument(#[source] crate::extjson::Damaged),
    /// A part could not be compressed.
    #[error("cannot compress a part of the export: see that there is memory left, or choose another --compression")]
    Compression(#[source] std::io::Error),
    /// The server does not keep the moment that is being read any more.
    #[error(
        "the server did not keep its snapshot until the export was done: raise its parameter \
         minSnapshotHistoryWindowInSeconds, or export less at a time"
    )]
    SnapshotGone,
    /// There is nothing in the collection, or nothing that is wanted.
    #[error(
        "{collection} holds no document{wanted}: nothing was published; is it the right one (--database, --collection)?",
        wanted = if *filtered { " that is asked for" } else { "" }
    )]
    NothingToExport {
        /// Names of the database and the collection.
        collection: String,
        /// Whether only some documents were asked for.
        filtered: bool,
    },
    /// An export is asked for by name, and no store.
    #[error("{name} is an export of a store: say of which by --store or PROWL_STORE, or give the path of a file")]
    ImportNeedsStore {
        /// The name.
        name: String,
    },
    /// Imports of which not the same is hidden.
    #[error("{one} has {with}, and {other} has {and}: import them into two collections, by --collection")]
    ImportsDiffer {
        /// Name of the first of them.
        one: String,
        /// What is left out and hidden of its documents.
        with: String,
        /// Name of another.
        other: String,
        /// What is left out and hidden of those.
        and: String,
    },
    /// A folder has no files to import.
    #[error(
        "{folder} holds no export: looked for names that end in .json, .ndjson or .jsonl, with or without .gz or .zst",
        folder = folder.display()
    )]
    NoImportFiles {
        /// What was given.
        folder: PathBuf,
    },
    /// There is not one document.
    #[error("no document found in {files} files: is this what mongoexport or `prowl-fetch export` wrote?")]
    NothingToImport {
        /// How many were read.
        files: u64,
    },
    /// Too much is left out.
    #[error(
        "{rejected} of {read} documents were rejected, of which {most}% may be: {first}; {others}; mend or leave \
         out the file, or allow more by --max-reject-share",
        others = if rejected == read { "nothing is stored" } else { "the others are stored" }
    )]
    TooManyRejects {
        /// Documents that are none, or of no pull request.
        rejected: u64,
        /// Those and the others.
        read: u64,
        /// What may be rejected, in per cent.
        most: f64,
        /// The first of them: its file, its line, and why.
        first: String,
    },
}

fn lacking(failures: u64, missed: u64) -> String {
    let failures = match failures {
        0 => None,
        1 => Some("1 repository or owner could not be collected".to_owned()),
        many => Some(format!("{many} repositories or owners could not be collected")),
    };
    let missed = match missed {
        0 => None,
        1 => Some("GitHub could not give 1 pull request, or not all of it".to_owned()),
        many => Some(format!("GitHub could not give {many} pull requests, or not all of them")),
    };
    [failures, missed].into_iter().flatten().collect::<Vec<_>>().join(", and ")
}
