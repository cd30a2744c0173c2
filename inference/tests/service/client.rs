//! `prowl`, the client.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use prowl_model::Model;
use serde_json::{Value, json};

use crate::{
    certificates::Certificates,
    fixture::{REPOSITORY, TempStore, document, made, odd_document, risky_model},
    programs::{Server, client, prowl, text},
};

#[test]
fn an_answer_for_a_person() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let url = format!("http://{}", server.grpc);
    let output = prowl(&["score", "-", "--server", &url], odd_document().to_string().as_bytes());
    let answer = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines: Vec<_> = answer.lines().collect();
    assert_eq!(lines[0], "tideworks/harbour#121  Quick hack to the login");
    assert!(lines[1].starts_with("  VERY UNUSUAL  ████████████████████  more unusual than 99.9"), "{answer}");
    assert!(answer.contains("as the model sees it"), "{answer}");
    assert!(answer.contains("is its author's first pull request here"), "{answer}");
    assert_eq!(lines.last(), Some(&"note: no risk is told: too few known reverts"), "{answer}");
    assert!(answer.contains("\n  because, beside the changes up to 2024-05-09, it\n"), "{answer}");
    assert!(answer.contains("model made (") && answer.contains("history of this repository up to 2024-"), "{answer}");
    assert!(!answer.contains('\u{1b}'), "no colour where stdout is no terminal: {answer:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_server_that_speaks_tls_is_asked_by_its_authority() {
    let (store, made) = (TempStore::with_model(), Certificates::new());
    let token = "a-token-of-the-client";
    let args = ["--tls-cert", &made.path("server.pem"), "--tls-key", &made.path("server.key")];
    let server = Server::guarded(&store.url(), &args, &format!("client:{token}"));
    let url = format!("https://localhost:{}", server.grpc.rsplit(':').next().unwrap());
    let file = made.path("pull-request.json");
    fs::write(&file, odd_document().to_string()).unwrap();
    let ask = |url: &str, ca_file: &str| {
        let args = ["score", &file, "--server", url, "--ca-file", ca_file, "--timeout", "2s"];
        client(&args).env("PROWL_TOKEN", token).output().unwrap()
    };
    let output = ask(&url, &made.path("ca.pem"));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).contains("VERY UNUSUAL"), "{output:?}");
    // Another authority, a file that holds none, another name than that of the certificate, and no TLS.
    let elsewhere = url.replace("localhost", "127.0.0.1");
    for (url, ca_file) in [
        (&url, Certificates::new().path("ca.pem")),
        (&url, file.clone()),
        (&url, made.path("gone.pem")),
        (&elsewhere, made.path("ca.pem")),
        (&url.replace("https", "http"), made.path("ca.pem")),
    ] {
        let output = ask(url, &ca_file);
        let told = text(&output.stderr);
        assert!(
            output.status.code() == Some(1) && output.stdout.is_empty() && told.starts_with("error: "),
            "{output:?}"
        );
        assert!(!told.contains(token), "{told}");
    }
    assert_eq!(server.count(token), 0, "the token shows in the log");
}

#[test]
fn json_lines_for_a_program() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let url = format!("http://{}", server.grpc);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pull-requests.ndjson.gz");
    let mut file = GzEncoder::new(fs::File::create(&path).unwrap(), Compression::fast());
    for number in 1..=40 {
        if number == 20 {
            writeln!(file, "{{\"number\": 20}}").unwrap();
        } else {
            writeln!(file, "{}", document(number)).unwrap();
        }
    }
    file.finish().unwrap();

    let output = prowl(&["score", path.to_str().unwrap(), "--server", &url, "--json"], b"");
    assert_eq!(output.status.code(), Some(1), "one of them failed");
    let answers: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 40);
    for (index, answer) in answers.iter().enumerate() {
        if index == 19 {
            assert_eq!(answer["error"]["field_violations"][0]["field"], "base.repo.full_name");
        } else {
            assert_eq!(answer["number"], index as u64 + 1, "in the order of the input");
            assert!(answer["percentile"].is_number() && answer["model"]["digest"].is_string(), "{answer}");
            assert_eq!(answer["title"], document(index as u64 + 1)["title"]);
        }
    }
    let told = text(&output.stderr);
    assert!(told.contains("pull-requests.ndjson.gz:20: field `base.repo.full_name`"), "{told}");
    assert!(told.ends_with("error: 39 scored, 1 could not be\n"), "{told}");
}

#[test]
fn the_most_unusual_of_several_files_come_first() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let url = format!("http://{}", server.grpc);
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: Vec<u8>| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // As an export has them: parts that are packed, and times of MongoDB.
    let exported = |mut document: Value| {
        document["created_at"] = json!({"$date": document["created_at"]});
        format!("{document}\n")
    };
    let first: String = (1..=30).map(|number| exported(document(number))).collect();
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    zipped.write_all(first.as_bytes()).unwrap();
    let second = exported(document(31)) + "{\"number\": 20}\n" + &exported(odd_document());
    let files = [
        file("part-00000.json.gz", zipped.finish().unwrap()),
        file("part-00001.json.zst", zstd::encode_all(second.as_bytes(), 1).unwrap()),
    ];
    let asked = |more: &[&str]| prowl(&[&["score", &files[0], &files[1], "--server", &url], more].concat(), b"");
    let answers = |output: &Output| -> Vec<Value> {
        let lines = text(&output.stdout);
        let answers = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        answers.filter(|answer| answer.get("error").is_none()).collect()
    };
    let all = asked(&["--json"]);
    assert!(text(&all.stderr).contains("part-00001.json.zst:2: field `base.repo.full_name`"), "{all:?}");
    let mut all = answers(&all);
    assert_eq!(all.len(), 32);
    let rank = |answer: &Value| (answer["percentile"].as_f64().unwrap(), answer["anomaly"].as_f64().unwrap());
    // Stable: of equal ones the first of the input comes first.
    all.sort_by(|a, b| rank(b).partial_cmp(&rank(a)).unwrap());
    let identity = |answers: &[Value]| answers.iter().map(|answer| answer["number"].clone()).collect::<Vec<_>>();

    let top = asked(&["--json", "--top", "5", "--fail-above", "percentile=0"]);
    assert_eq!(identity(&answers(&top)), identity(&all[..5]));
    let told = text(&top.stderr);
    assert!(told.lines().filter(|line| line.contains("is above 0%")).count() > 5, "all are looked at: {told}");
    assert!(told.ends_with("error: 32 scored, 1 could not be\n"), "{told}");
    assert_eq!(top.status.code(), Some(1), "one of them failed");

    let shown = text(&asked(&["--top", "1"]).stdout);
    assert!(shown.starts_with("tideworks/harbour#121  Quick hack to the login\n"), "{shown}");
    assert_eq!(shown.matches("tideworks/harbour#").count(), 1, "{shown}");
    assert_eq!(asked(&["--top", "0"]).status.code(), Some(2));
}

#[test]
fn a_risk_that_tells_nothing_is_told_once() {
    let store = TempStore::empty();
    let mut parts = risky_model().parts().clone();
    let measured = [("risk_test_auc", 0.56), ("risk_test_reverted", 7.0), ("risk_test_rows", 878.0)];
    parts.metadata.metrics = measured.map(|(name, value)| (name.to_owned(), value)).into();
    store.publish(&Model::from_parts(parts).unwrap().to_bytes().unwrap(), &made().profiles);
    let server = Server::ready(&store.url(), &[]);
    let url = format!("http://{}", server.grpc);
    let input = format!("{}\n{}", document(1), odd_document());
    let answer = text(&prowl(&["score", "-", "--server", &url], input.as_bytes()).stdout);
    let weak = "the risk of this model was no better than chance on later pull requests (AUC 0.56, 7 taken back)";
    assert!(answer.ends_with(&format!("\n\nnote: {weak}\n")), "{answer}");
    assert_eq!(answer.matches(weak).count(), 1, "{answer}");
    assert!(text(&prowl(&["model", "--server", &url], b"").stdout).contains(weak));
}

#[test]
fn the_model_in_both_forms() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let url = format!("http://{}", server.grpc);
    let output = prowl(&["model", "--server", &url], b"");
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(shown.contains("120 pull requests of run 20240901T000000Z"), "{shown}");
    assert!(shown.contains("no risk") && shown.contains("too few known reverts"), "{shown}");
    assert!(!shown.contains("validation_error"), "{shown}");
    let output = prowl(&["model", "--server", &url, "--json"], b"");
    let model: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(model["bands"]["very_unusual"], 99.0);
    assert_eq!(model["metrics"]["validation_error"], 0.25);
    assert_eq!(model["features"][0]["name"], "additions");
}

#[test]
fn failures_say_what_to_do() {
    let failed = |args: &[&str], input: &[u8], code: i32| {
        let output = prowl(args, input);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        text(&output.stderr)
    };
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nowhere = format!("http://{unused}");
    let told = failed(&["score", "-", "--server", &nowhere], b"{}", 1);
    assert!(told.contains(&nowhere) && told.contains("prowl-inference --store"), "{told}");
    for server in ["127.0.0.1:50051", "ftp://127.0.0.1:50051", "http://127.0.0.1"] {
        let told = failed(&["model", "--server", server], b"", 2);
        assert!(told.contains(server) && told.contains("http://HOST:PORT"), "{told}");
    }
    for timeout in ["soon", "0s", "9999999h"] {
        assert!(failed(&["model", "--timeout", timeout], b"", 2).contains("10s"));
    }
    let told = failed(&["score", "/no/such/file.json", "--server", &nowhere], b"", 1);
    assert!(told.contains("/no/such/file.json") && !told.contains("prowl-inference"), "{told}");
    assert!(failed(&["score"], b"", 2).contains("FILE"));
    let folder = tempfile::tempdir().unwrap();
    let told = failed(&["score", folder.path().to_str().unwrap(), "--server", &nowhere], b"", 1);
    assert!(told.contains("is a folder: give a file"), "{told}");

    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--max-request-bytes", "4096"]);
    let url = format!("http://{}", server.grpc);
    let told = failed(&["score", "-", "--server", &url], b"", 1);
    assert!(told.contains("stdin holds no pull request"), "{told}");
    let told = failed(&["score", "-", "--server", &url], b"nonsense", 1);
    assert!(told.starts_with("error: stdin:1:2: not JSON"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    let not_found =
        br#"{"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}"#;
    let told = failed(&["score", "-", "--server", &url], not_found, 1);
    assert!(told.contains("GitHub's error and no pull request: Not Found"), "{told}");
    let told = failed(&["score", "-", "--server", &url], br#"{"number": 1}"#, 1);
    assert!(told.contains("field `base.repo.full_name`"), "{told}");
    let large = format!("{{\"body\": \"{}\"}}", "x".repeat(5_000));
    let told = failed(&["score", "-", "--server", &url], large.as_bytes(), 1);
    assert!(told.contains("too large") && told.contains("4096"), "{told}");
}

#[test]
fn a_bad_document_does_not_keep_the_others() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let url = format!("http://{}", server.grpc);
    let long = |megabytes: usize| format!("{{\"body\": \"{}\"}}", "x".repeat(megabytes << 20));
    let bad = format!("{{broken\n{}\n{}", long(33), long(16));
    let input = format!("{}\n{bad}\n{}\n{{\"a\": \"cut", document(1), document(2));
    let output = prowl(&["score", "-", "--server", &url, "--json"], input.as_bytes());
    assert_eq!(output.status.code(), Some(1));
    let answers: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<_> = answers.iter().map(|answer| answer["number"].as_u64()).collect();
    assert_eq!(numbers, [Some(1), None, None, None, Some(2), None], "a line for each");
    let told = text(&output.stderr);
    let lines: Vec<_> = told.lines().collect();
    let begins = [
        "stdin:2:2: not JSON: ",
        "stdin:3: longer than 32 MB",
        "stdin:4: the document is larger than the server takes (its --max-request-bytes): ",
        "stdin:6:10: cut off: ",
        "2 scored, 4 could not be",
    ];
    assert_eq!(lines.len(), begins.len(), "{told}");
    for (line, begin) in lines.iter().zip(begins) {
        assert!(line.starts_with(&format!("error: {begin}")), "{told}");
    }
}

#[test]
fn a_list_is_scored_and_a_damaged_file_is_told() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let url = format!("http://{}", server.grpc);
    let list = Value::Array((1..=30).map(document).collect()).to_string();
    let output = prowl(&["score", "-", "--server", &url, "--json"], &zstd::encode_all(list.as_bytes(), 1).unwrap());
    assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(0), 30), "{output:?}");

    let mut file = GzEncoder::new(Vec::new(), Compression::none());
    file.write_all(list.as_bytes()).unwrap();
    let whole = file.finish().unwrap();
    let output = prowl(&["score", "-", "--server", &url, "--json"], &whole[..whole.len() / 2]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).lines().count() >= 10, "what came before is scored: {told}");
    assert!(told.contains("cannot read stdin beyond line 1") && told.contains("ends in the middle"), "{told}");
    assert!(told.contains("the rest was not tried"), "{told}");
}

#[test]
fn the_answer_says_what_it_does_not_know() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let url = format!("http://{}", server.grpc);
    let shown =
        |document: &Value| text(&prowl(&["score", "-", "--server", &url], document.to_string().as_bytes()).stdout);
    let whole = shown(&odd_document());
    assert!(
        !whole.contains("  note:") && whole.ends_with("\n\nnote: no risk is told: too few known reverts\n"),
        "{whole}"
    );
    let later = "note: its history holds what happened since it was opened (known up to 2024-";
    assert!(shown(&document(3)).contains(later));
    let nearly_empty = json!({
        "number": 1, "created_at": "2024-05-01T00:00:00Z", "title": "fix: it", "commits": 3, "base": {"repo": {"full_name": REPOSITORY}},
    });
    let answer = shown(&nearly_empty);
    assert!(answer.contains("\n  NOT JUDGED  the document says nothing of the change"), "{answer}");
    assert!(answer.contains("\n  fix as declared\n  note: the document lacks additions, "), "{answer}");
    let mut lacking = odd_document();
    lacking.as_object_mut().unwrap().remove("files");
    lacking["base"]["repo"]["full_name"] = "someone/else".into();
    lacking["title"] = "Clear\u{1b}[2J the screen".into();
    let answer = shown(&lacking);
    assert!(
        answer.contains("note: the document lacks files, and no history of this repository is known: "),
        "{answer}"
    );
    assert!(answer.contains("note: what is usual, and what is risky, was learnt from other repositories"), "{answer}");
    assert!(answer.starts_with("someone/else#121  Clear[2J the screen\n"), "{answer:?}");
}

#[test]
fn a_busy_server_is_asked_again() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--max-in-flight", "1"]);
    let url = format!("http://{}", server.grpc);
    let input: Vec<_> = (1..=60).map(|number| document(number).to_string()).collect();
    let output = prowl(&["score", "-", "--server", &url, "--json"], input.join("\n").as_bytes());
    assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(0), 60), "{output:?}");
}

/// Servers come and go on one port while documents come in: one that is told to end, and one that dies.
#[test]
fn no_document_is_lost_when_the_server_changes() {
    let store = TempStore::with_model();
    let mut server = Server::ready(&store.url(), &["--drain-grace", "0s"]);
    let address = server.grpc.clone();
    let mut child = client(&["score", "-", "--json", "--server", &format!("http://{address}")]).spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (scored, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let writing = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let mut written = 0;
            while !done.load(Relaxed) {
                written += 1;
                writeln!(stdin, "{}", document(written % 120 + 1)).unwrap();
            }
            written
        }
    });
    let reading = std::thread::spawn({
        let scored = Arc::clone(&scored);
        move || {
            for line in BufReader::new(stdout).lines() {
                let answer: Value = serde_json::from_str(&line.unwrap()).unwrap();
                assert_eq!(answer["number"], (scored.fetch_add(1, Relaxed) + 1) % 120 + 1);
            }
        }
    });
    for signal in ["TERM", "KILL", ""] {
        let before = scored.load(Relaxed);
        while scored.load(Relaxed) < before + 50 {
            assert!(child.try_wait().unwrap().is_none(), "the client ended");
            std::thread::sleep(Duration::from_millis(1));
        }
        if !signal.is_empty() {
            server.signal(signal);
            server.ended();
            server = Server::ready(&store.url(), &["--drain-grace", "0s", "--grpc-addr", &address]);
        }
    }
    done.store(true, Relaxed);
    let written = writing.join().unwrap();
    reading.join().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), scored.load(Relaxed)), (Some(0), written), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_server_that_begins_to_listen_is_waited_for() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child = client(&["model", "--server", &format!("http://{address}")]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "it did not wait");
    let (_stream, _) = TcpListener::bind(address).unwrap().accept().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_server_that_does_not_come_back_ends_the_client() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let url = format!("http://{}", server.grpc);
    let mut child = client(&["score", "-", "--json", "--timeout", "2s", "--server", &url]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{}", document(1)).unwrap();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
    drop(server);
    write!(stdin, "{}\n{}\n", document(2), document(3)).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.starts_with(&format!("error: the server at {url} is gone (")), "{told}");
    assert!(told.ends_with("error: 1 scored, 1 could not be, the rest was not tried\n"), "{told}");
}

#[test]
fn what_is_no_prowl_server_is_told() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let told = |address: &str, timeout: &str| {
        let args = ["score", "-", "--server", &format!("http://{address}"), "--timeout", timeout];
        let output = prowl(&args, document(1).to_string().as_bytes());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        text(&output.stderr)
    };
    let answer = told(&server.http, "30s");
    assert!(answer.contains(&server.http) && answer.contains("answers HTTP and not gRPC"), "{answer}");

    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    let old = listen();
    let address = old.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in old.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let answer = told(&address, "30s");
    assert!(answer.contains(&address) && answer.contains("does not speak gRPC"), "{answer}");

    let silent = listen();
    let answer = told(&silent.local_addr().unwrap().to_string(), "300ms");
    assert!(answer.contains("takes longer than 300ms") && answer.contains("--timeout"), "{answer}");
}

#[test]
fn an_empty_variable_is_none() {
    let output = client(&["score", "/no/such/file"]).env("PROWL_SERVER", "").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "wrong use would be 2: {output:?}");
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_client() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let mut child = client(&["score", "-", "--server", &format!("http://{}", server.grpc)]).spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let writing = std::thread::spawn(move || while writeln!(stdin, "{}", document(1)).is_ok() {});
    let mut first = String::new();
    BufReader::new(stdout).read_line(&mut first).unwrap();
    assert!(first.starts_with("tideworks/harbour#1 "), "{first}");
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_token_comes_from_the_environment_and_is_not_shown() {
    let store = TempStore::with_model();
    let token = "a-token-of-the-client";
    let server = Server::guarded(&store.url(), &[], &format!("client:{token}"));
    let url = format!("http://{}", server.grpc);
    let ask = |token: &str| {
        let mut command = client(&["model", "--server", &url]);
        command.env("PROWL_TOKEN", token).stdin(std::process::Stdio::null()).output().unwrap()
    };
    assert!(ask(token).status.success());
    for wrong in ["", "a-token-of-nobody-here", "a\nb"] {
        let output = ask(wrong);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("PROWL_TOKEN") && !told.contains("nobody"), "{told}");
    }
}

#[test]
fn a_pipeline_stops_at_what_is_above() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let url = format!("http://{}", server.grpc);
    let asked = |ceiling: &str, document: &Value| {
        prowl(&["score", "-", "--server", &url, "--fail-above", ceiling], document.to_string().as_bytes())
    };
    let stopped = asked("percentile=95", &odd_document());
    assert_eq!(stopped.status.code(), Some(3), "{stopped:?}");
    assert!(text(&stopped.stderr).contains("is above 95%"), "{stopped:?}");
    assert!(text(&stopped.stdout).contains("because, beside"), "it is still told: {stopped:?}");
    assert_eq!(asked("percentile=99.99", &odd_document()).status.code(), Some(0));
    assert_eq!(asked("risk=0", &odd_document()).status.code(), Some(0), "the model has no such head");
    assert_eq!(asked("churn=9", &odd_document()).status.code(), Some(2));
    assert_eq!(asked("percentile=0.99", &odd_document()).status.code(), Some(2));
    let mut says_nothing = document(3);
    for field in ["additions", "deletions", "changed_files", "files"] {
        says_nothing.as_object_mut().unwrap().remove(field);
    }
    let stopped = asked("percentile=99.99", &says_nothing);
    assert_eq!(stopped.status.code(), Some(3), "{stopped:?}");
    assert!(text(&stopped.stderr).contains("not judged"), "{stopped:?}");
}
