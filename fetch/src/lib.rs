//! Collects pull requests and writes them as a MongoDB export: the first stage of Prowl.
//!
//! Sources ([`git`], [`synth`]) make [`document::Document`]s; one writer ([`export`]) publishes them as
//! `exports/<snapshot>/part-*.json.gz`. Documents stream from one to the other and are never held all at once; what
//! grows is the graph of commits that [`git`] holds, about 200 bytes a commit.
//!
//! This crate never computes a feature or a label: it hands on what the source says, and leaves unknown what the
//! source cannot know.

pub mod args;
pub mod document;
mod error;
pub mod export;
pub mod git;
mod progress;
pub mod synth;

pub use error::Error;
