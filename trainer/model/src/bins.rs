//! How the values of each feature were spread in training: what the drift of later ones is measured against.

use ndarray::{Array2, Axis};

use crate::ArtifactError;
use crate::tensors::{Reader, Writer};

/// Edges between the bins of known values.
const EDGES: usize = 9;

/// Bins of a feature: ten of known values, and the last of unknown ones.
pub const BINS: usize = EDGES + 2;

/// Bins of all features, at the deciles of the known values. Where many values are alike, several deciles are, and the bins
/// between them stay empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Bins {
    /// Where the next bin begins; ascending in each row; shape (features, 9).
    edges: Array2<f32>,
    /// Share of the rows in each bin; each row sums to 1; shape (features, 11).
    shares: Array2<f32>,
}

impl Bins {
    /// Bins of columns of values, NaN or infinite where unknown.
    pub fn of<C: Iterator<Item = f32>>(columns: impl ExactSizeIterator<Item = C>) -> Self {
        let features = columns.len();
        let (mut edges, mut shares) = (Array2::zeros((features, EDGES)), Array2::zeros((features, BINS)));
        for (feature, column) in columns.enumerate() {
            let (mut known, mut unknown) = (Vec::new(), 0_usize);
            for value in column {
                if value.is_finite() { known.push(value) } else { unknown += 1 }
            }
            known.sort_unstable_by(f32::total_cmp);
            for (decile, edge) in edges.row_mut(feature).iter_mut().enumerate() {
                *edge = known.get((decile + 1) * known.len() / (EDGES + 1)).copied().unwrap_or_default();
            }
            let rows = (known.len() + unknown).max(1) as f32;
            let mut counts = [0_usize; BINS];
            for &value in &known {
                counts[place(edges.row(feature).as_slice().unwrap_or(&[]), value)] += 1;
            }
            counts[BINS - 1] = unknown;
            for (share, count) in shares.row_mut(feature).iter_mut().zip(counts) {
                *share = count as f32 / rows;
            }
        }
        Self { edges, shares }
    }

    /// The bin of a value of a feature.
    pub fn place(&self, feature: usize, value: f32) -> usize {
        if !value.is_finite() {
            return BINS - 1;
        }
        place(self.edges.row(feature).as_slice().unwrap_or(&[]), value)
    }

    /// The shares of a feature's bins in training.
    pub fn shares(&self, feature: usize) -> [f32; BINS] {
        let mut shares = [0.0; BINS];
        for (share, of_bin) in shares.iter_mut().zip(self.shares.row(feature)) {
            *share = *of_bin;
        }
        shares
    }

    /// Where a bin begins, and below what it ends; nothing where it has no end, or is that of the unknown.
    pub fn range(&self, feature: usize, bin: usize) -> (Option<f32>, Option<f32>) {
        let edge = |place: Option<usize>| self.edges.row(feature).get(place?).copied();
        (edge(bin.checked_sub(1)), edge(Some(bin)))
    }

    pub(crate) fn write(&self, tensors: &mut Writer) {
        tensors.matrix("bins.edges", &self.edges);
        tensors.matrix("bins.shares", &self.shares);
    }

    pub(crate) fn read(tensors: &Reader<'_>) -> Result<Self, ArtifactError> {
        Ok(Self { edges: tensors.matrix("bins.edges")?, shares: tensors.matrix("bins.shares")? })
    }

    pub(crate) fn check(&self, features: usize) -> Result<(), ArtifactError> {
        let shapes = (self.edges.dim(), self.shares.dim());
        let fits = shapes == ((features, EDGES), (features, BINS)) && self.edges.is_standard_layout();
        ArtifactError::unless(fits, "bins", || format!("its shapes do not fit {features} features"))?;
        let ascend = self.edges.axis_iter(Axis(0)).all(|row| row.iter().is_sorted());
        let shares = self.shares.iter().all(|share| (0.0..=1.0).contains(share));
        ArtifactError::unless(ascend && shares, "bins", || "they are no spread".to_owned())
    }
}

fn place(edges: &[f32], value: f32) -> usize {
    edges.partition_point(|&edge| edge <= value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f32]) -> Bins {
        Bins::of([values.iter().copied()].into_iter())
    }

    #[test]
    fn deciles_hold_a_tenth_each() {
        let values: Vec<f32> = (0..200).rev().map(|value| value as f32).collect();
        let bins = of(&values);
        let shares = bins.shares(0);
        assert!(shares[..10].iter().all(|share| (share - 0.1).abs() < 1e-6) && shares[10] == 0.0, "{shares:?}");
        assert_eq!((bins.place(0, -1e9), bins.place(0, 19.0), bins.place(0, 20.0), bins.place(0, 1e9)), (0, 0, 1, 9));
        assert_eq!((bins.range(0, 0), bins.range(0, 1)), ((None, Some(20.0)), (Some(20.0), Some(40.0))));
        assert_eq!((bins.range(0, 9), bins.range(0, 10)), ((Some(180.0), None), (None, None)));
    }

    #[test]
    fn alike_and_unknown_values_have_their_bins() {
        let bins = of(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, f32::NAN, f32::INFINITY]);
        let shares = bins.shares(0);
        assert_eq!(shares[bins.place(0, 0.0)] + shares[bins.place(0, 1.0)], 0.8);
        assert_ne!(bins.place(0, 0.0), bins.place(0, 1.0));
        assert_eq!((shares[BINS - 1], bins.place(0, f32::NEG_INFINITY)), (0.2, BINS - 1));
        let nothing = of(&[f32::NAN]);
        assert_eq!(nothing.shares(0)[BINS - 1], 1.0);
        assert!(nothing.check(1).is_ok() && nothing.check(2).is_err() && of(&[]).check(1).is_ok());
    }

    #[test]
    fn what_is_no_spread_is_refused() {
        let refused = |change: fn(&mut Bins)| {
            let mut bins = of(&[1.0, 2.0]);
            bins.check(1).unwrap();
            change(&mut bins);
            bins.check(1).is_err()
        };
        assert!(refused(|bins| bins.edges[[0, EDGES - 1]] = -1.0), "edges that fall");
        assert!(refused(|bins| bins.shares[[0, 0]] = 1.5), "more than all");
        assert!(refused(|bins| bins.shares[[0, 3]] = -0.5), "less than none");
    }
}
