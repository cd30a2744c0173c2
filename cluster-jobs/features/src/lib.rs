//! The one definition of a feature: from one pull request and what was known before it to one vector.
//!
//! The batch job and the service go the same way, which [`features`] goes in one call, so that the same pull request
//! with the same history gives the same bits in both:
//!
//! ```text
//! JSON ── PullRequest::from_json ──> PullRequest ── Facts::of ──> Facts ─┐
//!                                                                        ├─ Facts::vector ──> FeatureVector
//!             Replay (batch) or Profiles (service) ──> History ──────────┘
//! ```
//!
//! [`Facts`] is all that is read off the pull request alone: numbers and hashed keys, and no text but the name of its
//! repository and the beginning of its title. It is what crosses a shuffle in the batch job. [`History`] is what was
//! known of its author, repository, files and directories before it was opened. [`FEATURES`] is the catalog: each row
//! names a feature and computes it.
//!
//! This crate never does I/O, never reads a clock, and knows nothing of an engine or a model.

#![deny(missing_docs)]

mod amount;
mod catalog;
mod category;
mod document;
mod extended_json;
mod facts;
mod hash;
mod history;
pub mod identity;
mod ledger;
mod object;
mod packed;
mod path;
mod profiles;
mod pull_request;
mod reverts;
mod tally;
mod text;
mod vector;
mod wording;
mod words;

#[cfg(feature = "arrow")]
mod profile_batches;

pub use catalog::{FEATURE_COUNT, FEATURES, Feature, Group, Missing, Unit, catalog_json, digest};
pub use category::Category;
pub use extended_json::{EARLIEST, LATEST};
pub use facts::Facts;
pub use hash::repository_key;
pub use history::{AuthorHistory, DirectoryHistory, FileHistory, History, Quartiles, RepositoryHistory, RevertRatios};
pub use ledger::{Ledger, Replay};
#[cfg(feature = "arrow")]
pub use profile_batches::{ProfileBatchError, profile_schema, push_batch, repository_batch};
pub use profiles::Profiles;
pub use pull_request::{ChangedFile, DocumentError, PullRequest, User};
pub use reverts::{Lifecycle, Maturity, Outcome, Outcomes, RevertReference, commit_key, title_key};
pub use vector::FeatureVector;
pub use wording::Usual;

/// The kernel: the features of `pull_request`, given what was known when it was opened.
///
/// `history.files` and `history.directories` follow [`Facts::files`] and [`Facts::directories`]: as many entries, in
/// that order. Every entry counts, so callers that take a history from outside check the lengths first.
pub fn features(pull_request: &PullRequest<'_>, history: &History) -> FeatureVector {
    Facts::of(pull_request).vector(history)
}
