//! What the tests of Vault are given: environments, policies, logins, and what was logged.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use prowl_e2e::servers::OpenBao;
use prowl_platform::{Error, Secrets};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// The environment of a program.
#[derive(Clone)]
pub(crate) struct Given(Vec<(String, String)>);

impl Given {
    /// One in which the secret at `path` is to be read from `vault`, without a login.
    pub(crate) fn of(vault: &OpenBao, path: &str) -> Self {
        Self(Vec::new()).with("VAULT_ADDR", &vault.address()).with("VAULT_SECRET_PATH", path)
    }

    /// The same with another variable, or another value of one.
    pub(crate) fn with(mut self, variable: &str, value: &str) -> Self {
        self.0.retain(|(name, _)| name != variable);
        self.0.push((variable.to_owned(), value.to_owned()));
        self
    }

    pub(crate) async fn open(&self, names: &[&str], poll: Duration) -> Result<Secrets, Error> {
        LazyLock::force(&LOG);
        let environment = |variable: &str| {
            let found = self.0.iter().find(|(name, _)| name == variable);
            found.map(|(_, value)| value.clone())
        };
        Secrets::open_in(environment, names, poll).await
    }

    /// The words in which they are not given, as a program says them.
    pub(crate) async fn refused(&self, names: &[&str]) -> String {
        let error = self.open(names, Duration::from_hours(1)).await.unwrap_err();
        match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        }
    }
}

pub(crate) fn value(secrets: &Secrets, name: &str) -> String {
    secrets.need(name).unwrap().expose_secret().to_owned()
}

/// Waits until it is so: much longer than it takes, since a machine may be busy.
pub(crate) async fn eventually(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !so() {
        assert!(Instant::now() < end, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Lets `stage` log in by AppRole, and gives its role id and secret id. Options of both may be among `options`.
pub(crate) fn approle(vault: &OpenBao, stage: &str, options: &Value) -> (String, String) {
    if vault.read("sys/auth")["data"]["approle/"].is_null() {
        vault.write("sys/auth/approle", &json!({ "type": "approle" }));
    }
    let of = |value: &Value| value.as_str().unwrap().to_owned();
    let role = format!("auth/approle/role/{stage}");
    let mut body = options.clone();
    body["token_policies"] = json!([format!("prowl-staging-{stage}")]);
    vault.write(&role, &body);
    match (&options["role_id"], &options["secret_id"]) {
        (Value::String(role_id), Value::String(secret_id)) => {
            vault.write(&format!("{role}/custom-secret-id"), &json!({ "secret_id": secret_id }));
            (role_id.clone(), secret_id.clone())
        }
        _ => {
            let role_id = of(&vault.read(&format!("{role}/role-id"))["data"]["role_id"]);
            let secret_id = of(&vault.write(&format!("{role}/secret-id"), &json!({}))["data"]["secret_id"]);
            (role_id, secret_id)
        }
    }
}

/// Lets `vault` ask `review` about the tokens of service accounts.
pub(crate) fn configure_kubernetes(vault: &OpenBao, review: &TokenReview) {
    // A certificate has to be given, though none is looked at without TLS.
    vault.write("sys/mounts/pki", &json!({ "type": "pki" }));
    let authority = vault.write("pki/root/generate/internal", &json!({ "common_name": "kubernetes" }));
    let certificate = &authority["data"]["certificate"];
    let config =
        json!({ "kubernetes_host": review.address(), "kubernetes_ca_cert": certificate, "disable_local_ca_jwt": true });
    vault.write("auth/kubernetes/config", &config);
}

/// The part of a Kubernetes server that says whose token it is. It takes every token for that of one service account, and
/// lives as long as the tests.
pub(crate) struct TokenReview {
    port: u16,
}

impl TokenReview {
    pub(crate) fn start(username: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let status =
            json!({ "authenticated": true, "audiences": ["vault"], "user": { "username": username, "uid": "1" } });
        let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status });
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Whoever asks may go away.
                let _ = answer(stream, &review.to_string());
            }
        });
        Self { port }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn answer(mut stream: std::net::TcpStream, review: &str) -> std::io::Result<()> {
    let mut request = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        request.read_line(&mut line)?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    request.take(length).read_to_end(&mut Vec::new())?;
    let length = review.len();
    let head = format!("HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n");
    write!(stream, "{head}connection: close\r\n\r\n{review}")
}

/// All that was logged in this process, at every level.
static LOG: LazyLock<Kept> = LazyLock::new(|| {
    let kept = Kept::default();
    let writer = kept.clone();
    let level = tracing_subscriber::filter::LevelFilter::TRACE;
    tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(move || writer.clone()).init();
    kept
});

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) fn log() -> String {
    let log = String::from_utf8_lossy(&LOG.0.lock().unwrap()).into_owned();
    assert!(log.contains("secrets read from Vault"), "nothing is logged");
    log
}

/// How many lines of the log hold all of `texts`.
pub(crate) fn lines(texts: &[&str]) -> usize {
    log().lines().filter(|line| texts.iter().all(|text| line.contains(text))).count()
}
