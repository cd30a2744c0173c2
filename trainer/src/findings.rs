//! What a training found, for its readers: the facts behind the report and the model card, gathered after the model is made.
//!
//! Everything here is measured on the finished model and changes nothing of it. The same rows, settings and earlier model
//! give the same findings on any number of threads.

pub(crate) mod anomaly;
pub(crate) mod category;
pub(crate) mod data;
pub(crate) mod drift;
pub(crate) mod importance;
pub(crate) mod risk;

use std::ops::ControlFlow;

use prowl_model::Model;

use crate::autoencoder::Epoch;
use crate::{Dataset, Settings, Split, Step, TrainError};

/// The losses of both fits, epoch by epoch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    /// Of the fit on the training slice, judged by the validation slice.
    pub(crate) first: Vec<Epoch>,
    /// Of the fit that the model keeps.
    pub(crate) last: Vec<Epoch>,
}

impl Course {
    /// Notes a step that is an epoch of one of them.
    pub(crate) fn add(&mut self, step: Step<'_>) {
        match step {
            Step::First(epoch) => self.first.push(*epoch),
            Step::Final(epoch) => self.last.push(*epoch),
            _ => {}
        }
    }
}

/// The facts.
#[derive(Debug)]
pub(crate) struct Findings<'a> {
    pub(crate) model: &'a Model,
    /// Hexadecimal SHA-256 of the model file.
    pub(crate) digest: String,
    pub(crate) settings: &'a Settings,
    pub(crate) course: Course,
    pub(crate) data: data::Counts,
    pub(crate) anomaly: anomaly::Anomaly,
    /// None where there is no head or no row to judge it by.
    pub(crate) risk: Option<risk::Risk>,
    /// None where there is no head or no row to judge it by.
    pub(crate) category: Option<category::Kinds>,
    /// Or why there is none.
    pub(crate) drift: Result<drift::Drift, String>,
}

impl<'a> Findings<'a> {
    /// Gathers the facts about a model that was learnt from `data`. `last` is the newest model before it that reads the same
    /// features, or why there is none. `watch` is asked between two pieces of work and may break off.
    ///
    /// # Errors
    /// [`TrainError::Stopped`], and where the rows are too few to split.
    pub(crate) fn of(
        data: &Dataset,
        model: &'a Model,
        digest: String,
        settings: &'a Settings,
        course: Course,
        last: Result<Model, String>,
        watch: &dyn Fn() -> ControlFlow<()>,
    ) -> Result<Self, TrainError> {
        let go_on = || if watch().is_break() { Err(TrainError::Stopped) } else { Ok(()) };
        let split = Split::of(data)?;
        let anomaly = anomaly::Anomaly::of(data, model, &split);
        go_on()?;
        let risk = risk::Risk::of(data, model, &split, settings.seed);
        go_on()?;
        let category = category::Kinds::of(data, model, &split, settings.seed);
        go_on()?;
        let drift = last.map(|last| drift::Drift::of(data, model, &last, &split));
        go_on()?;
        let counts = data::Counts::of(data, &split);
        Ok(Self { model, digest, settings, course, data: counts, anomaly, risk, category, drift })
    }
}

/// At most so many of these rows, the newest.
pub(crate) fn newest<T>(rows: &[T], most: usize) -> &[T] {
    &rows[rows.len().saturating_sub(most)..]
}

/// At most so many of these rows, evenly spread over them.
pub(crate) fn spread(rows: &[usize], most: usize) -> Vec<usize> {
    let kept = rows.len().min(most);
    (0..kept).map(|place| rows[place * rows.len() / kept]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_thinned_evenly() {
        let rows: Vec<usize> = (10..20).collect();
        assert_eq!(spread(&rows, 5), [10, 12, 14, 16, 18]);
        assert_eq!(spread(&rows, 50), rows);
        assert_eq!(spread(&[], 5), [0; 0]);
        assert_eq!(newest(&rows, 2), [18, 19]);
    }
}
