//! What came out of a training, for a person and for a program.

use std::collections::BTreeMap;
use std::fmt::Write;

use prowl_model::{Bands, DRIFTED, Metadata, Model};
use serde::Serialize;

use crate::findings::risk::FEW;
use crate::learn::RECALL;
use crate::page::{self, day};

/// The figures of a published model.
#[derive(Clone, Debug, Serialize)]
pub struct Report<'a> {
    /// Name of the model.
    pub version: &'a str,
    /// Where it lies.
    pub url: String,
    /// Hexadecimal SHA-256 of the model file.
    pub digest: String,
    /// Seconds from the first row read to the published model.
    pub seconds: f64,
    #[serde(skip)]
    bands: Bands,
    /// What the model says of itself, but for the list of features.
    #[serde(flatten)]
    summary: Summary<'a>,
}

#[derive(Clone, Debug, Serialize)]
struct Summary<'a> {
    features_digest: &'a str,
    training: &'a prowl_model::Training,
    metrics: &'a BTreeMap<String, f64>,
    categories: &'a [String],
    clusters: &'a [prowl_model::ClusterInfo],
    missing_heads: &'a BTreeMap<String, String>,
    risk: Option<&'a prowl_model::RiskInfo>,
}

impl<'a> Report<'a> {
    /// The report of a model that was published at `url`.
    pub fn new(model: &'a Model, url: String, digest: String, seconds: f64) -> Self {
        let metadata = model.metadata();
        let Metadata { bands, version, features_digest, training, metrics, missing_heads, .. } = metadata;
        Self {
            version,
            url,
            digest,
            seconds,
            bands: *bands,
            summary: Summary {
                features_digest,
                training,
                metrics,
                categories: &metadata.categories,
                clusters: &metadata.clusters,
                missing_heads,
                risk: metadata.risk.as_ref(),
            },
        }
    }

    /// Where the page lies that tells all of it.
    pub fn page(&self) -> String {
        format!("{}{}", self.url, page::FILE_NAME)
    }

    /// A table of the figures.
    pub fn table(&self) -> String {
        let mut table = String::new();
        let mut row =
            |name: &str, text: String| writeln!(table, "  {name:<22}{text}").expect("a string takes all text");
        let training = self.summary.training;
        let rows = training.rows + training.validation_rows + training.test_rows;
        row("rows", rows.to_string());
        if training.older_rows > 0 {
            row("  older, not learnt from", format!("{} (--max-rows)", training.older_rows));
        }
        row("  training", format!("{} opened {} to {}", training.rows, day(training.from), day(training.to)));
        let known_to = training.known_to.map_or_else(|| "–".to_owned(), day);
        row(
            "  validation",
            format!("{} opened after that, up to {known_to}: the model knows these, too", training.validation_rows),
        );
        row("  left out of the fit", format!("{}, the most unusual of both", training.trimmed_rows));
        let newest = training.test_rows;
        row(
            "  test",
            format!("the newest {newest} of {rows}, since {known_to}, only measured: the model does not know them"),
        );
        let metric = |name: &str| self.summary.metric(name);
        row("epochs", format!("{}", metric("epochs")));
        let errors = ["training_error", "validation_error", "test_error"].map(|name| format!("{:.4}", metric(name)));
        row("reconstruction error", format!("training {}, validation {}, test {}", errors[0], errors[1], errors[2]));
        // The bands are percentiles of the validation slice.
        let [unusual, very_unusual] = [self.bands.unusual, self.bands.very_unusual].map(|from| 100.0 - f64::from(from));
        let beside =
            |name: &str, usual: f64| format!("{} ({usual}% were so in validation)", self.summary.percent(name));
        row("test rows unusual", beside("test_share_unusual", unusual));
        row("  very unusual", beside("test_share_very_unusual", very_unusual));
        if 100.0 * metric("test_share_unusual") > DRIFTED * unusual {
            row(
                "",
                "more than in validation: what is usual has changed since; train again often, and on newer".to_owned(),
            );
            row("", "pull requests, or such a share of new ones will be called unusual".to_owned());
        }
        self.summary.category(&mut row);
        self.summary.groups(&mut row);
        self.summary.risk(&mut row);
        table.truncate(table.trim_end().len());
        table
    }
}

/// What each head says of itself, in rows of the table.
impl Summary<'_> {
    fn metric(&self, name: &str) -> f64 {
        self.metrics.get(name).copied().unwrap_or(f64::NAN)
    }

    fn percent(&self, name: &str) -> String {
        format!("{:.1}%", 100.0 * self.metric(name))
    }

    fn category(&self, row: &mut dyn FnMut(&str, String)) {
        if let Some(reason) = self.missing_heads.get("category") {
            return row("category head", format!("none: {reason}"));
        }
        let categories = self.categories.join(", ");
        if !self.metrics.contains_key("category_test_rows") {
            return row("category head", format!("{categories}; no test row declares one"));
        }
        row("category head", categories);
        row("  declared test rows", self.metric("category_test_rows").to_string());
        let beside =
            |own: String, usual: String| format!("{own} (always the most frequent of the training slice: {usual})");
        row("  accuracy", beside(self.percent("category_accuracy"), self.percent("category_majority_accuracy")));
        row("  calibration", format!("the probability is {} off", self.percent("category_calibration_error")));
        let [own, usual] =
            ["category_macro_f1", "category_majority_macro_f1"].map(|name| format!("{:.3}", self.metric(name)));
        row("  macro F1", beside(own, usual));
        let never = never_found(self.metrics);
        if !never.is_empty() {
            row("  never found", format!("{}, of all test rows that declare them", never.join(", ")));
        }
    }

    fn groups(&self, row: &mut dyn FnMut(&str, String)) {
        match self.missing_heads.get("clusters") {
            Some(reason) => row("groups", format!("none: {reason}")),
            None => row("groups", "of what declares no category, by what is typical of each".to_owned()),
        }
        for cluster in self.clusters {
            row("", format!("{} ({})", cluster.name, cluster.rows));
        }
    }

    fn risk(&self, row: &mut dyn FnMut(&str, String)) {
        if let Some(reason) = self.missing_heads.get("risk") {
            return row("risk head", format!("none: {reason}"));
        }
        let Some(risk) = self.risk else { return };
        let base = 100.0 * risk.base_rate();
        row(
            "risk head",
            format!("{}, learnt from {} reverts of {}", risk.members.join(" and "), risk.reverted, risk.rows),
        );
        row("  taken back", format!("{base:.1}% of the later ones that it was chosen by; by its probability:"));
        for (band, to) in risk.ranges() {
            let test = band.test_rate().map_or("nothing in test".to_owned(), |rate| {
                format!("{:.1}% of {} in test", 100.0 * rate, band.test_rows)
            });
            row(
                &format!("  {:.1} to {:.1}%", 100.0 * band.from, 100.0 * to),
                format!("{:.1}% of {}, and {test}", 100.0 * band.rate(), band.rows),
            );
        }
        let Some(auc) = self.metrics.get("risk_test_auc") else { return };
        let error = self.percent("risk_test_calibration_error");
        let churn = self.metrics.get("risk_test_churn_auc");
        let churn = churn.map_or(String::new(), |churn| format!(" (churn alone: {churn:.3})"));
        let [reverted, rows] = ["risk_test_reverted", "risk_test_rows"].map(|name| self.metric(name));
        row("  test", format!("{reverted} of {rows} taken back: AUC {auc:.3}{churn}, the probability is {error} off"));
        if reverted < FEW as f64 {
            row("", "so few that chance may have made it: prowl-trainer backtest judges by more".to_owned());
        }
    }
}

/// The categories of which no test row was told rightly.
pub(crate) fn never_found(metrics: &BTreeMap<String, f64>) -> Vec<&str> {
    let never = metrics.iter().filter(|&(_, &recall)| recall == 0.0);
    never.filter_map(|(name, _)| name.strip_prefix(RECALL)).collect()
}

#[cfg(test)]
mod tests {
    use prowl_model::Training;

    use super::*;

    #[test]
    fn shares_are_told_beside_those_of_the_bands() {
        let table = |bands: Bands, share: f64| {
            let training = Training {
                from: 0,
                known_to: Some(86_400_000),
                older_rows: 0,
                rows: 70,
                run: String::new(),
                run_digest: String::new(),
                seed: 0,
                test_rows: 15,
                to: 0,
                trimmed_rows: 0,
                validation_rows: 15,
            };
            let metrics = BTreeMap::from([("test_share_unusual".to_owned(), share)]);
            let summary = Summary {
                features_digest: "",
                training: &training,
                metrics: &metrics,
                categories: &[],
                clusters: &[],
                missing_heads: &BTreeMap::new(),
                risk: None,
            };
            let (url, digest) = (String::new(), String::new());
            Report { version: "", url, digest, seconds: 0.0, bands, summary }.table()
        };
        let usual = table(Bands::default(), 0.09);
        assert!(usual.contains("9.0% (5% were so") && usual.contains("(1% were so"), "{usual}");
        assert!(!usual.contains("train again"), "{usual}");
        assert!(usual.contains("15 opened after that, up to 1970-01-02: the model knows these"), "{usual}");
        assert!(usual.contains("the newest 15 of 100, since 1970-01-02, only measured"), "{usual}");
        assert!(table(Bands::default(), 0.11).contains("train again"));
        let narrow = table(Bands { unusual: 98.0, very_unusual: 99.5 }, 0.05);
        assert!(narrow.contains("5.0% (2% were so") && narrow.contains("(0.5% were so"), "{narrow}");
        assert!(narrow.contains("train again"), "{narrow}");
    }
}
