//! `prowl-preprocess inspect`: what a published run says of itself.

use std::fmt;

use anyhow::Context;
use indicatif::HumanCount;
use prowl_platform::{Folder, Kind, Manifest, Store};
use serde::{Deserialize, Serialize};

use crate::args::Inspect;
use crate::statistics::{self, Drift, Previous, RunStatistics};
use crate::summary::Rejected;

/// Columns that are shown one by one where a run is compared.
const FARTHEST: usize = 20;

/// What a run holds, and how far that is from another.
#[derive(Debug, Serialize)]
pub struct Inspection {
    url: String,
    manifest: Manifest,
    statistics: RunStatistics,
    /// From the run that was asked for, or from the one before it; `None` where there was none.
    drift: Option<Drift>,
}

/// What is read of what the manifest of a run says under `details`.
#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    rejects: Vec<Rejected>,
    #[serde(default)]
    drift: Option<Drift>,
}

/// Reads a run. Its rows are not looked at.
///
/// # Errors
/// There is no such run, or it or the one to compare with has no statistics or is damaged.
pub async fn inspect(ask: &Inspect) -> anyhow::Result<Inspection> {
    let store = Store::connect(&ask.store).await?;
    let run = store.folder(Kind::Features, &ask.run).await?;
    let statistics = statistics::read(&run).await?;
    let drift = match &ask.against {
        Some(other) => {
            let other = store.folder(Kind::Features, other).await?;
            Some(Previous::read(&other).await?.drift(&statistics))
        }
        None => details(&run)?.drift,
    };
    Ok(Inspection { url: run.url().to_string(), manifest: run.manifest().clone(), statistics, drift })
}

fn details(run: &Folder) -> anyhow::Result<Details> {
    Details::deserialize(&run.manifest().details)
        .with_context(|| format!("{}manifest.json has unusable details: make the run again", run.url()))
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, manifest, statistics, drift } = self;
        writeln!(f, "{url}\nby {}", manifest.program)?;
        for input in manifest.inputs.iter().take(3) {
            writeln!(f, "from {} {}", input.kind, input.name)?;
        }
        if manifest.inputs.len() > 3 {
            writeln!(f, "and {} more", manifest.inputs.len() - 3)?;
        }
        let count = |name: &str| HumanCount(manifest.counts.get(name).copied().unwrap_or_default());
        writeln!(
            f,
            "read {} = kept {} + superseded {} + rejected {}, of {} {}",
            count("read"),
            count("kept"),
            count("superseded"),
            count("rejected"),
            count("repositories"),
            if manifest.counts.get("repositories") == Some(&1) { "repository" } else { "repositories" },
        )?;
        for rejected in Details::deserialize(&manifest.details).map(|details| details.rejects).unwrap_or_default() {
            writeln!(f, "  rejected {rejected}")?;
        }
        writeln!(f, "\n{statistics}\n")?;
        match drift {
            Some(drift) => write!(f, "{}", drift.table(FARTHEST)),
            None => write!(f, "no drift to tell: there was no run with the same features before it"),
        }
    }
}
