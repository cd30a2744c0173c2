//! A model behind the service's doors, and the switch from one to the next: the gate between the two that run, and a rehearsal in which
//! calls go on while it is made.

use std::path::Path;

use prowl_e2e::{Outcome, Server, WIDE};
use serde_json::Value;

use crate::checks::{broken, listed};
use crate::learning::Model;
use crate::page::{Step, short};
use crate::parts::{Parts, argument, head_of_reviewer};

/// Calls a second: two servers, what calls them and the servers of all else share a machine.
const RATE: &str = "100";

/// Starts a server of a model, and asks it something.
pub(crate) fn serve(step: &mut Step, parts: &Parts, model: &Model) -> Server {
    let server = Server::run(parts.environment("inference"), &["--model", &model.version, "--feedback"]);
    step.wrote(format!("gRPC and HTTP with tokens from OpenBao, model {}", model.version));
    let newest = parts.newest(1).remove(0).to_string();
    let answer = score(&server, &newest);
    let digest = answer["model"]["digest"].as_str().unwrap_or_default();
    step.check("an answer names the digest of the model", digest == model.digest, short(digest));
    let (status, _) = server.get_with("/v1/model", "").unwrap();
    step.same("without a token nobody is answered", status, 401);
    server
}

/// What it says to a reviewer of a pull request.
pub(crate) fn score(server: &Server, document: &str) -> Value {
    let (status, answer) = server.post_with("/v1/score", &head_of_reviewer(), document).unwrap();
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str(&answer).unwrap()
}

/// The gate judges green beside blue, which both run.
pub(crate) fn gate(step: &mut Step, parts: &Parts, [blue, green]: [&Server; 2], new: &Model, folder: &Path) {
    let output = folder.join("gate");
    let [green_http, blue_http] = [green, blue].map(|server| format!("http://{}", server.http()));
    let arguments = [
        ["--preview", &green.url()],
        ["--preview-http", &green_http],
        ["--active", &blue.url()],
        ["--active-http", &blue_http],
        ["--expect-version", &new.version],
        ["--output", argument(&output)],
        ["--rate", RATE],
        ["--run-time", "10s"],
        ["--load-time", "3s"],
        ["--highest-rate", "200"],
        ["--step", "1s"],
    ];
    let fixed = [&["gate", "--json", "--keep"][..], arguments.as_flattened(), WIDE.as_flattened()].concat();
    let verdict = told(&parts.run("loadtest", "prowl-loadtest", &fixed));
    step.wrote(format!("{} and verdicts/ of the store", output.display()));
    go(step, &verdict);
    let answered = |side: &str| verdict["race"][side]["answered"].to_string();
    let found = format!("{} calls of green, {} of blue", answered("preview"), answered("active"));
    step.check("both were asked under load", verdict["race"].is_object(), found);
}

/// Blue and green anew, behind a switch, with a gate of their own and calls that go on.
pub(crate) fn rehearse(step: &mut Step, parts: &Parts, [old, new]: [&Model; 2], folder: &Path) {
    let output = folder.join("rehearsal");
    let arguments = [
        ["--blue", &old.version],
        ["--green", &new.version],
        ["--rate", RATE],
        ["--gate-rate", RATE],
        ["--gate-time", "8s"],
        ["--switches", "2"],
        ["--output", argument(&output)],
    ];
    let fixed = [&["rehearse", "--json"][..], arguments.as_flattened(), WIDE.as_flattened()].concat();
    let outcome = parts.run("loadtest", "prowl-loadtest", &fixed);
    let played = told(&outcome);
    step.wrote(format!("{}: {} calls through the switch", output.display(), played["calls"]));
    go(step, &played["gate"]);
    let failures = played["failures"].to_string();
    step.check(
        "no call failed",
        played["failed"] == 0,
        format!("{} of {}: {failures}", played["failed"], played["calls"]),
    );
    let strangers = &played["unknown_digests"];
    step.check("each answer names the digest of blue or green", *strangers == 0, format!("{strangers} do not"));
    let switches: Vec<&Value> = played["switches"].as_array().into_iter().flatten().collect();
    let clean = switches.iter().filter(|switch| switch["exit_code"] == 0 && switch["cut"] == 0).count();
    let all = clean == 2 && switches.len() == 2;
    step.check("it was switched forth and back, each old side ended with 0", all, format!("{clean} of 2"));
    step.same("the rehearsal holds", outcome.code, 0);
}

/// Whether a verdict is a go, or what stands against it.
fn go(step: &mut Step, verdict: &Value) {
    let checks = verdict["checks"].as_array().map_or(0, Vec::len);
    let found = format!("{} by {checks} checks{}", verdict["decision"], listed(&broken(verdict)));
    step.check("the gate says go", verdict["decision"] == "go", found);
}

/// What a program answers in JSON, also where it ended with a no; of one that could not answer, why.
fn told(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("no answer: {}", outcome.stderr))
}
