//! `prowl-preprocess prune`: takes old features runs away, and what dead programs have left of theirs.

use std::fmt;

use indicatif::{HumanBytes, HumanCount};
use prowl_platform::{Keep, Kind, Pruned, Store};
use serde::Serialize;

use crate::args::Prune;

/// What went, or would.
#[derive(Debug, Serialize)]
pub struct Pruning {
    dry_run: bool,
    #[serde(flatten)]
    pruned: Pruned,
}

/// Removes features runs.
///
/// # Errors
/// There is no store, or it cannot be read or written.
pub async fn prune(ask: &Prune) -> anyhow::Result<Pruning> {
    let keep = Keep { dry_run: ask.dry_run, ..Keep::newest(ask.keep) };
    let store = Store::connect(&ask.store).await?;
    Ok(Pruning { dry_run: ask.dry_run, pruned: store.prune(Kind::Features, keep).await? })
}

impl fmt::Display for Pruning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dry_run, pruned: Pruned { finished, unfinished, at_work, needed, files, bytes } } = self;
        for name in finished {
            writeln!(f, "{name}  old")?;
        }
        for name in unfinished {
            writeln!(f, "{name}  never finished")?;
        }
        for name in at_work {
            writeln!(f, "{name}  stays: unfinished, and less than a day old")?;
        }
        for name in needed {
            writeln!(f, "{name}  stays: a model was made from it")?;
        }
        let (done, runs) = (if *dry_run { "would remove" } else { "removed" }, finished.len() + unfinished.len());
        let plural = if runs == 1 { "" } else { "s" };
        write!(f, "{done} {runs} run{plural}: {} files, {}", HumanCount(*files), HumanBytes(*bytes))
    }
}
