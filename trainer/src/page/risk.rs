//! The section on how risky pull requests are: whether probabilities hold, what they are worth, and what they were chosen by.

use std::fmt::Write;

use prowl_model::RiskInfo;
use prowl_page::{Axis, Cell, Plot, Table, escaped, paragraph, percent};

use crate::findings::Findings;
use crate::findings::risk::{Bin, FEW, Risk};

use super::{count, importances};

pub(super) fn section(findings: &Findings<'_>) -> String {
    let metadata = findings.model.metadata();
    let content = match &metadata.risk {
        None => {
            let reason = metadata.missing_heads.get("risk").map_or("this model has no such head", String::as_str);
            paragraph(&format!("There is no answer: {reason}."))
        }
        Some(info) => {
            let measured = match &findings.risk {
                None => paragraph("No pull request of the test slice had stood its time when the newest one came."),
                Some(risk) => measured(findings, risk),
            };
            paragraph(&format!(
                "The probability that a change will be taken back, learnt from {} pull requests of which {} were.",
                count(info.rows as usize),
                count(info.reverted as usize)
            )) + &measured
                + "<h3>How it was chosen</h3>\n<div class=\"columns\">\n<div>"
                + &bands(info)
                + "</div>\n<div>"
                + &candidates(info)
                + "</div>\n</div>\n"
        }
    };
    prowl_page::section("How risky", "risk", &content)
}

fn measured(findings: &Findings<'_>, risk: &Risk) -> String {
    let mut content = paragraph(&format!(
        "Of the test slice {} pull requests had stood their time when the newest one came; {} of them were taken back.{}",
        count(risk.rows),
        count(risk.reverted),
        if risk.reverted < FEW { " That is little to judge by: read the figures with care." } else { "" }
    ));
    content.push_str("<div class=\"plots\">\n");
    content.extend([calibration(&risk.bins), capture(risk), "</div>\n".to_owned()]);
    let importances = importances(
        findings.model,
        "Drop of the AUC when an input is shuffled in the test slice",
        "drop",
        &risk.importances,
        |drop| format!("{drop:.4}"),
    );
    let bins = bins(&risk.bins);
    let _ = writeln!(content, "<div class=\"columns\">\n<div>{bins}</div>\n<div>{importances}</div>\n</div>");
    content
}

fn calibration(bins: &[Bin]) -> String {
    let rate = |bin: &Bin| bin.reverted as f64 / bin.rows as f64;
    let to = bins.iter().map(|bin| bin.expected.max(rate(bin))).fold(0.0, f64::max);
    // Intervals of few rows reach far; the frame follows the rates.
    let to = (1.5 * to).clamp(0.01, 1.0);
    let told: Vec<String> = bins
        .iter()
        .map(|bin| format!("{} expected, {} of {} happened", percent(bin.expected), bin.reverted, bin.rows))
        .collect();
    let about = format!("Calibration in {} bins: {}.", bins.len(), told.join("; "));
    let axis = |label| Axis::up_to(label, to).of_shares();
    let mut plot = Plot::new("calibration", about, axis("probability"), axis("share taken back"), 20.0);
    plot.rule((0.0, 0.0), (to, to), "");
    plot.text((to, 0.76 * to), 0.0, "end", "", "as told");
    for (bin, tells) in bins.iter().zip(&told) {
        let (low, high) = bin.interval();
        plot.rule((bin.expected, low), (bin.expected, high), "solid one");
        plot.dot((bin.expected, rate(bin)), 3.5, "one", tells);
    }
    plot.figure("Calibration", "Each dot is a tenth of the pull requests, its line the 95% interval of its share.")
}

fn bins(bins: &[Bin]) -> String {
    let mut table =
        Table::new("The dots of the calibration", &["mean probability", "#pull requests", "#taken back", "#share"]);
    for bin in bins {
        let (low, high) = bin.interval();
        let share = percent(bin.reverted as f64 / bin.rows as f64);
        let cells = [
            Cell::Number(count(bin.rows)),
            Cell::Number(count(bin.reverted)),
            Cell::Number(format!("{share} ({} to {})", percent(low), percent(high))),
        ];
        table.row(&percent(bin.expected), cells);
    }
    table.html()
}

fn capture(risk: &Risk) -> String {
    if risk.captured.is_empty() {
        return String::new();
    }
    let at = |points: &[(f64, f64)], share: f64| {
        let after = points.partition_point(|point| point.0 < share).min(points.len() - 1);
        let (left, right) = (points[after.saturating_sub(1)], points[after]);
        if right.0 > left.0 { left.1 + (right.1 - left.1) * (share - left.0) / (right.0 - left.0) } else { right.1 }
    };
    let fifth = at(&risk.captured, 0.2);
    let mut about = format!("Share of what was taken back by share looked at: {} in the first 20%", percent(fifth));
    if !risk.captured_by_churn.is_empty() {
        about.extend([", ", &percent(at(&risk.captured_by_churn, 0.2)), " by lines changed"]);
    }
    let axis = |label| Axis::up_to(label, 1.0).of_shares();
    let (x, y) = (axis("looked at, the riskiest first"), axis("share of what was taken back"));
    let mut plot = Plot::new("capture", about + ".", x, y, 20.0);
    plot.rule((0.0, 0.0), (1.0, 1.0), "");
    plot.text((0.66, 0.66), 16.0, "start", "", "by chance");
    plot.line(&risk.captured_by_churn, "two", "");
    plot.line(&risk.captured, "one", "");
    // The legend, in the corner that no curve better than chance reaches.
    let line = |place: f64| (0.98, 0.30 - 0.09 * place);
    plot.text(line(0.0), 0.0, "end", "label one", &format!("model: {} in the first 20%", percent(fifth)));
    if !risk.captured_by_churn.is_empty() {
        let text = format!("lines changed: {}", percent(at(&risk.captured_by_churn, 0.2)));
        plot.text(line(1.0), 0.0, "end", "label two", &text);
    }
    plot.figure("Capture", "Who looks at so many of the riskiest first meets so many of those that will be taken back.")
}

fn bands(info: &RiskInfo) -> String {
    let mut table = Table::new(
        "Bands, with the rates of the later slices that chose the model, and of the test slice, which chose nothing",
        &["probability", "#pull requests", "rate", "#in test", "rate in test"],
    );
    let rates = info.bands.iter().flat_map(|band| [Some(band.rate()), band.test_rate()]);
    let highest = rates.flatten().fold(f64::MIN_POSITIVE, f64::max);
    for (band, to) in info.ranges() {
        let bar = |rate: f64| Cell::Bar(rate / highest, percent(rate));
        let cells = [
            Cell::Number(count(band.rows as usize)),
            bar(band.rate()),
            Cell::Number(count(band.test_rows as usize)),
            band.test_rate().map_or_else(|| Cell::Text("–".to_owned()), bar),
        ];
        table.row(&format!("{} to {}", percent(f64::from(band.from)), percent(f64::from(to))), cells);
    }
    table.html()
}

fn candidates(info: &RiskInfo) -> String {
    let mut table = Table::new(
        "Candidates, the most trusted first: the first within a standard error of the best AUC was chosen",
        &["models", "#AUC", "#log-loss", ""],
    );
    for candidate in &info.candidates {
        let chosen = if candidate.members == info.members { "chosen" } else { "" };
        let cells = [
            Cell::Number(format!("{:.4}", candidate.auc)),
            Cell::Number(format!("{:.4}", candidate.log_loss)),
            Cell::Text(chosen.to_owned()),
        ];
        table.row(&escaped(&candidate.members.join(" + ")), cells);
    }
    table.html() + &paragraph(&format!("Scores become probabilities by {} calibration.", info.calibration))
}
