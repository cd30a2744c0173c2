//! What keeps a gate from a go, each told in words that name the thing and its address.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use prowl_e2e::servers::free_port;
use prowl_e2e::{Server, TestStore, get, wait_for};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::given::{Gate, MODELS, TOKEN, broken, check};

/// A gate that does not wait long, with a token that is nobody's business.
fn impatient(preview: &str) -> Gate {
    Gate::of(preview, &MODELS.new).with(&["--patience", "2s"]).given("PROWL_TOKEN", TOKEN)
}

#[test]
fn nobody_listens() {
    let nowhere = format!("http://127.0.0.1:{}/", free_port());
    let gate = impatient(&nowhere);
    let told = gate.refused(3);
    for words in ["preview is serving", &nowhere, "not ready after 2s", "Connection refused", "is the address right"] {
        assert!(told.contains(words), "{words} in {told}");
    }
    assert_eq!(broken(&gate.verdict().unwrap()), ["preview is serving"]);

    // Of an active version that is not there, nothing follows for the preview.
    let preview = MODELS.serve();
    let gate = impatient(&preview.url()).with(&["--active", &nowhere]);
    let told = gate.refused(1);
    assert!(told.contains("active is serving") && told.contains(&nowhere), "{told}");
    assert_eq!(broken(&gate.verdict().unwrap()), ["active is serving"]);

    // The other port of the same server.
    let http = format!("http://{}/", preview.http());
    let told = impatient(&http).refused(3);
    assert!(told.contains(&http) && told.contains("this is not the gRPC port of prowl-inference"), "{told}");
}

#[test]
fn what_is_sent_is_no_pull_request() {
    let preview = MODELS.serve();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sent");
    let gate = || Gate::of(&preview.url(), &MODELS.new).with(&["--requests", &file.display().to_string()]);

    fs::write(&file, "# A title\n\nand words\n").unwrap();
    let told = gate().refused(1);
    assert!(told.contains("sent: line 1 is no document") && told.contains("a JSON object a line"), "{told}");

    // Alone, nobody says whose fault it is that the preview cannot read any.
    fs::write(&file, "{\"title\": \"of nothing\"}\n").unwrap();
    let gate = gate();
    let told = gate.refused(1);
    assert!(told.contains("refuses all that is sent: give other --requests"), "{told}");
    assert_eq!(broken(&gate.verdict().unwrap()), ["requests"]);

    let told = Gate::of(&preview.url(), &MODELS.new).with(&["--requests", "20000101T000000Z"]).refused(1);
    assert!(told.contains("by --requests FILE"), "{told}");
}

#[test]
fn a_store_that_takes_no_verdict_leaves_none() {
    let preview = MODELS.serve();
    // Where the verdicts would be is a file.
    let store = TestStore::empty();
    for kind in ["exports", "models"] {
        std::os::unix::fs::symlink(MODELS.store.root.join(kind), store.root.join(kind)).unwrap();
    }
    fs::write(store.root.join("verdicts"), "").unwrap();
    let gate = Gate::without_store(&preview.url(), &MODELS.new).with(&["--store", &store.url, "--keep"]);
    let told = gate.refused(1);
    assert!(told.contains("verdicts/"), "{told}");
    assert_eq!(gate.files(), ["", "", ""], "somebody could take one for a go");
}

#[test]
fn a_preview_that_never_gets_ready() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let told = impatient(&format!("http://{address}")).refused(3);
    assert!(told.contains(&address) && told.contains("not ready after 2s"), "{told}");
    assert!(!told.contains("does not listen"), "it does, and says nothing: {told}");

    let arguments = ["--store", &MODELS.store.url, "--model", &MODELS.new, "--insecure", "--drain-grace", "1m"];
    let draining = Server::run(&[], &arguments);
    draining.tell_to_stop();
    wait_for("its end to begin", || get(draining.http(), "/readyz").filter(|(status, _)| *status == 503));
    let told = impatient(&draining.url()).refused(3);
    assert!(told.contains(draining.grpc()) && told.contains("it says that it is not serving"), "{told}");
}

#[test]
fn a_wrong_token_and_none() {
    let server = Server::start_guarded(&MODELS.store.url, &MODELS.new, "gate:the-token-that-is-right");
    let guarded = || Gate::of(&server.url(), &MODELS.new);
    for gate in [guarded(), guarded().given("PROWL_TOKEN", TOKEN)] {
        let told = gate.refused(3);
        for words in ["cannot ask the preview", server.grpc(), "Unauthenticated", "PROWL_TOKEN"] {
            assert!(told.contains(words), "{words} in {told}");
        }
    }
    // A line break would end the header, and what follows would be another.
    let told = guarded().given("PROWL_TOKEN", &format!("{TOKEN}\nx: y")).refused(1);
    assert!(told.contains("the token holds other than visible characters"), "{told}");
}

#[test]
fn another_version_than_the_one_that_is_to_go_live() {
    let server = Server::start(&MODELS.store.url, &MODELS.old);
    let gate = Gate::of(&server.url(), &MODELS.new);
    let told = gate.refused(3);
    assert!(told.contains("the preview serves another model than the one that is to go live"), "{told}");
    let verdict = gate.verdict().unwrap();
    let model = check(&verdict, "expected model");
    let begins = |field: &str, version: &str| model[field].as_str().unwrap().starts_with(version);
    assert!(begins("observed", &MODELS.old) && begins("limit", &MODELS.new), "{model}");
    assert!(verdict["race"].is_null(), "it was asked more than what it serves");

    let told = Gate::of(&server.url(), "20200101T000000Z").refused(1);
    assert!(told.starts_with("error: ") && told.contains("20200101T000000Z"), "{told}");
}

#[test]
fn another_digest_than_the_one_that_was_built() {
    let preview = MODELS.serve();
    let gate = Gate::of(&preview.url(), &MODELS.new).with(&["--expect-digest", &"ab".repeat(32)]);
    let told = gate.refused(3);
    assert!(told.contains("the preview serves another model than the one that is to go live"), "{told}");
    let verdict = gate.verdict().unwrap();
    assert_eq!(broken(&verdict), ["expected model"]);
    assert!(verdict["race"].is_null(), "it was asked more than what it serves");
}

/// A store with the exports and the new model, in whose panel a figure is another.
fn with_another_panel() -> TestStore {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let read = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let store = TestStore::empty();
    let model = store.root.join("models").join(&MODELS.new);
    copy(&MODELS.store.root.join("exports"), &store.root.join("exports"));
    copy(&MODELS.store.root.join("models").join(&MODELS.new), &model);
    let mut panel = read(&model.join("panel.json"));
    let percentile = panel["rows"][3]["percentile"].as_f64().unwrap();
    panel["rows"][3]["percentile"] = json!(percentile + 1.0);
    let text = panel.to_string();
    fs::write(model.join("panel.json"), &text).unwrap();
    // Nothing is damaged: it is what the trainer would have written.
    let mut manifest = read(&model.join("manifest.json"));
    let files = manifest["files"].as_array_mut().unwrap();
    let entry = files.iter_mut().find(|entry| entry["path"] == "panel.json").unwrap();
    entry["bytes"] = json!(text.len());
    entry["sha256"] = json!(hex::encode(Sha256::digest(text.as_bytes())));
    fs::write(model.join("manifest.json"), manifest.to_string()).unwrap();
    store
}

#[test]
fn a_service_that_computes_otherwise_than_the_trainer() {
    let (preview, store) = (MODELS.serve(), with_another_panel());
    let gate = Gate::without_store(&preview.url(), &MODELS.new).with(&["--store", &store.url]);
    let told = gate.refused(3);
    assert!(told.contains("its figures are not those that the trainer wrote beside the model: row 3: "), "{told}");
    assert_eq!(broken(&gate.verdict().unwrap()), ["panel"]);
}

#[test]
fn a_rule_of_the_environment_that_does_not_hold() {
    let preview = MODELS.serve();
    let gate = Gate::of(&preview.url(), &MODELS.new);
    let rules = gate.path("staging.rules");
    fs::write(&rules, "p99<1us for score\nerror-rate<50%\n").unwrap();
    let gate = gate.with(&["--thresholds", &rules.display().to_string()]);
    let outcome = gate.run();
    let verdict = gate.verdict().unwrap();
    // A machine that is busy may not tell whose fault it is.
    assert!([1, 3].contains(&outcome.code), "{}", outcome.stderr);
    assert_eq!(broken(&verdict), ["p99<1us for GRPC score"]);
    assert_eq!(check(&verdict, "error-rate<50%")["holds"], true, "{verdict:#}");
}

#[test]
fn one_server_behind_two_addresses() {
    let server = MODELS.serve();
    let other = |address: &str| format!("http://{}", address.replace("127.0.0.1", "localhost"));
    let gate = Gate::of(&server.url(), &MODELS.new).with(&[
        "--preview-http",
        &format!("http://{}", server.http()),
        "--active",
        &other(server.grpc()),
        "--active-http",
        &other(server.http()),
    ]);
    let told = gate.refused(1);
    assert!(told.contains("the two addresses lead to one server"), "{told}");
    // It is asked as preview and as active.
    assert_eq!(broken(&gate.verdict().unwrap()), ["two servers", "asked alone"]);
}

#[test]
fn ports_that_are_not_those_of_the_servers() {
    let (preview, active) = (MODELS.serve(), MODELS.serve());
    let nowhere = format!("http://127.0.0.1:{}/", free_port());
    let gate = Gate::of(&preview.url(), &MODELS.new).with(&["--preview-http", &format!("http://{}", preview.http())]);
    let gate = gate.with(&["--active", &active.url(), "--active-http", &nowhere, "--scenario", "score"]);
    let told = gate.refused(1);
    assert!(told.contains("are --preview-http and --active-http theirs?"), "{told}");
    assert_eq!(broken(&gate.verdict().unwrap()), ["two servers", "CPU against active"]);

    let gate = Gate::of(&preview.url(), &MODELS.new).with(&["--preview-http", &nowhere, "--scenario", "score"]);
    let told = gate.refused(1);
    assert!(told.contains("is --preview-http its HTTP port?"), "{told}");
    assert_eq!(broken(&gate.verdict().unwrap()), ["asked alone", "memory"]);
}

#[test]
fn an_active_version_that_dies_in_the_middle() {
    let (preview, active) = (MODELS.serve(), MODELS.serve());
    let gate = Gate::of(&preview.url(), &MODELS.new).with(&["--active", &active.url()]);
    let running = gate.start_racing();
    sleep(Duration::from_secs(1));
    // By SIGKILL.
    drop(active);
    let told = gate.check_refused(&running.wait(), 1);
    let verdict = gate.verdict().unwrap();
    let why = check(&verdict, "active answers")["why"].as_str().unwrap();
    assert!(why.starts_with("the active version failed "), "{why}");
    assert!(told.contains("never a go"), "{told}");
    // The preview has done all that it was asked.
    for name in ["answered", "throughput", "same model at the end"] {
        assert_eq!(check(&verdict, name)["holds"], true, "{verdict:#}");
    }
}

#[test]
fn a_preview_that_dies_in_the_middle() {
    let (preview, active) = (MODELS.serve(), MODELS.serve());
    let gate = Gate::of(&preview.url(), &MODELS.new).with(&["--active", &active.url(), "--deadline", "2s"]);
    let running = gate.start_racing();
    sleep(Duration::from_secs(1));
    drop(preview);
    let told = gate.check_refused(&running.wait(), 3);
    let verdict = gate.verdict().unwrap();
    for name in ["answered", "preview is serving at the end"] {
        assert_eq!(check(&verdict, name)["holds"], false, "{verdict:#}");
    }
    assert!(told.contains("no go for") && told.contains("answered ("), "{told}");
}
