//! The run that a new one is compared with, and the statistics of any published run.

use anyhow::{Context, bail};
use prowl_features::digest;
use prowl_platform::{Folder, Kind, Store};

use super::{Drift, FILE, RunStatistics};

/// A published run to compare with.
pub(crate) struct Previous {
    name: String,
    statistics: RunStatistics,
}

impl Previous {
    /// The newest finished run of the store with the features of this program; `None` where there is none.
    pub(crate) async fn find(store: &Store) -> anyhow::Result<Option<Self>> {
        let features = digest();
        let comparable =
            |run: &Folder| run.manifest().details["features_digest"] == features && run.files(FILE).next().is_some();
        match store.newest(Kind::Features, comparable).await? {
            Some(run) => Self::read(&run).await.map(Some),
            None => Ok(None),
        }
    }

    pub(crate) async fn read(run: &Folder) -> anyhow::Result<Self> {
        Ok(Self { name: run.name().to_owned(), statistics: read(run).await? })
    }

    /// How far `now` is from it.
    pub(crate) fn drift(&self, now: &RunStatistics) -> Drift {
        Drift::between(&self.name, &self.statistics, now)
    }
}

/// The column statistics of a run.
pub(crate) async fn read(run: &Folder) -> anyhow::Result<RunStatistics> {
    if run.files(FILE).next().is_none() {
        bail!("the run {} has no column statistics: it is of an earlier version; make it again", run.name());
    }
    let content = run.read(FILE).await?;
    serde_json::from_slice(&content).with_context(|| format!("{}{FILE} is not usable: make the run again", run.url()))
}
