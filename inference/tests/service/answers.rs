//! Good requests: what they are answered, and that it is the same whichever way they come.

use futures::future::join_all;
use prost_types::Timestamp;
use prowl_features::{History, Quartiles};
use prowl_proto::{
    json::Json,
    v1::{
        self, Band, CategorySource, GetModelRequest, HistorySource, ScoreBatchRequest, ScoreRequest, ScoreResponse,
        score_batch_result::Outcome,
    },
};
use serde_json::{Value, json};
use tonic::Code;

use crate::{
    fixture::{
        NEWEST, OTHER_REPOSITORY, REPOSITORY, TempStore, clustered_model, document, feature_names, made, model,
        new_document, odd_document, request, risky_model,
    },
    programs::Server,
};

fn time(milliseconds: Option<i64>) -> Option<Timestamp> {
    milliseconds.map(|at| Timestamp {
        seconds: at.div_euclid(1_000),
        nanos: i32::try_from(at.rem_euclid(1_000)).unwrap() * 1_000_000,
    })
}

fn history_message(history: &History) -> v1::History {
    let quartiles =
        |q: Option<Quartiles>| q.map(|Quartiles { lower, median, upper }| v1::Quartiles { lower, median, upper });
    let (author, repository) = (&history.author, &history.repository);
    v1::History {
        author: Some(v1::AuthorHistory {
            opened: author.opened,
            merged: author.merged,
            reverted: author.reverted,
            last_opened_at: time(author.last_opened_at),
        }),
        repository: Some(v1::RepositoryHistory {
            opened: repository.opened,
            merged: repository.merged,
            reverted: repository.reverted,
            churn: quartiles(repository.churn),
            changed_files: quartiles(repository.changed_files),
        }),
        files: history
            .files
            .iter()
            .map(|file| v1::FileHistory {
                merged: file.merged,
                authors: file.authors,
                fixes: file.fixes,
                reverts: file.reverts,
                last_merged_at: time(file.last_merged_at),
                by_author: file.by_author,
            })
            .collect(),
        directories: history
            .directories
            .iter()
            .map(|directory| v1::DirectoryHistory {
                merged: directory.merged,
                reverts: directory.reverts,
                by_author: directory.by_author,
            })
            .collect(),
        reverts: Some(v1::RevertRatios {
            paths: history.reverts.paths,
            title: history.reverts.title,
            author: history.reverts.author,
        }),
    }
}

#[tokio::test]
async fn the_service_gives_the_bits_that_kernel_and_model_give() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let mut client = server.client().await;
    let model = model("made", &prowl_features::digest());
    for known in &made().known {
        let request = ScoreRequest {
            history: Some(history_message(&known.history)),
            include_features: true,
            ..request(&known.document)
        };
        let answer = client.score(request).await.unwrap().into_inner();
        let vector = known.facts.vector(&known.history);
        let score = model
            .score(&prowl_model::Vector {
                values: &vector.values,
                tokens: &vector.tokens,
                kind_tokens: &vector.kind_tokens,
                repository: Some(&known.facts.repository),
            })
            .unwrap();
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&answer.features), bits(&vector.values), "#{}", answer.number);
        assert_eq!(
            bits(&[answer.anomaly(), answer.percentile()]),
            bits(&[score.anomaly, score.percentile]),
            "#{}",
            answer.number
        );
        assert_eq!((answer.history_source(), answer.history_as_of), (HistorySource::Request, None));
    }
}

#[tokio::test]
async fn a_risk_comes_with_what_became_of_others_like_it() {
    let store = TempStore::empty();
    store.publish(&risky_model().to_bytes().unwrap(), &made().profiles);
    let server = Server::ready(&store.url(), &[]);
    let mut client = server.client().await;
    let usual = client.score(request(&new_document())).await.unwrap().into_inner();
    let odd = client.score(request(&odd_document())).await.unwrap().into_inner();
    assert!(usual.risk.unwrap() < 0.2 && odd.risk.unwrap() > 0.45, "{usual:#?} {odd:#?}");
    let [reason] = &odd.risk_reasons[..] else { panic!("the head reads lines alone: {odd:#?}") };
    assert_eq!((reason.feature.as_str(), reason.group.as_str(), reason.value), ("churn", "size", 48_003.0));
    assert!(reason.effect > 1.0 && reason.sentence.contains("48,003 lines (usual: "), "{reason:#?}");
    let band =
        |from, to, observed, rows| v1::RiskBand { from, to, observed, rows, average: 0.05, ..v1::RiskBand::default() };
    let bands = [band(0.2, 1.0, 0.3, 20), band(0.0, 0.2, 4.0 / 180.0, 180)];
    assert_eq!((odd.risk_band, usual.risk_band), (Some(bands[0]), Some(bands[1])));
    assert_eq!(client.get_model(GetModelRequest {}).await.unwrap().into_inner().risk_bands, bands);

    let mut blank = new_document();
    for field in ["additions", "deletions", "changed_files", "files"] {
        blank.as_object_mut().unwrap().remove(field);
    }
    let blank = client.score(request(&blank)).await.unwrap().into_inner();
    assert_eq!((blank.band(), blank.risk, blank.risk_band), (Band::Unspecified, None, None), "nothing is known");
    assert_eq!((blank.anomaly, blank.percentile), (None, None));
    assert_eq!((blank.risk_reasons, blank.reference), (vec![], v1::Reference::Unspecified.into()));
}

#[tokio::test]
async fn what_declares_no_category_is_told_by_what_it_is_like() {
    let store = TempStore::empty();
    store.publish(&clustered_model().to_bytes().unwrap(), &made().profiles);
    let server = Server::ready(&store.url(), &[]);
    let mut client = server.client().await;
    let odd = client.score(request(&odd_document())).await.unwrap().into_inner();
    let cluster = v1::Cluster {
        name: "buoys, harbour".into(),
        words: vec!["buoys".into()],
        features: vec!["more: files changed".into()],
        rows: 40,
        examples: vec![format!("{REPOSITORY}#7")],
        farther: Some(1.0),
    };
    assert_eq!(odd.cluster.as_ref(), Some(&cluster));
    let declared = client.score(request(&new_document())).await.unwrap().into_inner();
    assert_eq!((declared.category.unwrap().source(), declared.cluster), (CategorySource::Declared, None));
    let described = client.get_model(GetModelRequest {}).await.unwrap().into_inner().clusters;
    assert_eq!(described.len(), 2);
    assert_eq!(described[0], v1::Cluster { farther: None, ..cluster });
    let bare = json!({"number": 1, "created_at": NEWEST, "base": {"repo": {"full_name": REPOSITORY}}});
    assert_eq!(client.score(request(&bare)).await.unwrap().into_inner().cluster, None, "nothing is known");
}

#[tokio::test]
async fn what_lists_fewer_files_than_it_counts_is_told() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let mut client = server.client().await;
    let mut document = new_document();
    let answer = client.score(request(&document)).await.unwrap().into_inner();
    assert_eq!(answer.warnings, [""; 0]);
    document["changed_files"] = 57.into();
    let answer = client.score(request(&document)).await.unwrap().into_inner();
    let listed = document["files"].as_array().unwrap().len();
    assert_eq!(answer.warnings.len(), 1);
    assert!(answer.warnings[0].starts_with(&format!("it lists {listed} of its 57 changed files")), "{answer:#?}");
    document.as_object_mut().unwrap().remove("files");
    let answer = client.score(request(&document)).await.unwrap().into_inner();
    assert_eq!((answer.warnings.len(), &answer.missing_fields[..]), (0, &["files".to_owned()][..]));
}

#[tokio::test]
async fn an_odd_pull_request_stands_out_and_says_why() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--reasons", "4"]);
    let mut client = server.client().await;

    let usual = client.score(request(&new_document())).await.unwrap().into_inner();
    let odd = client.score(request(&odd_document())).await.unwrap().into_inner();
    assert!(usual.percentile() < 95.0, "{usual:#?}");
    assert_eq!((usual.band(), odd.band()), (Band::Routine, Band::VeryUnusual), "{odd:#?}");
    assert!(odd.anomaly() > usual.anomaly());
    assert_eq!((odd.repository.as_str(), odd.number), ("tideworks/harbour", 121));
    assert_eq!((odd.risk, &odd.risk_reasons[..]), (None, &[][..]), "the model has no risk head");
    assert_eq!(odd.reference(), v1::Reference::Repository);
    assert!(odd.features.is_empty(), "not asked for");
    assert!(odd.elapsed.is_some());

    assert_eq!(odd.reasons.len(), 4, "{:#?}", odd.reasons);
    assert!(odd.reasons[0].sentence.contains("48,003 lines"), "{:#?}", odd.reasons);
    assert!(odd.reasons.iter().any(|reason| reason.group == "author"), "{:#?}", odd.reasons);
    assert!(odd.reasons.is_sorted_by(|a, b| a.contribution >= b.contribution));
    for reason in &odd.reasons {
        assert!(reason.feature == "text" || feature_names().contains(&reason.feature.as_str()));
        assert!((0.0..=1.0).contains(&reason.contribution) && !reason.group.is_empty() && !reason.sentence.is_empty());
    }

    let category = usual.category.unwrap();
    assert_eq!((category.name.as_str(), category.source()), ("feature", CategorySource::Declared));
    assert!(category.predicted.is_some() && category.predicted_probability.is_some());
    assert_eq!(odd.category.unwrap().source(), CategorySource::Predicted);
}

#[tokio::test]
async fn every_answer_names_its_model_and_its_history() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let mut client = server.client().await;

    let answer = client.score(request(&document(5))).await.unwrap().into_inner();
    let described = client.get_model(GetModelRequest {}).await.unwrap().into_inner();
    let id = answer.model.clone().unwrap();
    let artifact = model("made", &prowl_features::digest()).to_bytes().unwrap();
    assert_eq!(id.version, "made");
    assert_eq!(id.digest, prowl_model::digest(&artifact));
    assert_eq!(id.features_digest, prowl_features::digest());
    assert_eq!(described.model, Some(id));

    assert_eq!(answer.history_source(), HistorySource::Profiles);
    let newest = made().known.iter().filter_map(|known| known.facts.lifecycle.merged_at).max();
    assert_eq!(answer.history_as_of, time(newest), "of its own repository");
    assert_eq!(described.history_as_of.unwrap().to_string(), NEWEST, "of any");

    let names: Vec<_> = described.features.iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(names, feature_names());
    assert!(described.features.iter().all(|feature| !feature.about.is_empty() && !feature.unit.is_empty()));
    assert_eq!(described.training.unwrap().rows, 120);
    assert_eq!(described.bands, Some(v1::Bands { unusual: 95.0, very_unusual: 99.0 }));
    assert_eq!(described.metrics["validation_error"].to_bits(), 0.25f64.to_bits());
    assert_eq!(described.missing_heads["risk"], "too few known reverts");
}

#[tokio::test]
async fn grpc_and_http_give_the_same_answer() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let mut client = server.client().await;
    for document in [document(7), document(40), odd_document()] {
        let mut over_grpc = client.score(request(&document)).await.unwrap().into_inner();
        over_grpc.elapsed = None;
        // By way of text, as a float has other digits when it is widened.
        let text = serde_json::to_string(&Json(&over_grpc)).unwrap();
        let expected: Value = serde_json::from_str(&text).unwrap();

        let payload = json!({"action": "opened", "number": document["number"], "pull_request": document});
        for body in [&document, &payload] {
            let (status, kind, mut answer) = server.post(body.to_string().as_bytes());
            assert_eq!((status, kind.as_str()), (200, "application/json"));
            assert!(answer.as_object_mut().unwrap().remove("elapsed").is_some());
            assert_eq!(answer, expected);
        }
    }
}

#[tokio::test]
async fn a_batch_fails_in_parts() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--max-batch", "40"]);
    let mut client = server.client().await;

    let mut requests: Vec<_> = (1..=40).map(|number| request(&document(number))).collect();
    requests[3] = ScoreRequest::default();
    requests[17] = request(&json!({"number": 5}));
    let results = client.score_batch(ScoreBatchRequest { requests }).await.unwrap().into_inner().results;
    assert_eq!(results.len(), 40);
    for (index, result) in results.into_iter().enumerate() {
        match (index, result.outcome.unwrap()) {
            (3, Outcome::Error(error)) => {
                assert_eq!((error.code, error.field_violations[0].field.as_str()), (3, "source"));
            }
            (17, Outcome::Error(error)) => {
                assert_eq!(error.field_violations[0].field, "github_json.base.repo.full_name");
            }
            (_, Outcome::Response(ScoreResponse { number, .. })) => assert_eq!(number, index as u64 + 1),
            (_, outcome) => panic!("{index}: {outcome:?}"),
        }
    }
}

/// Those that wait at one time go through the model together, whichever request they are of.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_calls_at_one_time_has_the_answer_that_it_has_alone() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--max-in-flight", "200"]);
    let mut client = server.client().await;
    let mut alone = Vec::new();
    for number in 1..=60 {
        alone.push(client.score(request(&document(number))).await.unwrap().into_inner());
    }
    let calls = (1..=60).map(|number| {
        let mut client = client.clone();
        async move { client.score(request(&document(number))).await.unwrap().into_inner() }
    });
    let requests = (1..=60).map(|number| request(&document(number))).collect();
    let (mut beside, mut another) = (client.clone(), client.clone());
    let wrong = another.score(request(&json!({"number": 5})));
    let batch = beside.score_batch(ScoreBatchRequest { requests });
    let (together, batch, wrong) = tokio::join!(join_all(calls), batch, wrong);
    assert_eq!(wrong.unwrap_err().code(), Code::InvalidArgument);
    let of_batch = batch.unwrap().into_inner().results.into_iter().map(|result| match result.outcome.unwrap() {
        Outcome::Response(response) => response,
        Outcome::Error(error) => panic!("{error:?}"),
    });
    let but_for_time = |mut answer: ScoreResponse| {
        assert!(answer.elapsed.take().is_some());
        answer
    };
    let alone: Vec<_> = alone.into_iter().map(but_for_time).collect();
    assert_eq!(together.into_iter().map(but_for_time).collect::<Vec<_>>(), alone);
    assert_eq!(of_batch.map(but_for_time).collect::<Vec<_>>(), alone);
}

#[tokio::test]
async fn of_a_repository_never_seen_nothing_is_known() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let mut document = document(3);
    document["base"]["repo"]["full_name"] = json!("someone/else");
    let request = ScoreRequest { include_features: true, ..request(&document) };
    let answer = server.client().await.score(request).await.unwrap().into_inner();
    assert_eq!((answer.history_source(), answer.history_as_of), (HistorySource::None, None));
    for name in ["author_is_new", "author_opened", "file_merges_max", "files_without_history"] {
        let index = feature_names().iter().position(|known| *known == name).unwrap();
        assert!(answer.features[index].is_nan(), "{name} is {}: unknown is not zero", answer.features[index]);
    }
    assert_eq!(answer.missing_fields, [""; 0]);
    let model = model("made", &prowl_features::digest());
    let features = answer.features.iter().zip(&model.parts().scaler.columns);
    let unknown = features.filter(|(value, column)| value.is_nan() && column.known).count();
    assert_eq!(answer.unknown_features as usize, unknown);
}

#[tokio::test]
async fn a_repository_is_the_same_in_any_case() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let mut client = server.client().await;
    let mut document = odd_document();
    let known = client.score(request(&document)).await.unwrap().into_inner();
    assert_eq!(known.reference(), v1::Reference::Repository);
    document["base"]["repo"]["full_name"] = json!("TideWorks/HARBOUR");
    let alike = client.score(request(&document)).await.unwrap().into_inner();
    assert_eq!(alike.repository, "TideWorks/HARBOUR", "it is named as it was asked for");
    let answer = ScoreResponse { repository: known.repository.clone(), elapsed: known.elapsed, ..alike };
    assert_eq!(answer, known);
}

#[tokio::test]
async fn what_the_model_knows_ends_with_the_last_that_it_has_learnt_from() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let told = server.client().await.get_model(GetModelRequest {}).await.unwrap().into_inner();
    let last = made().known.last().unwrap().facts.lifecycle.created_at;
    assert_eq!(told.training.unwrap().to, time(Some(last)), "the final fit goes on after the training slice");
}

/// In the one repository that the model learnt from no change comes from a fork. In another they may all do.
#[tokio::test]
async fn what_never_varied_where_the_model_learnt_is_no_reason_elsewhere() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--reasons", "20"]);
    let mut client = server.client().await;
    let mut document = odd_document();
    let mut named = async |document: &Value| {
        let answer = client.score(request(document)).await.unwrap().into_inner();
        answer.reasons.iter().any(|reason| reason.feature == "from_fork")
    };
    assert!(named(&document).await, "where all others did not");
    document["base"]["repo"]["full_name"] = json!("someone/else");
    assert!(!named(&document).await);
}

#[tokio::test]
async fn an_answer_says_what_the_pull_request_lacks() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let mut client = server.client().await;
    let whole = client.score(request(&new_document())).await.unwrap().into_inner();
    assert_eq!((whole.missing_fields, whole.unknown_features), (vec![], 0));
    let mut document = new_document();
    document.as_object_mut().unwrap().remove("files");
    document["user"] = json!(null);
    let lacking = client.score(request(&document)).await.unwrap().into_inner();
    assert_eq!(lacking.missing_fields, ["files", "user"]);
    assert!(lacking.unknown_features > 30, "{lacking:?}");
}

#[tokio::test]
async fn of_a_change_of_which_nothing_is_known_nothing_is_said() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let mut client = server.client().await;
    let created_at = "2024-05-11T03:10:00Z";
    let mut bare = json!({"number": 1, "created_at": created_at, "base": {"repo": {"full_name": REPOSITORY}}});
    let answer = client.score(request(&bare)).await.unwrap().into_inner();
    assert_eq!((answer.band(), answer.category, answer.reasons), (Band::Unspecified, None, vec![]));
    bare["title"] = json!("fix: it");
    let answer = client.score(request(&bare)).await.unwrap().into_inner();
    assert_eq!(answer.band(), Band::Unspecified);
    let category = answer.category.unwrap();
    assert_eq!((category.name.as_str(), category.predicted), ("fix", None));
    bare["additions"] = json!(48_000);
    let answer = client.score(request(&bare)).await.unwrap().into_inner();
    assert_eq!(answer.band(), Band::VeryUnusual);
    assert!(answer.category.unwrap().predicted.is_some() && !answer.reasons.is_empty());
    bare.as_object_mut().unwrap().remove("additions");
    bare["files"] = json!([{"filename": "src/buoys.rs"}]);
    assert_ne!(client.score(request(&bare)).await.unwrap().into_inner().band(), Band::Unspecified);
}

#[tokio::test]
async fn a_pull_request_of_the_past_is_not_told_its_future() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let request = ScoreRequest { include_features: true, ..request(&document(60)) };
    let answer = server.client().await.score(request).await.unwrap().into_inner();
    assert!(answer.history_as_of.unwrap().seconds > answer.created_at.unwrap().seconds);
    for (name, value) in feature_names().into_iter().zip(&answer.features) {
        let days = name.contains("days_");
        assert!(!days || value.is_nan() || *value >= 0.0, "{name} is {value}: nothing happens before it happened");
    }
}

#[tokio::test]
async fn a_reason_that_counts_what_came_later_says_up_to_when() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--reasons", "50"]);
    let mut client = server.client().await;
    let features = client.get_model(GetModelRequest {}).await.unwrap().into_inner().features;
    let counts = |reason: &v1::Reason| {
        let feature = features.iter().find(|feature| feature.name == reason.feature);
        feature.is_some_and(|feature| feature.source.ends_with("history") && feature.unit != "days")
    };
    let moment = ", counted up to 2024-05-09";
    let mut counted = 0;
    for number in [1, 2, 60] {
        let answer = client.score(request(&document(number))).await.unwrap().into_inner();
        assert!(answer.history_as_of.unwrap().to_string().starts_with("2024-05-09T"), "{answer:#?}");
        for reason in &answer.reasons {
            assert_eq!(reason.sentence.ends_with(moment), counts(reason), "#{number} {reason:#?}");
            counted += u32::from(counts(reason));
        }
    }
    assert!(counted > 0);
    // The moment itself is not before the opening.
    let mut last = document(1);
    last["base"]["repo"]["full_name"] = json!(OTHER_REPOSITORY);
    for (created_at, later) in [(NEWEST, true), ("2024-06-30T12:45:00.001Z", false)] {
        last["created_at"] = json!(created_at);
        let answer = client.score(request(&last)).await.unwrap().into_inner();
        let counts: Vec<_> = answer.reasons.iter().filter(|reason| counts(reason)).collect();
        assert!(!counts.is_empty());
        assert!(
            counts.iter().all(|reason| reason.sentence.ends_with(", counted up to 2024-06-30") == later),
            "{counts:#?}"
        );
    }
    let answer = client.score(request(&odd_document())).await.unwrap().into_inner();
    assert!(answer.reasons.iter().any(counts));
    assert!(!answer.reasons.iter().any(|reason| reason.sentence.contains("counted up to")), "{:#?}", answer.reasons);
}
