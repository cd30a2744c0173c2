//! Parity: the batch job and the running service compute the same features, bit for bit, and the same scores.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::PathBuf;

use prowl_e2e::{Documents, Row, Run, Server, known_before, open, publish_model, read_run, run};
use prowl_model::{Model, Vector};
use prowl_platform::{Folder, Kind};
use prowl_proto::v1::scoring_client::ScoringClient;
use prowl_proto::v1::{self, score_request::Source};
use serde_json::Value;
use tonic::transport::Channel;

struct House {
    root: PathBuf,
    url: String,
    documents: Documents,
    batch: Run,
    model: Model,
    artifact: Folder,
    _folder: tempfile::TempDir,
}

impl House {
    /// Documents, their features with the histories kept, and a model trained on them.
    async fn build(count: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let url = format!("file://{}", root.display());
        let count = count.to_string();
        let made = run("prowl-fetch", &["synth", "--store", &url, "--count", &count, "--seed", "21", "--json"])
            .expect_success();
        let documents = Documents::read(&root.join("exports").join(made.json()["snapshot"].as_str().unwrap()));
        let done = run("prowl-preprocess", &["--store", &url, "--export", "latest", "--keep-history", "--json"])
            .expect_success();
        let batch = read_run(&root, done.json()["run"].as_str().unwrap());
        let _ =
            run("prowl-trainer", &["train", "--store", &url, "--features", "latest", "--epochs", "5"]).expect_success();
        let store = open(&url);
        let artifact = store.folder(Kind::Models, "latest").await.unwrap();
        let model = Model::from_bytes(&artifact.read("model.safetensors").await.unwrap()).unwrap();
        Self { root, url, documents, batch, model, artifact, _folder: folder }
    }

    /// The newest version of each document, with its row in the batch.
    fn newest(&self) -> Vec<(&Value, &Row)> {
        let mut newest = std::collections::BTreeMap::new();
        for document in &self.documents.0 {
            let identity = (
                document["base"]["repo"]["full_name"].as_str().unwrap().to_owned(),
                document["number"].as_u64().unwrap(),
            );
            let age = document["updated_at"]["$date"].as_str().unwrap();
            let known = newest.entry(identity).or_insert((age, document));
            if known.0 <= age {
                *known = (age, document);
            }
        }
        newest.iter().map(|(identity, (_, document))| (*document, &self.batch.rows[identity])).collect()
    }

    /// The answer must be what the batch row and the artifact give.
    fn assert_same(&self, row: &Row, answer: &v1::ScoreResponse) {
        let about = format!("{}#{}", answer.repository, answer.number);
        for (index, name) in self.batch.names.iter().enumerate() {
            let (batch, service) = (row.values[index], answer.features[index]);
            assert_eq!(batch.to_bits(), service.to_bits(), "{name} of {about}: batch {batch}, service {service}");
        }
        let values = if answer.repository_is_foreign { self.model.comparable(&row.values) } else { row.values.clone() };
        let vector = Vector {
            values: &values,
            tokens: &row.tokens,
            kind_tokens: &row.kind_tokens,
            repository: Some(&answer.repository),
        };
        let score = self.model.score(&vector).unwrap();
        assert_eq!(score.anomaly.to_bits(), answer.anomaly().to_bits(), "anomaly of {about}");
        assert_eq!(score.percentile.to_bits(), answer.percentile().to_bits(), "percentile of {about}");
    }
}

async fn connect(server: &Server) -> ScoringClient<Channel> {
    ScoringClient::connect(server.url()).await.unwrap()
}

fn request(document: &Value, history: Option<v1::History>) -> v1::ScoreRequest {
    v1::ScoreRequest {
        source: Some(Source::GithubJson(document.to_string().into_bytes().into())),
        history,
        include_features: true,
    }
}

/// The history as the run keeps it, as a caller would send it.
fn history(kept: &Value) -> v1::History {
    let count = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
    let time = |value: &Value| {
        value.as_i64().map(|milliseconds| {
            let nanos = i32::try_from(milliseconds.rem_euclid(1000)).unwrap() * 1_000_000;
            prost_types::Timestamp { seconds: milliseconds.div_euclid(1000), nanos }
        })
    };
    let quartiles = |value: &Value| {
        let part = |name: &str| value[name].as_f64().unwrap() as f32;
        (!value.is_null()).then(|| v1::Quartiles { lower: part("lower"), median: part("median"), upper: part("upper") })
    };
    let list = |name: &str| kept[name].as_array().unwrap();
    let ratio = |name: &str| kept["reverts"][name].as_f64().map(|ratio| ratio as f32);
    let (author, repository) = (&kept["author"], &kept["repository"]);
    v1::History {
        author: Some(v1::AuthorHistory {
            opened: count(&author["opened"]),
            merged: count(&author["merged"]),
            reverted: count(&author["reverted"]),
            last_opened_at: time(&author["last_opened_at"]),
        }),
        repository: Some(v1::RepositoryHistory {
            opened: count(&repository["opened"]),
            merged: count(&repository["merged"]),
            reverted: count(&repository["reverted"]),
            churn: quartiles(&repository["churn"]),
            changed_files: quartiles(&repository["changed_files"]),
        }),
        files: list("files")
            .iter()
            .map(|file| v1::FileHistory {
                merged: count(&file["merged"]),
                authors: count(&file["authors"]),
                fixes: count(&file["fixes"]),
                reverts: count(&file["reverts"]),
                last_merged_at: time(&file["last_merged_at"]),
                by_author: count(&file["by_author"]),
            })
            .collect(),
        directories: list("directories")
            .iter()
            .map(|directory| v1::DirectoryHistory {
                merged: count(&directory["merged"]),
                reverts: count(&directory["reverts"]),
                by_author: count(&directory["by_author"]),
            })
            .collect(),
        reverts: Some(v1::RevertRatios { paths: ratio("paths"), title: ratio("title"), author: ratio("author") }),
    }
}

#[tokio::test]
async fn a_history_sent_with_the_request_gives_the_row_of_the_batch() {
    let house = House::build(800).await;
    let server = Server::start(&house.url, "latest");
    let mut client = connect(&server).await;
    let pairs = house.newest();
    assert!(pairs.len() > 700);
    for (document, row) in pairs {
        let kept = row.history.as_ref().unwrap();
        let answer = client.score(request(document, Some(history(kept)))).await.unwrap().into_inner();
        house.assert_same(row, &answer);
        assert_eq!(answer.history_source(), v1::HistorySource::Request);
    }
    assert_eq!(server.stop(), 0);
}

#[tokio::test]
async fn profiles_as_known_before_a_moment_give_the_row_of_the_whole() {
    let house = House::build(800).await;
    let store = open(&house.url);
    let mut pairs = house.newest();
    pairs.sort_by_key(|(document, row)| (row.created_at, document["number"].as_u64()));
    // One version of each, so that an edit is not mistaken for knowledge of the future.
    let documents = Documents(pairs.iter().map(|(document, _)| (*document).clone()).collect());
    let is_first = |row: &Row| row.history.as_ref().unwrap()["repository"]["opened"] == 0;
    // The first pull request of a repository as well, of which the profiles then know nothing.
    let first = pairs.iter().rposition(|(_, row)| is_first(row)).unwrap();
    for index in (1..=50).map(|moment| moment * (pairs.len() - 1) / 50).chain([first]) {
        let (document, row) = pairs[index];
        let known = known_before(&documents, document["created_at"]["$date"].as_str().unwrap());
        assert!(known.0.len() < documents.0.len());
        let path = house.root.join("known.ndjson");
        known.write(&path);
        let done = run("prowl-preprocess", &["--store", &house.url, "--export", path.to_str().unwrap(), "--json"])
            .expect_success();
        let profiles = read_run(&house.root, done.json()["run"].as_str().unwrap());
        let version = publish_model(&store, &house.artifact, &profiles).await;

        let server = Server::start(&house.url, version.name());
        let answer = connect(&server).await.score(request(document, None)).await.unwrap().into_inner();
        house.assert_same(row, &answer);
        let source = if is_first(row) { v1::HistorySource::None } else { v1::HistorySource::Profiles };
        assert_eq!(answer.history_source(), source);
    }
}
