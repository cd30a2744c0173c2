//! The model for a person.

use std::{collections::BTreeMap, fmt::Write};

use anstyle::Style;
use prowl_inference::words::day;
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
    row("history up to", model.history_as_of.as_ref().map_or_else(|| "nothing known".to_owned(), day));
    for (head, reason) in model.missing_heads.iter().collect::<BTreeMap<_, _>>() {
        row(&format!("no {head}"), reason.clone());
    }
    for (name, value) in model.metrics.iter().collect::<BTreeMap<_, _>>() {
        row(name, format!("{value:.4}"));
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
    fn drift_is_told() {
        let with = |share: f64| GetModelResponse {
            bands: Some(Bands { unusual: 95.0, very_unusual: 99.0 }),
            metrics: [("test_share_unusual".to_owned(), share)].into(),
            ..GetModelResponse::default()
        };
        assert!(!model(&with(0.09)).contains("drift"));
        let shown = model(&with(0.12));
        assert!(shown.contains("12.0% of the newest were unusual, not 5%: train again"), "{shown}");
    }
}
