//! Collects pull requests, into MongoDB or straight into an export: the first stage of Prowl.
//!
//! Sources make documents: `github` asks GitHub's API, `git` reads a clone, `events` reads payloads of webhooks and
//! hours of GH Archive, `synth` generates. An `outlet` takes them to one of two places: to `publish`, which writes them
//! as `exports/<snapshot>/part-*.json.gz`, or to [`mongo`], which moves the collection forward. `export` publishes the
//! collection, and `import` loads an export into one. `privacy` is applied before a document leaves its source.
//!
//! Documents stream from one to the other and are never held all at once; what grows is the graph of commits that
//! `git` holds, and the names of repositories: of all that documents are of, and with `github` of all that are known.
//!
//! This crate never computes a feature or a label: it hands on what the source says, and leaves unknown what the
//! source cannot know.

pub mod args;
mod document;
mod error;
mod events;
mod export;
pub mod extjson;
mod git;
mod github;
mod import;
pub mod metrics;
pub mod mongo;
mod outlet;
mod privacy;
mod progress;
mod publish;
mod rejects;
mod synth;
pub mod task;

pub use error::Error;
