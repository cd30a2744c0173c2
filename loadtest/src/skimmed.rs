//! What is judged of an answer. An answer to a person has dozens of texts, which a load that looks at four figures would make
//! and drop for each call; here their bytes are passed over.

use bytes::Bytes;
use prost::Message;
use prowl_proto::v1::{Band, ScoreResponse};

use crate::sample::{Fault, Outcome};

/// The fields of [`ScoreResponse`] that are judged, by their numbers there.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Skimmed {
    #[prost(float, optional, tag = "4")]
    pub(crate) anomaly: Option<f32>,
    #[prost(float, optional, tag = "5")]
    pub(crate) percentile: Option<f32>,
    #[prost(enumeration = "Band", tag = "6")]
    pub(crate) band: i32,
    #[prost(float, optional, tag = "7")]
    pub(crate) risk: Option<f32>,
    #[prost(message, optional, tag = "11")]
    pub(crate) model: Option<Model>,
}

/// The same of [`ModelId`](prowl_proto::v1::ModelId).
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Model {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) version: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) digest: Bytes,
}

/// What an answer says, whichever way it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    /// Version and digest.
    pub(crate) model: Option<(&'a [u8], &'a [u8])>,
    /// Whether it has a band: of one that nothing is known of, nothing is judged.
    pub(crate) has_band: bool,
    pub(crate) anomaly: Option<f32>,
    pub(crate) percentile: Option<f32>,
    pub(crate) risk: Option<f32>,
}

impl Said<'_> {
    /// Whether its figures are there, and what figures can be.
    pub(crate) fn figures(&self) -> Outcome {
        if self.has_band && (self.percentile.is_none() || self.anomaly.is_none()) {
            return Outcome::Wrong(Fault::Incomplete);
        }
        if [self.anomaly, self.percentile, self.risk].into_iter().flatten().any(|figure| !figure.is_finite()) {
            return Outcome::Wrong(Fault::NotFinite);
        }
        let within = |figure: Option<f32>, most: f32| figure.is_none_or(|figure| (0.0..=most).contains(&figure));
        if within(self.anomaly, f32::MAX) && within(self.percentile, 100.0) && within(self.risk, 1.0) {
            Outcome::Answered
        } else {
            Outcome::Wrong(Fault::OutOfRange)
        }
    }
}

impl<'a> From<&'a Skimmed> for Said<'a> {
    fn from(answer: &'a Skimmed) -> Self {
        Self {
            model: answer.model.as_ref().map(|model| (&model.version[..], &model.digest[..])),
            has_band: answer.band != Band::Unspecified as i32,
            anomaly: answer.anomaly,
            percentile: answer.percentile,
            risk: answer.risk,
        }
    }
}

impl<'a> From<&'a ScoreResponse> for Said<'a> {
    fn from(answer: &'a ScoreResponse) -> Self {
        Self {
            model: answer.model.as_ref().map(|model| (model.version.as_bytes(), model.digest.as_bytes())),
            has_band: answer.band != Band::Unspecified as i32,
            anomaly: answer.anomaly,
            percentile: answer.percentile,
            risk: answer.risk,
        }
    }
}

#[cfg(test)]
mod tests {
    use prowl_proto::v1::{Category, Cluster, ModelId, Reason, RiskReason};

    use super::*;

    #[test]
    fn the_fields_have_the_numbers_that_they_have_in_the_whole_answer() {
        let whole = ScoreResponse {
            repository: "owner/name".to_owned(),
            number: 7,
            anomaly: Some(1.5),
            percentile: Some(97.25),
            band: Band::Unusual as i32,
            risk: Some(0.125),
            category: Some(Category::default()),
            reasons: vec![Reason::default(); 3],
            features: vec![f32::NAN, 2.0],
            model: Some(ModelId {
                version: "20261124T214500Z".to_owned(),
                digest: "d".repeat(64),
                features_digest: "f".repeat(64),
            }),
            missing_fields: vec!["files".to_owned()],
            unknown_features: 3,
            risk_reasons: vec![RiskReason::default()],
            cluster: Some(Cluster::default()),
            repository_is_foreign: true,
            ..ScoreResponse::default()
        };
        let read = Skimmed::decode(&whole.encode_to_vec()[..]).unwrap();
        let expected = Skimmed {
            anomaly: Some(1.5),
            percentile: Some(97.25),
            band: Band::Unusual as i32,
            risk: Some(0.125),
            model: Some(Model { version: "20261124T214500Z".into(), digest: "d".repeat(64).into() }),
        };
        assert_eq!(read, expected);
        // What the whole one has no number for is not there here, either.
        assert_eq!(Skimmed::decode(&ScoreResponse::default().encode_to_vec()[..]).unwrap(), Skimmed::default());
        let (of_whole, of_part) = (Said::from(&whole), Said::from(&read));
        assert_eq!((of_whole.model, of_whole.has_band), (of_part.model, of_part.has_band));
        assert_eq!(of_whole.figures(), of_part.figures());
    }
}
