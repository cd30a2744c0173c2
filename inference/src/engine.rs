//! The core that both ports share: from a pull request to an answer.

use std::{borrow::Cow, collections::HashMap, time::Instant};

use prost_types::Timestamp;
use prowl_features::{FEATURES, Facts, Feature, FeatureVector, Group, History, Ledger, Profiles, PullRequest};
use prowl_model::{Band, ClusterInfo, Model, Reference, RiskInfo, Vector};
use prowl_proto::v1;

use crate::{category::category, error::Error, reasons::Reasons, task::Task};

/// A verified model with the profiles beside it. It never changes, so any number of calls use it at one time.
#[derive(Debug)]
pub struct Engine {
    model: Model,
    profiles: Profiles,
    id: v1::ModelId,
    history_as_of: Option<Timestamp>,
    reasons: Reasons,
}

impl Engine {
    /// An engine of `model`, whose file has the hexadecimal SHA-256 `digest`; it gives at most `reasons` reasons. The
    /// caller has made sure that the model reads the features of this program.
    pub fn new(model: Model, digest: String, profiles: Profiles, reasons: usize) -> Self {
        let metadata = model.metadata();
        Self {
            id: v1::ModelId {
                version: metadata.version.clone(),
                digest,
                features_digest: metadata.features_digest.clone(),
            },
            history_as_of: profiles.as_of().map(timestamp),
            reasons: Reasons::new(&model, reasons),
            model,
            profiles,
        }
    }

    /// The name of the model.
    pub fn id(&self) -> &v1::ModelId {
        &self.id
    }

    /// Number of repositories with a history.
    pub fn repositories(&self) -> usize {
        self.profiles.len()
    }

    /// Answers a request of the protocol.
    ///
    /// # Errors
    /// Those of [`Task`], and [`Error::Model`].
    pub fn answer(&self, request: v1::ScoreRequest) -> Result<v1::ScoreResponse, Error> {
        let began = Instant::now();
        self.score(Task::try_from(request)?, began)
    }

    /// Answers for a pull request, or a webhook's payload, as GitHub's JSON.
    ///
    /// # Errors
    /// Those of [`Task::from_json`], and [`Error::Model`].
    pub fn answer_json(&self, document: &[u8]) -> Result<v1::ScoreResponse, Error> {
        let began = Instant::now();
        self.score(Task::from_json(document)?, began)
    }

    #[tracing::instrument(skip_all)]
    fn score(&self, task: Task, began: Instant) -> Result<v1::ScoreResponse, Error> {
        let facts = task.facts;
        let ledger = self.profiles.ledger(&facts.repository);
        let (history, history_source, history_as_of) = match (task.history, ledger) {
            (Some(history), _) => (history, v1::HistorySource::Request, None),
            (None, Some(ledger)) => (known_of(ledger, &facts), v1::HistorySource::Profiles, ledger.as_of()),
            (None, None) => (Ledger::default().history(&facts), v1::HistorySource::None, None),
        };
        let counted_up_to = history_as_of.filter(|as_of| *as_of >= facts.lifecycle.created_at);
        let vector = facts.vector(&history);
        let foreign = ledger.is_none();
        let values = if foreign {
            Cow::Owned(self.model.comparable(&vector.values))
        } else {
            Cow::Borrowed(vector.values.as_slice())
        };
        let vector_of_model = Vector {
            values: &values,
            tokens: &vector.tokens,
            kind_tokens: &vector.kind_tokens,
            repository: Some(&facts.repository),
        };
        let score = self.model.score(&vector_of_model).map_err(|error| Error::Model(error.to_string()))?;
        if !(score.anomaly.is_finite() && score.percentile.is_finite()) {
            return Err(Error::Model(format!(
                "its score of {}#{} is no number",
                facts.repository, facts.lifecycle.number
            )));
        }
        let mut response = v1::ScoreResponse {
            missing_fields: vector.missing_fields().into_iter().map(str::to_owned).collect(),
            unknown_features: vector.values.iter().filter(|value| value.is_nan()).count() as u32,
            repository: facts.repository,
            number: facts.lifecycle.number,
            created_at: Some(timestamp(facts.lifecycle.created_at)),
            anomaly: score.anomaly,
            percentile: score.percentile,
            band: band(score.band).into(),
            risk: score.risk,
            risk_band: self
                .model
                .metadata()
                .risk
                .as_ref()
                .zip(score.risk)
                .and_then(|(info, risk)| Some(risk_band(info, info.ranges().nth(info.band(risk))?))),
            category: category(facts.category, &self.model.metadata().categories, &score.categories),
            cluster: score.cluster.filter(|_| facts.category.is_none()).and_then(|member| {
                let info = self.model.metadata().clusters.get(member.cluster)?;
                Some(cluster(info, Some(member.farther)))
            }),
            reasons: self.reasons.of(&score.contributions, counted_up_to.map(timestamp)),
            risk_reasons: self.reasons.of_risk(&score.effects, counted_up_to.map(timestamp)),
            reference: reference(score.among).into(),
            repository_is_foreign: foreign,
            features: if task.include_features { vector.values.to_vec() } else { Vec::new() },
            model: Some(self.id.clone()),
            history_source: history_source.into(),
            history_as_of: history_as_of.map(timestamp),
            elapsed: None,
        };
        if !says_what_changes(&vector) {
            response.band = v1::Band::Unspecified.into();
            (response.risk, response.risk_band) = (None, None);
            response.category = category(facts.category, &[], &[]);
            response.reasons.clear();
            response.cluster = None;
            response.risk_reasons.clear();
            response.reference = v1::Reference::Unspecified.into();
        }
        response.elapsed = prost_types::Duration::try_from(began.elapsed()).ok();
        Ok(response)
    }

    /// Describes the model.
    pub fn describe(&self) -> v1::GetModelResponse {
        let metadata = self.model.metadata();
        let feature = |feature: &prowl_model::FeatureInfo| v1::Feature {
            name: feature.name.clone(),
            group: feature.group.clone(),
            unit: feature.unit.clone(),
            source: feature.source.clone(),
            missing: feature.missing.clone(),
            about: feature.about.clone(),
        };
        v1::GetModelResponse {
            model: Some(self.id.clone()),
            features: metadata.features.iter().map(feature).collect(),
            training: Some(v1::Training {
                run: metadata.training.run.clone(),
                rows: metadata.training.rows,
                validation_rows: metadata.training.validation_rows,
                from: Some(timestamp(metadata.training.from)),
                to: Some(timestamp(metadata.training.to)),
            }),
            risk_bands: metadata
                .risk
                .iter()
                .flat_map(|info| info.ranges().map(|range| risk_band(info, range)))
                .collect(),
            bands: Some(v1::Bands { unusual: metadata.bands.unusual, very_unusual: metadata.bands.very_unusual }),
            metrics: metadata.metrics.iter().map(|(name, value)| (name.clone(), *value)).collect::<HashMap<_, _>>(),
            categories: metadata.categories.clone(),
            clusters: metadata.clusters.iter().map(|info| cluster(info, None)).collect(),
            missing_heads: metadata.missing_heads.clone().into_iter().collect(),
            history_as_of: self.history_as_of,
        }
    }

    /// Scores a few pull requests, so that the first caller does not wait for cold memory, and so that a model that
    /// gives no number is found out before it is asked.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn warm_up(&self) -> Result<(), Error> {
        for number in 1..=16 {
            let pull_request = PullRequest {
                repository: "prowl/warm-up".into(),
                number,
                created_at: self.history_as_of.as_ref().map_or(0, |time| time.seconds * 1_000),
                title: Some("Warm up the caches (#1)".into()),
                additions: Some(number * number),
                deletions: Some(number),
                ..PullRequest::default()
            };
            let task = Task { facts: Facts::of(&pull_request), history: None, include_features: true };
            self.score(task, Instant::now())?;
        }
        Ok(())
    }
}

/// What the profiles know. Where the pull request is older than they are, its counts hold what happened since; the
/// time of an event that was yet to come is left out, or it would read as a negative number of days.
fn known_of(ledger: &Ledger, facts: &Facts) -> History {
    let mut history = ledger.history(facts);
    let leave_out_later = |time: &mut Option<i64>| *time = time.filter(|at| *at < facts.lifecycle.created_at);
    leave_out_later(&mut history.author.last_opened_at);
    history.files.iter_mut().for_each(|file| leave_out_later(&mut file.last_merged_at));
    history
}

/// Whether the pull request says anything of the change itself. Without it a model sees next to nothing, and what it
/// misses looks like what is usual.
fn says_what_changes(vector: &FeatureVector) -> bool {
    // Where the files are known, their number is. How many commits there are says nothing of what they hold.
    let says = |feature: &Feature| feature.group == Group::Size && feature.source != "commits";
    FEATURES.iter().zip(vector.values).any(|(feature, value)| says(feature) && !value.is_nan())
}

fn band(band: Band) -> v1::Band {
    match band {
        Band::Routine => v1::Band::Routine,
        Band::Unusual => v1::Band::Unusual,
        Band::VeryUnusual => v1::Band::VeryUnusual,
    }
}

fn cluster(info: &ClusterInfo, farther: Option<f32>) -> v1::Cluster {
    let ClusterInfo { examples, features, name, rows, words } = info.clone();
    v1::Cluster { name, words, features, rows, examples, farther }
}

fn reference(among: Reference) -> v1::Reference {
    match among {
        Reference::Repository => v1::Reference::Repository,
        Reference::All => v1::Reference::All,
    }
}

fn risk_band(info: &RiskInfo, (band, to): (&prowl_model::RiskBand, f32)) -> v1::RiskBand {
    let (observed, average) = (band.rate() as f32, info.base_rate() as f32);
    let test_observed = band.test_rate().map(|rate| rate as f32);
    let (rows, test_rows) = (band.rows, band.test_rows);
    v1::RiskBand { from: band.from, to, observed, rows, average, test_observed, test_rows }
}

fn timestamp(milliseconds: i64) -> Timestamp {
    Timestamp { seconds: milliseconds.div_euclid(1_000), nanos: (milliseconds.rem_euclid(1_000) * 1_000_000) as i32 }
}
