//! The panel: feature vectors whose figures the trainer has written beside the model. A service that gives other figures, if
//! only by a bit, does not run the model that was trained.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use prowl_platform::Folder;
use prowl_proto::inference::{ModelInferRequest, ModelInferResponse};
use serde::Deserialize;
use tokio::time::timeout;
use tonic::Status;

use crate::{
    Error,
    target::Target,
    tensors::{Input, floats, place_of, question, raw_texts},
};

/// Name of the panel in the folder of a model.
const FILE: &str = "panel.json";

/// What a model gives for some feature vectors.
#[derive(Debug, Deserialize)]
pub(super) struct Panel {
    /// What the columns of the feature vectors are.
    features_digest: String,
    rows: Vec<Row>,
}

/// One of them. What is not known is null.
#[derive(Debug, Deserialize)]
struct Row {
    repository: String,
    features: Vec<Option<f32>>,
    score: Option<f32>,
    percentile: Option<f32>,
    risk: Option<f32>,
}

/// What a service gives for one.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Given {
    score: f32,
    percentile: f32,
    risk: f32,
}

impl Panel {
    /// That of a model of the store; none of a model that was trained before there were panels.
    ///
    /// # Errors
    /// It is damaged.
    pub(super) async fn of(model: &Folder) -> Result<Option<Self>, Error> {
        if model.files(FILE).next().is_none() {
            return Ok(None);
        }
        let text = model.read(FILE).await?;
        let panel: Self = serde_json::from_slice(&text)
            .map_err(|error| Error::Panel { url: model.url().to_string(), reason: error.to_string() })?;
        Ok(Some(panel).filter(|panel| panel.len() > 0))
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Asks for all of them at once a service that reads these features; sentences about what differs.
    ///
    /// # Errors
    /// There is no answer.
    pub(super) async fn play(
        &self,
        target: &Target,
        features: &str,
        deadline: Duration,
    ) -> Result<Vec<String>, Status> {
        if self.features_digest != features {
            let expected = &self.features_digest;
            return Ok(vec![format!("it is of the features {expected}, and the service reads {features}")]);
        }
        let late = |_| Status::deadline_exceeded("it did not answer in time");
        let mut inference = target.inference();
        let answer = timeout(deadline, inference.model_infer(self.question())).await.map_err(late)??.into_inner();
        let Some(given) = given(&answer, self.rows.len()) else {
            return Ok(vec!["the answer lacks score, percentile or risk of a row".to_owned()]);
        };
        let differences = self.rows.iter().zip(given).enumerate().filter_map(|(place, (row, given))| {
            let expected = row.expected();
            (!expected.is_same(&given)).then(|| format!("row {place}: {expected} is expected, and it gives {given}"))
        });
        Ok(differences.collect())
    }

    fn question(&self) -> ModelInferRequest {
        let width = self.rows.first().map_or(0, |row| row.features.len());
        let mut features = BytesMut::with_capacity(4 * width * self.rows.len());
        for value in self.rows.iter().flat_map(|row| &row.features) {
            features.put_f32_le(value.unwrap_or(f32::NAN));
        }
        let repositories = raw_texts(self.rows.iter().map(|row| row.repository.as_bytes()));
        let (rows, width) = (self.rows.len() as i64, width as i64);
        question([
            Input { name: "features", datatype: "FP32", shape: vec![rows, width], raw: features.freeze() },
            Input { name: "repository", datatype: "BYTES", shape: vec![rows], raw: repositories },
        ])
    }
}

impl Row {
    fn expected(&self) -> Given {
        let figure = |figure: Option<f32>| figure.unwrap_or(f32::NAN);
        Given { score: figure(self.score), percentile: figure(self.percentile), risk: figure(self.risk) }
    }
}

impl std::fmt::Display for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { score, percentile, risk } = self;
        write!(f, "score {score}, percentile {percentile} and risk {risk}")
    }
}

impl Given {
    /// To the bit, but for the kinds of NaN.
    fn is_same(&self, other: &Self) -> bool {
        let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        same(self.score, other.score) && same(self.percentile, other.percentile) && same(self.risk, other.risk)
    }
}

/// The rows of an answer.
fn given(answer: &ModelInferResponse, rows: usize) -> Option<Vec<Given>> {
    let of_all = |name: &str| Some(floats(answer, place_of(name, answer)?)).filter(|values| values.len() == rows);
    let (scores, percentiles, risks) = (of_all("score")?, of_all("percentile")?, of_all("risk")?);
    let figures = scores.into_iter().zip(percentiles).zip(risks);
    Some(figures.map(|((score, percentile), risk)| Given { score, percentile, risk }).collect())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message as _;
    use prowl_proto::inference::model_infer_response::InferOutputTensor;

    use super::*;

    fn panel() -> Panel {
        let text = r#"{"features_digest": "f", "rows": [
            {"repository": "o/r", "features": [1.5, null], "score": 0.1, "percentile": 42.0, "risk": 0.25},
            {"repository": "o/s", "features": [0.0, 2.0], "score": null, "percentile": null, "risk": null}
        ]}"#;
        serde_json::from_str(text).unwrap()
    }

    fn answer(scores: [f32; 2]) -> ModelInferResponse {
        let output = |name: &str| InferOutputTensor { name: name.to_owned(), ..InferOutputTensor::default() };
        let floats = |values: [f32; 2]| Bytes::from(values.map(f32::to_le_bytes).concat());
        ModelInferResponse {
            outputs: ["score", "percentile", "risk"].map(output).into(),
            raw_output_contents: vec![floats(scores), floats([42.0, f32::NAN]), floats([0.25, f32::NAN])],
            ..ModelInferResponse::default()
        }
    }

    #[test]
    fn a_question_holds_all_rows() {
        let question = panel().question();
        assert_eq!(question.inputs[0].shape, [2, 2]);
        let floats: Vec<f32> =
            question.raw_input_contents[0].as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
        assert!(floats[0] == 1.5 && floats[1].is_nan() && floats[2..] == [0.0, 2.0]);
        assert_eq!(question.raw_input_contents[1].as_ref(), b"\x03\0\0\0o/r\x03\0\0\0o/s");
        assert!(question.encoded_len() > 50);
    }

    #[test]
    fn one_bit_is_a_difference() {
        let same = |scores: [f32; 2]| {
            let given = given(&answer(scores), 2).unwrap();
            panel().rows.iter().zip(&given).all(|(row, given)| row.expected().is_same(given))
        };
        assert!(same([0.1, f32::NAN]));
        assert!(!same([f32::from_bits(0.1_f32.to_bits() + 1), f32::NAN]));
        assert!(!same([0.1, 0.0]));
    }

    #[test]
    fn an_answer_that_lacks_something_is_none() {
        let mut lacking = answer([0.0; 2]);
        lacking.raw_output_contents.pop();
        assert_eq!(given(&lacking, 2), None);
        assert_eq!(given(&answer([0.0; 2]), 3), None);
    }
}
