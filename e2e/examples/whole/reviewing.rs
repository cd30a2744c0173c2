//! What a reviewer says of answers, and the model that has heard it.

use prowl_e2e::{Server, run_with};
use prowl_platform::Kind;
use serde_json::{Value, json};

use crate::learning::{self, Model, number};
use crate::page::Step;
use crate::parts::{Parts, head_of_reviewer, reviewer, text};
use crate::serving::score;

/// Pull requests that are looked through: fewer than the trainer keeps to try a model on, which are the newest 15%.
const LOOKED_AT: usize = 300;
/// Those of them of which something is said.
const MOST: usize = 12;

/// Says of some of the newest pull requests, which do not declare it, what kind of change they are, and that they were taken back.
/// Gives how many these are.
pub(crate) fn review(step: &mut Step, parts: &Parts, server: &Server) -> u64 {
    let undeclared = |document: &Value| score(server, &document.to_string())["category"]["declared"].is_null();
    let documents: Vec<Value> = parts.newest(LOOKED_AT).into_iter().filter(undeclared).take(MOST).collect();
    let mut kept = 0;
    for (place, document) in documents.iter().enumerate() {
        let (repository, number) = (text(&document["base"]["repo"]["full_name"]), number(&document["number"]));
        // The first through the client, over gRPC; the others over HTTP.
        let file = if place == 0 {
            let (of, url) = (format!("{repository}#{number}"), server.url());
            let said = ["--category", "docs", "--reverted", "--comment", "broke the build"];
            let arguments = [&["feedback", &of, "--server", &url, "--json"][..], &said[..]].concat();
            run_with(&reviewer(), "prowl", &arguments).expect_success().json()
        } else {
            let said = json!({ "repository": repository, "number": number, "category": "docs", "reverted": true });
            let (status, answer) = server.post_with("/v1/feedback", &head_of_reviewer(), &said.to_string()).unwrap();
            assert_eq!(status, 200, "{answer}");
            serde_json::from_str(&answer).unwrap()
        };
        kept += u64::from(file["file"].as_str().is_some_and(|file| file.starts_with("feedback/")));
    }
    step.wrote(format!("feedback/: {kept} verdicts"));
    let all = kept > 0 && kept == documents.len() as u64;
    step.check("each verdict lies in the store when it is answered", all, format!("{kept} of {}", documents.len()));
    kept
}

/// Trains on the same run as before, and now with what the reviewer has said.
pub(crate) fn learn(step: &mut Step, parts: &Parts, before: &Model, said: u64) {
    let model = learning::train(step, parts, &before.run);
    let folder = parts.folder(Kind::Models, &model.version);
    let manifest = folder.manifest();
    let heard = manifest.inputs.iter().find(|input| input.kind == "feedback");
    let found = heard.map_or("none", |input| input.name.as_str());
    let is_named = heard.is_some_and(|input| input.digest.is_some());
    step.check("the manifest names the feedback, with its digest", is_named, found);
    let rows = manifest.counts.get("feedback").copied().unwrap_or_default();
    step.same("each verdict is on a row", rows, said);
    // The same rows: what more of them is declared now, was declared by the reviewer.
    step.same("each verdict became a label", model.declared - before.declared, said as f64);
}
