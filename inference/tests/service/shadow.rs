//! A second model judges a share of what is answered; callers get what they get without it.

use std::{
    fs,
    time::{Duration, Instant},
};

use ndarray::{Array1, Array2};
use prowl_model::{Dense, Model};
use prowl_proto::v1::{ScoreBatchRequest, score_batch_result::Outcome};
use serde_json::{Value, json};

use crate::{
    fixture::{TempStore, document, made, model, new_document, odd_document, request, risky_model},
    programs::{Server, text},
};

const EVERY: [&str; 2] = ["--follow-every", "20ms"];

/// A model that differs from others of the fixture by a figure only.
fn artifact(figure: u32) -> Vec<u8> {
    let mut parts = model("made", &prowl_features::digest()).into_parts();
    parts.metadata.metrics.insert("figure".to_owned(), figure.into());
    Model::from_parts(parts).unwrap().to_bytes().unwrap()
}

/// One that says the same, and calls nothing of it unusual.
fn lenient() -> Vec<u8> {
    let mut parts = model("lenient", &prowl_features::digest()).into_parts();
    (parts.metadata.bands.unusual, parts.metadata.bands.very_unusual) = (100.0, 100.0);
    Model::from_parts(parts).unwrap().to_bytes().unwrap()
}

/// One that says the same, and takes milliseconds for it: its network has tens of millions of weights.
fn slow() -> Vec<u8> {
    let mut parts = model("slow", &prowl_features::digest()).into_parts();
    let inputs = parts.network.inputs();
    let layer = |from: usize, to: usize, weight: f32| Dense {
        weights: Array2::from_elem((from, to), weight),
        bias: Array1::from_elem(to, weight),
    };
    parts.network.layers = vec![layer(inputs, 4_000, 0.01), layer(4_000, 4_000, 0.01), layer(4_000, inputs, 0.0)];
    Model::from_parts(parts).unwrap().to_bytes().unwrap()
}

fn told(server: &Server) -> Value {
    serde_json::from_str(&server.http("GET", "/v1/shadow", b"").2).unwrap()
}

/// What is told once it holds.
fn told_when(server: &Server, holds: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + Duration::from_mins(1);
    loop {
        let told = told(server);
        if holds(&told) {
            return told;
        }
        assert!(Instant::now() < until, "it does not come to that: {told}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A figure of `/metrics`; the name with its labels.
fn figure(server: &Server, name: &str) -> f64 {
    let text = server.http("GET", "/metrics", b"").2;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse().unwrap()
}

/// A server whose shadow is loaded.
fn shadowed(store: &TempStore, served: &str, args: &[&str]) -> Server {
    let server = Server::ready(&store.url(), &[&["--model", served, "--shadow", "latest"], args].concat());
    server.logged("comparing with a shadow");
    server
}

#[test]
fn all_answers_are_those_of_the_model_that_is_served() {
    let store = TempStore::empty();
    let served = store.publish(&artifact(1), &made().profiles);
    store.publish(&lenient(), &made().profiles);
    let server = shadowed(&store, &served, &["--shadow-share", "1"]);
    let alone = Server::ready(&store.url(), &["--model", &served]);
    let documents: Vec<Value> = (1..=40).map(document).chain([odd_document()]).collect();
    let mut bands = Vec::new();
    for document in &documents {
        let [mut answer, mut expected] = [&server, &alone].map(|it| it.post(document.to_string().as_bytes()).2);
        assert_eq!(answer["model"]["digest"], prowl_model::digest(&artifact(1)));
        for answer in [&mut answer, &mut expected] {
            answer.as_object_mut().unwrap().remove("elapsed");
        }
        assert_eq!(answer, expected);
        bands.push(answer["band"].as_str().unwrap().to_owned());
    }
    // What is not judged is not compared.
    let mut bare = new_document();
    for field in ["additions", "deletions", "changed_files", "files"] {
        bare.as_object_mut().unwrap().remove(field);
    }
    assert_eq!(server.post(bare.to_string().as_bytes()).2["band"], "BAND_UNSPECIFIED");
    let rows = documents.len();
    let told = told_when(&server, |told| told["scored"] == rows);
    assert_eq!((&told["dropped"], &told["failed"], &told["share"]), (&json!(0), &json!(0), &json!(1.0)));
    assert_eq!(told["loaded"]["version"], "lenient");
    let compared = &told["compared"];
    assert_eq!((&compared["rows"], &compared["shadow"]["version"]), (&json!(rows), &json!("lenient")));
    assert_eq!((&compared["served"]["version"], &compared["risk"]), (&json!("made"), &Value::Null));
    // The two differ by what they call unusual, and by nothing else.
    let routine = bands.iter().filter(|band| *band == "BAND_ROUTINE").count();
    assert!(routine < rows, "{bands:?}");
    assert_eq!(compared["same_band"].as_f64().unwrap(), routine as f64 / rows as f64);
    assert_eq!((&compared["percentile"]["p95_difference"], &compared["farthest"]), (&json!(0.0), &json!([])));
    assert_eq!(compared["percentile"]["psi"], Value::Null, "of so few it says nothing");
    assert_eq!(figure(&server, "prowl_shadow_scored_total"), rows as f64);
    assert_eq!(figure(&server, "prowl_shadow_score_count"), rows as f64);
    assert_eq!(figure(&server, "prowl_shadow_difference_bucket{le=\"0.1\"}"), rows as f64);
    assert_eq!(figure(&server, "prowl_shadow_bands_total{served=\"routine\",shadow=\"routine\"}"), routine as f64);
    assert_eq!(figure(&server, "prowl_shadow_rows"), rows as f64);
    let digest = prowl_model::digest(&lenient());
    assert_eq!(figure(&server, &format!("prowl_shadow_info{{digest=\"{digest}\",version=\"lenient\"}}")), 1.0);
    // Without one nothing is told.
    assert_eq!(alone.http("GET", "/v1/shadow", b"").2, "null");
    assert!(!alone.http("GET", "/metrics", b"").2.contains("prowl_shadow"));
}

/// The histories are those of the served model: of its repositories, as it has looked them up.
#[test]
fn the_shadow_knows_the_histories_of_the_served_model() {
    let store = TempStore::empty();
    let served = store.publish(&artifact(1), &made().profiles);
    // The profiles of the shadow's own folder know no repository.
    let schema = prowl_features::profile_schema();
    let nothing = parquet::arrow::ArrowWriter::try_new(Vec::new(), schema, None).unwrap().into_inner().unwrap();
    store.publish(&artifact(2), &nothing.into());
    let server = shadowed(&store, &served, &["--shadow-share", "1"]);
    let answers = server.post(json!([new_document(), odd_document()]).to_string().as_bytes()).2;
    assert_eq!(answers["results"][0]["response"]["history_source"], "HISTORY_SOURCE_PROFILES");
    let compared = told_when(&server, |told| told["scored"] == 2)["compared"].clone();
    assert_eq!((&compared["percentile"]["p95_difference"], &compared["same_band"]), (&json!(0.0), &json!(1.0)));
}

#[test]
fn a_share_is_a_share() {
    let store = TempStore::empty();
    let served = store.publish(&artifact(1), &made().profiles);
    store.publish(&risky_model().to_bytes().unwrap(), &made().profiles);
    let server = shadowed(&store, &served, &["--shadow-share", "0.5"]);
    for _ in 0..4 {
        let documents: Vec<Value> = (1..=100).map(document).collect();
        assert_eq!(server.post(json!(documents).to_string().as_bytes()).0, 200);
    }
    // Of 400 dice all but one in a billion throw more than 140 and less than 260.
    told_when(&server, |told| told["scored"].as_u64().unwrap() + told["dropped"].as_u64().unwrap() > 140);
    std::thread::sleep(Duration::from_millis(300));
    let told = told(&server);
    assert!(told["scored"].as_u64().unwrap() + told["dropped"].as_u64().unwrap() < 260, "{told}");
    // The shadow tells a risk, and the served one does not.
    assert_eq!(told["compared"]["risk"], Value::Null);
    assert_eq!(figure(&server, "prowl_shadow_risk_count"), figure(&server, "prowl_shadow_scored_total"));
    assert_eq!(figure(&server, "prowl_risk_count"), 0.0);
}

/// A shadow that takes milliseconds for each keeps up with a few hundred a second; the others are dropped, and nobody waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_drops_and_slows_nothing() {
    const ROWS: usize = 1_000;
    let store = TempStore::empty();
    let served = store.publish(&artifact(1), &made().profiles);
    store.publish(&slow(), &made().profiles);
    let server = shadowed(&store, &served, &["--shadow-share", "1"]);
    let requests = (0..ROWS as u64).map(|number| request(&document(1 + number % 120)));
    let requests = ScoreBatchRequest { requests: requests.collect() };
    let mut client = server.client().await.max_decoding_message_size(usize::MAX);
    let results = client.score_batch(requests).await.unwrap().into_inner().results;
    let answered =
        |outcome: &Outcome| matches!(outcome, Outcome::Response(it) if it.model.as_ref().unwrap().version == "made");
    assert!(results.len() == ROWS && results.iter().all(|it| it.outcome.as_ref().is_some_and(answered)));
    let at_the_answer = told(&server);
    assert!(at_the_answer["scored"].as_u64().unwrap() < ROWS as u64 / 2, "{at_the_answer}");
    let sum = |told: &Value| ["scored", "dropped", "failed"].iter().map(|it| told[it].as_u64().unwrap()).sum::<u64>();
    let told = told_when(&server, |told| sum(told) == ROWS as u64);
    assert!(told["dropped"].as_u64().unwrap() > 0 && told["scored"].as_u64().unwrap() >= 256, "{told}");
    assert_eq!(told["failed"], 0);
    assert_eq!(figure(&server, "prowl_shadow_dropped_total"), told["dropped"].as_f64().unwrap());
}

#[cfg(target_os = "linux")]
#[test]
fn whatever_callers_wait_for_goes_first() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--shadow", "latest"]);
    let tasks = fs::read_dir(format!("/proc/{}/task", server.id())).unwrap();
    let stat = |task: fs::DirEntry| fs::read_to_string(task.path().join("stat")).unwrap_or_default();
    let stats: Vec<String> = tasks.map(|task| stat(task.unwrap())).collect();
    // After the name in brackets; the nice value is the seventeenth from there.
    let nice =
        |stat: &&String| stat.split_once("(shadow) ").map(|(_, rest)| rest.split(' ').nth(16).unwrap().to_owned());
    assert_eq!(stats.iter().find_map(|stat| nice(&stat)).as_deref(), Some("19"), "{stats:?}");
}

#[test]
fn what_cannot_be_a_shadow_is_told_and_passed_over() {
    let store = TempStore::empty();
    let served = store.publish(&artifact(1), &made().profiles);
    let other_features = store.publish(&model("made", &"ab".repeat(32)).to_bytes().unwrap(), &made().profiles);
    let damaged = store.publish(&artifact(2), &made().profiles);
    fs::write(store.file(&damaged, "model.safetensors"), "nonsense").unwrap();
    for (wanted, said) in [
        (other_features.as_str(), "it reads the features abab"),
        (&damaged, "model.safetensors"),
        ("20200101T000000Z", "20200101T000000Z"),
    ] {
        let server = Server::ready(&store.url(), &[&["--model", &served, "--shadow", wanted], &EVERY[..]].concat());
        let refused = "the shadow cannot be used: what is served goes on";
        let error = server.logged(refused)["error"].as_str().unwrap().to_owned();
        assert!(error.contains(said), "{error}");
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(server.count(refused), 1, "it is told once");
        assert_eq!(figure(&server, "prowl_models_refused_total"), 1.0);
        let (status, _, answer) = server.post(new_document().to_string().as_bytes());
        assert_eq!((status, &answer["model"]["digest"]), (200, &json!(prowl_model::digest(&artifact(1)))));
        let told = told(&server);
        assert_eq!((&told["wanted"], &told["loaded"], &told["scored"]), (&json!(wanted), &Value::Null, &json!(0)));
    }
    let wrong = crate::programs::fail_to_start(&store.url(), &["--model", &served, "--shadow", &served]);
    assert!(text(&wrong.stderr).contains("nothing would be compared"), "{wrong:?}");
}

#[test]
fn the_comparison_begins_anew_with_another_model_on_either_side() {
    // The newest is the shadow of one that is pinned, whatever is published.
    let store = TempStore::empty();
    let served = store.publish(&artifact(1), &made().profiles);
    let args = ["--model", &served, "--shadow", "latest", "--shadow-share", "1", EVERY[0], EVERY[1]];
    let server = Server::ready(&store.url(), &args);
    let post = |server: &Server| {
        let digest = server.post(new_document().to_string().as_bytes()).2["model"]["digest"].clone();
        digest.as_str().unwrap().to_owned()
    };
    post(&server);
    assert_eq!(told(&server)["loaded"], Value::Null, "the served one is no shadow of itself");
    for figure in [2, 3] {
        store.publish(&artifact(figure), &made().profiles);
        let digest = prowl_model::digest(&artifact(figure));
        told_when(&server, |told| told["loaded"]["digest"] == digest);
        post(&server);
        let told = told_when(&server, |told| told["compared"]["shadow"]["digest"] == digest);
        assert_eq!((&told["compared"]["rows"], &told["scored"]), (&json!(1), &json!(figure - 1)), "{told}");
        assert_eq!(told["compared"]["served"]["digest"], prowl_model::digest(&artifact(1)));
    }

    // The older one is the shadow of what is followed.
    let store = TempStore::empty();
    let shadow = store.publish(&artifact(1), &made().profiles);
    store.publish(&artifact(2), &made().profiles);
    let server =
        Server::ready(&store.url(), &[&["--follow", "--shadow", &shadow, "--shadow-share", "1"], &EVERY[..]].concat());
    server.logged("comparing with a shadow");
    for figure in [2, 3] {
        let digest = prowl_model::digest(&artifact(figure));
        let until = Instant::now() + Duration::from_mins(1);
        while post(&server) != digest {
            assert!(Instant::now() < until, "it is not followed");
        }
        let told = told_when(&server, |told| told["compared"]["served"]["digest"] == digest);
        assert_eq!(told["compared"]["shadow"]["digest"], prowl_model::digest(&artifact(1)));
        if figure == 2 {
            post(&server);
            assert!(told_when(&server, |told| told["scored"] == 2)["compared"]["rows"] == 2);
            store.publish(&artifact(3), &made().profiles);
        } else {
            assert_eq!(told["compared"]["rows"], 1, "{told}");
        }
    }
}
