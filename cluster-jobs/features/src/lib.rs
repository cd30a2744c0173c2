//! The one definition of a feature: from one pull request and what was known before it to one vector.
//!
//! The batch job and the service both call [`features`], so that the same pull request with the same
//! history gives the same bits in both. The way through the crate:
//!
//! ```text
//! JSON ── PullRequest::from_json ──> PullRequest ── Facts::of ──> Facts ─┐
//!                                                                        ├─ Facts::vector ──> FeatureVector
//!             Replay (batch) or Profiles (service) ──> History ──────────┘
//! ```
//!
//! [`Facts`] is all that is read off the pull request alone: numbers and hashed keys, no text. It is what
//! crosses a shuffle in the batch job. [`History`] is what was known of its author, repository, files and
//! directories before it was opened. [`FEATURES`] is the catalog: each row names a feature and computes it.
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
mod wording;
mod words;

#[cfg(feature = "arrow")]
mod profile_batches;

use std::sync::LazyLock;

use catalog::Compute;
pub use catalog::{FEATURE_COUNT, FEATURES, Feature, Group, Missing, Unit, catalog_json, digest};
pub use category::Category;
pub use extended_json::{EARLIEST, LATEST};
pub use facts::{Facts, ROW_FEATURES};
pub use hash::repository_key;
pub use history::{AuthorHistory, DirectoryHistory, FileHistory, History, Quartiles, RepositoryHistory, RevertRatios};
pub use ledger::{Ledger, Replay};
#[cfg(feature = "arrow")]
pub use profile_batches::{ProfileBatchError, profile_schema, push_batch, repository_batch};
pub use profiles::Profiles;
pub use pull_request::{ChangedFile, DocumentError, PullRequest, User};
pub use reverts::{Lifecycle, Maturity, Outcome, Outcomes, RevertReference, commit_key, title_key};
pub use wording::Usual;

/// The features of one pull request.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureVector {
    /// One value a row of [`FEATURES`], in its order; NaN means unknown.
    pub values: [f32; FEATURE_COUNT],
    /// Hashes of the words of title, body, labels and association: ascending, each once.
    pub tokens: Vec<u32>,
    /// Hashes of what tells the kind of a change ([`Facts::kind_tokens`]).
    pub kind_tokens: Vec<u32>,
}

impl FeatureVector {
    /// The fields that the pull request lacks, in the order of the catalog: every feature that is read from such a one
    /// alone is unknown. A part of a field that is missing as a whole, such as `files.status`, is not listed.
    pub fn missing_fields(&self) -> Vec<&'static str> {
        let is_missing = |field: &&Field| field.features.iter().all(|&feature| self.values[feature].is_nan());
        let missing: Vec<&Field> = FIELDS.iter().filter(is_missing).collect();
        let is_part = |field: &&&Field| missing.iter().any(|whole| field.parent == Some(whole.name));
        missing.iter().filter(|field| !is_part(field)).map(|field| field.name).collect()
    }
}

/// A field of a pull request, and the features that are read from it alone.
struct Field {
    name: &'static str,
    /// The field that it is a part of.
    parent: Option<&'static str>,
    features: Vec<usize>,
}

/// The fields, in the order of the catalog.
static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| {
    let mut fields: Vec<Field> = Vec::new();
    for (index, feature) in FEATURES.iter().enumerate() {
        let name = feature.source;
        if !matches!(feature.compute, Compute::Row(_)) || name.contains(',') {
            continue;
        }
        match fields.iter_mut().find(|field| field.name == name) {
            Some(field) => field.features.push(index),
            None => {
                let parent = name.split_once('.').map(|(parent, _)| parent);
                fields.push(Field { name, parent, features: vec![index] });
            }
        }
    }
    fields
});

/// The kernel: the features of `pull_request`, given what was known when it was opened.
///
/// `history.files` and `history.directories` follow [`Facts::files`] and [`Facts::directories`]: as many entries, in
/// that order. Every entry counts, so callers that take a history from outside check the lengths first.
pub fn features(pull_request: &PullRequest<'_>, history: &History) -> FeatureVector {
    Facts::of(pull_request).vector(history)
}
