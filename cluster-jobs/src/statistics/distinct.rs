//! How many different values there are: exact up to some number, an estimate beyond it.
//!
//! The `K` smallest hashes of a set are the same in whatever order it is seen and from however many parts it is merged,
//! which does not hold of what the usual crates for this keep (running sums of floats, or another form once there is
//! too much of the first). Estimate: Bar-Yossef et al., "Counting distinct elements in a data stream" (RANDOM 2002),
//! unbiased as in Beyer et al. (SIGMOD 2007).

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Hashes that are kept. Fewer different values are counted exactly; of more the estimate is off by about 1 / √K = 3%.
const K: usize = 1024;

/// Values that were seen a moment ago. A column of few values is nearly always answered here.
const RECENT: usize = 256;

/// The smallest hashes of the values seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Vec<u64>", into = "Vec<u64>")]
pub(super) struct Distinct {
    /// At most twice `K`; the smallest `K` of them are what counts.
    hashes: Vec<u64>,
    /// What is larger is none of the smallest any more.
    limit: u64,
    recent: Box<[u32; RECENT]>,
}

impl Default for Distinct {
    fn default() -> Self {
        // No value equals what stands at its place: 0 belongs at 0, 1 does not.
        let mut recent = Box::new([0; RECENT]);
        recent[0] = 1;
        Self { hashes: Vec::new(), limit: u64::MAX, recent }
    }
}

impl Distinct {
    /// Sees a value.
    #[inline]
    pub(super) fn add(&mut self, value: u32) {
        let recent = &mut self.recent[place(value)];
        if *recent == value {
            return;
        }
        *recent = value;
        let hash = xxh3_64(&value.to_le_bytes());
        if hash <= self.limit {
            self.push(hash);
        }
    }

    fn push(&mut self, hash: u64) {
        self.hashes.push(hash);
        if self.hashes.len() >= 2 * K {
            self.compact();
        }
    }

    fn compact(&mut self) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        self.hashes.truncate(K);
        if self.hashes.len() == K {
            self.limit = self.hashes[K - 1];
        }
    }

    /// Adds what another part has seen.
    pub(super) fn merge(&mut self, other: &Self) {
        for &hash in &other.hashes {
            self.push(hash);
        }
    }

    /// How many different values were seen.
    pub(super) fn count(&mut self) -> u64 {
        self.compact();
        match self.hashes.last() {
            Some(&largest) if self.hashes.len() == K => {
                let share = largest as f64 / u64::MAX as f64;
                ((K - 1) as f64 / share).round() as u64
            }
            _ => self.hashes.len() as u64,
        }
    }
}

/// Where a value is remembered: the highest bits of a product, into which all of its own go.
fn place(value: u32) -> usize {
    (value.wrapping_mul(0x9E37_79B9) >> 24) as usize
}

impl From<Distinct> for Vec<u64> {
    fn from(mut distinct: Distinct) -> Self {
        distinct.compact();
        distinct.hashes
    }
}

impl From<Vec<u64>> for Distinct {
    fn from(hashes: Vec<u64>) -> Self {
        let mut distinct = Self::default();
        for hash in hashes {
            distinct.push(hash);
        }
        distinct
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl Iterator<Item = u32>) -> Distinct {
        let mut distinct = Distinct::default();
        values.for_each(|value| distinct.add(value));
        distinct
    }

    #[test]
    fn few_values_are_counted_and_many_estimated() {
        for (different, error) in [(0, 0.0), (1, 0.0), (2, 0.0), (1023, 0.0), (5_000, 0.1), (300_000, 0.1)] {
            let counted = of((0..3 * different).map(|value| value % different)).count() as f64;
            let different = f64::from(different);
            assert!((counted - different).abs() <= error * different, "{different}: {counted}");
        }
    }

    #[test]
    fn neither_order_nor_parts_matter() {
        for different in [10, 1000, 1024, 1500, 40_000] {
            let whole = Vec::from(of(0..different));
            assert_eq!(whole, Vec::from(of((0..different).rev())), "{different} backwards");
            let mut merged = Distinct::default();
            for part in [2, 0, 1] {
                let part = Vec::from(of((0..different).filter(|value| value % 3 == part || value % 7 == 0)));
                merged.merge(&part.into());
            }
            assert_eq!(whole, Vec::from(merged), "{different} in parts");
        }
    }
}
