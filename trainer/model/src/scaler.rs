//! From raw values to the network's inputs and back.

#![expect(
    clippy::inline_always,
    reason = "vector units are chosen once, above all of this: what is not inlined goes without"
)]

use ndarray::{Array1, Array2};
use pulp::{Arch, NullaryFnOnce};

use crate::ArtifactError;
use crate::elementary::{exp_m1, ln_1p};
use crate::score::Usual;
use crate::tensors::{Reader, Writer};

/// Scaled values are cut off this many spreads from the centre: beyond it, farther says no more.
pub const CLIP: f32 = 10.0;

/// How one feature is scaled, and what was usual for it in training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// Whether it was ever known in training; if not, it is never looked at.
    pub known: bool,
    /// Whether `sign(x) ln(1 + |x|)` is scaled in place of the value: for tails over several powers of ten.
    pub logarithmic: bool,
    /// Centre of the values, after the logarithm.
    pub centre: f32,
    /// Spread of the values, after the logarithm; above 0.
    pub spread: f32,
    /// Smallest value in training.
    pub smallest: f32,
    /// Largest value in training.
    pub largest: f32,
    /// Quantiles and mean in training; 0 where never known.
    pub usual: Usual,
}

impl Column {
    /// A column without a known value in training.
    pub const UNKNOWN: Self = Self {
        known: false,
        logarithmic: false,
        centre: 0.0,
        spread: 1.0,
        smallest: 0.0,
        largest: 0.0,
        usual: Usual { low: 0.0, median: 0.0, high: 0.0, mean: 0.0 },
    };

    /// `value` in spreads from the centre, cut off at ±10; `None` where unknown, not finite, or never known in training.
    #[inline]
    pub fn scale(&self, value: f32) -> Option<f32> {
        self.scale_by(value, signed_log(value))
    }

    /// The same, for a value of which the logarithm is known.
    #[inline]
    fn scale_by(&self, value: f32, logarithm: f32) -> Option<f32> {
        if !self.known || !value.is_finite() {
            return None;
        }
        let value = if self.logarithmic { logarithm } else { value };
        Some(((value - self.centre) / self.spread).clamp(-CLIP, CLIP))
    }

    /// Whether it had but one value in training.
    pub(crate) fn is_constant(&self) -> bool {
        self.known && self.smallest == self.largest
    }

    /// The raw value that a scaled one stands for, within what was seen in training; NaN where never known.
    pub fn unscale(&self, scaled: f32) -> f32 {
        if !self.known {
            return f32::NAN;
        }
        let value = scaled * self.spread + self.centre;
        self.within(value, signed_exp(value))
    }

    /// The value, or where that is a logarithm its exponential, within what was seen in training.
    #[inline]
    fn within(&self, value: f32, exponential: f32) -> f32 {
        let value = if self.logarithmic { exponential } else { value };
        value.clamp(self.smallest, self.largest)
    }
}

/// `sign(x) ln(1 + |x|)`, the same bits on every machine.
#[inline(always)]
pub fn signed_log(x: f32) -> f32 {
    ln_1p(x.abs()).copysign(x)
}

/// The inverse of [`signed_log`].
#[inline(always)]
fn signed_exp(x: f32) -> f32 {
    exp_m1(x.abs()).copysign(x)
}

/// [`signed_log`] of many values.
pub(crate) fn signed_logs(values: &[f32]) -> Vec<f32> {
    let mut values = values.to_vec();
    Arch::new().dispatch(SignedLogs(&mut values));
    values
}

/// [`signed_log`], each in place of its value.
struct SignedLogs<'a>(&'a mut [f32]);

impl NullaryFnOnce for SignedLogs<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for value in self.0 {
            *value = signed_log(*value);
        }
    }
}

/// [`signed_exp`], each in place of its value.
struct SignedExps<'a>(&'a mut [f32]);

impl NullaryFnOnce for SignedExps<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for value in self.0 {
            *value = signed_exp(*value);
        }
    }
}

/// One [`Column`] a feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaler {
    /// In the order of the feature vector.
    pub columns: Vec<Column>,
}

/// Columns of the tensor `scaler`.
const WIDTH: usize = 10;

impl Scaler {
    /// Scales one vector; 0 where unknown.
    pub fn scale(&self, values: &[f32]) -> Vec<f32> {
        self.scaled(values).map(Option::unwrap_or_default).collect()
    }

    /// [`Column::scale`] of each value.
    pub fn scaled(&self, values: &[f32]) -> impl Iterator<Item = Option<f32>> {
        let with_logs = values.iter().zip(signed_logs(values));
        self.columns.iter().zip(with_logs).map(|(column, (&value, logarithm))| column.scale_by(value, logarithm))
    }

    /// [`Column::unscale`] of each of the first values, one a column.
    pub(crate) fn unscale(&self, scaled: &[f32]) -> Vec<f32> {
        let columns = self.columns.iter().zip(scaled);
        let mut values: Vec<f32> = columns.map(|(column, scaled)| scaled * column.spread + column.centre).collect();
        let mut exponentials = values.clone();
        Arch::new().dispatch(SignedExps(&mut exponentials));
        for ((value, exponential), column) in values.iter_mut().zip(exponentials).zip(&self.columns) {
            *value = if column.known { column.within(*value, exponential) } else { f32::NAN };
        }
        values
    }

    pub(crate) fn write(&self, tensors: &mut Writer) {
        let flag = |value| f32::from(u8::from(value));
        let mut rows = Array2::zeros((self.columns.len(), WIDTH));
        for (mut row, c) in rows.outer_iter_mut().zip(&self.columns) {
            let u = &c.usual;
            row.assign(&Array1::from_vec(vec![
                flag(c.known),
                flag(c.logarithmic),
                c.centre,
                c.spread,
                c.smallest,
                c.largest,
                u.low,
                u.median,
                u.high,
                u.mean,
            ]));
        }
        tensors.matrix("scaler", &rows);
    }

    pub(crate) fn read(tensors: &Reader<'_>) -> Result<Self, ArtifactError> {
        let rows = tensors.matrix("scaler")?;
        ArtifactError::unless(rows.ncols() == WIDTH, "scaler", || {
            format!("it has {} columns and should have {WIDTH}", rows.ncols())
        })?;
        let column = |row: ndarray::ArrayView1<'_, f32>| Column {
            known: row[0] > 0.5,
            logarithmic: row[1] > 0.5,
            centre: row[2],
            spread: row[3],
            smallest: row[4],
            largest: row[5],
            usual: Usual { low: row[6], median: row[7], high: row[8], mean: row[9] },
        };
        Ok(Self { columns: rows.outer_iter().map(column).collect() })
    }

    pub(crate) fn check(&self, features: usize) -> Result<(), ArtifactError> {
        ArtifactError::unless(self.columns.len() == features, "scaler", || {
            format!("it has {} rows and the metadata names {features} features", self.columns.len())
        })?;
        for (index, column) in self.columns.iter().enumerate() {
            let Column { spread, smallest, largest, usual, .. } = column;
            ArtifactError::unless(*spread > 0.0 && smallest <= largest, "scaler", || {
                format!("row {index} has the spread {spread} and the range {smallest} to {largest}")
            })?;
            ArtifactError::unless(usual.low <= usual.median && usual.median <= usual.high, "scaler", || {
                format!("row {index} has the quantiles {}, {} and {}", usual.low, usual.median, usual.high)
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAVY: Column =
        Column { known: true, logarithmic: true, centre: 2.0, spread: 0.5, largest: 1e6, ..Column::UNKNOWN };

    #[test]
    fn scaling_comes_back_within_the_range_of_training() {
        for value in [0.0, 1.0, 7.0, 250.0] {
            let scaled = HEAVY.scale(value).unwrap();
            assert!((HEAVY.unscale(scaled) - value).abs() <= 1e-4 * value.max(1.0), "{value}");
        }
        assert_eq!(HEAVY.unscale(1000.0), 1e6);
        assert_eq!(HEAVY.unscale(-1000.0), 0.0);
    }

    #[test]
    fn the_farthest_is_cut_off() {
        assert_eq!(HEAVY.scale(f32::MAX), Some(CLIP));
        assert_eq!(HEAVY.scale(f32::MIN), Some(-CLIP));
    }

    #[test]
    fn the_unknown_stays_unknown() {
        for unknown in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(HEAVY.scale(unknown), None);
        }
        assert_eq!(Column::UNKNOWN.scale(1.0), None);
        assert!(Column::UNKNOWN.unscale(1.0).is_nan());
    }

    #[test]
    fn the_signed_logarithm_is_odd_and_comes_back() {
        for value in [0.0, 0.01, 3.0, 1e5_f32] {
            assert_eq!(signed_log(-value), -signed_log(value));
            assert!((signed_exp(signed_log(value)) - value).abs() <= 1e-4 * value, "{value}");
        }
    }

    #[test]
    fn all_columns_at_once_are_scaled_as_each_by_itself() {
        let plain = Column { known: true, centre: 2.0, spread: 3.0, smallest: -10.0, largest: 20.0, ..Column::UNKNOWN };
        let scaler = Scaler { columns: vec![plain, HEAVY, Column::UNKNOWN, plain] };
        let scaled = scaler.scale(&[7.0, 250.0, 4.0, f32::NAN]);
        assert_eq!(scaled, [5.0 / 3.0, HEAVY.scale(250.0).unwrap(), 0.0, 0.0]);
        let back = scaler.unscale(&scaled);
        for ((value, column), scaled) in back.iter().zip(&scaler.columns).zip(&scaled) {
            assert_eq!(value.to_bits(), column.unscale(*scaled).to_bits(), "{scaled} by {column:?}");
        }
        assert!((back[0] - 7.0).abs() < 1e-5 && (back[1] - 250.0).abs() < 0.03 && back[3] == 2.0, "{back:?}");
    }
}
