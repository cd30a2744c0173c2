//! Pull requests from events that GitHub has sent: payloads of webhooks and hours of GH Archive, and on to features.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flate2::{Compression, write::GzEncoder};
use prowl_e2e::{Documents, Outcome, Run, TestStore, run, run_with, servers};
use serde_json::{Value, json};

const KEY: &str = "planted-key-for-the-logins";

/// A pull request as GitHub's REST API and its webhooks write it, with some of what nobody reads.
fn rest(document: &Value) -> Value {
    fn plain(value: &Value) -> Value {
        match value {
            Value::Object(fields) => match fields.get("$date") {
                Some(date) => date.clone(),
                None => fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
            },
            Value::Array(items) => items.iter().map(plain).collect(),
            other => other.clone(),
        }
    }
    let mut pull_request = plain(document);
    for ours in ["_id", "files", "fetched_at", "reverted_at"] {
        pull_request.as_object_mut().unwrap().remove(ours);
    }
    let url = format!("https://api.github.com/repos/{}", name(document));
    pull_request["url"] = json!(format!("{url}/pulls/{}", document["number"]));
    pull_request["locked"] = json!(false);
    pull_request["requested_teams"] = json!([{"name": "core", "slug": "core"}]);
    pull_request["_links"] = json!({"self": {"href": url}});
    pull_request["base"]["label"] = json!("tide:main");
    pull_request["base"]["repo"]["owner"] = json!({"login": "tide", "type": "Organization"});
    if let Some(user) = pull_request["user"].as_object_mut() {
        user.insert("avatar_url".to_owned(), json!("https://avatars.example/u/1"));
    }
    pull_request
}

fn name(document: &Value) -> &str {
    document["base"]["repo"]["full_name"].as_str().unwrap()
}

fn updated_at(document: &Value) -> &str {
    document["updated_at"]["$date"].as_str().unwrap()
}

/// A payload of the event `pull_request`.
fn payload(document: &Value) -> Value {
    let action = if document["state"] == "open" { "synchronize" } else { "closed" };
    json!({
        "action": action, "number": document["number"], "pull_request": rest(document),
        "repository": {"id": 1, "full_name": name(document)}, "sender": {"login": "ada", "type": "User"},
    })
}

/// A delivery as `/repos/O/R/hooks/ID/deliveries/ID` gives it.
fn delivery(event: &str, payload: &Value) -> Value {
    json!({
        "id": 7, "guid": "0b989ba4-242f-11e5-81e1-c7b6966d2516", "delivered_at": "2026-01-01T00:00:00Z", "event": event,
        "status_code": 202, "request": {"headers": {"X-GitHub-Event": event}, "payload": payload},
        "response": {"headers": {}, "payload": "accepted"},
    })
}

/// What of a document an event can tell, which became known at a moment.
fn known(document: &Value, at: &Value) -> Value {
    let mut known = document.clone();
    // An older version has its time in it.
    known["_id"] = json!(format!("{}#{}", name(document), document["number"]));
    let fields = known.as_object_mut().unwrap();
    for unknown in ["files", "reverted_at"] {
        fields.remove(unknown);
    }
    fields.insert("fetched_at".to_owned(), at.clone());
    known
}

fn lines(values: impl IntoIterator<Item = Value>) -> String {
    values.into_iter().map(|value| value.to_string() + "\n").collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// Reads files of events into an export.
fn fetch(store: &TestStore, arguments: &[&str]) -> Outcome {
    run("prowl-fetch", &[arguments, &["--store", &store.url, "--json"]].concat())
}

/// The documents of the export, and the summary.
fn fetched(store: &TestStore, arguments: &[&str]) -> (Documents, Value) {
    let summary = fetch(store, arguments).expect_success().json();
    let snapshot = summary["snapshot"].as_str().unwrap();
    (Documents::read(&store.root.join("exports").join(snapshot)), summary)
}

/// What it fails of; nothing is published.
fn refused(store: &TestStore, arguments: &[&str]) -> Outcome {
    let outcome = fetch(store, arguments);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    let exports = std::fs::read_dir(store.root.join("exports"));
    assert_eq!(exports.into_iter().flatten().count(), 0, "something was published");
    outcome
}

fn assert_same_documents(found: &Documents, expected: &[Value]) {
    assert_eq!(found.0.len(), expected.len());
    for (found, expected) in found.0.iter().zip(expected) {
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&found[field], value, "{field} of {}", expected["_id"]);
        }
        assert_eq!(found, expected);
    }
}

fn assert_same_features(found: &Run, expected: &Run) {
    assert_eq!(found.counts, expected.counts);
    assert_eq!(found.files, expected.files);
}

/// Documents of the generator, as a store that is thrown away holds them.
fn documents(count: u32, seed: u32) -> Documents {
    TestStore::empty().synth(count, seed)
}

#[test]
fn payloads_in_any_form_become_the_documents_that_they_tell() {
    let store = TestStore::empty();
    let given = documents(400, 31);
    let folder = store.root.join("hooks");
    std::fs::create_dir(&folder).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let payloads: Vec<Value> = given.0.iter().map(payload).collect();
    let others = [
        json!({"zen": "Keep it logically awesome.", "hook_id": 1}),
        json!({"ref": "refs/heads/main", "commits": [{"message": "pull_request"}]}),
        json!({"action": "submitted", "review": {"id": 1}, "pull_request": payloads[0]["pull_request"]}),
    ];
    let (first, more) = payloads.split_at(100);
    let (second, third) = more.split_at(100);
    std::fs::write(path("1.ndjson"), lines(first.iter().chain(&others).cloned())).unwrap();
    std::fs::write(path("2.ndjson.gz"), gzip(&lines(second.iter().cloned()))).unwrap();
    std::fs::write(path("3.jsonl.zst"), zstd::encode_all(lines(third.iter().cloned()).as_bytes(), 1).unwrap()).unwrap();
    std::fs::write(path("notes.txt"), "not asked for").unwrap();

    let (found, summary) = fetched(&store, &["webhook", folder.to_str().unwrap()]);
    let expected: Vec<Value> = given.0.iter().map(|document| known(document, &Value::Null)).collect();
    assert_same_documents(&found, &expected);
    let counts = &summary["counts"];
    assert_eq!((&counts["other_events"], &counts["malformed_lines"]), (&json!(3), &json!(0)), "{summary}");
    let whole = store.preprocess("latest", &[]);
    assert_same_features(&whole, &store.preprocess_documents(&Documents(expected)));

    // Deliveries, out of a pipe.
    let deliveries = payloads.iter().map(|payload| delivery("pull_request", payload));
    let ping = delivery("ping", &json!({"zen": "Design for failure."}));
    let text = lines(deliveries.chain([ping]));
    let mut piped = pipe(&store);
    piped.stdin.take().unwrap().write_all(&gzip(&text)).unwrap();
    assert!(piped.wait_with_output().unwrap().status.success());
    let newest =
        std::fs::read_dir(store.root.join("exports")).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let at = json!({"$date": "2026-01-01T00:00:00Z"});
    let expected: Vec<Value> = given.0.iter().map(|document| known(document, &at)).collect();
    assert_same_documents(&Documents::read(&newest), &expected);
}

/// The program, reading payloads from standard input.
fn pipe(store: &TestStore) -> Child {
    let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("prowl-fetch");
    let mut command = Command::new(program);
    command.args(["webhook", "-", "--store", &store.url]).stdin(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn a_pipe_that_says_nothing_does_not_keep_it_from_ending() {
    let store = TestStore::empty();
    let mut piped = pipe(&store);
    let mut stdin = piped.stdin.take().unwrap();
    stdin.write_all(lines([payload(&documents(100, 32).0[0])]).as_bytes()).unwrap();
    // It has begun when its draft is there.
    let begun = || std::fs::read_dir(store.root.join("exports")).is_ok_and(|mut entries| entries.next().is_some());
    prowl_e2e::wait_for("the draft of the export", || begun().then_some(()));
    let asked = Instant::now();
    prowl_e2e::send("TERM", piped.id()).unwrap();
    let ended = piped.wait_with_output().unwrap();
    drop(stdin);
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(told.contains("stopped by SIGTERM") && asked.elapsed() < Duration::from_secs(30), "{told}");
    assert!(!begun(), "something was left behind");
}

fn event(kind: &str, document: &Value, payload: &Value, at: &str) -> Value {
    let repo = format!("https://api.github.com/repos/{}", name(document));
    let login = document["user"]["login"].as_str().unwrap_or("ghost");
    json!({
        "id": "34500000000", "type": kind, "public": true, "created_at": at, "payload": payload,
        "actor": {"id": 1, "login": login, "display_login": login, "gravatar_id": "", "url": "", "avatar_url": ""},
        "repo": {"id": 1, "name": name(document), "url": repo},
    })
}

/// An event as the archive held it until October 2025.
fn whole_event(document: &Value) -> Value {
    event("PullRequestEvent", document, &payload(document), updated_at(document))
}

/// An event of which GitHub leaves out nearly all.
fn trimmed_event(document: &Value, action: &str, at: &str) -> Value {
    let branch = |branch: &Value| {
        let repo = branch["repo"]["full_name"].as_str().unwrap_or_else(|| name(document));
        let url = format!("https://api.github.com/repos/{repo}");
        json!({"ref": branch["ref"], "sha": branch["sha"], "repo": {"id": 1, "url": url, "name": repo.split('/').nth(1)}})
    };
    let number = &document["number"];
    let pull_request = json!({
        "url": "", "id": document["id"], "number": number, "head": branch(&document["head"]), "base": branch(&document["base"]),
    });
    event("PullRequestEvent", document, &json!({"action": action, "number": number, "pull_request": pull_request}), at)
}

#[test]
fn hours_of_the_archive_become_documents_and_features() {
    let store = TestStore::empty();
    let given = documents(600, 33);
    let wanted = name(&given.0[0]).to_owned();
    let push = json!({"push_id": 1, "commits": [{"sha": "0", "message": "reads a PullRequestEvent"}]});
    let mut files = Vec::new();
    for (hour, documents) in given.0.chunks(310).enumerate() {
        let review = json!({"action": "created", "review": {}, "pull_request": rest(&documents[0])});
        let others = [
            event("PushEvent", &documents[0], &push, "2024-01-01T00:00:00Z"),
            event("PullRequestReviewEvent", &documents[0], &review, "2024-01-01T00:00:00Z"),
        ];
        let path = store.root.join(format!("2024-01-01-{hour}.json.gz"));
        std::fs::write(&path, gzip(&lines(documents.iter().map(whole_event).chain(others)))).unwrap();
        files.push(path.to_str().unwrap().to_owned());
    }
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let expected = |of: &dyn Fn(&Value) -> bool| -> Vec<Value> {
        given
            .0
            .iter()
            .filter(|document| of(document))
            .map(|document| known(document, &document["updated_at"]))
            .collect()
    };

    let (found, summary) = fetched(&store, &[&["gharchive"], &files[..]].concat());
    assert_same_documents(&found, &expected(&|_| true));
    assert_eq!(summary["counts"]["other_events"], 4, "{summary}");
    assert_same_features(&store.preprocess("latest", &[]), &store.preprocess_documents(&found));

    let some = expected(&|document| name(document) == wanted);
    let upper = wanted.to_uppercase();
    let (found, summary) = fetched(&store, &[&["gharchive"], &files[..], &["--repo", &upper]].concat());
    assert_same_documents(&found, &some);
    assert_eq!(summary["counts"]["filtered"], (given.0.len() - some.len()) as u64, "{summary}");
    let owner = wanted.split('/').next().unwrap();
    let (found, _) = fetched(&store, &[&["gharchive"], &files[..], &["--org", owner]].concat());
    assert_same_documents(&found, &expected(&|document| name(document).split('/').next() == Some(owner)));
}

#[test]
fn a_trimmed_event_leaves_unknown_what_it_does_not_say() {
    let store = TestStore::empty();
    let given = documents(100, 34);
    let at = "2025-11-01T12:00:00Z";
    let opened = given.0.iter().map(|document| trimmed_event(document, "opened", at));
    let closed = given.0.iter().take(30).map(|document| trimmed_event(document, "merged", at));
    let path = store.root.join("2025-11-01-12.json");
    std::fs::write(&path, lines(opened.chain(closed))).unwrap();
    let (found, summary) = fetched(&store, &["gharchive", path.to_str().unwrap()]);
    assert_eq!(summary["counts"]["incomplete"], 30, "{summary}");
    assert!(summary["notes"].to_string().contains("30 events do not say when"), "{summary}");
    for (document, given) in found.0.iter().zip(&given.0) {
        assert_eq!((&document["number"], &document["user"]["login"]), (&given["number"], &given["user"]["login"]));
        assert_eq!((&document["created_at"]["$date"], &document["updated_at"]), (&json!(at), &Value::Null));
        for unknown in ["title", "body", "additions", "deletions", "changed_files", "commits", "labels"] {
            assert_eq!(document[unknown], Value::Null, "{unknown}");
        }
    }
    let features = store.preprocess("latest", &[]);
    assert_eq!((features.counts["rejected"], features.counts["read"]), (0, given.0.len() as u64));
    assert!(features.rows.values().all(|row| row.title.is_none()));
}

#[test]
fn malformed_lines_are_named_and_too_many_fail() {
    let store = TestStore::empty();
    let given = documents(1_000, 35);
    let mut text: Vec<String> = given.0.iter().map(|document| payload(document).to_string()).collect();
    // Longer than any payload, and not held.
    text.insert(700, format!("{{\"action\": \"{}\"}}", "x".repeat(40 << 20)));
    let cut = text[10].chars().take(500).collect();
    text.insert(10, cut);
    let path = store.root.join("payloads.ndjson");
    let write = |text: &[String]| std::fs::write(&path, text.join("\n")).unwrap();
    let arguments = ["webhook", path.to_str().unwrap()];
    write(&text);
    let outcome = fetch(&store, &arguments).expect_success();
    assert_eq!(outcome.json()["counts"]["malformed_lines"], 2, "{}", outcome.stdout);
    for told in ["payloads.ndjson, line 11: EOF while parsing", "payloads.ndjson, line 702: longer than 32 MiB"] {
        assert!(outcome.stderr.contains(told), "{told} in {}", outcome.stderr);
    }

    let store = TestStore::empty();
    for at in (0..30).map(|index| index * 20) {
        text.insert(at, "[\"no payload\"]".to_owned());
    }
    write(&text);
    let outcome = refused(&store, &arguments);
    let told = outcome.error();
    assert!(
        told.contains(" lines are malformed") && told.contains("payloads.ndjson, line 1: no JSON object"),
        "{told}"
    );
    assert_eq!(
        outcome.stderr.matches("payloads.ndjson, line ").count(),
        11,
        "ten are told, and one of them at the end"
    );
}

#[test]
fn what_holds_no_events_is_refused() {
    let store = TestStore::empty();
    let file = |name: &str, content: &[u8]| {
        let path = store.root.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let one = lines([payload(&documents(100, 36).0[0])]);
    let packed = gzip(&one);
    let empty = store.root.join("empty");
    std::fs::create_dir(&empty).unwrap();
    for (path, says) in [
        (file("ping.json", b"{\"zen\": \"Avoid administrative distraction.\"}"), "no pull request found in 1 lines"),
        (file("nothing.json", b""), "no pull request found in 0 lines"),
        (file("cut.json.gz", &packed[..packed.len() / 2]), "cut.json.gz"),
        (store.root.join("missing.json").to_str().unwrap().to_owned(), "missing.json"),
        (empty.to_str().unwrap().to_owned(), "no file of events"),
        (file("binary.json", &[0xff; 10_000]), "binary.json, line 1"),
    ] {
        let outcome = refused(&store, &["webhook", &path]);
        assert!(outcome.error().contains(says), "{}", outcome.stderr);
    }
    let given = file("one.json", one.as_bytes());
    let outcome = refused(&store, &["webhook", &given, "--repo", "nobody/nothing"]);
    assert!(outcome.error().contains("1 were not asked for"), "{}", outcome.stderr);
    let outcome = refused(&store, &["gharchive", &given]);
    assert!(outcome.error().contains("PullRequestEvent"), "{}", outcome.stderr);
}

#[test]
fn names_and_bodies_are_not_stored_where_that_is_not_wanted() {
    let store = TestStore::empty();
    let given = documents(500, 37);
    let path = store.root.join("payloads.ndjson");
    std::fs::write(&path, lines(given.0.iter().map(payload))).unwrap();
    let path = path.to_str().unwrap();
    let private = |more: &[&str], key: &str| {
        let arguments = [&["webhook", path, "--store", &store.url, "--json"], more].concat();
        run_with(&[("LOGIN_HASH_KEY", key.to_owned()), ("PROWL_LOG", "trace".to_owned())], "prowl-fetch", &arguments)
    };
    let plain = fetched(&store, &["webhook", path]).0;
    let expected = store.preprocess("latest", &[]);

    let outcome = private(&["--hash-logins"], KEY).expect_success();
    assert!(!outcome.stderr.contains(KEY) && !outcome.stdout.contains(KEY));
    let snapshot = store.root.join("exports").join(outcome.json()["snapshot"].as_str().unwrap());
    let hidden = Documents::read(&snapshot);
    for (hidden, plain) in hidden.0.iter().zip(&plain.0) {
        let logins = |document: &Value| -> Vec<String> {
            let people = [&document["assignees"], &document["requested_reviewers"]];
            let people = people.into_iter().filter_map(Value::as_array).flatten().chain([&document["user"]]);
            people.filter_map(|person| Some(person["login"].as_str()?.to_owned())).collect()
        };
        for (hidden, plain) in logins(hidden).iter().zip(logins(plain)) {
            assert!(
                hidden.starts_with('~') && hidden.ends_with("[bot]") == plain.ends_with("[bot]"),
                "{hidden} {plain}"
            );
        }
        assert_eq!((&hidden["user"]["type"], &hidden["body"]), (&plain["user"]["type"], &plain["body"]));
    }
    // The same people are the same to every feature.
    let features = store.preprocess("latest", &[]);
    assert_eq!(features.rows.len(), expected.rows.len());
    for (identity, row) in &features.rows {
        assert_eq!(row.bits(), expected.rows[identity].bits(), "{identity:?}");
    }

    let outcome = private(&["--hash-logins", "--drop-bodies"], KEY).expect_success();
    let snapshot = store.root.join("exports").join(outcome.json()["snapshot"].as_str().unwrap());
    assert!(Documents::read(&snapshot).0.iter().all(|document| document["body"].is_null()));
    for (key, says) in [("", "login_hash_key"), ("guessable", "login_hash_key is too short")] {
        let outcome = private(&["--hash-logins"], key);
        assert!(outcome.code == 1 && outcome.error().contains(says), "{}", outcome.stderr);
    }
}

fn figure(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(&format!("prowl_fetch_{name}{{")))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn figures_of_a_run_are_left_for_prometheus() {
    let store = TestStore::empty();
    let given = documents(100, 38);
    let path = store.root.join("payloads.ndjson");
    std::fs::write(&path, lines(given.0.iter().map(payload))).unwrap();
    let metrics = store.root.join("fetch.prom");
    // Nobody listens there: a warning.
    let more = ["--metrics-file", metrics.to_str().unwrap(), "--metrics-push", "http://127.0.0.1:1"];
    let outcome = fetch(&store, &[&["webhook", path.to_str().unwrap()], &more[..]].concat()).expect_success();
    assert!(outcome.stderr.contains("Pushgateway"), "{}", outcome.stderr);
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let text = read(&metrics);
    assert_eq!(figure(&text, "success"), Some(1.0), "{text}");
    assert_eq!(figure(&text, "documents"), Some(given.0.len() as f64), "{text}");
    servers::promtool(&store.root, &["check", "metrics"], &text);

    let missing = store.root.join("missing.json");
    assert_eq!(fetch(&store, &[&["webhook", missing.to_str().unwrap()], &more[..]].concat()).code, 1);
    let failed = read(&metrics);
    assert_eq!(figure(&failed, "success"), Some(0.0), "{failed}");
    let last = "last_success_timestamp_seconds";
    assert_eq!(figure(&failed, last), figure(&text, last), "{failed}");
    servers::promtool(&store.root, &["check", "metrics"], &failed);
}
