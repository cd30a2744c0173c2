//! The model file: one safetensors file with all tensors and, under one key of its header, the metadata.

use safetensors::SafeTensors;
use serde::Deserialize;

use crate::tensors::{METADATA, Reader, Writer};
use crate::{
    Bins, Calibration, CategoryHead, Clusters, Metadata, Model, Network, Parts, RiskHead, SCHEMA, Scaler, Text, Views,
};

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
    /// An earlier version wrote the file.
    #[error(
        "{FILE_NAME} has schema {found}, and this program reads models of schema {SCHEMA}: train the model again with \
         `prowl-trainer train`"
    )]
    OlderSchema {
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
    /// The bytes are damaged or no model, the schema is another, a tensor is missing, of a wrong shape or not finite.
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
            views: Views::read(&tensors)?,
            calibration: Calibration::read(metadata.repositories.len(), &tensors)?,
            bins: Bins::read(&tensors)?,
            category: if metadata.categories.is_empty() { None } else { Some(CategoryHead::read(&tensors)?) },
            clusters: if metadata.clusters.is_empty() { None } else { Some(Clusters::read(&tensors)?) },
            risk: metadata.risk.as_ref().map(|info| RiskHead::read(&tensors, info.members.len())).transpose()?,
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
        parts.views.write(&mut tensors);
        parts.calibration.write(&mut tensors);
        parts.bins.write(&mut tensors);
        if let Some(category) = &parts.category {
            category.write(&mut tensors);
        }
        if let Some(clusters) = &parts.clusters {
            clusters.write(&mut tensors);
        }
        if let Some(risk) = &parts.risk {
            risk.write(&mut tensors);
        }
        let text = serde_json::to_string(&parts.metadata).map_err(|e| ArtifactError::Metadata(e.to_string()))?;
        tensors.finish(text).map_err(ArtifactError::Container)
    }
}

/// Looks at the schema before anything else, since another one may have other fields.
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
    if schema < u64::from(SCHEMA) {
        return Err(ArtifactError::OlderSchema { found: schema });
    }
    serde_json::from_str(text).map_err(broken)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use ndarray::{Array1, Array2, array};
    use safetensors::{Dtype, tensor::TensorView};

    use super::*;
    use crate::LARGE;
    use crate::fixture::{self, vector};

    /// The error of a model made of these parts and written with whatever is wrong with them.
    fn refused(change: impl FnOnce(&mut Parts)) -> String {
        let mut parts = fixture::parts();
        change(&mut parts);
        Model::from_parts(parts).unwrap_err().to_string()
    }

    #[test]
    fn a_model_comes_back_from_its_bytes() {
        let model = fixture::model();
        let bytes = model.to_bytes().unwrap();
        let back = Model::from_bytes(&bytes).unwrap();
        assert_eq!(back, model);
        assert_eq!(back.to_bytes().unwrap(), bytes);
        let values = [4.5, 300.0, f32::NAN, 1.0];
        assert_eq!(
            format!("{:?}", back.score(&vector(&values, &[3, 9]))),
            format!("{:?}", model.score(&vector(&values, &[3, 9])))
        );
    }

    #[test]
    fn a_model_without_a_head_comes_back() {
        let mut parts = fixture::parts();
        (parts.category, parts.metadata.categories) = (None, Vec::new());
        (parts.clusters, parts.metadata.clusters) = (None, Vec::new());
        (parts.risk, parts.metadata.risk) = (None, None);
        let model = Model::from_parts(parts).unwrap();
        let back = Model::from_bytes(&model.to_bytes().unwrap()).unwrap();
        assert_eq!(back, model);
        let score = back.score(&vector(&[0.0; 4], &[])).unwrap();
        assert_eq!((score.categories, score.cluster, score.risk, score.effects), (vec![], None, None, vec![]));
    }

    #[test]
    fn a_file_that_knows_of_no_clusters_is_read() {
        let mut parts = fixture::parts();
        (parts.clusters, parts.metadata.clusters) = (None, Vec::new());
        let model = Model::from_parts(parts).unwrap();
        let bytes = model.to_bytes().unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let text = header.metadata().as_ref().unwrap()["prowl"].replace("\"clusters\":[],", "");
        assert!(!text.contains("clusters"), "{text}");
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let older = safetensors::serialize(tensors.iter(), Some(HashMap::from([("prowl".to_owned(), text)]))).unwrap();
        assert_eq!(Model::from_bytes(&older).unwrap(), model);
    }

    #[test]
    fn no_changed_byte_makes_it_panic() {
        let bytes = fixture::model().to_bytes().unwrap();
        let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
        let mut refused = 0;
        for place in (0..8).chain((8..bytes.len()).step_by(11)) {
            let mut damaged = bytes.clone();
            damaged[place] ^= [0x01, 0x80, 0xFF][place % 3];
            match Model::from_bytes(&damaged) {
                Err(_) => refused += 1,
                // A changed weight or word is sound to the eye; the manifest's digest tells. It must score.
                Ok(model) => drop(model.score(&vector(&[4.5, 300.0, f32::NAN, 1.0], &[3, 9])).map(|score| score.band)),
            }
        }
        assert!(refused > header / 10, "{refused} changes were noticed, in a header of {header} bytes");
    }

    #[test]
    fn no_shortened_file_is_read() {
        let bytes = fixture::model().to_bytes().unwrap();
        for length in (0..bytes.len()).step_by(7) {
            assert!(Model::from_bytes(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(Model::from_bytes(&longer).is_err());
    }

    #[test]
    fn another_schema_says_so_whatever_else_it_holds() {
        let message = |schema: u32| {
            let view = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
            let text = format!(r#"{{"schema": {schema}, "unheard": "of"}}"#);
            let pairs = HashMap::from([("prowl".to_owned(), text)]);
            let bytes = safetensors::serialize([("x", view)], Some(pairs)).unwrap();
            Model::from_bytes(&bytes).unwrap_err().to_string()
        };
        let older = message(SCHEMA - 1);
        assert!(older.contains(&format!("reads models of schema {SCHEMA}: train the model again")), "{older}");
        let newer = SCHEMA + 1;
        let message = message(newer);
        let says =
            format!("has schema {newer}, and this program knows models up to schema {SCHEMA}: update this program");
        assert!(message.contains(&says), "{message}");
    }

    #[test]
    fn a_foreign_file_says_so() {
        let view = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
        let bytes = safetensors::serialize([("x", &view)], None).unwrap();
        let message = Model::from_bytes(&bytes).unwrap_err().to_string();
        assert!(message.contains("is no model of Prowl") && message.contains("\"prowl\""), "{message}");
        let broken = safetensors::serialize([("x", view)], Some(HashMap::from([("prowl".to_owned(), "{".to_owned())])));
        assert!(matches!(Model::from_bytes(&broken.unwrap()), Err(ArtifactError::Metadata(_))));
    }

    #[test]
    fn every_tensor_is_needed_and_has_to_be_of_floats() {
        let bytes = fixture::model().to_bytes().unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        for name in tensors.names() {
            let others = tensors.iter().filter(|(other, _)| *other != name);
            let less = safetensors::serialize(others, header.metadata().clone()).unwrap();
            let message = Model::from_bytes(&less).unwrap_err().to_string();
            assert!(message.contains("damaged"), "{name}: {message}");

            let retyped = tensors.iter().map(|(other, view)| {
                let dtype = if other == name { Dtype::I32 } else { Dtype::F32 };
                (other, TensorView::new(dtype, view.shape().to_vec(), view.data()).unwrap())
            });
            let message = Model::from_bytes(&safetensors::serialize(retyped, header.metadata().clone()).unwrap());
            assert!(message.unwrap_err().to_string().contains("should be F32"), "{name}");
        }
    }

    #[test]
    fn what_is_not_finite_is_not_read() {
        let mut parts = fixture::parts();
        parts.network.layers[1].bias[0] = f32::INFINITY;
        let bytes = Model::from_parts(parts).unwrap().to_bytes().unwrap();
        let message = Model::from_bytes(&bytes).unwrap_err().to_string();
        assert!(message.contains("network.1.bias") && message.contains("inf"), "{message}");

        let mut parts = fixture::parts();
        parts.metadata.metrics.insert("loss".into(), f64::NAN);
        assert!(Model::from_parts(parts).unwrap().to_bytes().unwrap_err().to_string().contains("metric loss is NaN"));
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        assert!(refused(|parts| drop(parts.metadata.features.pop())).contains("4 rows and the metadata names 3"));
        assert!(refused(|parts| drop(parts.network.layers.pop())).contains("gives back 5"));
        assert!(refused(|parts| drop(parts.network.layers.remove(1))).contains("network.1"));
        assert!(refused(|parts| parts.network.layers.clear()).contains("network"));
        assert!(refused(|parts| parts.network.layers[2].bias = array![0.0]).contains("network.2"));
        assert!(refused(|parts| parts.scaler.columns[1].spread = 0.0).contains("row 1 has the spread 0"));
        assert!(refused(|parts| parts.scaler.columns[1].smallest = 1e9).contains("row 1 has the spread"));
        assert!(refused(|parts| parts.scaler.columns[1].usual.low = 1e9).contains("row 1 has the quantiles"));
        assert!(refused(|parts| parts.scaler.columns[1].usual.median = 1e9).contains("row 1 has the quantiles"));
        assert!(refused(|parts| parts.text.spread = array![1.0]).contains("text"));
        assert!(refused(|parts| parts.text.idf = Array1::zeros(0)).contains("text"));
        assert!(refused(|parts| parts.views.surprise.habits.truncate(2)).contains("habits"));
        assert!(refused(|parts| parts.views.surprise.habits[0].error = 0.0).contains("habits"));
        assert!(refused(|parts| parts.views.neighbours.points = Array2::zeros((LARGE, 3))).contains("neighbours"));
        assert!(refused(|parts| parts.views.neighbours.points = Array2::zeros((7, 7))).contains("neighbours"));
        assert!(refused(|parts| parts.views.neighbours.points = Array2::zeros((0, 7))).contains("neighbours"));
        assert!(refused(|parts| parts.views.covariance.centre = array![0.0]).contains("covariance"));
        assert!(refused(|parts| parts.views.covariance.relations = Array2::zeros((7, 6))).contains("covariance"));
        assert!(refused(|parts| parts.views.covariance.error[3] = 0.0).contains("covariance.error"));
        assert!(refused(|parts| parts.views.forest.nodes[0].input = Some(7)).contains("forest"));
        assert!(refused(|parts| parts.views.forest.nodes.truncate(9)).contains("forest"));
        assert!(refused(|parts| drop(parts.metadata.repositories.pop())).contains("percentiles"));
        assert!(refused(|parts| drop(parts.calibration.opinions.pop())).contains("percentiles"));
        assert!(refused(|parts| parts.bins = Bins::of([[0.0].into_iter()].into_iter())).contains("bins"));
        assert!(refused(|parts| parts.metadata.categories.push("test".into())).contains("3 classes"));
        assert!(refused(|parts| parts.category = None).contains("category"));
        assert!(refused(|parts| parts.clusters = None).contains("clusters"));
        assert!(refused(|parts| drop(parts.metadata.clusters.pop())).contains("clusters.centres"));
        assert!(refused(|parts| parts.metadata.clusters.clear()).contains("clusters"));
        assert!(refused(|parts| parts.clusters.as_mut().unwrap().centres = Array2::zeros((2, 7))).contains("clusters"));
        assert!(refused(|parts| parts.risk = None).contains("risk"));
        assert!(refused(|parts| parts.metadata.risk = None).contains("risk"));
        assert!(refused(|parts| parts.risk.as_mut().unwrap().members.truncate(1)).contains("1 members"));
        assert!(refused(|parts| parts.metadata.bands.very_unusual = 20.0).contains("bands"));
        assert!(refused(|parts| parts.metadata.bands.very_unusual = 100.5).contains("bands"));
    }
}
