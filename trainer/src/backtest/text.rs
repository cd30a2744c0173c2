//! A backtest as a table for a person.

use std::fmt::Write;

use prowl_model::RiskBand;

use super::{Backtest, CategoryRow, Ranking, SliceBands};
use crate::figures::{Figure, SHARES};

impl Backtest {
    /// A table for a person, which says where ours does not win.
    pub fn table(&self) -> String {
        let mut table = String::new();
        let show = |figure: &Figure| format!("{:.3} ({:.3} to {:.3})", figure.value, figure.low, figure.high);
        let first = |share: f64| format!("{:>24}", format!("riskiest {:.0}%", 100.0 * share));
        let mut line = |text: String| writeln!(table, "{}", text.trim_end()).expect("a string takes all text");
        if !self.anomaly.is_empty() {
            line(format!("  {:<27}{:>24}", "mixtures, mean of slices", "AUC"));
            for Ranking { name, mean, .. } in &self.anomaly {
                line(format!("  {name:<27}{:>24}", show(&mean.auc)));
            }
        }
        if !self.risk.is_empty() {
            line(format!(
                "  {:<27}{:>24}{:>24}{:>8}{:>8}",
                "risk, mean of the slices", "AUC", "mean precision", "Brier", "calib."
            ));
            for Ranking { name, mean, .. } in &self.risk {
                let [brier, calibration] = mean.probability.map_or([String::new(), String::new()], |fit| {
                    [fit.brier, fit.calibration_error].map(|figure| format!("{:.3}", figure.value))
                });
                let [auc, precision] = [&mean.auc, &mean.average_precision].map(show);
                line(format!("  {name:<27}{auc:>24}{precision:>24}{brier:>8}{calibration:>8}"));
            }
            line(format!("  {:<27}{}", "taken back that are in the", SHARES.map(first).concat()));
            for Ranking { name, mean, .. } in &self.risk {
                line(format!(
                    "  {name:<27}{}",
                    mean.capture.each_ref().map(|held| format!("{:>24}", show(held))).concat()
                ));
            }
            line("  taken back, by band of our probability:".to_owned());
            for SliceBands { slice, bands } in &self.risk_bands {
                let told = bands.iter().map(|band| {
                    let rate = band.test_rate().map_or("none".to_owned(), |rate| format!("{:.1}%", 100.0 * rate));
                    format!("from {:.1}%: {rate} of {}", 100.0 * band.from, band.test_rows)
                });
                line(format!("    slice {slice:<4}{}", told.collect::<Vec<_>>().join(", ")));
            }
        }
        if !self.category.is_empty() {
            line(format!(
                "  {:<27}{:>24}{:>24}{:>8}",
                "category, mean of the slices", "macro F1", "accuracy", "calib."
            ));
            for CategoryRow { name, macro_f1, accuracy, calibration_error, .. } in &self.category {
                let error = calibration_error.map_or(String::new(), |error| format!("{error:.3}"));
                line(format!("  {name:<27}{:>24}{:>24}{error:>8}", show(macro_f1), show(accuracy)));
            }
        }
        for lost in self.lost() {
            line(format!("  ours does not win: {lost}"));
        }
        for missing in &self.missing {
            line(format!("  not measured: {missing}"));
        }
        table.truncate(table.trim_end().len());
        table
    }

    /// Where another way is at least as good as ours in the mean, and where our own promise does not hold.
    fn lost(&self) -> Vec<String> {
        let mut lost = Vec::new();
        if let Some((ours, others)) = self.anomaly.split_first() {
            for other in others.iter().filter(|other| ours.mean.auc.value <= other.mean.auc.value) {
                lost.push(format!(
                    "anomaly auc {:.4}, {} {:.4}",
                    ours.mean.auc.value, other.name, other.mean.auc.value
                ));
            }
        }
        if let Some((ours, others)) = self.risk.split_first() {
            for other in others {
                // Of these more is better; of a fit less.
                for ((name, ours), (_, theirs)) in ours.mean.named().into_iter().zip(other.mean.named()) {
                    let less = ["brier", "log_loss", "calibration_error"].contains(&name);
                    let wins = if less { ours.value < theirs.value } else { ours.value > theirs.value };
                    if !wins {
                        lost.push(format!("risk {name} {:.4}, {} {:.4}", ours.value, other.name, theirs.value));
                    }
                }
            }
        }
        let unordered: Vec<String> = self
            .risk_bands
            .iter()
            .filter(|of| !of.bands.iter().filter_map(RiskBand::test_rate).is_sorted_by(|a, b| a >= b))
            .map(|of| of.slice.to_string())
            .collect();
        if !unordered.is_empty() {
            lost.push(format!("bands of risk are out of order in slice {}", unordered.join(", ")));
        }
        if let Some((ours, others)) = self.category.split_first() {
            for other in others {
                let pairs = [
                    ("macro F1", ours.macro_f1.value, other.macro_f1.value),
                    ("accuracy", ours.accuracy.value, other.accuracy.value),
                ];
                for (name, ours, theirs) in pairs.into_iter().filter(|&(_, ours, theirs)| ours <= theirs) {
                    lost.push(format!("category {name} {ours:.4}, {} {theirs:.4}", other.name));
                }
                if let (Some(error), Some(theirs)) = (ours.calibration_error, other.calibration_error)
                    && error >= theirs
                {
                    lost.push(format!("category calibration_error {error:.4}, {} {theirs:.4}", other.name));
                }
            }
        }
        lost
    }
}
