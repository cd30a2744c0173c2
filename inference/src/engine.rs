//! The core that both ports share: from a pull request to an answer.

use std::{borrow::Cow, collections::HashMap, sync::Arc, time::Instant};

use bytes::Bytes;
use prost_types::Timestamp;
use prowl_features::{
    Category, FEATURES, Facts, Feature, FeatureVector, Group, History, Ledger, Profiles, PullRequest, repository_key,
};
use prowl_model::{Band, ClusterInfo, Model, Reference, RiskInfo, Score, Vector};
use prowl_proto::v1;

use crate::{category::category, error::Error, lacking::Lacking, reasons::Reasons, task::Task};

/// A verified model with the histories that it looks up. It never changes, so any number of calls use it at one time; a
/// newer model or newer histories make a new one.
#[derive(Clone, Debug)]
pub struct Engine {
    judge: Arc<Judge>,
    past: Arc<Past>,
}

#[derive(Debug)]
struct Judge {
    model: Model,
    id: v1::ModelId,
    /// The name of its folder.
    folder: String,
    reasons: Reasons,
    /// Places of the repositories that have percentiles of their own, by the key of their names.
    repositories: HashMap<u64, usize>,
}

impl Judge {
    /// A repository's name as the model spells it: GitHub takes no account of case, and the model does.
    fn spelled<'a>(&'a self, repository: &'a str) -> &'a str {
        let known = &self.model.metadata().repositories;
        if known.binary_search_by(|name| name.as_str().cmp(repository)).is_ok() {
            return repository;
        }
        self.repositories.get(&repository_key(repository)).map_or(repository, |&place| &known[place])
    }
}

/// What is known of the past of all repositories.
#[derive(Debug)]
pub struct Past {
    /// The features run that knew it.
    pub run: String,
    /// Histories by repository.
    pub profiles: Profiles,
}

/// What is to be scored.
#[derive(Debug)]
pub enum Asked {
    /// A request of the protocol.
    Message(v1::ScoreRequest),
    /// A pull request, or a webhook's payload that holds one, as GitHub's JSON.
    Json(Bytes),
    /// Features by themselves.
    Vector {
        /// Those that are known; also its words, where they are.
        vector: FeatureVector,
        /// The name of its repository, where that is known.
        repository: Option<String>,
    },
}

impl From<v1::ScoreRequest> for Asked {
    fn from(request: v1::ScoreRequest) -> Self {
        Self::Message(request)
    }
}

/// An answer, with what the service looks at beside it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What the caller gets.
    pub response: v1::ScoreResponse,
    /// What was judged.
    pub vector: FeatureVector,
    /// The beginning of the title, where it is known.
    pub title: Option<String>,
    /// Whether its history holds what happened since it was opened.
    pub is_past: bool,
}

/// What is to be judged, and what is said beside the judgement.
#[derive(Debug)]
pub struct Question {
    vector: FeatureVector,
    about: About,
    began: Instant,
}

/// What an answer says beside the judgement of a vector.
#[derive(Debug)]
struct About {
    repository: String,
    number: u64,
    created_at: Option<i64>,
    declared: Option<Category>,
    title: Option<String>,
    include_features: bool,
    history_source: v1::HistorySource,
    history_as_of: Option<i64>,
    /// Whether the model has learnt nothing from its repository.
    foreign: bool,
    /// What in the pull request does not go together.
    warnings: Vec<String>,
}

impl Engine {
    /// An engine of `model`, of the folder of this name, whose file has the hexadecimal SHA-256 `digest`; it gives at most
    /// `reasons` reasons. The caller has made sure that the model reads the features of this program.
    pub(crate) fn new(model: Model, folder: String, digest: String, past: Past, reasons: usize) -> Self {
        let metadata = model.metadata();
        let judge = Judge {
            id: v1::ModelId {
                version: metadata.version.clone(),
                digest,
                features_digest: metadata.features_digest.clone(),
            },
            folder,
            reasons: Reasons::new(&model, reasons),
            repositories: metadata.repositories.iter().map(|name| repository_key(name)).zip(0..).collect(),
            model,
        };
        Self { judge: Arc::new(judge), past: Arc::new(past) }
    }

    /// The same model with other histories.
    #[must_use]
    pub(crate) fn with_past(&self, past: Arc<Past>) -> Self {
        Self { judge: Arc::clone(&self.judge), past }
    }

    /// The name of the model.
    pub(crate) fn id(&self) -> &v1::ModelId {
        &self.judge.id
    }

    /// The name of the folder that the model is from.
    pub(crate) fn folder(&self) -> &str {
        &self.judge.folder
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.judge.model
    }

    /// When the last pull request was opened of which the model knows.
    pub(crate) fn known_to(&self) -> Timestamp {
        let training = &self.model().metadata().training;
        timestamp(training.known_to.unwrap_or(training.to))
    }

    /// The histories.
    pub fn past(&self) -> &Arc<Past> {
        &self.past
    }

    /// What is to be judged where this is asked: the features of the pull request, with what is known of its past.
    ///
    /// # Errors
    /// Those of [`Task`].
    pub fn question(&self, asked: Asked) -> Result<Question, Error> {
        let began = Instant::now();
        match asked {
            Asked::Message(request) => Task::try_from(request).map(|task| self.of_task(task, began)),
            Asked::Json(document) => Task::from_json(&document).map(|task| self.of_task(task, began)),
            Asked::Vector { vector, repository } => Ok(Question { vector, about: self.about(repository), began }),
        }
    }

    fn of_task(&self, task: Task, began: Instant) -> Question {
        let Task { facts, history, include_features } = task;
        let ledger = self.past.profiles.ledger(&facts.repository);
        let (history, history_source, history_as_of) = match (history, ledger) {
            (Some(history), _) => (history, v1::HistorySource::Request, None),
            (None, Some(ledger)) => (known_of(ledger, &facts), v1::HistorySource::Profiles, ledger.as_of()),
            (None, None) => (Ledger::default().history(&facts), v1::HistorySource::None, None),
        };
        let vector = facts.vector(&history);
        let about = About {
            warnings: few_files(&facts).into_iter().collect(),
            repository: facts.repository,
            number: facts.lifecycle.number,
            created_at: Some(facts.lifecycle.created_at),
            declared: facts.category,
            title: facts.title,
            history_source,
            history_as_of,
            foreign: ledger.is_none(),
            include_features,
        };
        Question { vector, about, began }
    }

    /// What is known of a vector by itself.
    fn about(&self, repository: Option<String>) -> About {
        About {
            foreign: repository.as_ref().is_some_and(|name| self.past.profiles.ledger(name).is_none()),
            repository: repository.unwrap_or_default(),
            number: 0,
            created_at: None,
            declared: None,
            title: None,
            history_source: v1::HistorySource::Request,
            history_as_of: None,
            include_features: false,
            warnings: Vec::new(),
        }
    }

    /// Answers questions of this engine, each by itself. Takes less time than one after the other.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn answer_all(&self, questions: Vec<Question>) -> Vec<Result<Answer, Error>> {
        let seen = questions.iter().map(|Question { vector, about, .. }| (vector, &*about.repository, about.foreign));
        let scores = self.scores(&seen.collect::<Vec<_>>());
        let answers = questions.into_iter().zip(scores);
        answers.map(|(question, score)| score.map(|score| self.tell(question, &score))).collect()
    }

    /// What the model makes of each of some vectors: beside it its repository, and whether that is foreign, as the model has
    /// learnt nothing from it.
    pub(crate) fn scores(&self, seen: &[(&FeatureVector, &str, bool)]) -> Vec<Result<Score, Error>> {
        let model = &self.judge.model;
        let comparable = seen.iter().map(|&(vector, _, foreign)| {
            if foreign { Cow::Owned(model.comparable(&vector.values)) } else { Cow::Borrowed(&vector.values[..]) }
        });
        let values: Vec<Cow<'_, [f32]>> = comparable.collect();
        let vectors = seen.iter().zip(&values).map(|((vector, repository, _), values)| Vector {
            values,
            tokens: &vector.tokens,
            kind_tokens: &vector.kind_tokens,
            repository: Some(self.judge.spelled(repository)),
        });
        let sound = |(score, (_, repository, _)): (Score, &(&FeatureVector, &str, bool))| {
            let is_number = score.anomaly.is_finite() && score.percentile.is_finite();
            let error = || Error::Model(format!("its score of a pull request of {repository} is no number"));
            if is_number { Ok(score) } else { Err(error()) }
        };
        match model.score_all(&vectors.collect::<Vec<_>>()) {
            Ok(scores) => scores.into_iter().zip(seen).map(sound).collect(),
            Err(error) => seen.iter().map(|_| Err(Error::Model(error.to_string()))).collect(),
        }
    }

    /// Says what a score means.
    fn tell(&self, question: Question, score: &Score) -> Answer {
        let Question { vector, about, began } = question;
        let Judge { model, id, reasons, .. } = &*self.judge;
        let About {
            repository,
            number,
            created_at,
            declared,
            title,
            history_source,
            history_as_of,
            foreign,
            include_features,
            warnings,
        } = about;
        let metadata = model.metadata();
        let is_history_known = history_source != v1::HistorySource::None;
        let lacking = Lacking::of(&vector, &model.parts().scaler.columns, is_history_known);
        let counted_up_to = history_as_of.filter(|as_of| created_at.is_some_and(|created_at| *as_of >= created_at));
        let mut response = v1::ScoreResponse {
            missing_fields: lacking.fields.into_iter().map(str::to_owned).collect(),
            unknown_features: lacking.features as u32,
            repository,
            number,
            created_at: created_at.map(timestamp),
            anomaly: Some(score.anomaly),
            percentile: Some(score.percentile),
            band: band(score.band).into(),
            risk: score.risk,
            risk_band: metadata
                .risk
                .as_ref()
                .zip(score.risk)
                .and_then(|(info, risk)| Some(risk_band(info, info.ranges().nth(info.band(risk))?))),
            category: category(declared, &metadata.categories, &score.categories),
            cluster: score.cluster.filter(|_| declared.is_none()).and_then(|member| {
                let info = metadata.clusters.get(member.cluster)?;
                Some(cluster(info, Some(member.farther)))
            }),
            reasons: reasons.of(&score.contributions, counted_up_to.map(timestamp)),
            risk_reasons: reasons.of_risk(&score.effects, counted_up_to.map(timestamp)),
            reference: reference(score.among).into(),
            repository_is_foreign: foreign,
            warnings,
            features: if include_features { vector.values.to_vec() } else { Vec::new() },
            model: Some(id.clone()),
            history_source: history_source.into(),
            history_as_of: history_as_of.map(timestamp),
            elapsed: prost_types::Duration::try_from(began.elapsed()).ok(),
        };
        if !says_what_changes(&vector) {
            response.band = v1::Band::Unspecified.into();
            (response.anomaly, response.percentile) = (None, None);
            (response.risk, response.risk_band) = (None, None);
            response.category = category(declared, &[], &[]);
            response.reasons.clear();
            response.cluster = None;
            response.risk_reasons.clear();
            response.reference = v1::Reference::Unspecified.into();
        }
        Answer { response, vector, title, is_past: counted_up_to.is_some() }
    }

    /// Describes the model.
    pub(crate) fn describe(&self) -> v1::GetModelResponse {
        let metadata = self.judge.model.metadata();
        let feature = |feature: &prowl_model::FeatureInfo| v1::Feature {
            name: feature.name.clone(),
            group: feature.group.clone(),
            unit: feature.unit.clone(),
            source: feature.source.clone(),
            missing: feature.missing.clone(),
            about: feature.about.clone(),
        };
        v1::GetModelResponse {
            model: Some(self.judge.id.clone()),
            features: metadata.features.iter().map(feature).collect(),
            training: Some(v1::Training {
                run: metadata.training.run.clone(),
                rows: metadata.training.rows,
                validation_rows: metadata.training.validation_rows,
                from: Some(timestamp(metadata.training.from)),
                to: Some(self.known_to()),
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
            history_as_of: self.past.profiles.as_of().map(timestamp),
            anomaly_quantiles: self.judge.model.parts().calibration.anomaly_quantiles(),
        }
    }

    /// Scores a few pull requests, so that the first caller does not wait for cold memory, and so that a model that
    /// gives no number is found out before it is asked.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub(crate) fn warm_up(&self) -> Result<(), Error> {
        let task = |number| {
            let pull_request = PullRequest {
                repository: "prowl/warm-up".into(),
                number,
                created_at: self.past.profiles.as_of().unwrap_or_default(),
                title: Some("Warm up the caches (#1)".into()),
                additions: Some(number * number),
                deletions: Some(number),
                ..PullRequest::default()
            };
            Task { facts: Facts::of(&pull_request), history: None, include_features: true }
        };
        let questions = (1..=16).map(|number| self.of_task(task(number), Instant::now())).collect();
        self.answer_all(questions).into_iter().try_for_each(|answer| answer.map(drop))
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

/// What to say where some of the files are listed, and not all.
fn few_files(facts: &Facts) -> Option<String> {
    let (listed, changed) = (facts.files.len() as u64, facts.changed_files?);
    (0 < listed && listed < changed).then(|| {
        format!(
            "it lists {listed} of its {changed} changed files: what is said of files and directories is of these alone"
        )
    })
}

/// Whether the pull request says anything of the change itself. Without it a model sees next to nothing, and what it
/// misses looks like what is usual.
fn says_what_changes(vector: &FeatureVector) -> bool {
    // Where the files are known, their number is. How many commits there are says nothing of what they hold.
    let says = |feature: &Feature| feature.group == Group::Size && feature.source != "commits";
    FEATURES.iter().zip(vector.values).any(|(feature, value)| says(feature) && !value.is_nan())
}

pub(crate) fn band(band: Band) -> v1::Band {
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
