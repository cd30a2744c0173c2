//! The model file: one safetensors file with all tensors and, under one key of its header, the metadata.

use safetensors::SafeTensors;
use serde::Deserialize;

use crate::calibration::Percentiles;
use crate::tensors::{METADATA, Reader, Writer};
use crate::{CategoryHead, Metadata, Model, Network, Parts, SCHEMA, Scaler, Surprise, Text};

/// Name of the model file in its folder.
pub const FILE_NAME: &str = "model.safetensors";

/// Why bytes are no model, or why parts make none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// The bytes are no safetensors file, or a damaged one.
    #[error("{FILE_NAME} is damaged: {0}; train the model again with `prowl-trainer train`")]
    Container(safetensors::SafeTensorError),
    /// The header has no metadata of ours, or unreadable one.
    #[error("{FILE_NAME} is no model of Prowl: {0}; train one with `prowl-trainer train`")]
    Metadata(String),
    /// A later version wrote the file.
    #[error(
        "{FILE_NAME} has schema {found}, and this program knows models up to schema {SCHEMA}: update this program, or \
         train the model again with the version that you run"
    )]
    NewerSchema {
        /// The schema of the file.
        found: u64,
    },
    /// A tensor is missing or does not fit.
    #[error("the part {name} of {FILE_NAME} is damaged: {problem}; train the model again with `prowl-trainer train`")]
    Tensor {
        /// Name of the tensor, or of the part with several.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl ArtifactError {
    pub(crate) fn tensor(name: &str, problem: String) -> Self {
        Self::Tensor { name: name.to_owned(), problem }
    }

    pub(crate) fn unless(holds: bool, name: &str, problem: impl FnOnce() -> String) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::tensor(name, problem())) }
    }
}

impl Model {
    /// Reads a model file, and checks everything that scoring relies on.
    ///
    /// # Errors
    /// The bytes are damaged or no model, the schema is newer, a tensor is missing, of a wrong shape or not finite.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(ArtifactError::Container)?;
        let text = header.metadata().as_ref().and_then(|pairs| pairs.get(METADATA));
        let text = text.ok_or_else(|| ArtifactError::Metadata(format!("its header has no key {METADATA:?}")))?;
        let metadata = metadata(text)?;
        let tensors = Reader(SafeTensors::deserialize(bytes).map_err(ArtifactError::Container)?);
        Self::from_parts(Parts {
            scaler: Scaler::read(&tensors)?,
            text: Text::read(&tensors)?,
            network: Network::read(&tensors)?,
            surprise: Surprise::read(&tensors)?,
            percentiles: Percentiles::read(&tensors)?,
            category: if metadata.categories.is_empty() { None } else { Some(CategoryHead::read(&tensors)?) },
            metadata,
        })
    }

    /// The model file. Equal models give equal bytes.
    ///
    /// # Errors
    /// The metadata holds a number that is not finite, or is larger than a safetensors header may be.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArtifactError> {
        let parts = self.parts();
        if let Some((name, value)) = parts.metadata.metrics.iter().find(|(_, value)| !value.is_finite()) {
            return Err(ArtifactError::Metadata(format!("its metric {name} is {value}")));
        }
        let mut tensors = Writer::default();
        parts.scaler.write(&mut tensors);
        parts.text.write(&mut tensors);
        parts.network.write(&mut tensors);
        parts.surprise.write(&mut tensors);
        parts.percentiles.write(&mut tensors);
        if let Some(category) = &parts.category {
            category.write(&mut tensors);
        }
        let text = serde_json::to_string(&parts.metadata).map_err(|e| ArtifactError::Metadata(e.to_string()))?;
        tensors.finish(text).map_err(ArtifactError::Container)
    }
}

/// Looks at the schema before anything else, since a newer one may have other fields.
fn metadata(text: &str) -> Result<Metadata, ArtifactError> {
    #[derive(Deserialize)]
    struct Header {
        schema: u64,
    }
    let broken = |error: serde_json::Error| ArtifactError::Metadata(format!("its metadata is broken: {error}"));
    let Header { schema } = serde_json::from_str(text).map_err(broken)?;
    if schema > u64::from(SCHEMA) {
        return Err(ArtifactError::NewerSchema { found: schema });
    }
    serde_json::from_str(text).map_err(broken)
}
