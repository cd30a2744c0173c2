//! What the server runs with, checked.

use std::{net::SocketAddr, time::Duration};

use prowl_platform::StoreUrl;

use crate::{following::Following, tls::TlsFiles, webhook};

/// Everything the server needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where models are published.
    pub store: StoreUrl,
    /// Name of the model's folder, or `latest`.
    pub model: String,
    /// What is followed while it is served.
    pub following: Following,
    /// Where certificates are.
    pub tls: TlsFiles,
    /// The model that is compared with the one that is served.
    pub shadow: Option<Shadowing>,
    /// Whether everybody may ask, without a token.
    pub insecure: bool,
    /// Whether feedback is kept in the store.
    pub feedback: bool,
    /// How deliveries of GitHub's are taken.
    pub webhooks: webhook::Settings,
    /// Which requests the log tells of.
    pub access_log: AccessLog,
    /// Where gRPC listens.
    pub grpc: SocketAddr,
    /// Where HTTP listens.
    pub http: SocketAddr,
    /// What one caller, and all of them together, may ask for.
    pub limits: Limits,
    /// How the server ends.
    pub drain: Drain,
}

/// A second model that judges a share of what is answered, and never answers.
#[derive(Clone, Debug)]
pub struct Shadowing {
    /// Name of its folder, or `latest` for whatever is newest.
    pub version: String,
    /// The share, above 0 and at most 1.
    pub share: f64,
}

/// Bounds on what callers can make the server hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest gRPC message or HTTP body, in bytes.
    pub request_bytes: usize,
    /// Most pull requests in one batch.
    pub batch: usize,
    /// Most requests at one time, each from its head until its answer is sent; more wait for a moment, or are refused.
    pub in_flight: usize,
    /// Most streams of requests at one time.
    pub streams: usize,
    /// Longest time for one request, so that neither a slow sender nor a slow reader keeps its place.
    pub request_time: Duration,
    /// Most open connections on each port; more wait to be accepted.
    pub connections: usize,
    /// Longest time in which nothing comes or goes on a connection.
    pub idle_time: Duration,
    /// Most reasons in one answer.
    pub reasons: usize,
}

/// Which requests the log tells of, a line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AccessLog {
    /// None of them
    None,
    /// Those that were not answered as they were meant, but for those that found no place, which are counted
    Failed,
    /// All of them
    All,
}

impl AccessLog {
    /// Whether it tells of a request that failed, or did not; and if so, for want of a place, which are counted elsewhere.
    pub(crate) fn tells(self, failed: bool, no_place: bool) -> bool {
        match self {
            Self::None => false,
            Self::Failed => failed && !no_place,
            Self::All => true,
        }
    }
}

/// How long the server waits for what, once it was asked to end.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// Between saying not ready and accepting no more: time for balancers to look elsewhere.
    pub grace: Duration,
    /// For the requests in flight after that. With less than [`Limits::request_time`] one that has time left may be lost.
    pub timeout: Duration,
}
