//! Deliveries of GitHub's, and what becomes of them.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{hmac, signature as rsa};
use rustls::pki_types::{PrivatePkcs1KeyDer, pem::PemObject};
use serde_json::{Value, json};

use crate::{
    fixture::{REPOSITORY, TempStore, document, odd_document},
    github::{Does, GitHub},
    programs::{Server, fail_with_secrets, head_and_body, header, text},
};

const SECRET: &str = "It's a Secret to Everybody";
const TOKEN: &str = "the-token-for-github";

/// What GitHub sends, save for what is not read: `files` are no part of it.
fn payload(action: &str, mut pull_request: Value) -> Value {
    let of = pull_request.as_object_mut().unwrap();
    of.remove("files");
    let number = of["number"].as_u64().unwrap();
    of.insert("state".to_owned(), json!("open"));
    of.insert("updated_at".to_owned(), json!("2024-06-01T12:00:00Z"));
    of["head"]["sha"] = json!(format!("{number:040x}"));
    json!({
        "action": action, "number": number, "pull_request": of, "repository": {"full_name": REPOSITORY},
        "installation": {"id": 99, "node_id": "x"}, "sender": {"login": "ada"},
    })
}

fn signature(secret: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    format!("x-hub-signature-256: sha256={}\r\n", hex::encode(tag))
}

/// The head and the body of an answer.
fn send(server: &Server, lines: &str, body: &[u8]) -> (String, Value) {
    let mut stream = server.http_head("POST", "/webhooks/github", body.len(), lines);
    let _ = stream.write_all(body);
    let (head, body) = head_and_body(stream);
    let answer = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {head}\n{body}"));
    (head, answer)
}

/// The status and the body of an answer to an event that is signed.
fn deliver(server: &Server, event: &str, body: &[u8]) -> (u16, Value) {
    let lines = format!("x-github-event: {event}\r\nx-github-delivery: a-delivery\r\n{}", signature(SECRET, body));
    let (head, answer) = send(server, &lines, body);
    (head.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

fn deliver_pull_request(server: &Server, payload: &Value) -> (u16, String) {
    let (status, answer) = deliver(server, "pull_request", payload.to_string().as_bytes());
    (status, answer["outcome"].as_str().unwrap_or_else(|| answer["detail"].as_str().unwrap()).to_owned())
}

fn queued() -> (u16, String) {
    (202, "queued".to_owned())
}

/// The figure with this name and these labels, waiting until it is as large.
fn counted(server: &Server, figure: &str, least: u64) {
    let until = Instant::now() + Duration::from_mins(1);
    loop {
        let metrics = server.http("GET", "/metrics", b"").2;
        let line = metrics.lines().find_map(|line| line.strip_prefix(figure)?.trim().parse::<u64>().ok());
        if line.is_some_and(|value| value >= least) {
            return;
        }
        assert!(Instant::now() < until, "{figure} is {line:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn with_github(store: &TempStore, github: &GitHub, args: &[&str]) -> Server {
    let args = [&["--github-api-url", &*github.url], args].concat();
    Server::with_secrets(&store.url(), &args, &[("WEBHOOK_SECRET", SECRET), ("GITHUB_TOKEN", TOKEN)])
}

#[test]
fn only_what_github_has_signed_is_taken() {
    let store = TempStore::with_model();
    let secrets = format!("the one that comes next\n{SECRET}");
    let secrets = [("WEBHOOK_SECRET", &*secrets), ("API_TOKENS", "ci:a-token-of-the-pipeline")];
    let server = Server::with_secrets(&store.url(), &["--access-log", "all"], &secrets);
    let body = payload("opened", document(1)).to_string();
    let signed = |secret: &str, body: &str| signature(secret, body.as_bytes());
    let of_another = signed(SECRET, "{}");
    let cut = of_another.replace("\r\n", "").split_at(60).0.to_owned() + "\r\n";
    for (wrong, says) in [
        ("", "needs the header"),
        ("x-hub-signature: sha1=7d38cdd689735b008b3c702edd92eea23791c5f6\r\n", "needs the header"),
        ("x-hub-signature-256: sha1=7d38cdd689735b008b3c702edd92eea23791c5f6\r\n", "64 hexadecimal digits"),
        ("x-hub-signature-256: sha256=\r\n", "64 hexadecimal digits"),
        (&cut, "64 hexadecimal digits"),
        (&of_another, "not that of this body"),
        (&signed("It's a Secret to everybody", &body), "not that of this body"),
        (&signed("", &body), "not that of this body"),
        ("authorization: Bearer a-token-of-the-pipeline\r\n", "needs the header"),
    ] {
        let lines = format!("x-github-event: pull_request\r\n{wrong}");
        let (head, problem) = send(&server, &lines, body.as_bytes());
        assert!(head.starts_with("http/1.1 401 "), "{wrong}: {head}");
        assert_eq!(header(&head, "content-type"), Some("application/problem+json"));
        assert_eq!(header(&head, "www-authenticate"), Some("x-hub-signature-256"));
        assert!(problem["detail"].as_str().unwrap().contains(says), "{wrong}: {problem}");
    }
    for secret in [SECRET, "the one that comes next"] {
        let body = payload("opened", document(secret.len() as u64)).to_string();
        let lines = format!("x-github-event: pull_request\r\nx-request-id: mine\r\n{}", signed(secret, &body));
        let (head, answer) = send(&server, &lines, body.as_bytes());
        assert!(head.starts_with("http/1.1 202 "), "{head} {answer}");
        assert_eq!(header(&head, "x-request-id"), Some("mine"));
    }
    assert_eq!(server.http("GET", "/v1/recent", b"").0, 401, "all else needs a token");
    assert_eq!(server.logged("answered")["route"], "/webhooks/github");
    assert_eq!(server.count("Everybody") + server.count("comes next"), 0, "a secret shows in the log");
}

#[test]
fn without_a_secret_it_says_how_to_set_one() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let (status, problem) = deliver(&server, "ping", b"{}");
    assert_eq!(status, 501);
    assert!(problem["detail"].as_str().unwrap().contains("WEBHOOK_SECRET"), "{problem}");
    assert_eq!(server.http("GET", "/webhooks/github", b"").0, 405);
    let output = fail_with_secrets(&store.url(), &[], &[("WEBHOOK_SECRET", "guessable")]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("webhook_secret") && !told.contains("guessable"), "{told}");
}

#[test]
fn what_concerns_nobody_is_answered_and_passed_over() {
    let store = TempStore::with_model();
    let server = Server::with_secrets(&store.url(), &[], &[("WEBHOOK_SECRET", SECRET)]);
    let (status, answer) = deliver(&server, "ping", br#"{"zen": "Keep it logically awesome."}"#);
    assert_eq!((status, &answer["outcome"]), (200, &json!("pong")));
    let mut closed = payload("edited", document(3));
    closed["pull_request"]["state"] = json!("closed");
    for (event, payload, says) in [
        ("push", json!({"ref": "refs/heads/main"}), "pull_request"),
        ("pull_request_review", json!({"action": "submitted"}), "pull_request"),
        ("pull_request", payload("labeled", document(3)), "opened, reopened, synchronize"),
        ("pull_request", payload("closed", document(3)), "opened, reopened, synchronize"),
        ("pull_request", closed, "closed"),
    ] {
        let (status, answer) = deliver(&server, event, payload.to_string().as_bytes());
        assert_eq!((status, &answer["outcome"]), (200, &json!("ignored")), "{event}");
        assert!(answer["detail"].as_str().unwrap().contains(says), "{answer}");
    }
    counted(&server, "prowl_webhooks_total{outcome=\"ignored\"}", 5);
    counted(&server, "prowl_webhooks_total{outcome=\"pong\"}", 1);
    assert_eq!(server.http("GET", "/v1/recent", b"").2, r#"{"answers":[]}"#);
}

#[test]
fn what_cannot_be_read_is_told_and_harms_nobody() {
    let store = TempStore::with_model();
    let github = GitHub::with_files(Vec::new());
    let server = with_github(&store, &github, &["--max-request-bytes", "200000"]);
    let nested = format!("{{\"action\": \"opened\", \"pull_request\": {}", "[".repeat(100_000));
    let mut random = payload("opened", document(3)).to_string().into_bytes();
    for place in (0..random.len()).step_by(7) {
        random[place] = random[place].wrapping_mul(31).wrapping_add(place as u8);
    }
    for body in [&b""[..], b"nonsense", b"[]", b"{}", b"\xff\xfe", b"{\"action\": 7}", nested.as_bytes(), &random] {
        let (status, problem) = deliver(&server, "pull_request", body);
        assert_eq!(status, 400, "{problem}");
        assert!(problem["detail"].as_str().unwrap().starts_with("cannot read the document"), "{problem}");
    }
    let with = |field: &str, value: Value| {
        let mut payload = payload("opened", document(3));
        *payload["pull_request"].pointer_mut(field).unwrap() = value;
        let (status, problem) = deliver(&server, "pull_request", payload.to_string().as_bytes());
        assert_eq!(status, 422, "{problem}");
        problem["field_violations"][0]["field"].as_str().unwrap().to_owned()
    };
    for name in ["../../../user", "o/..", "o/n/../../x", "o/n?x=1", "evil.example#/n", "o/n%2f..", "@evil/n", "o\\/n"] {
        assert_eq!(with("/base/repo/full_name", json!(name)), "pull_request.base.repo.full_name", "{name}");
    }
    for sha in [json!("main"), json!("../../x"), json!(7), json!("g".repeat(40)), json!("0".repeat(39))] {
        assert_eq!(with("/head/sha", sha), "pull_request.head.sha");
    }
    assert_eq!(with("/number", json!("many")), "pull_request.number");
    assert_eq!(with("/created_at", json!("soon")), "pull_request.created_at");
    let body = payload("opened", document(3)).to_string();
    let signed = signature(SECRET, body.as_bytes());
    let (head, problem) = send(&server, &signed, body.as_bytes());
    assert!(head.starts_with("http/1.1 422") && problem["detail"].as_str().unwrap().contains("x-github-event"));
    let form = format!("content-type: application/x-www-form-urlencoded\r\nx-github-event: ping\r\n{signed}");
    let (head, problem) = send(&server, &form, body.as_bytes());
    assert!(head.starts_with("http/1.1 400") && problem["detail"].as_str().unwrap().contains("application/json"));
    assert_eq!(deliver(&server, "pull_request", &vec![b' '; 200_001]).0, 413);
    assert!(github.seen("").is_empty(), "{:?}", github.seen(""));
    assert_eq!(deliver_pull_request(&server, &payload("opened", document(3))), queued());
    github.wait_for(1, "POST");
}

#[test]
fn without_a_token_it_is_scored_and_a_repetition_is_not() {
    let store = TempStore::with_model();
    let server = Server::with_secrets(&store.url(), &[], &[("WEBHOOK_SECRET", SECRET)]);
    let body = payload("opened", odd_document()).to_string();
    assert_eq!(deliver(&server, "pull_request", body.as_bytes()).0, 202);
    counted(&server, "prowl_score_count", 1);
    let recent: Value = serde_json::from_str(&server.http("GET", "/v1/recent", b"").2).unwrap();
    assert_eq!(recent["answers"][0]["title"], "Quick hack to the login");
    // GitHub's name of a delivery is not signed: another one makes it no other delivery.
    for _ in 0..2 {
        let lines = format!(
            "x-github-event: pull_request\r\nx-github-delivery: {}\r\n{}",
            rand::random::<u64>(),
            signature(SECRET, body.as_bytes())
        );
        let (head, answer) = send(&server, &lines, body.as_bytes());
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        assert_eq!(answer["outcome"], "repeated");
    }
    counted(&server, "prowl_webhooks_total{outcome=\"repeated\"}", 2);
    counted(&server, "prowl_webhook_queue", 0);
    let recent: Value = serde_json::from_str(&server.http("GET", "/v1/recent", b"").2).unwrap();
    assert_eq!(recent["answers"].as_array().unwrap().len(), 1);
}

#[test]
fn a_pull_request_gets_one_check_run_with_the_reasons() {
    let store = TempStore::with_model();
    let odd = odd_document();
    let github = GitHub::with_files(odd["files"].as_array().unwrap().clone());
    let server = with_github(&store, &github, &["--access-log", "all"]);
    let mut delivered = payload("opened", odd.clone());
    assert_eq!(deliver_pull_request(&server, &delivered), queued());
    counted(&server, "prowl_check_runs_total{outcome=\"created\"}", 1);
    let run = github.runs().remove(0);
    assert_eq!(
        (&run["name"], &run["status"], &run["conclusion"]),
        (&json!("Prowl"), &json!("completed"), &json!("neutral"))
    );
    assert_eq!(run["head_sha"], delivered["pull_request"]["head"]["sha"]);
    let answer = server.post(odd.to_string().as_bytes()).2;
    assert!(answer["missing_fields"].as_array().is_none_or(Vec::is_empty), "{answer}");
    let summary = run["output"]["summary"].as_str().unwrap().replace('\\', "");
    for reason in answer["reasons"].as_array().unwrap() {
        assert!(summary.contains(reason["sentence"].as_str().unwrap()), "{reason}\n{summary}");
    }
    let digest = answer["model"]["digest"].as_str().unwrap();
    assert!(summary.contains(digest) && summary.contains("more unusual than 9"), "{summary}");
    assert!(run["output"]["title"].as_str().unwrap().contains("nusual: more so than 9"), "{run}");
    assert!(github.seen("").iter().all(|seen| seen.token == format!("Bearer {TOKEN}")));

    // What is newer takes its place, what is older does not, and another pull request of the same commit has its own.
    let mut edit = |number: u64, title: &str, time: &str| {
        delivered["action"] = json!("edited");
        delivered["pull_request"]["number"] = json!(number);
        delivered["pull_request"]["title"] = json!(title);
        delivered["pull_request"]["updated_at"] = json!(time);
        assert_eq!(deliver_pull_request(&server, &delivered), queued());
    };
    let number = odd["number"].as_u64().unwrap();
    edit(number, "docs: hack the login", "2024-06-01T13:00:00Z");
    counted(&server, "prowl_check_runs_total{outcome=\"updated\"}", 1);
    edit(number, "test: an older title", "2024-06-01T12:30:00Z");
    counted(&server, "prowl_check_runs_total{outcome=\"outdated\"}", 1);
    edit(number + 1, "test: another", "2024-06-01T12:30:00Z");
    counted(&server, "prowl_check_runs_total{outcome=\"created\"}", 2);
    let runs = github.runs();
    assert_eq!(runs.len(), 2);
    let kind = |run: &Value| run["output"]["summary"].as_str().unwrap().contains("docs as declared");
    assert!(kind(&runs[0]) && !kind(&runs[1]), "{runs:#?}");
    assert_ne!(runs[0]["external_id"], runs[1]["external_id"]);
    assert_eq!(server.count(TOKEN), 0, "the token shows in the log");
}

#[test]
fn all_pages_of_files_are_read_up_to_what_github_gives() {
    let store = TempStore::with_model();
    for (files, pages) in [(99, 1), (250, 3), (300, 4), (3_100, 30)] {
        let file = |index| json!({"filename": format!("src/a{index}.rs"), "status": "added", "additions": 1, "deletions": 0, "patch": "@@"});
        let github = GitHub::with_files((0..files).map(file).collect());
        let server = with_github(&store, &github, &[]);
        assert_eq!(deliver_pull_request(&server, &payload("opened", document(3))), queued());
        counted(&server, "prowl_check_runs_total{outcome=\"created\"}", 1);
        let asked = github.seen("/files?per_page=100&page=");
        assert_eq!(asked.len(), pages, "{files}");
        assert!(
            asked[pages - 1].line.ends_with(&format!("/repos/{REPOSITORY}/pulls/3/files?per_page=100&page={pages}"))
        );
        let summary = github.runs()[0]["output"]["summary"].as_str().unwrap().to_owned();
        assert!(!summary.contains("Not known"), "{summary}");
    }
}

#[test]
fn it_is_asked_again_where_that_helps() {
    let store = TempStore::with_model();
    let github = GitHub::with_files(document(3)["files"].as_array().unwrap().clone());
    let limited = r#"{"message": "API rate limit exceeded"}"#;
    github.mood("/files", 1, Does::Refuse(403, vec![("retry-after", "1"), ("x-ratelimit-remaining", "0")], limited));
    github.mood("GET /api/v3/repos/tideworks/harbour/commits", 1, Does::Refuse(502, Vec::new(), "<html>"));
    // It is created, and we do not hear of it.
    github.mood("POST", 1, Does::Lose(500));
    let server = with_github(&store, &github, &[]);
    assert_eq!(deliver_pull_request(&server, &payload("opened", document(3))), queued());
    counted(&server, "prowl_check_runs_total{outcome=\"updated\"}", 1);
    let files = github.seen("/files");
    assert_eq!((files.len(), github.seen("POST").len(), github.runs().len()), (2, 1, 1), "{:#?}", github.seen(""));
    assert!(files[1].at - files[0].at >= Duration::from_secs(1), "retry-after is not honoured");
    assert_eq!(github.seen("PATCH")[0].body["conclusion"], "neutral");
}

#[test]
fn what_github_refuses_is_told_and_may_be_delivered_again() {
    let store = TempStore::with_model();
    let github = GitHub::with_files(Vec::new());
    github.mood(
        "POST",
        1,
        Does::Refuse(422, Vec::new(), r#"{"message": "No commit found for SHA the-token-for-github\u001b"}"#),
    );
    let server = with_github(&store, &github, &[]);
    let delivered = payload("opened", document(3));
    assert_eq!(deliver_pull_request(&server, &delivered), queued());
    let said = "a delivery of GitHub's came to nothing: deliver it again once the cause is mended";
    let event = server.logged(said);
    assert_eq!((&event["pull_request"], &event["delivery"]), (&json!("tideworks/harbour#3"), &json!("a-delivery")));
    assert_eq!(event["error"], "GitHub says 422: No commit found for SHA … ");
    assert_eq!(event["request_id"].as_str().unwrap().len(), 16);
    counted(&server, "prowl_check_runs_total{outcome=\"failed\"}", 1);
    assert_eq!(github.seen("POST").len(), 1, "that would not help");
    assert_eq!(deliver_pull_request(&server, &delivered), queued());
    counted(&server, "prowl_check_runs_total{outcome=\"created\"}", 1);
    assert_eq!(deliver_pull_request(&server, &delivered), (200, "repeated".to_owned()));
    assert_eq!((server.count(TOKEN), server.count(SECRET)), (0, 0));
}

#[test]
fn a_queue_is_bounded_and_what_hangs_is_given_up() {
    let store = TempStore::with_model();
    let github = GitHub::with_files(Vec::new());
    github.mood("/files", 100, Does::Sleep(Duration::from_mins(5)));
    let server = with_github(&store, &github, &["--webhook-queue", "2", "--webhook-patience", "8s"]);
    let deliver = |number| deliver_pull_request(&server, &payload("opened", document(number)));
    for number in 1..=4 {
        assert_eq!(deliver(number), queued());
    }
    github.wait_for(4, "/files");
    assert_eq!([deliver(5), deliver(6)], [queued(), queued()]);
    counted(&server, "prowl_webhook_queue", 2);
    let body = payload("opened", document(7)).to_string();
    let lines = format!("x-github-event: pull_request\r\n{}", signature(SECRET, body.as_bytes()));
    let (head, problem) = send(&server, &lines, body.as_bytes());
    assert!(head.starts_with("http/1.1 503 "), "{head} {problem}");
    assert_eq!(header(&head, "retry-after"), Some("1"));
    assert!(problem["detail"].as_str().unwrap().contains("--webhook-queue"));
    let mut newer = payload("synchronize", document(5));
    newer["pull_request"]["updated_at"] = json!("2024-06-01T13:00:00Z");
    assert_eq!(deliver_pull_request(&server, &newer), (202, "replaced".to_owned()));
    let event = server.logged("a delivery of GitHub's came to nothing: deliver it again once the cause is mended");
    assert!(event["error"].as_str().unwrap().contains("does not answer in time"), "{event}");
    counted(&server, "prowl_check_runs_total{outcome=\"failed\"}", 6);
    assert_eq!(server.post(document(3).to_string().as_bytes()).0, 200);
}

/// Who signs is known by the body only, so whoever sends one slowly has a place; not all of them.
#[test]
fn strangers_do_not_fill_the_house() {
    let store = TempStore::with_model();
    let args = ["--max-in-flight", "4", "--request-timeout", "5s"];
    let server = Server::with_secrets(&store.url(), &args, &[("WEBHOOK_SECRET", SECRET)]);
    let mut slow: Vec<_> = (0..4).map(|_| server.http_head("POST", "/webhooks/github", 1_000, "")).collect();
    let until = Instant::now() + Duration::from_mins(1);
    while deliver(&server, "ping", b"{}").0 != 429 {
        // The delivery may have taken the place before them.
        slow.push(server.http_head("POST", "/webhooks/github", 1_000, ""));
        assert!(Instant::now() < until, "nobody has a place");
    }
    for _ in 0..3 {
        assert_eq!(server.post(document(3).to_string().as_bytes()).0, 200);
    }
    // One is cut by the time that a request has, the others were refused.
    let heads = slow.into_iter().map(|stream| head_and_body(stream).0);
    let statuses: Vec<String> = heads.map(|head| head.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(statuses.iter().filter(|status| *status == "408").count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| *status == "429").count(), statuses.len() - 1, "{statuses:?}");
    assert_eq!(deliver(&server, "ping", b"{}").0, 200);
}

#[test]
fn what_was_taken_is_done_before_the_end_or_told() {
    let store = TempStore::with_model();
    let github = GitHub::with_files(Vec::new());
    github.mood("POST", 1, Does::Sleep(Duration::from_secs(2)));
    let mut server = with_github(&store, &github, &["--drain-grace", "0s"]);
    assert_eq!(deliver_pull_request(&server, &payload("opened", document(3))), queued());
    github.wait_for(1, "POST");
    assert!(github.runs().is_empty());
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
    assert_eq!(github.runs().len(), 1, "it was waited for");

    github.mood("/files", 100, Does::Sleep(Duration::from_mins(5)));
    let mut server = with_github(&store, &github, &["--drain-grace", "0s", "--drain-timeout", "1s"]);
    for number in 1..=5 {
        assert_eq!(deliver_pull_request(&server, &payload("opened", document(number))), queued());
    }
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
    let said = "a delivery of GitHub's is not worked on before the end: deliver it again";
    assert_eq!(server.logged(said)["delivery"], "a-delivery");
    for number in 1..=5 {
        assert!(server.count(&format!("\"pull_request\":\"tideworks/harbour#{number}\"")) > 0, "{number}");
    }
}

/// A key that was made for this test and opens nothing.
const APP_KEY: &str = include_str!("app_key.pem");

#[test]
fn an_app_asks_for_the_token_of_its_installation() {
    let store = TempStore::with_model();
    let github = GitHub::with_files(Vec::new());
    github.mood("access_tokens", 1, Does::Refuse(503, Vec::new(), ""));
    let secrets = [
        ("WEBHOOK_SECRET", SECRET),
        ("GITHUB_APP_ID", "4711"),
        ("GITHUB_APP_KEY", APP_KEY),
        ("GITHUB_TOKEN", "a-token-not-used"),
    ];
    let server = Server::with_secrets(&store.url(), &["--github-api-url", &github.url], &secrets);
    assert_eq!(deliver_pull_request(&server, &payload("opened", document(1))), queued());
    counted(&server, "prowl_check_runs_total{outcome=\"created\"}", 1);
    assert_eq!(deliver_pull_request(&server, &payload("opened", document(2))), queued());
    counted(&server, "prowl_check_runs_total{outcome=\"created\"}", 2);
    let asked = github.seen("POST /api/v3/app/installations/99/access_tokens");
    assert_eq!(asked.len(), 2, "the second time it was given, and is kept");
    let rest = github.seen("/repos/");
    assert!(rest.iter().all(|seen| seen.token == "Bearer the-token-of-installation-99"), "{rest:#?}");

    let (signed, signature) = asked[1].token.strip_prefix("Bearer ").unwrap().rsplit_once('.').unwrap();
    let key = PrivatePkcs1KeyDer::from_pem_slice(APP_KEY.as_bytes()).unwrap();
    let key = rsa::RsaKeyPair::from_der(key.secret_pkcs1_der()).unwrap();
    let public = rsa::UnparsedPublicKey::new(&rsa::RSA_PKCS1_2048_8192_SHA256, key.public().as_ref());
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["iss"], "4711");
    let lasts = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!((60..=600).contains(&lasts), "GitHub takes ten minutes at most");

    let mut of_a_repository = payload("opened", document(3));
    of_a_repository.as_object_mut().unwrap().remove("installation");
    assert_eq!(deliver_pull_request(&server, &of_a_repository), queued());
    let said = "a delivery of GitHub's came to nothing: deliver it again once the cause is mended";
    assert!(server.logged(said)["error"].as_str().unwrap().contains("no installation"));
    for secret in ["PRIVATE KEY", "the-token-of-installation", "a-token-not-used"] {
        assert_eq!(server.count(secret), 0, "{secret} shows in the log");
    }
}
