//! What keeps a load test from being run, in words for the person who has to do something about it.

use std::{path::PathBuf, time::Duration};

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A server cannot be spoken to.
    #[error("cannot ask the {name} at {url}: {reason}")]
    Target {
        /// Which one.
        name: &'static str,
        /// Where it is.
        url: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A server did not become ready.
    #[error("the {name} at {url} is not ready after {patience:?}: {last}")]
    NotReady {
        /// Which one.
        name: &'static str,
        /// Where it is.
        url: String,
        /// How long it was waited for.
        patience: Duration,
        /// What it said last.
        last: String,
    },
    /// An HTTP port is needed, and none was named.
    #[error("say where the HTTP port of the {name} is, by {}", http_flag(name))]
    NoHttp {
        /// Of which server.
        name: &'static str,
    },
    /// Certificates cannot be read.
    #[error("cannot read the certificates in {}: name a file in PEM that this user may read by --ca-file", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Requests are an export of a store, and no store was named.
    #[error("{name} is an export of a store: say of which by --store or PROWL_STORE, or give files")]
    RequestsNeedStore {
        /// The export.
        name: String,
    },
    /// Requests cannot be read.
    #[error(
        "cannot read {file}: give an export, or files of a document a line, plain, gzip or zstd, that this user may read"
    )]
    Requests {
        /// Path or URL.
        file: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// There is nothing to send.
    #[error("{origin} holds no pull request: give an export, or files of a document a line")]
    NoRequests {
        /// What was read.
        origin: String,
    },
    /// What is to be sent holds no document, though it holds something.
    #[error(
        "{file}: line {line} is no document ({reason}), and neither is any other: give pull requests, a JSON object a line"
    )]
    NoDocument {
        /// Path or URL.
        file: String,
        /// The first line that holds something.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The export that is to be sent cannot be had.
    #[error("{0}; or send pull requests of files, a document a line, by --requests FILE")]
    Export(prowl_platform::Error),
    /// The panel of a model is damaged.
    #[error("the panel in {url} cannot be read: {reason}; train and publish the model again")]
    Panel {
        /// The folder of the model.
        url: String,
        /// Why.
        reason: String,
    },
    /// A verdict that is kept is damaged.
    #[error("the verdict {name} cannot be read or written: {reason}; one that is damaged may be removed")]
    Verdict {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// A rule is none.
    #[error("{place}: {rule:?} is no rule ({reason}); write such as p99<20ms for score, error-rate<0.1% or rps>=500")]
    Rule {
        /// The file and the line, or the flag.
        place: String,
        /// As it was written.
        rule: String,
        /// Why it is none.
        reason: String,
    },
    /// A file cannot be written, or read.
    #[error("cannot {what} {}: let this user do it, or name another", path.display())]
    File {
        /// `write`, `read` or `find`.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// goose does not take what it was given, or failed.
    #[error("goose: {0}")]
    Goose(String),
    /// Calls were made of which nobody knows what came.
    #[error(
        "{0} calls ended by a panic, which is told above: without them the figures are not those of the load; report it"
    )]
    Lost(u64),
    /// A signal came before there was anything to tell.
    #[error("stopped by {0}: nothing was measured yet")]
    Stopped(&'static str),
    /// The rehearsal could not be carried through.
    #[error(transparent)]
    Rehearsal(#[from] crate::rehearse::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] prowl_platform::Error),
}

/// The flag that names the HTTP port of a server.
fn http_flag(name: &str) -> &'static str {
    match name {
        "preview" => "--preview-http",
        "active" => "--active-http",
        _ => "--http",
    }
}
