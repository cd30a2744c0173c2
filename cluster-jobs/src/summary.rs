//! What a job tells at its end, as text and as JSON.

use std::cmp::Reverse;
use std::fmt;

use indicatif::HumanCount;
use serde::{Deserialize, Serialize};

use crate::report::{Complaint, Later, Report};
use crate::statistics::Drift;

/// Columns that a summary or a failure names.
pub(crate) const COLUMNS_NAMED: usize = 5;

/// What a run did.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Name of the published run.
    pub run: String,
    /// Its URL.
    pub url: String,
    /// Documents read.
    pub read: u64,
    /// Newest versions, one feature row each.
    pub kept: u64,
    /// Older versions of these.
    pub superseded: u64,
    /// Lines that cannot be used.
    pub rejected: u64,
    /// Repositories seen.
    pub repositories: u64,
    /// Columns of features.
    pub features: usize,
    /// The most frequent reasons for rejects.
    pub reasons: Vec<Rejected>,
    /// How many more reasons there are.
    pub more_reasons: usize,
    /// What the list of reverts told; `None` without one.
    pub reverts: Option<Listed>,
    /// Those with times after its start.
    pub later: Later,
    /// How far its columns are from those of the run before; `None` where there is none.
    pub drift: Option<Drift>,
    /// How long it took.
    pub seconds: f64,
    /// URL of the store.
    #[serde(skip)]
    pub store: String,
}

/// What a list of reverts told.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// URL of the list.
    pub file: String,
    /// Pull requests that it names.
    pub named: u64,
    /// Those of them that the export has, merged.
    pub found: u64,
}

/// Lines that cannot be used for one reason.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rejected {
    /// The reason, and the field at fault.
    pub reason: String,
    /// How many there are, and where the first is.
    #[serde(flatten)]
    pub complaint: Complaint,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, complaint: Complaint { times, file, line } } = self;
        write!(f, "{times} × {reason} (first in {file} line {line})")
    }
}

/// What came of it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Done {
    /// A run was published.
    Published(Box<Summary>),
    /// Nothing: the store has such a run.
    NothingNew {
        /// Its name.
        run: String,
        /// Its URL.
        url: String,
    },
    /// Nothing: the store has no export yet.
    NothingYet {
        /// Its URL.
        store: String,
    },
}

/// The most frequent reasons, and how many more there are.
pub(crate) fn most_frequent(report: &Report, most: usize) -> (Vec<Rejected>, usize) {
    let mut reasons: Vec<_> = report.reasons.iter().collect();
    // The sort is stable, and the map gives equally frequent ones by name.
    reasons.sort_by_key(|(_, complaint)| Reverse(complaint.times));
    let more = reasons.len().saturating_sub(most);
    let rejected =
        |(reason, complaint): (&String, &Complaint)| Rejected { reason: reason.clone(), complaint: complaint.clone() };
    (reasons.into_iter().take(most).map(rejected).collect(), more)
}

pub(crate) fn and_more(reasons: usize) -> String {
    format!("and {reasons} more reason{}", if reasons == 1 { "" } else { "s" })
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published(summary) => summary.fmt(f),
            Self::NothingNew { run, url } => {
                write!(f, "nothing new: nothing was published\n  the run {run} was made of this export: {url}")
            }
            Self::NothingYet { store } => {
                write!(f, "nothing new: nothing was published\n  there is no export in {store} yet")
            }
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, kept, superseded, rejected, .. } = self;
        writeln!(
            f,
            "read {read} = kept {kept} + superseded {superseded} + rejected {rejected}, {} features each, from {} in {:.1} s",
            self.features,
            if self.repositories == 1 {
                "1 repository".to_owned()
            } else {
                format!("{} repositories", HumanCount(self.repositories))
            },
            self.seconds,
        )?;
        for rejected in &self.reasons {
            writeln!(f, "  rejected {rejected}")?;
        }
        if self.more_reasons > 0 {
            writeln!(f, "  {}", and_more(self.more_reasons))?;
        }
        if self.rejected > 0 {
            writeln!(f, "  each with its place and reason in {}rejects/", self.url)?;
        }
        if let Some(Listed { file, named, found }) = &self.reverts {
            writeln!(f, "of {named} pull requests that {file} names as taken back, {found} were found merged")?;
        }
        if self.later.count > 0 {
            writeln!(f, "{}", self.later)?;
        }
        match &self.drift {
            Some(drift) => writeln!(f, "{}", drift.table(COLUMNS_NAMED))?,
            None => writeln!(f, "no drift to tell: the store has no run with the same features before this one")?,
        }
        writeln!(f, "published {}", self.url)?;
        write!(f, "next: prowl-trainer train --store {} --features {}", self.store, self.run)
    }
}
