//! One column of numbers: what is known of it after one pass, in whatever order its values come.
//!
//! Floats do not add up to the same sum in another order, and common sketches of quantiles keep other points then. So
//! everything here is a count in a cell that the value alone decides: a value is rounded towards zero to 7 significant
//! bits, which leaves whole numbers up to 128 as they are and is off by less than 1/64 elsewhere. That is a
//! log-linear histogram, as `HdrHistogram` and `DDSketch` (Masson et al., VLDB 2019) have. Significands are added up as
//! whole numbers, an exponent each.

use arrow::array::{Array, Float32Array};
use serde::{Deserialize, Serialize};

use super::distinct::Distinct;

/// Bits of a float that are cut off by the histogram: of its 24 significant ones 7 stay.
const CUT: u32 = 17;
/// Signs and exponents.
const BINADES: usize = 1 << 9;
/// Cells of a binade: 6 bits behind the leading one.
const CELLS: usize = 1 << (SIGNIFICAND - CUT);
const SIGNIFICAND: u32 = 23;

/// What is gathered of a column: 6 KiB for a flag, up to 30 for one of many different values.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Packed", into = "Packed")]
pub(super) struct NumberSketch {
    count: u64,
    missing: u64,
    least: f32,
    most: f32,
    /// By sign and exponent, the negative ones last; only where there are values.
    binades: Vec<Option<Box<Binade>>>,
    distinct: Distinct,
}

/// The values of one sign and exponent.
#[derive(Clone, Debug)]
struct Binade {
    /// Sum of significands (24 bits each, so 10^12 values fit).
    sum: u64,
    cells: [u64; CELLS],
}

/// A finished column of numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Numbers {
    /// Different values: exact below 1,024, else an estimate that is off by about 3%.
    pub(crate) distinct: u64,
    /// `None` where every value is missing, as in the next three.
    pub(crate) min: Option<f32>,
    /// The largest value.
    pub(crate) max: Option<f32>,
    /// Of the exact sum.
    pub(crate) mean: Option<f64>,
    /// Rounded as in the histogram, but never outside of `min` and `max`.
    pub(crate) quantiles: Option<Quantiles>,
    /// How many values there are of each, ascending, with values rounded towards zero to 7 significant bits.
    pub(crate) histogram: Vec<(f32, u64)>,
}

/// The smallest values that so many hundredths of all values do not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) p1: f32,
    pub(crate) p5: f32,
    pub(crate) p25: f32,
    pub(crate) p50: f32,
    pub(crate) p75: f32,
    pub(crate) p95: f32,
    pub(crate) p99: f32,
}

impl Default for NumberSketch {
    fn default() -> Self {
        Self {
            count: 0,
            missing: 0,
            least: f32::INFINITY,
            most: f32::NEG_INFINITY,
            binades: vec![None; BINADES],
            distinct: Distinct::default(),
        }
    }
}

impl Default for Binade {
    fn default() -> Self {
        Self { sum: 0, cells: [0; CELLS] }
    }
}

impl NumberSketch {
    /// Sees a column of a batch. What is null or not finite is missing.
    pub(super) fn add_column(&mut self, column: &Float32Array) {
        let values = column.values();
        match column.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => values.iter().for_each(|&value| self.add(value)),
            Some(nulls) => {
                self.missing += nulls.null_count() as u64;
                nulls.valid_indices().for_each(|row| self.add(values[row]));
            }
        }
    }

    #[inline]
    pub(super) fn add(&mut self, value: f32) {
        if !value.is_finite() {
            self.missing += 1;
            return;
        }
        // Of the two zeros that are equal one.
        let value = value + 0.0;
        let bits = value.to_bits();
        let at = bits >> SIGNIFICAND;
        let leading = u32::from(at & 0xff != 0) << SIGNIFICAND;
        self.count += 1;
        self.least = self.least.min(value);
        self.most = self.most.max(value);
        let binade = self.binades[at as usize].get_or_insert_default();
        binade.sum += u64::from(leading | (bits & ((1 << SIGNIFICAND) - 1)));
        binade.cells[(bits >> CUT) as usize % CELLS] += 1;
        self.distinct.add(bits);
    }

    /// Adds what another part has seen.
    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.missing += other.missing;
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
        for (mine, theirs) in self.binades.iter_mut().zip(&other.binades) {
            let Some(theirs) = theirs else { continue };
            let mine = mine.get_or_insert_default();
            mine.sum += theirs.sum;
            mine.cells.iter_mut().zip(theirs.cells).for_each(|(mine, theirs)| *mine += theirs);
        }
        self.distinct.merge(&other.distinct);
    }

    /// How many values are there, how many are missing, and what they are.
    pub(super) fn finish(mut self) -> (u64, u64, Numbers) {
        let any = self.count > 0;
        let histogram = self.histogram();
        let numbers = Numbers {
            distinct: self.distinct.count(),
            min: any.then_some(self.least),
            max: any.then_some(self.most),
            mean: any.then(|| self.sum() / self.count as f64),
            quantiles: any.then(|| self.quantiles(&histogram)),
            histogram,
        };
        (self.count, self.missing, numbers)
    }

    /// Cells that are not empty, by value.
    fn histogram(&self) -> Vec<(f32, u64)> {
        let mut cells: Vec<_> =
            self.cells().map(|(cell, count)| (f32::from_bits(u32::from(cell) << CUT), count)).collect();
        cells.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
        cells
    }

    /// Binades that are not empty, by sign and exponent.
    fn filled(&self) -> impl Iterator<Item = (usize, &Binade)> {
        self.binades.iter().enumerate().filter_map(|(at, binade)| Some((at, binade.as_deref()?)))
    }

    /// Cells that are not empty, by the bits that are not cut off.
    fn cells(&self) -> impl Iterator<Item = (u16, u64)> {
        let cells = self.filled().flat_map(|(at, binade)| (CELLS * at..).zip(binade.cells));
        cells.filter(|(_, count)| *count > 0).map(|(cell, count)| (cell as u16, count))
    }

    /// The sum of all values, of which only this last addition of at most 510 parts rounds.
    fn sum(&self) -> f64 {
        let part = |(at, binade): (usize, &Binade)| {
            let exponent = (at as u64 & 0xff).max(1);
            // 2^(exponent - 150): what the lowest bit of a significand is worth.
            let unit = f64::from_bits((exponent + 1023 - 150) << 52);
            let sign = if at < BINADES / 2 { 1.0 } else { -1.0 };
            sign * unit * binade.sum as f64
        };
        self.filled().map(part).sum()
    }

    fn quantiles(&self, histogram: &[(f32, u64)]) -> Quantiles {
        let at = |hundredths: u64| {
            let rank = (u128::from(self.count) * u128::from(hundredths)).div_ceil(100) as u64;
            let mut seen = 0;
            let cell = histogram.iter().find(|(_, count)| {
                seen += count;
                seen >= rank
            });
            cell.map_or(self.most, |(value, _)| value.clamp(self.least, self.most))
        };
        Quantiles { p1: at(1), p5: at(5), p25: at(25), p50: at(50), p75: at(75), p95: at(95), p99: at(99) }
    }
}

/// A sketch on its way to another process: what is not empty.
#[derive(Serialize, Deserialize)]
struct Packed {
    missing: u64,
    /// `None` where there is no value.
    bounds: Option<(f32, f32)>,
    cells: Vec<(u16, u64)>,
    sums: Vec<(u16, u64)>,
    distinct: Distinct,
}

impl From<NumberSketch> for Packed {
    fn from(sketch: NumberSketch) -> Self {
        Self {
            missing: sketch.missing,
            bounds: (sketch.count > 0).then_some((sketch.least, sketch.most)),
            cells: sketch.cells().collect(),
            sums: sketch.filled().map(|(at, binade)| (at as u16, binade.sum)).collect(),
            distinct: sketch.distinct,
        }
    }
}

impl From<Packed> for NumberSketch {
    fn from(packed: Packed) -> Self {
        let mut sketch = Self { missing: packed.missing, distinct: packed.distinct, ..Self::default() };
        (sketch.least, sketch.most) = packed.bounds.unwrap_or((sketch.least, sketch.most));
        // A process of the same version wrote it, so there is such a place.
        for (at, sum) in packed.sums {
            let Some(binade) = sketch.binades.get_mut(usize::from(at)) else { continue };
            binade.get_or_insert_default().sum = sum;
        }
        for (cell, count) in packed.cells {
            let Some(binade) = sketch.binades.get_mut(usize::from(cell) / CELLS) else { continue };
            binade.get_or_insert_default().cells[usize::from(cell) % CELLS] = count;
            sketch.count += count;
        }
        sketch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f32]) -> NumberSketch {
        let mut sketch = NumberSketch::default();
        for &value in values {
            sketch.add(value);
        }
        sketch
    }

    /// Values of many sizes and both signs, the same each time.
    fn values(count: u32) -> Vec<f32> {
        let random = |row: u32| xxhash_rust::xxh3::xxh3_64(&row.to_le_bytes());
        (0..count)
            .map(|row| {
                let random = random(row);
                let size = f32::from((random >> 32) as u8) / 255.0 * 12.0 - 4.0;
                let sign = if random & 1 == 0 { 1.0 } else { -1.0 };
                sign * 10_f32.powf(size)
            })
            .collect()
    }

    #[test]
    fn whole_numbers_are_described_as_they_are() {
        let mut all: Vec<f32> = (1..=100_u8).map(f32::from).collect();
        all.extend([f32::NAN, f32::INFINITY]);
        let (count, missing, numbers) = of(&all).finish();
        assert_eq!((count, missing, numbers.distinct), (100, 2, 100));
        assert_eq!((numbers.min, numbers.max, numbers.mean), (Some(1.0), Some(100.0), Some(50.5)));
        let Quantiles { p1, p5, p25, p50, p75, p95, p99 } = numbers.quantiles.unwrap();
        assert_eq!([p1, p5, p25, p50, p75, p95, p99], [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0]);
        assert_eq!(numbers.histogram.len(), 100);
    }

    #[test]
    fn quantiles_are_off_by_less_than_a_64th_and_the_mean_is_not() {
        let all = values(10_001);
        let (_, _, numbers) = of(&all).finish();
        let mut sorted = all.clone();
        sorted.sort_by(f32::total_cmp);
        let quantiles = numbers.quantiles.unwrap();
        for (found, hundredths) in [(quantiles.p1, 1), (quantiles.p25, 25), (quantiles.p50, 50), (quantiles.p95, 95)] {
            let expected = sorted[(10_001 * hundredths as usize).div_ceil(100) - 1];
            assert!((found - expected).abs() < expected.abs() / 64.0, "{hundredths}%: {found} for {expected}");
            assert!(found.abs() <= expected.abs(), "towards zero");
        }
        let mean = all.iter().map(|&value| f64::from(value)).sum::<f64>() / 10_001.0;
        assert!((numbers.mean.unwrap() - mean).abs() < 1e-9 * mean.abs(), "{:?} for {mean}", numbers.mean);
        let bounds = (numbers.min.unwrap(), numbers.max.unwrap());
        assert_eq!(bounds, (sorted[0], sorted[10_000]));
    }

    #[test]
    fn neither_order_nor_parts_matter_to_the_last_bit() {
        let mut all = values(5_000);
        all.extend([0.0, -0.0, f32::MIN_POSITIVE / 8.0, -f32::MIN_POSITIVE / 8.0, f32::MAX, f32::NAN]);
        let told = |sketch: NumberSketch| serde_json::to_string(&sketch.finish()).unwrap();
        let whole = told(of(&all));
        let backwards: Vec<f32> = all.iter().rev().copied().collect();
        assert_eq!(whole, told(of(&backwards)));
        let mut merged = NumberSketch::default();
        for part in all.chunks(777).rev() {
            let sent = serde_json::to_string(&of(part)).unwrap();
            merged.merge(&serde_json::from_str(&sent).unwrap());
        }
        assert_eq!(whole, told(merged));
    }

    #[test]
    fn nothing_known_is_told_as_nothing() {
        let sent = serde_json::to_string(&NumberSketch::default()).unwrap();
        let (count, missing, numbers) = serde_json::from_str::<NumberSketch>(&sent).unwrap().finish();
        assert_eq!((count, missing, numbers.distinct, numbers.min, numbers.mean), (0, 0, 0, None, None));
        assert_eq!((numbers.quantiles, numbers.histogram), (None, vec![]));
    }

    #[test]
    fn a_cell_is_known_by_its_value_also_as_text() {
        for cell in
            (0..(BINADES * CELLS) as u32).map(|cell| f32::from_bits(cell << CUT)).filter(|cell| cell.is_finite())
        {
            let read: f32 = serde_json::from_str(&serde_json::to_string(&cell).unwrap()).unwrap();
            assert_eq!(read.to_bits(), cell.to_bits(), "{cell:e}");
        }
    }
}
