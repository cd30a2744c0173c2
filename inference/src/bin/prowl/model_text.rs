//! The model for a person.

use std::{collections::BTreeMap, fmt::Write};

use anstyle::Style;
use prowl_proto::v1::GetModelResponse;

use crate::score_text::{date, printable};

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
            (Some(from), Some(to)) => format!(", opened {} to {}", date(from), date(to)),
            _ => String::new(),
        };
        row("trained on", format!("{} pull requests of run {}{span}", training.rows, training.run));
        row("validated on", format!("{} later ones", training.validation_rows));
    }
    if let Some(bands) = &model.bands {
        row("bands", format!("unusual from percentile {}, high risk from {}", bands.unusual, bands.high_risk));
    }
    row("categories", if model.categories.is_empty() { "none".to_owned() } else { model.categories.join(", ") });
    row("history up to", model.history_as_of.as_ref().map_or_else(|| "nothing known".to_owned(), date));
    for (head, reason) in model.missing_heads.iter().collect::<BTreeMap<_, _>>() {
        row(&format!("no {head}"), reason.clone());
    }
    for (name, value) in model.metrics.iter().collect::<BTreeMap<_, _>>() {
        row(name, format!("{value:.4}"));
    }
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    rows.iter().fold(String::new(), |mut text, (name, value)| {
        writeln!(text, "{BOLD}{name:<width$}{BOLD:#}  {value}").expect("writing to a string never fails");
        text
    })
}
