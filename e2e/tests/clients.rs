//! Clients of others against the running service: what the examples show, and what speaks the Open Inference Protocol.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use prowl_e2e::{Documents, Server, TestStore, run, servers};
use serde_json::Value;

const TOKEN: &str = "a-token-of-the-clients";

const GRPC: [(&str, &str); 2] = [("grpcio-tools", "1.76.0"), ("googleapis-common-protos", "1.72.0")];
const TRITON: [(&str, &str); 1] = [("tritonclient[grpc,http]", "2.73.0")];
const BUF: (&str, &str) = ("buf-bin", "1.75.0");

/// A service with a model of made-up pull requests, and these.
struct Service {
    _store: TestStore,
    documents: Documents,
    server: Server,
}

impl Service {
    fn start() -> Self {
        let store = TestStore::empty();
        let documents = store.synth(600, 5);
        store.preprocess_documents(&documents);
        let arguments = ["train", "--store", &store.url, "--features", "latest", "--epochs", "3"];
        let _ = run("prowl-trainer", &arguments).expect_success();
        let server = Server::start_guarded(&store.url, "latest", &format!("clients:{TOKEN}"));
        Self { documents, server, _store: store }
    }

    /// A file with the first few pull requests, one a line.
    fn file(&self, count: usize, folder: &Path) -> PathBuf {
        let lines: Vec<String> =
            self.documents.0.iter().take(count).map(|document| document.to_string() + "\n").collect();
        let path = folder.join(format!("{count}.ndjson"));
        std::fs::write(&path, lines.concat()).unwrap();
        path
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
}

fn done(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.env("PROWL_TOKEN", TOKEN).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8_lossy(&stderr).into_owned());
    assert!(status.success(), "{command:?}: {stdout}\n{stderr}");
    assert!(!(stdout.contains(TOKEN) || stderr.contains(TOKEN)), "the token shows: {stdout}\n{stderr}");
    stdout
}

#[test]
fn the_examples_score() {
    let service = Service::start();
    let folder = tempfile::tempdir().unwrap();
    let (one, many) = (service.file(1, folder.path()), service.file(25, folder.path()));

    let python = servers::python(&GRPC);
    let protocol = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/proto");
    let out = folder.path().display();
    let made = Command::new(&python)
        .args(["-m", "grpc_tools.protoc", "-I", &protocol.display().to_string()])
        .args([format!("--python_out={out}"), format!("--grpc_python_out={out}"), "prowl/v1/scoring.proto".to_owned()])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut score = Command::new(&python);
    score.arg(example("python/score.py")).arg(service.server.grpc()).arg(&many).env("PYTHONPATH", folder.path());
    let told = done(&mut score);
    let heads: Vec<&str> = told.lines().filter(|line| line.contains("more unusual than")).collect();
    assert_eq!(heads.len(), 25, "{told}");
    assert!(told.lines().any(|line| line.starts_with("  it ")), "{told}");

    let url = format!("http://{}", service.server.http());
    let answer: Value = serde_json::from_str(&done(Command::new(example("curl/score.sh")).arg(url).arg(&one))).unwrap();
    let percentile = answer["percentile"].as_f64().unwrap();
    assert!(heads[0].ends_with(&format!("more unusual than {percentile:.1}%")), "{answer} {}", heads[0]);

    let script = example("python/open_inference.py");
    let triton = servers::python(&TRITON);
    let [grpc, http] = [("grpc", service.server.grpc()), ("http", service.server.http())].map(|(protocol, address)| {
        let mut asked = Command::new(&triton);
        let told = done(asked.arg(&script).args([protocol, address]).arg(&many));
        told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    });
    assert_eq!((grpc.len(), &grpc), (25, &http));
    assert_eq!(grpc[0]["percentile"].as_f64().unwrap() as f32, percentile as f32);
    assert_eq!(grpc[0]["category"], answer["category"]["name"]);
    assert_eq!(service.server.stop(), 0);
}

#[test]
fn the_protocols_are_in_the_style_of_their_kind() {
    let protocols = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    let lint = Command::new(servers::program(BUF.0, BUF.1, "buf")).arg("lint").arg(protocols).output().unwrap();
    assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stdout));
}
