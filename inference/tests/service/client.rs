//! `prowl`, the client.

use std::{fs, io::Write};

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

use crate::{
    fixture::{TempStore, document, odd_document},
    programs::{Server, prowl, text},
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
    assert!(lines[1].starts_with("  HIGH RISK  ████████████████████  more unusual than 99.9"), "{answer}");
    assert!(answer.contains("as the model sees it"), "{answer}");
    assert!(answer.contains("is its author's first pull request here"), "{answer}");
    assert!(answer.contains("model made (") && answer.contains("history up to 2024-"), "{answer}");
    assert!(!answer.contains('\u{1b}'), "no colour where stdout is no terminal: {answer:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
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
            assert_eq!(answer["error"]["field_violations"][0]["field"], "github_json.base.repo.full_name");
        } else {
            assert_eq!(answer["number"], index as u64 + 1, "in the order of the input");
            assert!(answer["percentile"].is_number() && answer["model"]["digest"].is_string(), "{answer}");
        }
    }
    let told = text(&output.stderr);
    assert!(told.contains("document 20") && told.contains("field `base.repo.full_name`"), "{told}");
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
    let output = prowl(&["model", "--server", &url, "--json"], b"");
    let model: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(model["bands"]["high_risk"], 99.0);
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
    let told = failed(&["model", "--server", "127.0.0.1:50051"], b"", 1);
    assert!(told.contains("http://HOST:PORT"), "{told}");
    let told = failed(&["score", "/no/such/file.json", "--server", &nowhere], b"", 1);
    assert!(told.contains("/no/such/file.json") && !told.contains("prowl-inference"), "{told}");
    assert!(failed(&["score"], b"", 2).contains("FILE"));

    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--max-request-bytes", "4096"]);
    let url = format!("http://{}", server.grpc);
    let told = failed(&["score", "-", "--server", &url], b"", 1);
    assert!(told.contains("stdin is empty"), "{told}");
    let told = failed(&["score", "-", "--server", &url], b"nonsense", 1);
    assert!(told.contains("document 1") && told.contains("not JSON"), "{told}");
    let told = failed(&["score", "-", "--server", &url], br#"{"number": 1}"#, 1);
    assert!(told.contains("field `base.repo.full_name`"), "{told}");
    let large = format!("{{\"body\": \"{}\"}}", "x".repeat(5_000));
    let told = failed(&["score", "-", "--server", &url], large.as_bytes(), 1);
    assert!(told.contains("too large") && told.contains("4096"), "{told}");
}

#[test]
fn what_was_answered_before_a_broken_line_is_printed() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let url = format!("http://{}", server.grpc);
    let input = format!("{}\n{}\n{{broken\n", document(1), document(2));
    let output = prowl(&["score", "-", "--server", &url, "--json"], input.as_bytes());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout).lines().count(), 2);
    assert!(text(&output.stderr).contains("document 3"), "{output:?}");
}
