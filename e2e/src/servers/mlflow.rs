//! A real MLflow: tracking, registry and artifacts, in a folder of its own.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Arc, Mutex, Weak};

use serde_json::Value;

use super::{Process, environment, free_port};
use crate::programs::{ask, ask_for_bytes};

const VERSION: &str = "3.17.2";
/// What the server needs of the several hundred megabytes that MLflow asks for.
const NEEDED: [&str; 10] = [
    "mlflow-skinny==3.17.2",
    "flask==3.1.3",
    "flask-cors==6.0.5",
    "sqlalchemy==2.1.9",
    "alembic==1.20.1",
    "graphene==3.4.3",
    "huey==3.5.4",
    "cachetools==7.3.3",
    "pandas==3.1.1",
    "aiohttp==3.14.5",
];

/// A running server, which ends with its last user.
#[derive(Debug)]
pub struct Mlflow {
    process: Process,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Mlflow {
    /// The one that all tests of a program share: it takes long to start, and much memory.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Mlflow>> = Mutex::new(Weak::new());
        // A test that failed while it was started is no reason for others to fail, too.
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let started = Arc::new(Self::start());
            *shared = Arc::downgrade(&started);
            started
        })
    }

    /// Starts it, and waits until it answers.
    fn start() -> Self {
        let name = format!("mlflow-{VERSION}");
        let (mlflow, tracing) = (format!("mlflow=={VERSION}"), format!("mlflow-tracing=={VERSION}"));
        let python = environment(&name, &[&NEEDED, &["--no-deps", &mlflow, &tracing]]);
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let port = free_port();
        let mut command = Command::new(python.join("bin/mlflow"));
        command.args(["server", "--host", "127.0.0.1", "--port", &port.to_string(), "--workers", "1"]);
        command.args(["--backend-store-uri", &format!("sqlite:///{}", path("tracking.db"))]);
        command.args(["--artifacts-destination", &path("artifacts")]);
        for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MLFLOW_")) {
            command.env_remove(variable);
        }
        // Without the first one it starts ten processes.
        command.env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false").env("MLFLOW_DISABLE_TELEMETRY", "true");
        // Its temporary files would outlive it, since it is killed.
        command.current_dir(folder.path()).env("TMPDIR", folder.path());
        // It starts another process, which does not end with it.
        command.process_group(0);
        let process = Process::start(&mut command);
        let mut server = Self { process, port, _folder: folder };
        let request = server.request("GET", "/health", "");
        let address = server.address();
        server.process.wait_for("health", |_| ask(&address, &request).filter(|(status, _)| *status == 200));
        server
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The answer to a GET of `path` below the REST interface, with its query.
    pub fn get(&self, path: &str) -> Value {
        self.call("GET", path, "")
    }

    /// The answer to a POST of `body`.
    pub fn post(&self, path: &str, body: &Value) -> Value {
        self.call("POST", path, &body.to_string())
    }

    /// Status and answer, also where that is no.
    pub fn try_get(&self, path: &str) -> (u16, Value) {
        self.try_call("GET", path, "")
    }

    /// The content of an artifact at `uri`.
    pub fn artifact(&self, uri: &str) -> Vec<u8> {
        let path = uri.strip_prefix("mlflow-artifacts:").unwrap();
        let path = format!("/api/2.0/mlflow-artifacts/artifacts{path}");
        let (status, content) = ask_for_bytes(&self.address(), &self.request("GET", &path, "")).unwrap();
        assert_eq!(status, 200, "{path}");
        content
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Value {
        let (status, answer) = self.try_call(method, path, body);
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    fn try_call(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let request = self.request(method, &format!("/api/2.0/mlflow/{path}"), body);
        let (status, answer) = ask(&self.address(), &request).unwrap();
        (status, serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{method} {path}: {error} in {answer:?}")))
    }

    fn request(&self, method: &str, path: &str, body: &str) -> String {
        let (host, length) = (self.address(), body.len());
        format!(
            "{method} {path} HTTP/1.0\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    }
}

impl Drop for Mlflow {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        // It may have ended already.
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
    }
}
