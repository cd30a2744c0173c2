//! What keeps a gate from a go, each told in words that name the thing and its address.

use std::net::TcpListener;
use std::thread::sleep;
use std::time::Duration;

use prowl_e2e::servers::free_port;
use prowl_e2e::{Server, get, wait_for};

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
