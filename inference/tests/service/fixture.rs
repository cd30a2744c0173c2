//! A small published model: real features, real histories, and a network that expects the median of everything.

use std::{collections::BTreeMap, sync::OnceLock};

use bytes::Bytes;
use ndarray::{Array1, Array2};
use parquet::arrow::ArrowWriter;
use prowl_features::{FEATURE_COUNT, FEATURES, Facts, FeatureVector, History, PullRequest, Replay};
use prowl_model::{
    Bands, Bins, Calibration, CategoryHead, ClusterInfo, Clusters, Column, Covariance, Dense, FeatureInfo, Forest,
    Habit, Inputs, LARGE, Linear, Member, Metadata, Model, Neighbours, Network, Node, OPINIONS, PLACES, Parts,
    RiskBand, RiskHead, RiskInfo, SCHEMA, Scaler, Surprise, Term, Text, Training, Usual, Views,
};
use prowl_platform::{Kind, Secrets, Store, StoreUrl};
use prowl_proto::v1::{ScoreRequest, score_request::Source};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Pull requests of the repository that the model knows.
const COUNT: u64 = 120;

pub(crate) const REPOSITORY: &str = "tideworks/harbour";

/// Another one that the profiles know, up to a later moment.
pub(crate) const OTHER_REPOSITORY: &str = "tideworks/lighthouse";

/// The last thing known of any repository.
pub(crate) const NEWEST: &str = "2024-06-30T12:45:00Z";

/// Pull request `number` as GitHub writes it: small ones by a few people, every tenth a larger one.
pub(crate) fn document(number: u64) -> Value {
    let lines = if number.is_multiple_of(10) { 400 + number } else { 3 + number * 7 % 40 };
    let author = ["ada", "grace", "edsger"][number as usize % 3];
    let file = |name: &str, added: u64, deleted: u64| json!({"filename": name, "status": "modified", "additions": added, "deletions": deleted});
    json!({
        "number": number,
        "title": format!("{}: move buoy {number}", ["fix", "feat", "docs", "test"][number as usize % 4]),
        "body": "Moves it a little.\n\nFixes #1",
        "created_at": format!("2024-{:02}-{:02}T{:02}:15:00Z", 1 + number / 28, 1 + number % 28, 8 + number % 9),
        "merged_at": format!("2024-{:02}-{:02}T{:02}:45:00Z", 1 + number / 28, 1 + number % 28, 9 + number % 9),
        "user": {"login": author, "type": "User"},
        "author_association": "MEMBER",
        "labels": [], "assignees": [], "requested_reviewers": [{"login": "ada"}], "draft": false,
        "additions": lines, "deletions": lines / 3, "changed_files": 2, "commits": 1 + number % 3,
        "base": {"ref": "main", "repo": {"full_name": REPOSITORY}},
        "head": {"ref": "work", "repo": {"full_name": REPOSITORY}},
        "files": [file("src/buoys.rs", lines - 1, lines / 3), file(&format!("tests/buoy_{}.rs", number % 5), 1, 0)],
    })
}

/// What asks for the score of a document.
pub(crate) fn request(document: &Value) -> ScoreRequest {
    ScoreRequest { source: Some(Source::GithubJson(document.to_string().into())), ..ScoreRequest::default() }
}

/// One like the others, opened after them.
pub(crate) fn new_document() -> Value {
    document(COUNT + 1)
}

/// One that no model of these would find usual.
pub(crate) fn odd_document() -> Value {
    let mut odd = new_document();
    odd["title"] = json!("Quick hack to the login");
    odd["created_at"] = json!("2024-05-11T03:10:00Z");
    odd["user"] = json!({"login": "stranger", "type": "User"});
    odd["author_association"] = json!("NONE");
    odd["additions"] = json!(48_000);
    odd["head"]["repo"]["full_name"] = json!("stranger/harbour");
    odd["files"] = json!([
        {"filename": "src/auth/login.rs", "status": "modified", "additions": 47_000, "deletions": 13},
        {"filename": ".github/workflows/release.yml", "status": "modified", "additions": 1_000, "deletions": 0},
    ]);
    odd
}

/// What the batch job knows of each pull request: its document, and its history as of its creation.
pub(crate) struct Known {
    pub(crate) document: Value,
    pub(crate) facts: Facts,
    pub(crate) history: History,
}

/// Everything that is published, made once.
pub(crate) struct Made {
    /// Of the one repository; of the other only the profiles know.
    pub(crate) known: Vec<Known>,
    pub(crate) profiles: Bytes,
}

pub(crate) fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let mut replay = Replay::new(i64::MAX);
        let known = (1..=COUNT).map(|number| {
            let document = document(number);
            let facts = facts(&document);
            let history = replay.next(&facts, None);
            Known { document, facts, history }
        });
        let known = known.collect();
        let mut elsewhere = document(1);
        elsewhere["base"]["repo"]["full_name"] = json!(OTHER_REPOSITORY);
        elsewhere["merged_at"] = json!(NEWEST);
        let mut other_replay = Replay::new(i64::MAX);
        other_replay.next(&facts(&elsewhere), None);
        let mut writer = ArrowWriter::try_new(Vec::new(), prowl_features::profile_schema(), None).unwrap();
        for (name, replay) in [(REPOSITORY, replay), (OTHER_REPOSITORY, other_replay)] {
            writer.write(&prowl_features::repository_batch(name, &replay.finish()).unwrap()).unwrap();
        }
        Made { known, profiles: writer.into_inner().unwrap().into() }
    })
}

fn facts(document: &Value) -> Facts {
    Facts::of(&PullRequest::from_json(document.to_string().as_bytes()).unwrap())
}

/// A model of the known pull requests.
pub(crate) fn model(version: &str, features_digest: &str) -> Model {
    let rows: Vec<_> = made().known.iter().map(|known| known.facts.vector(&known.history)).collect();
    let columns: Vec<_> = (0..FEATURE_COUNT).map(|index| column(rows.iter().map(|row| row.values[index]))).collect();
    let (buckets, dimensions) = (64, 2);
    let inputs = FEATURE_COUNT + dimensions;
    let spread_out = |place: usize| ((place * 37 % 11) as f32 - 5.0) / 20.0;
    let scaler = Scaler { columns };
    let text = Text {
        idf: Array1::ones(buckets),
        components: Array2::from_shape_fn((buckets, dimensions), |(row, column)| spread_out(row * 3 + column)),
        centre: Array1::zeros(dimensions),
        spread: Array1::ones(dimensions),
    };
    let views = views(inputs);
    let scores = |row: &FeatureVector| {
        let inputs = Inputs::of(&scaler, &text, &row.values, &row.tokens);
        views.opinions(&inputs, &vec![0.0; inputs.scaled.len()]).map(|opinion| opinion.score)
    };
    let scores: Vec<([f32; OPINIONS], &str)> = rows.iter().map(|row| (scores(row), REPOSITORY)).collect();
    let (calibration, repositories) = Calibration::of(&scores).unwrap();
    let parts = Parts {
        metadata: Metadata {
            bands: Bands::default(),
            categories: ["fix", "feature", "docs", "test"].map(str::to_owned).to_vec(),
            clusters: Vec::new(),
            features: serde_json::from_value::<Vec<FeatureInfo>>(prowl_features::catalog_json()).unwrap(),
            features_digest: features_digest.to_owned(),
            metrics: BTreeMap::from([("validation_error".to_owned(), 0.25)]),
            missing_heads: BTreeMap::from([("risk".to_owned(), "too few known reverts".to_owned())]),
            repositories,
            risk: None,
            schema: SCHEMA,
            training: Training {
                from: rows_time(0),
                known_to: Some(rows_time(COUNT as usize - 1)),
                older_rows: 0,
                rows: COUNT,
                run: "20240901T000000Z".to_owned(),
                run_digest: "0".repeat(64),
                seed: 1,
                test_rows: 0,
                to: rows_time(COUNT as usize / 2),
                trimmed_rows: 0,
                validation_rows: COUNT,
            },
            version: version.to_owned(),
        },
        scaler,
        text,
        network: Network {
            layers: vec![Dense { weights: Array2::zeros((inputs, inputs)), bias: Array1::zeros(inputs) }],
        },
        views,
        calibration,
        bins: Bins::of((0..FEATURE_COUNT).map(|feature| rows.iter().map(move |row| row.values[feature]))),
        category: Some(CategoryHead {
            idf: Array1::ones(buckets),
            tokens: Array2::from_shape_fn((buckets, 4), |(row, column)| spread_out(row + column)),
            features: Array2::zeros((FEATURE_COUNT, 4)),
            bias: Array1::zeros(4),
        }),
        clusters: None,
        risk: None,
    };
    Model::from_parts(parts).unwrap()
}

/// The same with a risk head, for which lines are all that counts.
pub(crate) fn risky_model() -> Model {
    let mut parts = model("risky", &prowl_features::digest()).parts().clone();
    let churn = FEATURES.iter().position(|feature| feature.name == "churn").unwrap();
    let points = vec![[0.0, -2.0], [8.0, 2.0]];
    let linear = Linear { terms: vec![Term { feature: churn, weight: 1.0, unknown: 0.0, points }], bias: -2.0 };
    parts.risk = Some(RiskHead { members: vec![Member::Linear(linear)], calibration: vec![[-4.0, -4.0], [0.0, 0.0]] });
    parts.metadata.missing_heads.clear();
    let band = |from, reverted, rows| RiskBand { from, reverted, rows, test_reverted: 0, test_rows: 0 };
    parts.metadata.risk = Some(RiskInfo {
        bands: vec![band(0.2, 6, 20), band(0.0, 4, 180)],
        calibration: "platt".to_owned(),
        candidates: Vec::new(),
        members: vec!["linear".to_owned()],
        reverted: 10,
        rows: 200,
    });
    Model::from_parts(parts).unwrap()
}

/// The same with two clusters, of which the first is where the network puts everything.
pub(crate) fn clustered_model() -> Model {
    let mut parts = model("clustered", &prowl_features::digest()).parts().clone();
    let code = parts.network.code_length();
    parts.clusters = Some(Clusters {
        centres: Array2::from_shape_fn((2, code), |(row, _)| row as f32),
        distances: Array2::from_shape_fn((2, 3), |(_, step)| step as f32),
    });
    parts.metadata.clusters = ["buoys, harbour", "more: files changed"]
        .map(|name| ClusterInfo {
            examples: vec![format!("{REPOSITORY}#7")],
            features: vec!["more: files changed".to_owned()],
            name: name.to_owned(),
            rows: 40,
            words: vec!["buoys".to_owned()],
        })
        .to_vec();
    Model::from_parts(parts).unwrap()
}

/// Views for which each input is usual at 0 and has nothing to do with the others.
fn views(inputs: usize) -> Views {
    let mut alone = vec![Node::default(); PLACES];
    alone[0].rows = 256.0;
    Views {
        surprise: Surprise { habits: vec![Habit { error: 1.0, weight: 1.0 }; inputs] },
        neighbours: Neighbours { points: Array2::zeros((LARGE, inputs)) },
        covariance: Covariance {
            centre: Array1::zeros(inputs),
            relations: Array2::eye(inputs),
            error: Array1::ones(inputs),
        },
        forest: Forest { nodes: alone },
    }
}

fn rows_time(index: usize) -> i64 {
    made().known[index].facts.lifecycle.created_at
}

fn column(values: impl Iterator<Item = f32>) -> Column {
    let mut values: Vec<_> = values.filter(|value| value.is_finite()).collect();
    if values.is_empty() {
        return Column::UNKNOWN;
    }
    values.sort_unstable_by(f32::total_cmp);
    let at = |share: f32| values[((values.len() - 1) as f32 * share).round() as usize];
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    Column {
        known: true,
        logarithmic: false,
        centre: at(0.5),
        spread: (at(0.95) - at(0.05)).max(0.1),
        smallest: at(0.0),
        largest: at(1.0),
        usual: Usual { low: at(0.05), median: at(0.5), high: at(0.95), mean },
    }
}

/// A store in a directory of its own.
pub(crate) struct TempStore {
    directory: TempDir,
}

impl TempStore {
    /// A store without a model.
    pub(crate) fn empty() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// A store with a model that this version can serve.
    pub(crate) fn with_model() -> Self {
        let store = Self::empty();
        store.publish(&model("made", &prowl_features::digest()).to_bytes().unwrap(), &made().profiles);
        store
    }

    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.directory.path().display())
    }

    /// Publishes a model and returns the name of its folder.
    pub(crate) fn publish(&self, artifact: &[u8], profiles: &Bytes) -> String {
        finish(|| self.publish_in_runtime(artifact, profiles))
    }

    async fn publish_in_runtime(&self, artifact: &[u8], profiles: &Bytes) -> String {
        let mut draft = self.store().draft(Kind::Models).await.unwrap();
        draft.put("model.safetensors", Bytes::copy_from_slice(artifact)).await.unwrap();
        draft.put("profiles.parquet", profiles.clone()).await.unwrap();
        // What the trainer says of a model, where it is one.
        let details = Model::from_bytes(artifact).map_or_else(
            |_| json!({}),
            |model| {
                let metadata = model.metadata();
                json!({
                    "features_digest": metadata.features_digest,
                    "metrics": metadata.metrics,
                    "model_digest": prowl_model::digest(artifact),
                })
            },
        );
        let folder = draft.publish(Vec::new(), BTreeMap::new(), details).await.unwrap();
        folder.name().to_owned()
    }

    /// Publishes a features run of which only the profiles are of use, and returns its name.
    pub(crate) fn publish_run(&self, features_digest: &str, profiles: &Bytes) -> String {
        finish(|| async {
            let mut draft = self.store().draft(Kind::Features).await.unwrap();
            draft.put("profiles/part-0.parquet", profiles.clone()).await.unwrap();
            let details = json!({ "features_digest": features_digest });
            draft.publish(Vec::new(), BTreeMap::new(), details).await.unwrap().name().to_owned()
        })
    }

    fn store(&self) -> Store {
        Store::open(&StoreUrl::parse(&self.url()).unwrap(), &Secrets::fixed([].into())).unwrap()
    }

    /// Where a file of a model lies.
    pub(crate) fn file(&self, model: &str, file: &str) -> std::path::PathBuf {
        self.directory.path().join("models").join(model).join(file)
    }
}

/// Runs to its end in a thread of its own, since a test may run in a runtime already.
fn finish<F: Future<Output = String>>(work: impl FnOnce() -> F + Send) -> String {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work())
    };
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

/// The names of the features, in order.
pub(crate) fn feature_names() -> Vec<&'static str> {
    FEATURES.iter().map(|feature| feature.name).collect()
}
