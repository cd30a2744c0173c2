//! What people see: the page in a real browser, with an answer and its reasons on it, and which features have drifted.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use prowl_e2e::{Server, TestStore, get, known_before, servers};
use serde_json::{Value, json};

const PLAYWRIGHT: [(&str, &str); 1] = [("playwright", "1.65.2")];
const TOKEN: &str = "a-token-of-the-page";
/// From here on a feature has drifted, as docs/serving.md says.
const DRIFTED: f64 = 0.25;
/// The service counts at most so many pull requests of a second.
const A_SECOND: usize = 100;

/// What stands on the page of a server on each screen, after this pull request was scored there. The pictures are kept.
fn look(server: &Server, token: Option<&str>, document: &Value) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("document.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let mut look = Command::new(servers::python(&PLAYWRIGHT));
    look.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/look.py"));
    look.arg(servers::of_the_system("chromium")).arg(format!("http://{}/", server.http()));
    look.arg(&file).arg(env!("CARGO_TARGET_TMPDIR")).env_remove("PROWL_TOKEN");
    let output = look.envs(token.map(|token| ("PROWL_TOKEN", token))).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn post(server: &Server, token: &str, body: &Value) -> Value {
    let (status, answer) =
        server.post_with("/v1/score", &format!("authorization: Bearer {token}\r\n"), &body.to_string()).unwrap();
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str(&answer).unwrap()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn a_person_pastes_a_pull_request_and_reads_why_it_is_unusual() {
    let (store, documents) = TestStore::trained(600, 5);
    let server = Server::start_guarded(&store.url, "latest", &format!("page:{TOKEN}"));
    let mut document = documents.0[0].clone();
    document["title"] = json!("docs: fix a typo");
    document["additions"] = json!(20_000);
    let answer = post(&server, TOKEN, &document);
    let sentences: Vec<&str> =
        answer["reasons"].as_array().unwrap().iter().map(|reason| reason["sentence"].as_str().unwrap()).collect();
    assert!(sentences.len() >= 3, "{answer}");

    let screens = look(&server, Some(TOKEN), &document);
    assert_eq!(screens.iter().map(|seen| &seen["width"]).collect::<Vec<_>>(), [400, 1280]);
    for seen in &screens {
        let words = answer["band"].as_str().unwrap().trim_start_matches("BAND_").replace('_', " ");
        assert!(seen["band"].as_str().unwrap().eq_ignore_ascii_case(&words), "{seen}");
        assert_eq!(texts(&seen["reasons"])[..sentences.len()], sentences, "{seen}");
        let text = seen["answer"].as_str().unwrap();
        let identity = format!("{}#{}", answer["repository"].as_str().unwrap(), answer["number"]);
        let percentile = answer["percentile"].as_f64().unwrap().floor();
        for part in ["docs: fix a typo", &identity, &format!("more unusual than {percentile}"), "as declared"] {
            assert!(text.contains(part), "{part} in {seen}");
        }
        assert!(seen["recent"].as_str().unwrap().contains(&identity), "{seen}");
        assert!(seen["problem"].as_str().unwrap().contains("base.repo.full_name"), "{seen}");
        assert_eq!(seen["focused"], "answer-title", "a screen reader goes on with the answer");
        assert_eq!(seen["overflow"], 0, "it is wider than its screen");
        assert_eq!(seen["complaints"], json!([]), "the browser complains");
        assert_eq!(seen["elsewhere"], json!([]), "it asks another server");
    }
    assert_ne!(screens[0]["ground"], screens[1]["ground"], "it is the same in the dark");
    assert_eq!(server.stop(), 0);
}

/// The features whose index is above the bound, the farthest first, as the page and the metrics tell it too.
fn drifted(server: &Server) -> (u64, Vec<String>) {
    let told: Value = serde_json::from_str(&get(server.http(), "/v1/drift").unwrap().1).unwrap();
    let features = told["features"].as_array().unwrap().iter();
    let far = features.filter(|feature| feature["psi"].as_f64().is_some_and(|psi| psi > DRIFTED));
    let named = far.map(|feature| feature["name"].as_str().unwrap().to_owned()).collect();
    (told["rows"].as_u64().unwrap(), named)
}

/// Sends them as fast as all of them are counted.
fn send(server: &Server, documents: &[Value]) {
    for some in documents.chunks(A_SECOND) {
        let answer = post(server, "", &json!(some));
        let results = answer["results"].as_array().unwrap();
        assert!(results.len() == some.len() && results.iter().all(|result| result.get("response").is_some()));
        std::thread::sleep(Duration::from_millis(1_050));
    }
}

/// A model of what was known at a moment, and what was opened after it.
#[test]
fn drift_is_told_of_where_pull_requests_have_changed_and_nowhere_else() {
    let store = TestStore::empty();
    let mut documents = store.synth(8_000, 11);
    let opened = |document: &Value| document["created_at"]["$date"].as_str().unwrap().to_owned();
    documents.0.sort_by_key(opened);
    let moment = opened(&documents.0[7_200]);
    store.preprocess_documents(&known_before(&documents, &moment));
    store.train();
    // A service reads histories anew long before as much time has passed as all of them take.
    let later: Vec<Value> = documents.0.into_iter().filter(|document| opened(document) >= moment).take(400).collect();

    let server = Server::start(&store.url, "latest");
    send(&server, &later);
    let (rows, far) = drifted(&server);
    assert_eq!((rows, far), (later.len() as u64, Vec::new()), "nothing has changed, and it is told of");

    // From now on each change is a large one.
    let began = Instant::now();
    let larger = |mut document: Value| {
        document["additions"] = json!(document["additions"].as_u64().unwrap_or_default() * 40 + 5_000);
        document
    };
    let larger: Vec<Value> = later.into_iter().map(larger).collect();
    let mut sent = larger.chunks(A_SECOND);
    while drifted(&server).1.is_empty() {
        assert!(began.elapsed() < Duration::from_mins(1), "it is not told of within a minute");
        send(&server, sent.next().expect("as many as before tell it"));
    }
    sent.for_each(|some| send(&server, some));
    let (_, far) = drifted(&server);
    assert!(far.iter().any(|name| name == "additions"), "{far:?}");
    let metrics = get(server.http(), "/metrics").unwrap().1;
    for name in &far {
        let of = format!("prowl_drift_psi{{feature=\"{name}\"}} ");
        let psi = metrics.lines().find_map(|line| line.strip_prefix(&of)).unwrap();
        assert!(psi.parse::<f64>().unwrap() > DRIFTED, "{name} {psi}");
    }
    assert!(far.iter().all(|name| !["title_length", "changed_files"].contains(&name.as_str())), "{far:?}");

    for seen in look(&server, None, &larger[0]) {
        let shown = texts(&seen["features"]);
        assert_eq!(shown[..far.len()], far, "{seen}");
        assert_eq!(seen["drifted"], far.len(), "{seen}");
        assert_eq!((&seen["overflow"], &seen["complaints"]), (&json!(0), &json!([])), "{seen}");
    }
    assert_eq!(server.stop(), 0);
}
