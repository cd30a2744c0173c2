//! How far what is scored has moved from what the model has learnt from, feature by feature.
//!
//! The measure is the population stability index over the bins of the training rows: `Σ (now - then) ln(now / then)`, the
//! symmetric Kullback-Leibler divergence of the two spreads (Siddiqi, "Credit risk scorecards", 2006). Under 0.1 little has
//! moved, above 0.25 much. It is taken over the last few thousand pull requests, however long these took to come.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prowl_features::FEATURE_COUNT;
use prowl_model::{BINS, Bins, FeatureInfo};
use serde::Serialize;

use super::at_hand;
use crate::engine::Engine;

/// Pull requests of a slot; the oldest slot goes when a new one begins.
const SLOT: u32 = 100;

/// Slots that are kept, the one that is being filled among them.
const SLOTS: usize = 20;

/// Fewer pull requests than this tell nothing: their dice alone would look like drift.
const ENOUGH: u32 = 200;

/// Most pull requests that are counted in a second; a sample of more says no more.
const A_SECOND: u32 = 100;

/// Whether a feature tells of the history, and not of what comes in. Until that is read anew, those of a repository are alike in
/// all of its pull requests and those of an author in all by that author, so that their spread is that of a few repositories and
/// people, and the days since an event only grow. Either would look like drift; how old the history is tells a figure of its own.
fn is_of_history(info: &FeatureInfo) -> bool {
    info.group == "repository" || info.source == "author's history" || info.unit == "days"
}

/// A share that counts for one of zero, which would be infinitely far from any other.
const LEAST: f64 = 1e-3;

#[derive(Default)]
pub(super) struct Drift {
    window: Mutex<Window>,
}

/// What was counted of the last pull requests, for one model.
#[derive(Default)]
struct Window {
    model: String,
    slots: VecDeque<Slot>,
    second: Option<Instant>,
    counted: u32,
}

struct Slot {
    rows: u32,
    /// A count for each bin of each feature.
    counts: Vec<[u32; BINS]>,
}

/// What is told of it.
#[derive(Serialize)]
pub(crate) struct Drifts {
    /// Pull requests that were counted.
    pub(crate) rows: u32,
    /// So many of them are needed.
    pub(crate) enough: u32,
    /// Most that are looked at: the last ones.
    window: u32,
    /// The farthest first.
    pub(crate) features: Vec<FeatureDrift>,
}

#[derive(Serialize)]
pub(crate) struct FeatureDrift {
    pub(crate) name: String,
    group: String,
    about: String,
    unit: String,
    /// `None` where too few were counted.
    pub(crate) psi: Option<f64>,
    bins: Vec<Bin>,
}

/// A bin: values from one edge to below the other, or the unknown ones.
#[derive(Serialize)]
struct Bin {
    from: Option<f32>,
    to: Option<f32>,
    unknown: bool,
    training: f64,
    now: f64,
}

impl Drift {
    /// Counts a vector, unless enough were counted in this second or another is being counted.
    pub(super) fn count(&self, engine: &Engine, values: &[f32; FEATURE_COUNT]) {
        let Some(mut window) = at_hand(&self.window) else { return };
        let now = Instant::now();
        if window.second.is_none_or(|began| now - began >= Duration::from_secs(1)) {
            (window.second, window.counted) = (Some(now), 0);
        }
        if window.counted < A_SECOND {
            window.counted += 1;
            window.add(&engine.id().digest, &engine.model().parts().bins, values);
        }
    }

    pub(super) fn tell(&self, engine: &Engine) -> Drifts {
        let window: MutexGuard<'_, Window> = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = engine.model().parts();
        window.tell(&engine.id().digest, &parts.metadata.features, &parts.bins)
    }
}

impl Window {
    fn add(&mut self, model: &str, bins: &Bins, values: &[f32]) {
        if self.model != model {
            model.clone_into(&mut self.model);
            self.slots.clear();
        }
        if self.slots.front().is_none_or(|slot| slot.rows == SLOT) {
            self.slots.truncate(SLOTS - 1);
            self.slots.push_front(Slot { rows: 0, counts: vec![[0; BINS]; values.len()] });
        }
        if let Some(slot) = self.slots.front_mut() {
            slot.rows += 1;
            for (feature, (counts, &value)) in slot.counts.iter_mut().zip(values).enumerate() {
                counts[bins.place(feature, value)] += 1;
            }
        }
    }

    fn tell(&self, model: &str, features: &[FeatureInfo], bins: &Bins) -> Drifts {
        let slots = || self.slots.iter().filter(|_| self.model == model);
        let rows: u32 = slots().map(|slot| slot.rows).sum();
        let tell = |(feature, info): (usize, &FeatureInfo)| {
            let mut counts = [0_u32; BINS];
            for slot in slots() {
                for (sum, count) in counts.iter_mut().zip(slot.counts[feature]) {
                    *sum += count;
                }
            }
            let now = counts.map(|count| f64::from(count) / f64::from(rows.max(1)));
            let training = bins.shares(feature).map(f64::from);
            let bin = |(place, (training, now)): (usize, (f64, f64))| {
                let (from, to) = bins.range(feature, place);
                Bin { from, to, unknown: place == BINS - 1, training, now }
            };
            let kept = |bin: &Bin| bin.training > 0.0 || bin.now > 0.0;
            FeatureDrift {
                name: info.name.clone(),
                group: info.group.clone(),
                about: info.about.clone(),
                unit: info.unit.clone(),
                psi: (rows >= ENOUGH).then(|| stability_index(&training, &now)),
                bins: training.into_iter().zip(now).enumerate().map(bin).filter(kept).collect(),
            }
        };
        let comes_in = |(_, info): &(usize, &FeatureInfo)| !is_of_history(info);
        let mut features: Vec<_> = features.iter().enumerate().filter(comes_in).map(tell).collect();
        features.sort_by(|a, b| b.psi.unwrap_or_default().total_cmp(&a.psi.unwrap_or_default()));
        Drifts { rows, enough: ENOUGH, window: SLOT * SLOTS as u32, features }
    }
}

/// Population stability index of two spreads.
pub(super) fn stability_index(then: &[f64], now: &[f64]) -> f64 {
    let part = |(&then, &now): (&f64, &f64)| {
        let (then, now) = (then.max(LEAST), now.max(LEAST));
        (now - then) * (now / then).ln()
    };
    then.iter().zip(now).map(part).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(pairs: &[(usize, f64)]) -> [f64; BINS] {
        let mut shares = [0.0; BINS];
        for &(place, share) in pairs {
            shares[place] = share;
        }
        shares
    }

    #[test]
    fn the_index_is_that_of_the_formula() {
        let (then, now) = (spread(&[(0, 0.5), (1, 0.5)]), spread(&[(0, 0.25), (1, 0.75)]));
        let expected = -0.25 * 0.5_f64.ln() + 0.25 * 1.5_f64.ln();
        assert!((stability_index(&then, &now) - expected).abs() < 1e-12);
        assert_eq!(stability_index(&then, &then), 0.0);
        assert!((stability_index(&then, &now) - stability_index(&now, &then)).abs() < 1e-12);
        assert!(stability_index(&spread(&[(0, 1.0)]), &spread(&[(1, 1.0)])).is_finite());
    }

    #[test]
    fn the_window_slides() {
        let bins = Bins::of([vec![0.0, 1.0].into_iter()].into_iter());
        let mut window = Window::default();
        let add = |window: &mut Window, model: &str, value: f32| window.add(model, &bins, &[value]);
        for _ in 0..SLOT * (SLOTS as u32 + 3) {
            add(&mut window, "one", 0.0);
        }
        assert!(window.slots.len() == SLOTS && window.slots.iter().all(|slot| slot.rows == SLOT));
        for _ in 0..SLOT * SLOTS as u32 {
            add(&mut window, "one", 1.0);
        }
        let of_zero = bins.place(0, 0.0);
        assert!(window.slots.iter().all(|slot| slot.counts[0][of_zero] == 0), "the old ones are gone");
        add(&mut window, "another", 0.0);
        assert_eq!(window.slots.len(), 1, "another model counts anew");
    }
}
