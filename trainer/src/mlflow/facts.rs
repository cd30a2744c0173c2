//! What MLflow is told of a training: where it comes from, what was chosen, and what came out.

use std::collections::BTreeMap;

use prowl_model::Metadata;
use prowl_platform::{Folder, Input};
use serde::Serialize;
use serde_json::{Value, json};

use super::Tracking;
use super::batch::{Batch, Metric, Param, Tag, cut};
use crate::{Settings, card};

/// The tag that names the model of the store, of its run and its version in MLflow.
pub(super) const VERSION_TAG: &str = "prowl.version";
/// What a registry keeps of a description, in characters.
const DESCRIPTION: usize = 5000;
/// Tag that MLflow shows as the description of a run, in Markdown.
const NOTE: &str = "mlflow.note.content";

/// A training that begins.
#[derive(Debug)]
pub(crate) struct Beginning {
    /// Name of the model in the making.
    pub(super) version: String,
    tags: Vec<Tag>,
    params: Vec<Param>,
    dataset: Dataset,
}

/// What a training learns from, in MLflow's words.
#[derive(Debug, Serialize)]
pub(super) struct Dataset {
    name: String,
    /// The beginning of it: MLflow takes 36 characters.
    digest: String,
    source_type: &'static str,
    /// JSON.
    source: String,
    /// JSON.
    profile: String,
}

impl Dataset {
    fn of(run: &Folder) -> Self {
        Self {
            name: format!("features {}", run.name()),
            digest: run.digest().chars().take(12).collect(),
            source_type: "prowl",
            source: json!({ "url": run.url().as_str() }).to_string(),
            profile: json!(run.manifest().counts).to_string(),
        }
    }
}

impl Beginning {
    /// Of a training on `run`, whose model will be called `version`.
    pub(crate) fn new(version: &str, store: &str, run: &Folder, settings: &Settings, tracking: &Tracking) -> Self {
        // A list of reverts is an input, too, and no export.
        let inputs: Vec<&Input> = run.manifest().inputs.iter().filter(|input| input.kind != "reverts").collect();
        let tags = [
            ("mlflow.source.name", Some("prowl-trainer".to_owned())),
            ("mlflow.source.type", Some("LOCAL".to_owned())),
            ("mlflow.source.git.commit", tracking.commit.clone()),
            ("mlflow.user", tracking.user.clone()),
            ("prowl.program", Some(concat!("prowl-trainer ", env!("CARGO_PKG_VERSION")).to_owned())),
            ("prowl.store", Some(store.to_owned())),
            (VERSION_TAG, Some(version.to_owned())),
            ("prowl.run", Some(run.name().to_owned())),
            ("prowl.run_digest", Some(run.digest().to_owned())),
            ("prowl.features_digest", run.manifest().details["features_digest"].as_str().map(str::to_owned)),
            ("prowl.export", Some(joined(&inputs, |input| Some(input.name.clone())))),
            ("prowl.export_digest", Some(joined(&inputs, |input| input.digest.clone()))),
        ];
        let tags = tags.into_iter().filter_map(|(name, value)| Some(Tag::new(name, &value.filter(|v| !v.is_empty())?)));
        let settings = serde_json::to_value(settings).unwrap_or_default();
        let mut params = Vec::new();
        flatten("", &settings, &mut params);
        Self { version: version.to_owned(), tags: tags.collect(), params, dataset: Dataset::of(run) }
    }

    pub(super) fn tags(&self) -> &[Tag] {
        &self.tags
    }

    pub(super) fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    pub(super) fn params(&self) -> Batch {
        Batch { params: self.params.clone(), ..Batch::default() }
    }
}

fn joined(inputs: &[&Input], of: impl Fn(&Input) -> Option<String>) -> String {
    inputs.iter().filter_map(|input| of(input)).collect::<Vec<_>>().join(", ")
}

/// Settings within settings are named by both, with a point between them.
fn flatten(name: &str, value: &Value, params: &mut Vec<Param>) {
    match value {
        Value::Object(parts) => {
            for (part, value) in parts {
                let name = if name.is_empty() { part.clone() } else { format!("{name}.{part}") };
                flatten(&name, value, params);
            }
        }
        Value::String(text) => params.push(Param::new(name, text)),
        other => params.push(Param::new(name, &other.to_string())),
    }
}

/// A model that was published.
#[derive(Debug)]
pub(crate) struct Product {
    pub(super) folder: Folder,
    pub(super) metrics: BTreeMap<String, f64>,
    /// Of the run and of the version in the registry alike.
    pub(super) tags: Vec<Tag>,
    pub(super) description: String,
}

impl Product {
    /// Of the model in `folder`.
    pub(crate) async fn new(folder: &Folder, metadata: &Metadata, digest: &str) -> Self {
        let tags = vec![
            Tag::new(VERSION_TAG, &metadata.version),
            Tag::new("prowl.model_digest", digest),
            Tag::new("prowl.features_digest", &metadata.features_digest),
            Tag::new("prowl.model_url", folder.url().as_str()),
        ];
        // One that cannot be read is told when the files are stored.
        let card = folder.read(card::FILE_NAME).await.unwrap_or_default();
        let description = cut(&String::from_utf8_lossy(&card), DESCRIPTION);
        Self { folder: folder.clone(), metrics: metadata.metrics.clone(), tags, description }
    }

    /// What the run is told in the end. The names of metrics that are no finite numbers come beside it.
    pub(super) fn batch(&self, now: i64) -> (Batch, Vec<&str>) {
        let mut left_out = Vec::new();
        let mut metrics = Vec::new();
        for (name, &value) in &self.metrics {
            match Metric::new(name, value, now, 0) {
                Some(metric) => metrics.push(metric),
                None => left_out.push(name.as_str()),
            }
        }
        let mut tags = self.tags.clone();
        tags.push(Tag::new(NOTE, &self.description));
        (Batch { metrics, tags, ..Batch::default() }, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_within_settings_have_names_of_their_own() {
        let mut params = Vec::new();
        flatten(
            "",
            &json!({ "seed": 7, "risk": { "trees": 200, "on": true }, "name": "x", "none": null }),
            &mut params,
        );
        let told = serde_json::to_value(params).unwrap();
        let expected = json!([
            { "key": "name", "value": "x" },
            { "key": "none", "value": "null" },
            { "key": "risk.on", "value": "true" },
            { "key": "risk.trees", "value": "200" },
            { "key": "seed", "value": "7" },
        ]);
        assert_eq!(told, expected);
    }
}
