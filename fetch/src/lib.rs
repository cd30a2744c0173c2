//! Collects pull requests and writes them as a MongoDB export: the first stage of Prowl.
//!
//! Sources ([`git`], [`synth`]) make [`document::Document`]s; one writer ([`export`]) publishes them as
//! `exports/<snapshot>/part-*.json.gz`. Both stream, so memory does not grow with the number of pull requests.
//!
//! This crate never computes a feature or a label: it hands on what the source says, and `null` for what the
//! source cannot know.

pub mod args;
pub mod document;
mod error;
pub mod export;
pub mod git;
mod progress;
pub mod synth;

pub use error::Error;
