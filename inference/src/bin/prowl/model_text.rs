//! The model for a person.

use std::{collections::BTreeMap, fmt::Write};

use anstyle::Style;
use prowl_inference::words::{day, weak_risk};
use prowl_model::DRIFTED;
use prowl_proto::v1::{GetModelResponse, RiskBand};

use crate::score_text::printable;

const BOLD: Style = Style::new().bold();

/// The model as a few styled lines.
pub(crate) fn model(model: &GetModelResponse) -> String {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut row = |name: &str, value: String| rows.push((printable(name), printable(&value)));
    let id = model.model.clone().unwrap_or_default();
    row("model", id.version);
    row("digest", id.digest);
    let groups = model.features.iter().fold(BTreeMap::<&str, usize>::new(), |mut groups, feature| {
        *groups.entry(&feature.group).or_default() += 1;
        groups
    });
    let groups: Vec<_> = groups.into_iter().map(|(group, count)| format!("{count} {group}")).collect();
    row("features", format!("{} ({})", model.features.len(), groups.join(", ")));
    row("features digest", id.features_digest);
    if let Some(training) = &model.training {
        let span = match (&training.from, &training.to) {
            (Some(from), Some(to)) => format!(", opened {} to {}", day(from), day(to)),
            _ => String::new(),
        };
        row("trained on", format!("{} pull requests of run {}{span}", training.rows, training.run));
        row("validated on", format!("{} later ones", training.validation_rows));
    }
    if let Some(bands) = &model.bands {
        row("bands", format!("unusual from percentile {}, very unusual from {}", bands.unusual, bands.very_unusual));
    }
    for (place, band) in model.risk_bands.iter().enumerate() {
        let RiskBand { from, observed, rows, average, test_observed, test_rows, to } = band;
        let test = test_observed.map_or(String::new(), |rate| format!("; {:.1}% of {test_rows} in test", 100.0 * rate));
        let [from, to, observed, average] = [from, to, observed, average].map(|share| format!("{:.1}%", 100.0 * share));
        let name = if place == 0 { "bands of risk" } else { "" };
        row(name, format!("{from} to {to}: {observed} of {rows} later ones were taken back ({average} of all){test}"));
    }
    row("categories", if model.categories.is_empty() { "none".to_owned() } else { model.categories.join(", ") });
    for (place, cluster) in model.clusters.iter().enumerate() {
        let name = if place == 0 { "clusters" } else { "" };
        row(name, format!("{} ({} without a category)", cluster.name, cluster.rows));
    }
    let history =
        model.history_as_of.as_ref().map(|time| format!("{}, in the repository that changed last", day(time)));
    row("history up to", history.unwrap_or_else(|| "nothing known".to_owned()));
    for (head, reason) in model.missing_heads.iter().collect::<BTreeMap<_, _>>() {
        row(&format!("no {head}"), reason.clone());
    }
    for (name, told) in measured(model) {
        row(name, told);
    }
    if let Some(weak) = weak_risk(model) {
        row("mind", weak);
    }
    if let Some(drift) = drift(model) {
        row("drift", drift);
    }
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    rows.iter().fold(String::new(), |mut text, (name, value)| {
        writeln!(text, "{BOLD}{name:<width$}{BOLD:#}  {value}").expect("writing to a string never fails");
        text
    })
}

/// What was measured on the newest pull requests in training, by which nothing was chosen: what tells something in words, with
/// what is good. `prowl model --json` has all of it.
fn measured(model: &GetModelResponse) -> impl Iterator<Item = (&'static str, String)> {
    let metric = |name: &str| model.metrics.get(name).copied();
    let percent = |name: &str| metric(name).map(|share| format!("{:.1}%", 100.0 * share));
    let beside = |words: &str, told: Option<String>| told.map_or(String::new(), |told| format!(", {words} {told}"));
    let unusual = percent("test_share_unusual").map(|share| {
        let very = beside("very unusual", percent("test_share_very_unusual"));
        let nominal = model.bands.map_or(String::new(), |bands| format!(" (as meant: {}%)", 100.0 - bands.unusual));
        format!("unusual {share}{nominal}{very} of the newest: more is drift")
    });
    let risk = metric("risk_test_auc").map(|auc| {
        let churn = metric("risk_test_churn_auc").map(|auc| format!("{auc:.2}"));
        let reverted = metric("risk_test_reverted").map(|reverted| format!("{reverted} taken back"));
        format!("AUC {auc:.2}{}{}: 0.5 is chance, 1 is best", beside("lines alone", churn), beside("of", reverted))
    });
    let error =
        percent("risk_test_calibration_error").map(|error| format!("off by {error} on average: less is better"));
    let kind = percent("category_accuracy").map(|right| {
        let usual = beside("always the most frequent", percent("category_majority_accuracy"));
        format!("right in {right}{usual}: more is better")
    });
    [("bands in test", unusual), ("risk in test", risk), ("its probability", error), ("kind in test", kind)]
        .into_iter()
        .filter_map(|(name, told)| Some((name, told?)))
}

/// That far more of the newest pull requests in training were unusual than those of which the model was made.
fn drift(model: &GetModelResponse) -> Option<String> {
    let share = model.metrics.get("test_share_unusual")?;
    let nominal = 1.0 - f64::from(model.bands?.unusual) / 100.0;
    let (percent, usual) = (100.0 * share, 100.0 * nominal);
    (*share > DRIFTED * nominal).then(|| {
        format!("{percent:.1}% of the newest were unusual, not {usual:.0}%: train again on newer pull requests")
    })
}

#[cfg(test)]
mod tests {
    use prowl_proto::v1::{Bands, Cluster};

    use super::*;

    #[test]
    fn clusters_are_told_by_name() {
        let clusters = ["bump, version", "more: files changed"].map(|name| Cluster {
            name: name.into(),
            rows: 7,
            ..Cluster::default()
        });
        let shown = model(&GetModelResponse { clusters: clusters.to_vec(), ..GetModelResponse::default() });
        assert!(shown.contains("bump, version (7 without") && shown.contains("more: files changed (7"), "{shown}");
        assert_eq!(shown.matches("clusters").count(), 1, "{shown}");
    }

    #[test]
    fn what_was_measured_is_told_in_words() {
        let metrics = [
            ("test_share_unusual", 0.07),
            ("test_share_very_unusual", 0.012),
            ("risk_test_auc", 0.562),
            ("risk_test_churn_auc", 0.613),
            ("risk_test_reverted", 7.0),
            ("risk_test_rows", 878.0),
            ("risk_test_calibration_error", 0.008),
            ("category_accuracy", 0.82),
            ("category_majority_accuracy", 0.31),
            ("category_recall_fix", 0.9),
        ];
        let shown = model(&GetModelResponse {
            bands: Some(Bands { unusual: 95.0, very_unusual: 99.0 }),
            metrics: metrics.map(|(name, value)| (name.to_owned(), value)).into(),
            ..GetModelResponse::default()
        });
        for told in [
            "unusual 7.0% (as meant: 5%), very unusual 1.2% of the newest: more is drift",
            "AUC 0.56, lines alone 0.61, of 7 taken back: 0.5 is chance, 1 is best",
            "off by 0.8% on average: less is better",
            "right in 82.0%, always the most frequent 31.0%: more is better",
            "the risk of this model was no better than chance on later pull requests",
        ] {
            assert!(shown.contains(told), "{told} in {shown}");
        }
        assert!(!shown.contains('_'), "raw names: {shown}");
    }

    #[test]
    fn drift_is_told() {
        let with = |share: f64| GetModelResponse {
            bands: Some(Bands { unusual: 95.0, very_unusual: 99.0 }),
            metrics: [("test_share_unusual".to_owned(), share)].into(),
            ..GetModelResponse::default()
        };
        assert!(!model(&with(0.09)).contains("train again"));
        let shown = model(&with(0.12));
        assert!(shown.contains("12.0% of the newest were unusual, not 5%: train again"), "{shown}");
    }
}
