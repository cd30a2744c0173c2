//! What can keep a rehearsal from being played to its end.

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

/// A rehearsal that could not be played: it tells nothing of the versions that were to be switched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A port cannot be opened.
    #[error("cannot listen on {address}: choose a free address")]
    Listen {
        /// Where it was tried.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program cannot be started.
    #[error("cannot start {}: give the path of a program that was built for this machine", program.display())]
    Start {
        /// Its path.
        program: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A log cannot be written or read.
    #[error("cannot keep the log {}: choose a folder that you may write", path.display())]
    Log {
        /// Its path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A server ended before it was ready.
    #[error("{name} ended before it was ready ({status}): {last} (all of it is in {})", log.display())]
    Ended {
        /// Which one.
        name: String,
        /// How.
        status: String,
        /// The last line of its log.
        last: String,
        /// Where the others are.
        log: PathBuf,
    },
    /// A server did not become ready.
    #[error("{name} was not ready after {patience:?}: {last} (all of it is in {})", log.display())]
    NotReady {
        /// Which one.
        name: String,
        /// How long it was waited for.
        patience: Duration,
        /// The last line of its log.
        last: String,
        /// Where the others are.
        log: PathBuf,
    },
    /// A server serves what it was not told to.
    #[error("{name} serves {found}, and was told to serve {expected}: name a version of the store, not latest")]
    OtherModel {
        /// Which one.
        name: String,
        /// What it was started with.
        expected: String,
        /// What it says.
        found: String,
    },
    /// No signal can be sent.
    #[error("cannot send SIGTERM to {name}: install the program kill (procps)")]
    Signal {
        /// To which one.
        name: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A server did not end in time.
    #[error("{name} had not drained {patience:?} after SIGTERM and is killed: its log is {}", log.display())]
    NotDrained {
        /// Which one.
        name: String,
        /// How long it was waited for.
        patience: Duration,
        /// Where it says what it waited for.
        log: PathBuf,
    },
    /// Nothing was held on the switch.
    #[error("the load did not last as long as the rehearsal: {reason}")]
    Load {
        /// Why.
        reason: String,
    },
    /// A fault was to be planted, and the gate did not last until then.
    #[error("the gate was over before green was to be killed, {after:?} after its begin: kill it earlier")]
    NotPlanted {
        /// When it was to be.
        after: Duration,
    },
    /// There is no model that could be the wrong one.
    #[error(
        "to serve a wrong model there has to be another than {expected}: train another one, or serve different versions as blue and green"
    )]
    NoOther {
        /// The one that is expected.
        expected: String,
    },
    /// The server behind a stand-in does not answer.
    #[error("the server at {url} does not say what it serves: {reason}")]
    Behind {
        /// Where it should be.
        url: String,
        /// What came instead.
        reason: String,
    },
    /// A stand-in cannot serve.
    #[error("the stand-in stopped serving, as its port broke: play the rehearsal again")]
    StandIn(#[from] tonic::transport::Error),
}
