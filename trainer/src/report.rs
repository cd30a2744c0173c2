//! What came out of a training, for a person and for a program.

use std::fmt::Write;

use jiff::Timestamp;
use prowl_model::{Metadata, Model};
use serde::Serialize;

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
    /// What the model says of itself, but for the list of features.
    #[serde(flatten)]
    summary: Summary<'a>,
}

#[derive(Clone, Debug, Serialize)]
struct Summary<'a> {
    features_digest: &'a str,
    training: &'a prowl_model::Training,
    metrics: &'a std::collections::BTreeMap<String, f64>,
    categories: &'a [String],
    missing_heads: &'a std::collections::BTreeMap<String, String>,
}

/// Share of unusual test rows from which the report speaks of drift: twice that of the validation slice.
const DRIFTED: f64 = 0.10;

impl<'a> Report<'a> {
    /// The report of a model that was published at `url`.
    pub fn new(model: &'a Model, url: String, digest: String, seconds: f64) -> Self {
        let Metadata { version, features_digest, training, metrics, categories, missing_heads, .. } = model.metadata();
        Self {
            version,
            url,
            digest,
            seconds,
            summary: Summary { features_digest, training, metrics, categories, missing_heads },
        }
    }

    /// A table of the figures.
    pub fn table(&self) -> String {
        let Summary { training, metrics, categories, missing_heads, .. } = &self.summary;
        let metric = |name: &str| metrics.get(name).copied().unwrap_or(f64::NAN);
        let mut table = String::new();
        let mut row =
            |name: &str, text: String| writeln!(table, "  {name:<22}{text}").expect("a string takes all text");
        let day = |time: i64| {
            Timestamp::from_millisecond(time).map_or_else(|_| time.to_string(), |time| time.strftime("%F").to_string())
        };
        row("rows", (training.rows + training.validation_rows + training.test_rows).to_string());
        row("  training", format!("{} opened {} to {}", training.rows, day(training.from), day(training.to)));
        row("  left out of the fit", format!("{}, the most unusual of these", training.trimmed_rows));
        row("  validation", format!("{} opened after that", training.validation_rows));
        row("  test", format!("{} opened after those", training.test_rows));
        row("epochs", format!("{}", metric("epochs")));
        let errors = ["training_error", "validation_error", "test_error"].map(|name| format!("{:.4}", metric(name)));
        row("reconstruction error", format!("training {}, validation {}, test {}", errors[0], errors[1], errors[2]));
        let percent = |name: &str| format!("{:.1}%", 100.0 * metric(name));
        row("test rows unusual", format!("{} (5% were so in validation)", percent("test_share_unusual")));
        row("  of high risk", format!("{} (1% were so in validation)", percent("test_share_high_risk")));
        if metric("test_share_unusual") > DRIFTED {
            row(
                "",
                "more than in validation: what is usual has changed since; train again often, and on newer".to_owned(),
            );
            row("", "pull requests, or such a share of new ones will be called unusual".to_owned());
        }
        match missing_heads.get("category") {
            Some(reason) => row("category head", format!("none: {reason}")),
            None if metrics.contains_key("category_test_rows") => {
                row("category head", categories.join(", "));
                row("  declared test rows", metric("category_test_rows").to_string());
                row(
                    "  accuracy",
                    format!(
                        "{} (always the most frequent of the training slice: {})",
                        percent("category_accuracy"),
                        percent("category_majority_accuracy")
                    ),
                );
                row(
                    "  macro F1",
                    format!(
                        "{:.3} (always the most frequent of the training slice: {:.3})",
                        metric("category_macro_f1"),
                        metric("category_majority_macro_f1")
                    ),
                );
            }
            None => row("category head", format!("{}; no test row declares one", categories.join(", "))),
        }
        if let Some(reason) = missing_heads.get("risk") {
            row("risk head", format!("none: {reason}"));
        }
        table
    }
}
