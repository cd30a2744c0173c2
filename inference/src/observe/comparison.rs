//! How two models judge the same pull requests: the last few thousand that both of them have judged.
//!
//! Anomalies of two models have no scale in common, so percentiles are compared, and the probabilities of the risk. How they are
//! spread is compared by the index that tells of [drift](super::drift) as well.

use std::collections::VecDeque;

use jiff::Timestamp;
use prowl_proto::v1;
use serde::Serialize;

use super::{
    drift::stability_index,
    metrics::{BANDS, PERCENTILES, PROBABILITIES},
};

/// Pull requests that are compared: the last ones.
pub(super) const WINDOW: usize = 2_000;

/// Fewer tell nothing of how judgements are spread.
pub(super) const ENOUGH: usize = 200;

/// Pull requests that are named, those that the two see most differently.
const FARTHEST: usize = 10;

/// What one model says of a pull request.
#[derive(Clone, Copy)]
pub(super) struct Verdict {
    pub(super) percentile: f32,
    pub(super) band: v1::Band,
    pub(super) risk: Option<f32>,
}

impl Verdict {
    /// The name of its band.
    pub(super) fn band(self) -> &'static str {
        BANDS[self.band as usize]
    }
}

/// What both say of it.
pub(super) struct Pair {
    /// `owner/name#number`; of a vector that came by itself, what is known of it.
    pub(super) pull_request: String,
    pub(super) served: Verdict,
    pub(super) shadow: Verdict,
}

impl Pair {
    /// How far the percentiles are apart.
    pub(super) fn difference(&self) -> f32 {
        (self.served.percentile - self.shadow.percentile).abs()
    }
}

/// The pairs of two models; those of any other two are forgotten when it changes.
#[derive(Default)]
pub(super) struct Comparison {
    served: v1::ModelId,
    shadow: v1::ModelId,
    since: Timestamp,
    pairs: VecDeque<Pair>,
}

/// What is told of them.
#[derive(Serialize)]
pub(crate) struct Compared {
    served: Named,
    shadow: Named,
    /// When the first of them was compared.
    since: Timestamp,
    rows: usize,
    /// Share of them that both put into the same band.
    same_band: f64,
    bands: Vec<Both>,
    pub(super) percentile: Figure,
    /// Of those of which both tell it; `None` where there are none.
    pub(super) risk: Option<Figure>,
    /// The farthest first.
    farthest: Vec<Apart>,
}

/// The name of a model.
#[derive(Serialize)]
pub(super) struct Named {
    version: String,
    digest: String,
}

/// How many are in a band of the one and in a band of the other.
#[derive(Serialize)]
struct Both {
    served: &'static str,
    shadow: &'static str,
    rows: usize,
}

/// How a figure differs between the two.
#[derive(Serialize)]
pub(crate) struct Figure {
    /// The stability index of its spreads; `None` where too few were compared.
    pub(super) psi: Option<f64>,
    /// How far the two are apart: for half of the pull requests at most this,
    median_difference: f32,
    /// and for 95% of them at most this.
    p95_difference: f32,
    bins: Vec<Bin>,
}

/// Values above `from`, up to `to`.
#[derive(Serialize)]
struct Bin {
    from: f64,
    to: f64,
    served: f64,
    shadow: f64,
}

/// A pull request that the two see differently.
#[derive(Serialize)]
struct Apart {
    pull_request: String,
    served: f32,
    shadow: f32,
}

impl From<&v1::ModelId> for Named {
    fn from(id: &v1::ModelId) -> Self {
        Self { version: id.version.clone(), digest: id.digest.clone() }
    }
}

impl Comparison {
    pub(super) fn add(&mut self, served: &v1::ModelId, shadow: &v1::ModelId, pair: Pair) {
        if (&self.served, &self.shadow) != (served, shadow) {
            (self.served, self.shadow) = (served.clone(), shadow.clone());
            self.since = Timestamp::now();
            self.pairs.clear();
        }
        self.pairs.truncate(WINDOW - 1);
        self.pairs.push_front(pair);
    }

    /// Pull requests that are compared.
    pub(super) fn rows(&self) -> usize {
        self.pairs.len()
    }

    /// Nothing before the first pair.
    pub(super) fn tell(&self) -> Option<Compared> {
        let rows = self.rows();
        let judged = [v1::Band::Routine, v1::Band::Unusual, v1::Band::VeryUnusual];
        let both = |served: v1::Band, shadow: v1::Band| {
            let rows =
                self.pairs.iter().filter(|pair| (pair.served.band, pair.shadow.band) == (served, shadow)).count();
            Both { served: BANDS[served as usize], shadow: BANDS[shadow as usize], rows }
        };
        let bands: Vec<Both> =
            judged.into_iter().flat_map(|served| judged.map(|shadow| both(served, shadow))).collect();
        let same = bands.iter().filter(|both| both.served == both.shadow).map(|both| both.rows).sum::<usize>();
        let mut farthest: Vec<&Pair> = self.pairs.iter().filter(|pair| pair.difference() > 0.0).collect();
        farthest.sort_by(|a, b| b.difference().total_cmp(&a.difference()));
        let apart = |pair: &Pair| Apart {
            pull_request: pair.pull_request.clone(),
            served: pair.served.percentile,
            shadow: pair.shadow.percentile,
        };
        let percentiles = self.pairs.iter().map(|pair| (pair.served.percentile, pair.shadow.percentile));
        let risks = self.pairs.iter().filter_map(|pair| pair.served.risk.zip(pair.shadow.risk));
        Some(Compared {
            percentile: Figure::of(percentiles, &PERCENTILES)?,
            risk: Figure::of(risks, &PROBABILITIES),
            served: Named::from(&self.served),
            shadow: Named::from(&self.shadow),
            since: self.since,
            rows,
            same_band: same as f64 / rows as f64,
            bands: bands.into_iter().filter(|both| both.rows > 0).collect(),
            farthest: farthest.into_iter().take(FARTHEST).map(apart).collect(),
        })
    }
}

impl Figure {
    /// Of values that the two give, in bins that end at `ends`; `None` where there are no values.
    fn of(values: impl Iterator<Item = (f32, f32)>, ends: &[f64]) -> Option<Self> {
        let (mut served, mut shadow) = (vec![0.0; ends.len()], vec![0.0; ends.len()]);
        let place = |value: f32| ends.partition_point(|end| *end < f64::from(value)).min(ends.len() - 1);
        let mut differences = Vec::new();
        for (of_served, of_shadow) in values {
            served[place(of_served)] += 1.0;
            shadow[place(of_shadow)] += 1.0;
            differences.push((of_served - of_shadow).abs());
        }
        differences.sort_by(f32::total_cmp);
        let (rows, last) = (differences.len(), differences.len().checked_sub(1)?);
        served.iter_mut().chain(&mut shadow).for_each(|count: &mut f64| *count /= rows as f64);
        let psi = (rows >= ENOUGH).then(|| stability_index(&served, &shadow));
        let bin = |(place, (served, shadow))| {
            let from = if place == 0 { 0.0 } else { ends[place - 1] };
            Bin { from, to: ends[place], served, shadow }
        };
        Some(Self {
            psi,
            median_difference: differences[last / 2],
            p95_difference: differences[last * 95 / 100],
            bins: served.into_iter().zip(shadow).enumerate().map(bin).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digest: &str) -> v1::ModelId {
        v1::ModelId { digest: digest.to_owned(), ..v1::ModelId::default() }
    }

    fn pair(served: f32, shadow: f32) -> Pair {
        let verdict = |percentile: f32| {
            let band = if percentile < 95.0 { v1::Band::Routine } else { v1::Band::Unusual };
            Verdict { percentile, band, risk: (percentile > 50.0).then_some(percentile / 1_000.0) }
        };
        Pair { pull_request: format!("a/b#{served}"), served: verdict(served), shadow: verdict(shadow) }
    }

    fn of(pairs: impl Iterator<Item = (f32, f32)>) -> Compared {
        let mut comparison = Comparison::default();
        pairs.for_each(|(served, shadow)| comparison.add(&id("one"), &id("two"), pair(served, shadow)));
        comparison.tell().unwrap()
    }

    #[test]
    fn two_that_agree_are_not_apart() {
        let told = of((0..400).map(|place| (place as f32 / 4.0, place as f32 / 4.0)));
        assert_eq!((told.rows, told.same_band, told.percentile.psi), (400, 1.0, Some(0.0)));
        assert_eq!((told.percentile.p95_difference, told.farthest.len()), (0.0, 0));
        let rows: Vec<_> = told.bands.iter().map(|both| (both.served, both.shadow, both.rows)).collect();
        assert_eq!(rows, [("routine", "routine", 380), ("unusual", "unusual", 20)]);
        assert_eq!(told.risk.unwrap().psi, None, "only 199 have one");
    }

    #[test]
    fn what_differs_is_told() {
        // Half of them move from 5 to 20, and one in a hundred to 96.
        let moved = |place: usize| match place {
            _ if place.is_multiple_of(100) => 96.0,
            _ if place.is_multiple_of(2) => 20.0,
            _ => 5.0,
        };
        let told = of((0..1_000).map(|place| (5.0, moved(place))));
        let [from, to, far] = [told.percentile.bins[0].shadow, told.percentile.bins[1].shadow, 0.01];
        assert_eq!((from, to), (0.5, 0.49));
        let expected = (0.5 - 1.0) * 0.5_f64.ln() + (to - 1e-3) * (to / 1e-3).ln() + (far - 1e-3) * (far / 1e-3).ln();
        assert!((told.percentile.psi.unwrap() - expected).abs() < 1e-12);
        assert_eq!(told.same_band, 0.99);
        assert_eq!((told.percentile.median_difference, told.percentile.p95_difference), (0.0, 15.0));
        assert!(told.farthest.len() == 10 && told.farthest.iter().all(|apart| apart.shadow == 96.0));
        let sum = |of: fn(&Bin) -> f64| told.percentile.bins.iter().map(of).sum::<f64>();
        assert!((sum(|bin| bin.served) - 1.0).abs() < 1e-12 && (sum(|bin| bin.shadow) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_value_lies_in_the_bin_that_ends_at_it() {
        let bins = of([(10.0, 10.1), (95.0, 100.0)].into_iter()).percentile.bins;
        let rows: Vec<_> =
            bins.iter().filter(|bin| bin.served + bin.shadow > 0.0).map(|bin| (bin.from, bin.to)).collect();
        assert_eq!(rows, [(0.0, 10.0), (10.0, 25.0), (90.0, 95.0), (99.9, 100.0)]);
    }

    #[test]
    fn another_pair_of_models_begins_anew() {
        let mut comparison = Comparison::default();
        assert!(comparison.tell().is_none());
        for _ in 0..WINDOW + 7 {
            comparison.add(&id("one"), &id("two"), pair(1.0, 2.0));
        }
        assert_eq!(comparison.rows(), WINDOW);
        comparison.add(&id("one"), &id("three"), pair(1.0, 2.0));
        assert_eq!(comparison.rows(), 1, "another shadow");
        comparison.add(&id("one"), &id("three"), pair(1.0, 2.0));
        comparison.add(&id("two"), &id("three"), pair(1.0, 2.0));
        assert_eq!((comparison.rows(), comparison.tell().unwrap().served.digest.as_str()), (1, "two"), "another model");
    }
}
