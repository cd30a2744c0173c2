//! The section on what has changed since the last model.

use prowl_page::{Cell, Table, escaped, number, paragraph, percent};

use crate::findings::Findings;
use crate::findings::drift::Drift;

use super::amount::{amount, unit};
use super::day;

pub(super) fn section(findings: &Findings<'_>) -> String {
    let content = match &findings.drift {
        Err(reason) => paragraph(&format!("There is nothing to compare with: {reason}.")),
        Ok(drift) => against(findings, drift),
    };
    prowl_page::section("Since the last model", "drift", &content)
}

fn against(findings: &Findings<'_>, drift: &Drift) -> String {
    let metadata = findings.model.metadata();
    let now = metadata.metrics.get("test_share_unusual").copied().unwrap_or(f64::NAN);
    let mut content = paragraph(&format!(
        "Model {} was learnt from the features run {}, up to {}. It calls {} of this test slice \
         unusual, and this model {}.",
        drift.version,
        drift.run,
        day(drift.to),
        percent(drift.unusual),
        percent(now)
    ));
    if drift.run == metadata.training.run {
        content += &paragraph("Both were learnt from the same run, so nothing can have drifted between them.");
    }
    if drift.shifts.is_empty() {
        return content + &paragraph("No median of a feature has moved.");
    }
    let mut table = Table::new(
        "Features whose median has moved farthest, in spreads of the last model",
        &["feature", "#before", "#now", "shift"],
    );
    let largest = drift.shifts.first().map_or(1.0, |shift| f64::from(shift.spreads.abs()));
    for shift in &drift.shifts {
        let feature = &metadata.features[shift.feature];
        let tell = |value| Cell::Number(amount(value, &feature.unit) + &unit(&feature.unit));
        let (part, sign) = (f64::from(shift.spreads.abs()) / largest, if shift.spreads > 0.0 { "+" } else { "" });
        let name = format!("{}<small>{}</small>", escaped(&feature.name), escaped(&feature.about));
        let text = format!("{sign}{}", number(f64::from(shift.spreads)));
        table.row(&name, [tell(shift.before), tell(shift.now), Cell::Bar(part, text)]);
    }
    content + &table.html()
}
