//! What comes of one pull request, and which fields it lacks.

use std::sync::LazyLock;

use crate::catalog::{Compute, FEATURE_COUNT, FEATURES};

/// The features of one pull request.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureVector {
    /// One value a row of [`FEATURES`], in its order; NaN means unknown.
    pub values: [f32; FEATURE_COUNT],
    /// Hashes of the words of title, body, labels and association: ascending, each once.
    pub tokens: Vec<u32>,
    /// Hashes of what tells the kind of a change ([`crate::Facts::kind_tokens`]).
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
