//! TLS of both ends, which have to fit.

use std::fs;

use prowl_e2e::{Running, Variable};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use crate::given::{Gate, MODELS, TOKEN, told};
use crate::load::load;

/// The certificate of an authority of this name, and that of a server with its key, as files.
fn certificates(name: &str) -> TempDir {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let files = [("ca.pem", issuer.pem()), ("server.pem", certificate.pem()), ("server.key", key.serialize_pem())];
    for (file, text) in files {
        fs::write(folder.path().join(file), text).unwrap();
    }
    folder
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

/// A server that speaks TLS and asks for the token, and where its gRPC port is.
fn encrypted(certificates: &TempDir) -> (Running, String) {
    let (certificate, key) = (path(certificates, "server.pem"), path(certificates, "server.key"));
    let arguments = [
        ["--store", &MODELS.store.url],
        ["--model", &MODELS.new],
        ["--tls-cert", &certificate],
        ["--tls-key", &key],
        ["--grpc-addr", "127.0.0.1:0"],
        ["--http-addr", "127.0.0.1:0"],
    ];
    let environment = [("API_TOKENS", format!("gate:{TOKEN}"))];
    let mut server = Running::start_with(&environment, "prowl-inference", arguments.as_flattened());
    let listening: Value = serde_json::from_str(&server.wait_for_line("\"listening\"")).unwrap();
    server.wait_for_line("\"message\":\"serving\"");
    (server, listening["grpc"].as_str().unwrap().to_owned())
}

#[test]
fn tls_of_one_side_alone_is_told() {
    let certificates = certificates("Tideworks");
    let authority = path(&certificates, "ca.pem");
    let (_server, address) = encrypted(&certificates);
    let plain = MODELS.serve();
    let gate = |url: &str| {
        let arguments = ["--ca-file", &authority, "--patience", "2s"];
        Gate::of(url, &MODELS.new).with(&arguments).given("PROWL_TOKEN", TOKEN)
    };

    let told = gate(&format!("http://{address}")).refused(3);
    assert!(told.contains(&address) && told.contains("is it http or https?"), "{told}");

    let told = gate(&format!("https://{}", plain.grpc())).refused(3);
    let is_told = told.contains("the server speaks no TLS: write http://") || told.contains("is it http or https?");
    assert!(told.contains(plain.grpc()) && is_told, "{told}");
}

#[test]
fn a_certificate_of_another_authority_is_not_taken() {
    let (ours, other) = (certificates("Tideworks"), certificates("Harbourlight"));
    let (_server, address) = encrypted(&ours);
    let url = format!("https://{address}");
    let token: [Variable; 1] = [("PROWL_TOKEN", TOKEN.to_owned())];
    let [ours, other] = [&ours, &other].map(|authority| path(authority, "ca.pem"));

    let gate = Gate::of(&url, &MODELS.new).with(&["--ca-file", &other]).given("PROWL_TOKEN", TOKEN);
    let words = gate.refused(3);
    for part in ["cannot ask the preview", &address, "certificate", "--ca-file"] {
        assert!(words.contains(part), "{part} in {words}");
    }
    let outcome = load(&token, &url, &["--users", "1", "--ca-file", &other]);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    assert!(told(&outcome).contains("--ca-file") && !outcome.stderr.contains(TOKEN), "{}", outcome.stderr);

    // With the right one, and the token, all is well.
    let outcome = load(&token, &url, &["--users", "1", "--ca-file", &ours]).expect_success();
    assert!(told(&outcome).contains(" 0 failed; ") && !outcome.stderr.contains(TOKEN), "{}", outcome.stderr);
}
