//! How far the columns of a run are from those of the run before: the population stability index.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ColumnStatistics, RunStatistics, Values};

/// Bins of the earlier run hold a tenth of its values each, or one frequent value alone.
const BINS: u64 = 10;

/// Added to the count of every bin, so that one that is empty on one side counts as rare and not as impossible.
const PRIOR: f64 = 0.5;

/// What has become of the columns since an earlier run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Name of the earlier run.
    pub against: String,
    /// Rows then and now.
    pub rows: (u64, u64),
    /// Of the columns that both have, the farthest first.
    pub columns: Vec<ColumnDrift>,
}

/// What has become of one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnDrift {
    /// Its name.
    pub column: String,
    /// The population stability index.
    pub psi: f64,
    /// What it held.
    pub before: Glance,
    /// What it holds.
    pub now: Glance,
}

/// A column in a few numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Glance {
    /// The share of rows without a value, from 0 to 1.
    pub missing: f64,
    /// Of numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median: Option<f32>,
    /// Of numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Names and their share among those known, the most frequent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<(String, f64)>,
}

/// How an index is usually read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reading {
    /// Below 0.1.
    Steady,
    /// Up to 0.25: worth a look.
    Moved,
    /// Beyond it: what was learned from the earlier run may not hold.
    Shifted,
}

impl Reading {
    /// The reading of an index.
    pub(super) fn of(psi: f64) -> Self {
        match psi {
            psi if psi < 0.1 => Self::Steady,
            psi if psi <= 0.25 => Self::Moved,
            _ => Self::Shifted,
        }
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Steady => "steady",
            Self::Moved => "moved",
            Self::Shifted => "shifted",
        })
    }
}

impl Drift {
    /// Compares `now` with what was `before` in the run `against`.
    pub(crate) fn between(against: &str, before: &RunStatistics, now: &RunStatistics) -> Self {
        let drift = |now: &ColumnStatistics| {
            let before = before.columns.iter().find(|column| column.name == now.name)?;
            let psi = index(&bins(before, now)?);
            Some(ColumnDrift { column: now.name.clone(), psi, before: Glance::of(before), now: Glance::of(now) })
        };
        let mut columns: Vec<_> = now.columns.iter().filter_map(drift).collect();
        columns.sort_by(|a, b| b.psi.total_cmp(&a.psi));
        Self { against: against.to_owned(), rows: (before.rows, now.rows), columns }
    }

    /// Columns whose index is greater than `most`.
    pub(crate) fn beyond(&self, most: f64) -> &[ColumnDrift] {
        &self.columns[..self.columns.partition_point(|column| column.psi > most)]
    }
}

impl Glance {
    pub(super) fn of(column: &ColumnStatistics) -> Self {
        let mut glance = Self { missing: column.missing_share(), median: None, mean: None, names: Vec::new() };
        match &column.values {
            Values::Numbers(numbers) => {
                glance.median = numbers.quantiles.map(|quantiles| quantiles.p50);
                glance.mean = numbers.mean;
            }
            Values::Names(names) => {
                let share = |(name, times): (&String, &u64)| (name.clone(), *times as f64 / column.count.max(1) as f64);
                glance.names = names.iter().map(share).collect();
                glance.names.sort_by(|a, b| b.1.total_cmp(&a.1));
            }
        }
        glance
    }
}

/// The population stability index of counts by bin, `(before, now)`:
///
/// `Σ (q − p) · ln(q / p)`, with `p` and `q` the shares of a bin before and now. It is the symmetric Kullback-Leibler
/// divergence; below 0.1 nothing of note has changed, beyond 0.25 much has (Siddiqi, "Credit Risk Scorecards", 2006).
/// By chance alone it is about `(bins − 1) · (1/rows before + 1/rows now)` (Yurdakul, "Statistical Properties of
/// Population Stability Index", 2018): of a few dozen rows it says little.
fn index(bins: &[(u64, u64)]) -> f64 {
    let bins: Vec<_> = bins.iter().filter(|(before, now)| before + now > 0).collect();
    let prior = PRIOR * bins.len() as f64;
    let before = bins.iter().map(|(before, _)| before).sum::<u64>() as f64 + prior;
    let now = bins.iter().map(|(_, now)| now).sum::<u64>() as f64 + prior;
    let part = |(b, n): &&(u64, u64)| {
        let (p, q) = ((*b as f64 + PRIOR) / before, (*n as f64 + PRIOR) / now);
        (q - p) * (q / p).ln()
    };
    // An empty sum is -0.0.
    bins.iter().map(part).sum::<f64>() + 0.0
}

/// Counts before and now in the bins of the earlier column; what is missing is a bin of its own. `None` where numbers
/// have become names.
fn bins(before: &ColumnStatistics, now: &ColumnStatistics) -> Option<Vec<(u64, u64)>> {
    let mut bins = match (&before.values, &now.values) {
        (Values::Numbers(before), Values::Numbers(now)) => {
            let ends = ends(&before.histogram);
            let (before, now) = (counts(&ends, &before.histogram), counts(&ends, &now.histogram));
            before.into_iter().zip(now).collect()
        }
        (Values::Names(before), Values::Names(now)) => {
            let names: BTreeSet<_> = before.keys().chain(now.keys()).collect();
            let times = |names: &BTreeMap<String, u64>, name: &str| names.get(name).copied().unwrap_or(0);
            names.into_iter().map(|name| (times(before, name), times(now, name))).collect::<Vec<_>>()
        }
        _ => return None,
    };
    bins.push((before.missing, now.missing));
    Some(bins)
}

/// Where the bins of a column end: each but the last holds all values that are greater than the end before it and not
/// greater than its own. What is outside of all that was seen falls into bins of its own.
fn ends(histogram: &[(f32, u64)]) -> Vec<f32> {
    let total: u64 = histogram.iter().map(|(_, count)| count).sum();
    let enough = total.div_ceil(BINS);
    let mut ends = Vec::new();
    let (mut held, mut last) = (0, f32::NEG_INFINITY);
    for &(value, count) in histogram {
        // A bin ends when it is full, at the beginning for what is less than everything, and before a frequent value.
        if held == 0 && ends.is_empty() {
            ends.push(value.next_down());
        } else if held > 0 && (held >= enough || count >= enough) {
            ends.push(last);
            held = 0;
        }
        held += count;
        last = value;
    }
    if held > 0 {
        ends.push(last);
    }
    ends
}

/// Counts by bin, one more than there are ends.
fn counts(ends: &[f32], histogram: &[(f32, u64)]) -> Vec<u64> {
    let mut counts = vec![0; ends.len() + 1];
    for (value, count) in histogram {
        counts[ends.partition_point(|end| end < value)] += count;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::super::Sketches;
    use super::super::numbers::NumberSketch;
    use super::*;

    fn column(values: impl IntoIterator<Item = f32>) -> ColumnStatistics {
        let mut sketch = NumberSketch::default();
        values.into_iter().for_each(|value| sketch.add(value));
        let (count, missing, numbers) = sketch.finish();
        ColumnStatistics { name: "x".into(), count, missing, values: Values::Numbers(numbers) }
    }

    fn psi(before: &ColumnStatistics, now: &ColumnStatistics) -> f64 {
        index(&bins(before, now).unwrap())
    }

    #[test]
    fn the_index_is_the_one_of_the_books() {
        // By hand: (0.6 − 0.5)·ln(0.6/0.5) + (0.4 − 0.5)·ln(0.4/0.5) = 0.0405465.
        let found = index(&[(500_000, 600_000), (500_000, 400_000), (0, 0)]);
        assert!((found - 0.040_546_5).abs() < 1e-6, "{found}");
        assert!(index(&[(500, 5_000), (500, 5_000)]).abs() < 1e-12, "shares count, not rows");
        assert!(index(&[(1000, 0), (0, 1000)]).is_finite());
    }

    #[test]
    fn bins_are_tenths_and_frequent_values_stand_alone() {
        let even = column((0..1000_u16).map(|value| f32::from(value) / 1000.0));
        let Values::Numbers(numbers) = &even.values else { panic!() };
        let found = counts(&ends(&numbers.histogram), &numbers.histogram);
        assert!(found.len() >= 11 && found[1..found.len() - 1].iter().all(|&count| count < 150), "{found:?}");
        assert_eq!((found[0], found[found.len() - 1]), (0, 0), "outside");

        let flag = |ones: u16| column((0..100_u16).map(|row| f32::from(u8::from(row < ones))));
        for ones in [5, 50, 95] {
            assert_eq!(
                bins(&flag(ones), &flag(10)).unwrap()[1..3],
                [(100 - u64::from(ones), 90), (u64::from(ones), 10)]
            );
        }
        assert!(psi(&flag(95), &flag(50)) > 0.25);
    }

    #[test]
    fn what_is_seen_in_other_places_or_no_more_has_shifted() {
        let before = column((0..1000_u16).map(f32::from));
        assert!(psi(&before, &before).abs() < 1e-12);
        let alike = psi(&before, &column((0..500_u16).map(|value| f32::from(2 * value))));
        assert_eq!(Reading::of(alike), Reading::Steady, "{alike}");
        for (now, about) in [
            (column((0..1000_u16).map(|value| f32::from(value) + 1e6)), "greater than all before"),
            (column((0..1000_u16).map(|value| -f32::from(value) - 1.0)), "less than all before"),
            (column(std::iter::repeat_n(500.0, 1000)), "one value"),
            (column((0..1000_u16).map(|value| if value < 300 { f32::NAN } else { f32::from(value) })), "missing"),
        ] {
            let (there, back) = (psi(&before, &now), psi(&now, &before));
            assert!(there > 0.25 && back > 0.25, "{about}: {there}, {back}");
        }
        let nothing = column([]);
        assert!(psi(&nothing, &before).is_finite() && psi(&before, &nothing).is_finite());
        assert_eq!(psi(&nothing, &nothing), 0.0);
    }

    #[test]
    fn the_farthest_column_comes_first() {
        let named = |name: &str, mut column: ColumnStatistics| {
            name.clone_into(&mut column.name);
            column
        };
        let many = |shift: f32| column((0..1000_u16).map(move |value| f32::from(value) + shift));
        let names = |fixes| ColumnStatistics {
            name: "category".into(),
            count: 100,
            missing: 0,
            values: Values::Names([("docs".to_owned(), 100 - fixes), ("fix".to_owned(), fixes)].into()),
        };
        let run = |shift, fixes| RunStatistics {
            rows: 1000,
            columns: vec![named("a", many(0.0)), named("b", many(shift)), names(fixes)],
        };
        let drift = Drift::between("r", &run(0.0, 50), &run(5000.0, 65));
        let order: Vec<_> = drift.columns.iter().map(|column| column.column.as_str()).collect();
        assert_eq!(order, ["b", "category", "a"]);
        assert_eq!(drift.beyond(0.25).len(), 1);
        assert_eq!(drift.beyond(0.0).len(), 2);
        assert_eq!(drift.columns[1].now.names[0], ("fix".to_owned(), 0.65));
        assert!(Drift::between("r", &Sketches::default().finish(), &run(0.0, 50)).columns.is_empty());
        let read: Drift = serde_json::from_value(serde_json::to_value(&drift).unwrap()).unwrap();
        assert_eq!(read, drift);
    }
}
