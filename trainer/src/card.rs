//! `model_card.md`: what a model is, what it is for and what not, in one short page (Mitchell et al., "Model cards for model
//! reporting", 2019).

use std::fmt::Write;

use prowl_page::{markdown as text, number, percent};

use crate::findings::Findings;
use crate::page::{command, count, day};
use crate::report::never_found;

/// Name of the card in a model's folder.
pub(crate) const FILE_NAME: &str = "model_card.md";

/// Repositories that are named, those with the most rows.
const NAMED: usize = 10;

/// The card.
pub(crate) fn card(findings: &Findings<'_>) -> String {
    let metadata = findings.model.metadata();
    let (data, training) = (&findings.data, &metadata.training);
    let kinds: Vec<String> = metadata.categories.iter().map(|name| text(name)).collect();
    let named: Vec<String> = data.largest.iter().take(NAMED).map(|(name, _)| text(name)).collect();
    let others = data.repositories - named.len();
    let others = if others > 0 { format!(" and {} more", count(others)) } else { String::new() };
    let span = |from: usize, to: usize| {
        let day = |time: Option<i64>| time.map_or("–".to_owned(), day);
        let (from, to) = (data.slices[from].span.map(|span| span.0), data.slices[to].span.map(|span| span.1));
        format!("{} to {}", day(from), day(to))
    };
    format!(
        "# Prowl model {}\n\n\
         Tells of a pull request how unusual it is and why{}{}. It reads {} numbers and the hashed words of title, body and \
         labels; it never reads code.\n\n\
         ## Learnt from\n\n\
         {} pull requests of {} ({}{}), opened {}. The newest {} of {}, opened {}, only measure \
         it: it does not know them.\n\n\
         ## Use\n\n\
         - To choose where a second look pays, and to show a reviewer what is unlike the rest.\n\
         - **Not to judge people**: not for pay, promotion, hiring, ranking or watching anyone. It scores changes; much of what \
         makes one unusual (a new place, a late hour, a first contribution) is no fault of anybody's.\n\
         - Not to block or merge a change without a person's decision, and not to find security holes.\n\n\
         ## Figures\n\n{}{}\n\
         ## Limits\n\n\
         - Unusual is not bad, and usual is not good. What is usual drifts: train again often.\n\
         - It speaks for the repositories above. Others are compared with all of these together.\n\
         - Taken back means that a revert was found; faults that were mended otherwise do not count.\n{}\n\
         ## Make it again\n\n\
         Features run {}, digest {}; digest of `model.safetensors`: {}. The same run, options and version of the program give \
         the same tensors:\n\n```sh\n{}\n```\n\n`report.html` beside this file tells more.\n",
        text(&metadata.version),
        if metadata.risk.is_some() { ", how probable it is that it will be taken back" } else { "" },
        if kinds.is_empty() { String::new() } else { format!(", and its kind ({})", kinds.join(", ")) },
        metadata.features.len(),
        count(data.slices[0].rows + data.slices[1].rows),
        if data.repositories == 1 {
            "one repository".to_owned()
        } else {
            format!("{} repositories", count(data.repositories))
        },
        named.join(", "),
        others,
        span(0, 1),
        count(data.slices[2].rows),
        count(data.rows()),
        span(2, 2),
        figures(findings),
        clusters(findings),
        missing(findings),
        text(&training.run),
        text(&training.run_digest),
        findings.digest,
        command(&training.run, findings.settings)
    )
}

fn figures(findings: &Findings<'_>) -> String {
    let metadata = findings.model.metadata();
    let metric = |name: &str| metadata.metrics.get(name).copied();
    let mut table = String::from("| on the newest pull requests | value | beside |\n|---|---|---|\n");
    let mut row = |name: &str, value: Option<String>, beside: String| {
        if let Some(value) = value {
            let _ = writeln!(table, "| {name} | {value} | {beside} |");
        }
    };
    let usual = |from: f32| format!("{} where the bands were set", percent(f64::from(100.0 - from) / 100.0));
    row("called unusual", metric("test_share_unusual").map(percent), usual(metadata.bands.unusual));
    row("called very unusual", metric("test_share_very_unusual").map(percent), usual(metadata.bands.very_unusual));
    let churn = metric("risk_test_churn_auc").map_or(String::new(), |auc| format!("{auc:.3} by lines changed alone"));
    row("risk: AUC", metric("risk_test_auc").map(|auc| format!("{auc:.3}")), churn);
    let counts = findings.risk.as_ref().map(|risk| format!("{} of {}", count(risk.reverted), count(risk.rows)));
    row("risk: taken back", counts, "of those that had stood their time".to_owned());
    row("risk: calibration error", metric("risk_test_calibration_error").map(number), String::new());
    for (band, to) in metadata.risk.iter().flat_map(prowl_model::RiskInfo::ranges) {
        let range = format!("risk: taken back of {} to {}", percent(f64::from(band.from)), percent(f64::from(to)));
        let tested = band.test_rate().map(|rate| format!("{} of {}", percent(rate), count(band.test_rows as usize)));
        row(
            &range,
            tested,
            format!("{} of {} where the head was chosen", percent(band.rate()), count(band.rows as usize)),
        );
    }
    let majority = |name: &str| metric(name).map_or(String::new(), percent) + " always the most frequent";
    row("kind: accuracy", metric("category_accuracy").map(percent), majority("category_majority_accuracy"));
    row("kind: calibration error", metric("category_calibration_error").map(number), String::new());
    row("kind: macro F1", metric("category_macro_f1").map(|f1| format!("{f1:.3}")), String::new());
    let never = text(&never_found(&metadata.metrics).join(", "));
    row("kind: never found", (!never.is_empty()).then_some(never), "of all that declare them".to_owned());
    table
}

/// The groups of pull requests that declare no kind.
fn clusters(findings: &Findings<'_>) -> String {
    let clusters = &findings.model.metadata().clusters;
    if clusters.is_empty() {
        return String::new();
    }
    let names: Vec<String> =
        clusters.iter().map(|cluster| format!("{} ({})", text(&cluster.name), count(cluster.rows as usize))).collect();
    format!("\nPull requests that declare no kind fall into {} groups: {}.\n", clusters.len(), names.join("; "))
}

fn missing(findings: &Findings<'_>) -> String {
    let heads = &findings.model.metadata().missing_heads;
    heads.iter().fold(String::new(), |list, (head, reason)| {
        let head = if head == "clusters" { "groups of what declares no kind" } else { &format!("{} head", text(head)) };
        list + &format!("- No {head}: {}.\n", text(reason))
    })
}
