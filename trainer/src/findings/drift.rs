//! What changed since the last model: how it judges the newest rows, and how far what is usual has moved.

use prowl_model::{Band, Model};
use rayon::prelude::*;

use crate::{Dataset, Split};

use super::anomaly::score;

/// Features whose shift is told, the largest.
const TOLD: usize = 12;

/// A smaller shift of a median, in spreads, is none.
const LEAST: f32 = 0.005;

/// Against an earlier model that reads the same features.
#[derive(Debug)]
pub(crate) struct Drift {
    /// Name of that model.
    pub(crate) version: String,
    /// Up to when it knows pull requests, in milliseconds since 1970, UTC.
    pub(crate) to: i64,
    /// Name of the features run it was learnt from.
    pub(crate) run: String,
    /// Share of this model's test slice that it calls unusual or very unusual.
    pub(crate) unusual: f64,
    /// Features whose median has moved, the farthest first.
    pub(crate) shifts: Vec<Shift>,
}

/// A feature whose median has moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shift {
    pub(crate) feature: usize,
    /// In its unit.
    pub(crate) before: f32,
    /// In its unit.
    pub(crate) now: f32,
    /// In spreads of the earlier model.
    pub(crate) spreads: f32,
}

impl Drift {
    pub(crate) fn of(data: &Dataset, model: &Model, last: &Model, split: &Split) -> Self {
        let unusual = split.test.par_iter().filter(|&&row| score(data, last, row).band != Band::Routine).count();
        let columns = last.parts().scaler.columns.iter().zip(&model.parts().scaler.columns);
        let shift = |(feature, (before, now)): (usize, (&prowl_model::Column, &prowl_model::Column))| {
            if !now.known {
                return None;
            }
            let medians = (before.usual.median, now.usual.median);
            let spreads = before.scale(medians.1)? - before.scale(medians.0)?;
            Some(Shift { feature, before: medians.0, now: medians.1, spreads })
        };
        let mut shifts: Vec<Shift> = columns.enumerate().filter_map(shift).collect();
        shifts.retain(|shift| shift.spreads.abs() >= LEAST);
        shifts.sort_by(|a, b| b.spreads.abs().total_cmp(&a.spreads.abs()));
        shifts.truncate(TOLD);
        let metadata = last.metadata();
        Self {
            version: metadata.version.clone(),
            to: metadata.training.known_to.unwrap_or(metadata.training.to),
            run: metadata.training.run.clone(),
            unusual: unusual as f64 / split.test.len() as f64,
            shifts,
        }
    }
}
