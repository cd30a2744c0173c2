//! Clients of others against the running service: what the examples show, what speaks the Open Inference Protocol, what looks
//! at the health of any gRPC service, and what asks it what it can do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prowl_e2e::{Documents, Server, TestStore, servers};
use serde_json::Value;

const TOKEN: &str = "a-token-of-the-clients";

const GRPC: [(&str, &str); 2] = [("grpcio-tools", "1.76.0"), ("googleapis-common-protos", "1.72.0")];
const TRITON: [(&str, &str); 1] = [("tritonclient[grpc,http]", "2.73.0")];
const BUF: (&str, &str) = ("buf-bin", "1.75.0");
/// What the example in Go makes its code with.
const GENERATORS: [(&str, &str); 2] = [
    ("google.golang.org/protobuf/cmd/protoc-gen-go", "v1.36.9"),
    ("google.golang.org/grpc/cmd/protoc-gen-go-grpc", "v1.5.1"),
];
const PROBE: (&str, &str) = ("github.com/grpc-ecosystem/grpc-health-probe", "v0.4.63");
const GRPCURL: (&str, &str) = ("github.com/fullstorydev/grpcurl/cmd/grpcurl", "v1.9.3");

/// A service with a model of made-up pull requests, and these.
struct Service {
    _store: TestStore,
    documents: Documents,
    server: Server,
}

impl Service {
    fn start() -> Self {
        let (store, documents) = TestStore::trained(600, 5);
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

fn repository_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn example(name: &str) -> PathBuf {
    repository_file("examples").join(name)
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
    let protocol = repository_file("proto/proto");
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

/// As the head of the example says.
#[test]
fn the_example_in_go_scores() {
    let service = Service::start();
    let folder = tempfile::tempdir().unwrap();
    for file in ["buf.gen.yaml", "go.mod", "main.go"] {
        std::fs::copy(example("go").join(file), folder.path().join(file)).unwrap();
    }
    let mut path: Vec<PathBuf> = GENERATORS
        .map(|(package, version)| servers::go_program(package, version).parent().unwrap().to_owned())
        .into_iter()
        .collect();
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let path = std::env::join_paths(path).unwrap();
    let mut buf = buf("generate");
    buf.arg("--path").arg(repository_file("proto/proto/prowl"));
    done(buf.env("PATH", path).current_dir(folder.path()));
    done(servers::go().args(["mod", "tidy"]).current_dir(folder.path()));

    let one = service.file(1, folder.path());
    let mut score = servers::go();
    score.args(["run", ".", service.server.grpc()]).arg(one).current_dir(folder.path());
    let told = done(&mut score);
    let (repository, number) =
        (&service.documents.0[0]["base"]["repo"]["full_name"], &service.documents.0[0]["number"]);
    let head = format!("{}#{number} BAND_", repository.as_str().unwrap());
    assert!(told.starts_with(&head) && told.contains("more unusual than"), "{told}");
    assert!(told.lines().any(|line| line.starts_with("  it ")), "{told}");
}

#[test]
fn its_health_is_probed_as_that_of_any_service() {
    let service = Service::start();
    let probe = || Command::new(servers::go_program(PROBE.0, PROBE.1));
    let address = format!("-addr={}", service.server.grpc());
    for of in ["", "prowl.v1.Scoring", "inference.GRPCInferenceService"] {
        let told = probe().args([&address, &format!("-service={of}")]).output().unwrap();
        assert!(told.status.success(), "{of}: {}", String::from_utf8_lossy(&told.stderr));
    }
    let told = probe().args([&address, "-service=nobody"]).output().unwrap();
    assert!(!told.status.success() && String::from_utf8_lossy(&told.stderr).contains("NotFound"), "{told:?}");
    assert_eq!(service.server.stop(), 0);
}

#[test]
fn what_it_can_do_is_asked_of_it_itself() {
    let service = Service::start();
    // The token travels in the environment, as an argument could be read in the list of processes.
    let grpcurl = |arguments: &[&str]| {
        let mut command = Command::new(servers::go_program(GRPCURL.0, GRPCURL.1));
        command.args(["-plaintext", "-expand-headers", "-H", "authorization: Bearer ${PROWL_TOKEN}"]).args(arguments);
        done(&mut command)
    };
    let address = service.server.grpc();
    let services = grpcurl(&[address, "list"]);
    for name in ["prowl.v1.Scoring", "inference.GRPCInferenceService", "grpc.health.v1.Health"] {
        assert!(services.lines().any(|line| line == name), "{name} in {services}");
    }
    let described = grpcurl(&[address, "describe", "prowl.v1.ScoreRequest"]);
    assert!(described.contains("bytes github_json"), "{described}");
    // Nothing but what the server says of itself tells how this call is encoded.
    let document = service.documents.0[0].to_string();
    let data = serde_json::json!({ "github_json": BASE64_STANDARD.encode(&document) }).to_string();
    let answer: Value = serde_json::from_str(&grpcurl(&["-d", &data, address, "prowl.v1.Scoring/Score"])).unwrap();
    assert_eq!(answer["repository"], service.documents.0[0]["base"]["repo"]["full_name"]);
    assert!(answer["percentile"].is_number(), "{answer}");
}

fn buf(what: &str) -> Command {
    let mut command = Command::new(servers::program(BUF.0, BUF.1, "buf"));
    command.arg(what).arg(repository_file("proto"));
    command
}

fn git() -> Command {
    let mut command = Command::new("git");
    // An export without a history may lie in a repository of somebody else's.
    command.arg("--git-dir").arg(repository_file(".git"));
    command
}

/// The commit whose clients have to keep working: the newest release that this one comes from, or, before the first, where it
/// left `main`. None where there is no history that could tell.
fn promised() -> Option<String> {
    let told = |arguments: &[&str]| {
        let Output { status, stdout, .. } = git().args(arguments).output().ok()?;
        status.success().then(|| String::from_utf8(stdout).unwrap().trim().to_owned())
    };
    let release = told(&["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"]);
    // One that is cut off may not know of the releases that there are.
    let is_whole = told(&["rev-parse", "--is-shallow-repository"])? == "false";
    if release.is_some() || !is_whole {
        return release;
    }
    let left = |main: &str| told(&["merge-base", "HEAD", main]);
    left("origin/main").or_else(|| left("main"))
}

#[test]
fn the_protocols_are_in_the_style_of_their_kind() {
    done(&mut buf("lint"));
}

#[test]
fn the_protocols_break_no_client_of_before() {
    let Some(base) = promised() else {
        let skipped = b"skipped: `buf breaking`, since no git history here tells what prowl.v1 was before\n";
        // What `eprintln!` says of a test that passes is not shown.
        return io::stderr().write_all(skipped).unwrap();
    };
    let folder = tempfile::tempdir().unwrap();
    let before = folder.path().join("before.tar");
    done(git().args(["archive", "--output"]).arg(&before).args([base.as_str(), "proto"]));
    done(buf("breaking").arg("--against").arg(format!("{}#subdir=proto", before.display())));
}
