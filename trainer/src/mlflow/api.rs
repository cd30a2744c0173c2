//! The calls of MLflow's REST interface (2.0) that a training needs.

use std::time::Duration;

use prowl_platform::Folder;
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Body, Method, Request};
use serde::{Deserialize, Serialize};

use super::MlflowError;
use super::batch::{Batch, Tag};
use super::client::{Client, Failure};
use super::facts::{Dataset, VERSION_TAG};

/// An upload ends with the time that there is, not before.
const UPLOAD_TIMEOUT: Duration = Duration::from_hours(1);

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Status {
    Finished,
    Failed,
    Killed,
}

/// An experiment, as MLflow tells of it.
#[derive(Debug, Deserialize)]
struct Experiment {
    experiment_id: String,
    #[serde(default)]
    lifecycle_stage: String,
}

/// A run that was begun.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Run {
    #[serde(rename = "run_id")]
    pub(super) id: String,
    #[serde(rename = "experiment_id")]
    pub(super) experiment: String,
    pub(super) artifact_uri: String,
}

#[derive(Deserialize)]
struct RunInfo {
    info: Run,
}

#[derive(Deserialize)]
struct ModelVersion {
    name: String,
    version: String,
}

/// An answer that says no more than that it was done.
#[derive(Deserialize)]
struct Done {}

impl Client {
    /// The id of the experiment, which is made where it is missing and restored where it was deleted.
    pub(super) async fn experiment(&self, name: &str) -> Result<String, MlflowError> {
        let found = self.find_or_make_experiment(name).await?;
        if found.lifecycle_stage == "deleted" {
            let body = serde_json::json!({ "experiment_id": found.experiment_id });
            self.post::<Done>("restore an experiment", "experiments/restore", &body).await?;
            tracing::info!(experiment = name, "the experiment was deleted in MLflow; it is restored");
        }
        Ok(found.experiment_id)
    }

    async fn find_or_make_experiment(&self, name: &str) -> Result<Experiment, Failure> {
        #[derive(Deserialize)]
        struct Found {
            experiment: Experiment,
        }
        #[derive(Deserialize)]
        struct Made {
            experiment_id: String,
        }
        let query = [("experiment_name", name)];
        let find = || self.get::<Found>("find an experiment", "experiments/get-by-name", &query);
        match find().await {
            Err(failure) if failure.says("RESOURCE_DOES_NOT_EXIST") => {}
            found => return Ok(found?.experiment),
        }
        // Newer servers show another kind of runs first, where it is not said which ones these are.
        let kind = Tag::new("mlflow.experimentKind", "custom_model_development");
        let body = serde_json::json!({ "name": name, "tags": [kind] });
        match self.post::<Made>("make an experiment", "experiments/create", &body).await {
            // Somebody else was faster, or the answer to an earlier try was lost.
            Err(failure) if failure.says("RESOURCE_ALREADY_EXISTS") => Ok(find().await?.experiment),
            made => Ok(Experiment { experiment_id: made?.experiment_id, lifecycle_stage: String::new() }),
        }
    }

    /// Begins a run called `name`. `start_time` is in milliseconds since 1970 UTC.
    pub(super) async fn create_run(
        &self,
        experiment_id: &str,
        name: &str,
        start_time: i64,
        tags: &[Tag],
    ) -> Result<Run, MlflowError> {
        #[derive(Serialize)]
        struct Create<'a> {
            experiment_id: &'a str,
            run_name: &'a str,
            start_time: i64,
            tags: &'a [Tag],
        }
        #[derive(Deserialize)]
        struct Created {
            run: RunInfo,
        }
        let body = Create { experiment_id, run_name: name, start_time, tags };
        let mut tries = self.tries();
        loop {
            match self.post_once::<Created>("begin a run", "runs/create", &body).await {
                Err(failure) => tries.after(failure).await?,
                created => return Ok(created?.run.info),
            }
            // It may have been begun although no answer came.
            if let Some(run) = self.find_run(experiment_id, name, start_time).await? {
                return Ok(run);
            }
        }
    }

    async fn find_run(&self, experiment_id: &str, name: &str, start_time: i64) -> Result<Option<Run>, Failure> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(default)]
            runs: Vec<RunInfo>,
        }
        let filter = format!("attributes.start_time = {start_time} and attributes.run_name = '{name}'");
        let body = serde_json::json!({ "experiment_ids": [experiment_id], "filter": filter, "max_results": 1 });
        let found: Found = self.post("find a run", "runs/search", &body).await?;
        Ok(found.runs.into_iter().next().map(|run| run.info))
    }

    /// Adds metrics, params and tags to a run. The same ones may come again.
    pub(super) async fn log(&self, run: &Run, batch: &Batch) -> Result<(), MlflowError> {
        #[derive(Serialize)]
        struct Log<'a> {
            run_id: &'a str,
            #[serde(flatten)]
            batch: &'a Batch,
        }
        let body = Log { run_id: &run.id, batch };
        self.post::<Done>("log metrics", "runs/log-batch", &body).await?;
        Ok(())
    }

    /// Says what a run learns from.
    pub(super) async fn log_dataset(&self, run: &Run, dataset: &Dataset) -> Result<(), MlflowError> {
        let context = Tag::new("mlflow.data.context", "training");
        let dataset = serde_json::json!({ "dataset": dataset, "tags": [context] });
        let body = serde_json::json!({ "run_id": run.id, "datasets": [dataset] });
        self.post::<Done>("log a dataset", "runs/log-inputs", &body).await?;
        Ok(())
    }

    /// Ends a run. `end_time` is in milliseconds since 1970 UTC.
    pub(super) async fn end_run(&self, run: &Run, status: Status, end_time: i64) -> Result<(), MlflowError> {
        let body = serde_json::json!({ "run_id": run.id, "status": status, "end_time": end_time });
        self.post::<Done>("end a run", "runs/update", &body).await?;
        Ok(())
    }

    /// The parts of the URL below which the artifacts of a run lie.
    ///
    /// # Errors
    /// They do not lie where MLflow itself takes them.
    pub(super) fn artifacts<'a>(&self, run: &'a Run, experiment: &str) -> Result<Vec<&'a str>, MlflowError> {
        let parts = artifact_path(&run.artifact_uri).ok_or_else(|| MlflowError::Artifacts {
            host: self.address().host(),
            experiment: experiment.to_owned(),
            scheme: run.artifact_uri.split(':').next().unwrap_or_default().to_owned(),
        })?;
        Ok(["api", "2.0", "mlflow-artifacts", "artifacts"].into_iter().chain(parts).collect())
    }

    /// Puts a file of a published folder at the URL of these parts. It is never held as a whole.
    pub(super) async fn upload(
        &self,
        at: impl Iterator<Item = &str>,
        folder: &Folder,
        file: &str,
    ) -> Result<(), MlflowError> {
        let url = self.address().below(at);
        let mut tries = self.tries();
        loop {
            let (size, content) = folder.stream(file).await.map_err(|error| MlflowError::unreadable(&error))?;
            let mut request = Request::new(Method::PUT, url.clone());
            request.headers_mut().insert(CONTENT_LENGTH, size.into());
            *request.body_mut() = Some(Body::wrap_stream(content));
            match self.send("store an artifact", request, UPLOAD_TIMEOUT).await {
                Err(failure) => tries.after(failure).await?,
                Ok(_) => return Ok(()),
            }
        }
    }

    /// Makes sure that there is a registered model of this name.
    pub(super) async fn registered_model(&self, name: &str, description: &str) -> Result<(), MlflowError> {
        let body = serde_json::json!({ "name": name, "description": description });
        match self.post::<Done>("register a model", "registered-models/create", &body).await {
            Err(failure) if !failure.says("RESOURCE_ALREADY_EXISTS") => Err(failure.into()),
            _ => Ok(()),
        }
    }

    /// Makes the next version of a registered model, of what lies in `directory` of the artifacts of `run`.
    pub(super) async fn model_version(
        &self,
        run: &Run,
        directory: &str,
        name: &str,
        description: &str,
        tags: &[Tag],
    ) -> Result<String, MlflowError> {
        #[derive(Serialize)]
        struct Create<'a> {
            name: &'a str,
            source: String,
            run_id: &'a str,
            description: &'a str,
            tags: &'a [Tag],
        }
        #[derive(Deserialize)]
        struct Created {
            model_version: ModelVersion,
        }
        let source = format!("{}/{directory}", run.artifact_uri.trim_end_matches('/'));
        let body = Create { name, source, run_id: &run.id, description, tags };
        let mut tries = self.tries();
        loop {
            match self.post_once::<Created>("register a version", "model-versions/create", &body).await {
                Err(failure) => tries.after(failure).await?,
                created => return Ok(created?.model_version.version),
            }
            // It may have been made although no answer came.
            if let Some(version) = self.find_model_version(&format!("run_id = '{}'", run.id), name).await? {
                return Ok(version);
            }
        }
    }

    /// Whether there is a version of the registered model `name` of the model that the store calls `version`.
    pub(super) async fn has_model_version(&self, name: &str, version: &str) -> Result<bool, MlflowError> {
        let found = self.find_model_version(&format!("tags.`{VERSION_TAG}` = '{version}'"), name).await?;
        Ok(found.is_some())
    }

    async fn find_model_version(&self, filter: &str, name: &str) -> Result<Option<String>, Failure> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(default)]
            model_versions: Vec<ModelVersion>,
        }
        let found: Found = self.get("find a version", "model-versions/search", &[("filter", filter)]).await?;
        Ok(found.model_versions.into_iter().find(|version| version.name == name).map(|version| version.version))
    }

    /// Lets `alias` mean this version of a registered model, and no other any more.
    pub(super) async fn alias(&self, name: &str, alias: &str, version: &str) -> Result<(), MlflowError> {
        let body = serde_json::json!({ "name": name, "alias": alias, "version": version });
        self.post::<Done>("move an alias", "registered-models/alias", &body).await?;
        Ok(())
    }
}

/// The parts of the path below which MLflow itself takes the artifacts of a run; none where they lie elsewhere.
fn artifact_path(uri: &str) -> Option<impl Iterator<Item = &str>> {
    let path = uri.strip_prefix("mlflow-artifacts:")?;
    // Two slashes begin the name of another server.
    let path = path.strip_prefix("//").unwrap_or(path).strip_prefix('/')?;
    Some(path.split('/').filter(|part| !part.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifacts_go_through_mlflow_or_nowhere() {
        let path = |uri| artifact_path(uri).map(|parts| parts.collect::<Vec<_>>().join("/"));
        assert_eq!(path("mlflow-artifacts:/1/ab/artifacts").as_deref(), Some("1/ab/artifacts"));
        assert_eq!(path("mlflow-artifacts:///1/ab/artifacts/").as_deref(), Some("1/ab/artifacts"));
        for elsewhere in ["mlflow-artifacts://other:5000/1", "s3://bucket/1", "/var/mlflow/1", "file:///1"] {
            assert_eq!(path(elsewhere), None, "{elsewhere}");
        }
    }
}
