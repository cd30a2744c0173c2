//! What has to hold of the whole, whatever the steps do: who may read what, what lies in the store, what was said.

use std::path::Path;

use prowl_e2e::servers::OpenBao;
use prowl_e2e::{get_as, texts_below};
use serde_json::{Value, json};

use crate::page::Step;
use crate::parts::{Parts, text};

/// Each stage logs in with its own token, and tries the secrets of all.
pub(crate) fn refusals(step: &mut Step, parts: &Parts) {
    let address = format!("127.0.0.1:{}", parts.vault.port());
    let (mut own, mut refused, mut wrong) = (0, 0, Vec::new());
    let stages = OpenBao::stages();
    for stage in &stages {
        let login = json!({ "role": stage, "jwt": parts.vault.token_of(stage) });
        let token = text(&parts.vault.write("auth/jwt/login", &login)["auth"]["client_token"]);
        for other in &stages {
            let path = format!("/v1/secret/data/prowl/staging/{other}");
            match get_as(&token, &address, &path).map(|(status, _)| status) {
                Some(200) if other == stage => own += 1,
                Some(403) if other != stage => refused += 1,
                status => wrong.push(format!("{stage} at {other}: {status:?}")),
            }
        }
    }
    let found = format!("{own} read their own, {refused} refused with 403{}", listed(&wrong));
    step.check("each stage is refused the secret of each other stage", wrong.is_empty(), found);
}

/// Every folder of the store is published, and nothing waits to be.
pub(crate) fn nothing_left(step: &mut Step, parts: &Parts) {
    let (unfinished, whole) = parts.unfinished();
    let found = format!("{whole} are published{}", listed(&unfinished));
    step.check("no folder of the store is half published", unfinished.is_empty(), found);
    step.same("no upload was left", parts.unfinished_uploads(), 0);
    let complaints = parts.github.complaints();
    let found = format!("{} requests{}", parts.github.count(), listed(&complaints));
    step.check("GitHub would have taken each query", complaints.is_empty(), found);
}

/// All that the programs have logged and answered, and what the gate and the rehearsal have written.
pub(crate) fn silence(step: &mut Step, parts: &Parts, folder: &Path) {
    let texts = texts_below(folder);
    let told = texts.iter().filter(|text| parts.are_given_away_by(text)).count();
    let lines: usize = texts.iter().map(|text| text.lines().count()).sum();
    let found = format!("{told} of {} files, of {lines} lines, tell one", texts.len());
    // Nothing to look through would hold, too.
    step.check("no secret is in any log, answer or report", told == 0 && lines > 100, found);
}

/// What does not hold among the checks of a verdict of the gate.
pub(crate) fn broken(verdict: &Value) -> Vec<String> {
    let checks = verdict["checks"].as_array().into_iter().flatten();
    let broken = checks.filter(|check| check["holds"] != true);
    broken.map(|check| format!("{}: {}, limit {}", check["name"], check["observed"], check["limit"])).collect()
}

/// What is to be said behind something else, if anything.
pub(crate) fn listed(these: &[String]) -> String {
    if these.is_empty() { String::new() } else { format!("; {}", these.join("; ")) }
}
