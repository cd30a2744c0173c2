//! Newer models and histories take the place of those that are served, and no call notices more than a new name.

use std::{
    collections::BTreeSet,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use prowl_proto::v1::{GetModelRequest, ScoreRequest, score_request::Source};

use crate::{
    fixture::{REPOSITORY, TempStore, made, model, new_document},
    programs::Server,
};

/// A model that differs from others of the fixture by a figure only.
fn artifact(figure: u32) -> Vec<u8> {
    let mut parts = model("made", &prowl_features::digest()).into_parts();
    parts.metadata.metrics.insert("figure".to_owned(), figure.into());
    prowl_model::Model::from_parts(parts).unwrap().to_bytes().unwrap()
}

async fn wait_until(mut holds: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < until, "it does not come to that");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_and_histories_are_swapped_under_load_without_a_lost_call() {
    let store = TempStore::empty();
    let mut digests = BTreeSet::from([prowl_model::digest(&artifact(0))]);
    store.publish(&artifact(0), &made().profiles);
    let args = ["--follow", "--follow-every", "20ms", "--follow-profiles", "--follow-profiles-every", "30ms"];
    let server = Server::ready(&store.url(), &args);
    let (ended, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut callers = Vec::new();
    for _ in 0..4 {
        let (mut client, ended, answered) = (server.client().await, Arc::clone(&ended), Arc::clone(&answered));
        callers.push(tokio::spawn(async move {
            let source = Some(Source::GithubJson(new_document().to_string().into()));
            let request = ScoreRequest { source, ..ScoreRequest::default() };
            let mut seen = BTreeSet::new();
            while !ended.load(Ordering::Relaxed) {
                let response = client.score(request.clone()).await.unwrap().into_inner();
                seen.insert(response.model.unwrap().digest);
                answered.fetch_add(1, Ordering::Relaxed);
            }
            seen
        }));
    }
    let mut client = server.client().await;
    for swap in 1..=10 {
        let (artifact, run) = (artifact(swap), store.publish_run(&prowl_features::digest(), &made().profiles));
        digests.insert(prowl_model::digest(&artifact));
        let version = store.publish(&artifact, &made().profiles);
        wait_until(async || server.count(&format!("\"history\":\"{run}\"")) > 0).await;
        let digest = prowl_model::digest(&artifact);
        wait_until(async || {
            client.get_model(GetModelRequest {}).await.unwrap().into_inner().model.unwrap().digest == digest
        })
        .await;
        // It is told after it is done.
        wait_until(async || server.count(&format!("\"model\":\"{version}\"")) > 0).await;
    }
    ended.store(true, Ordering::Relaxed);
    let mut seen = BTreeSet::new();
    for caller in callers {
        seen.extend(caller.await.unwrap());
    }
    assert!(seen.is_subset(&digests) && seen.len() > 2, "{seen:?}");
    assert!(answered.load(Ordering::Relaxed) > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_told_once_and_passed_over() {
    let store = TempStore::empty();
    store.publish(&artifact(0), &made().profiles);
    let args = ["--follow", "--follow-every", "20ms", "--follow-profiles", "--follow-profiles-every", "20ms"];
    let server = Server::ready(&store.url(), &args);
    let damaged = store.publish(&artifact(1), &made().profiles);
    let path = store.file(&damaged, "model.safetensors");
    let refused = "what is newer cannot be served: what is served goes on";
    // It may have been taken before it was damaged, so that another one follows.
    store.publish(b"nonsense", &made().profiles);
    server.logged(refused);
    fs::write(&path, "nonsense").unwrap();
    store.publish_run("of another program", &made().profiles);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.count(refused), 1, "it is told once, and a run of other features is none");
    assert_eq!(server.post(new_document().to_string().as_bytes()).0, 200);
    assert!(server.http("GET", "/metrics", b"").2.contains("prowl_models_refused_total 1"));
    // The next one that is whole is taken.
    let next = store.publish(&artifact(2), &made().profiles);
    server.logged("serving what is newer");
    wait_until(async || server.count(&format!("\"model\":\"{next}\"")) > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_read_is_told_once_and_nothing_is_refused() {
    let store = TempStore::empty();
    store.publish(&artifact(0), &made().profiles);
    let server = Server::ready(&store.url(), &["--follow", "--follow-every", "20ms"]);
    let refused = "what is newer cannot be served: what is served goes on";
    let fails = "the store cannot be read: what is served goes on";
    let damaged = store.publish(b"nonsense", &made().profiles);
    server.logged(refused);
    let models = store.file(&damaged, "").parent().unwrap().to_owned();
    let away = models.with_extension("away");
    for times in 1..=2 {
        fs::rename(&models, &away).unwrap();
        // What leads to itself cannot be listed.
        std::os::unix::fs::symlink(&models, &models).unwrap();
        wait_until(async || server.count(fails) == times).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        fs::remove_file(&models).unwrap();
        fs::rename(&away, &models).unwrap();
        // That the next one is refused tells that it is read again.
        store.publish(b"nonsense", &made().profiles);
        wait_until(async || server.count(refused) == 1 + times).await;
    }
    assert_eq!(server.count(fails), 2, "once each time");
    assert!(server.http("GET", "/metrics", b"").2.contains("prowl_models_refused_total 3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_histories_are_told_of() {
    let store = TempStore::empty();
    store.publish(&artifact(0), &made().profiles);
    let server = Server::ready(&store.url(), &["--follow-profiles", "--follow-profiles-every", "20ms"]);
    let before = server.post(new_document().to_string().as_bytes()).2;
    assert_eq!(before["history_source"], "HISTORY_SOURCE_PROFILES");
    let age = "prowl_history_age_seconds NaN\n";
    assert!(!server.http("GET", "/metrics", b"").2.contains(age));
    // A run whose profiles know nothing of the repository.
    let schema = prowl_features::profile_schema();
    let nothing = parquet::arrow::ArrowWriter::try_new(Vec::new(), schema, None).unwrap().into_inner().unwrap();
    store.publish_run(&prowl_features::digest(), &nothing.into());
    server.logged("serving what is newer");
    let after = server.post(new_document().to_string().as_bytes()).2;
    assert_eq!(after["history_source"], "HISTORY_SOURCE_NONE", "{REPOSITORY} is not known any more");
    assert_eq!(after["model"], before["model"]);
    assert!(server.http("GET", "/metrics", b"").2.contains(age), "not that of the histories before");
}
