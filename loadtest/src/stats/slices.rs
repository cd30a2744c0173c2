//! Calls in slices of time, of which each may be there several times or not at all.

use super::quantile::Place;

/// Of fewer slices than these, one cannot tell how much moments differ: five can be drawn in 126 ways, four in 35, which do not
/// have a fortieth at either end.
const LEAST_SLICES: usize = 5;

/// The slices of time in which any call was due.
pub(super) struct Slices {
    begin: f64,
    width: f64,
    /// How many widths after the beginning each begins, in ascending order.
    at: Vec<f64>,
}

impl Slices {
    /// `None` where the width is no time.
    pub(super) fn of(sides: [&[(f64, f64)]; 2], width: f64) -> Option<Self> {
        if !(width.is_finite() && width > 0.0) {
            return None;
        }
        let due = || sides.into_iter().flatten().filter(|call| is_known(call)).map(|call| call.0);
        let mut slices = Self { begin: due().fold(f64::INFINITY, f64::min), width, at: Vec::new() };
        let mut at: Vec<f64> = due().map(|due| slices.widths(due)).collect();
        at.sort_unstable_by(f64::total_cmp);
        at.dedup();
        slices.at = at;
        Some(slices)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.at.len()
    }

    /// Whole widths from the beginning to a moment.
    fn widths(&self, due: f64) -> f64 {
        ((due - self.begin) / self.width).floor()
    }

    /// The slice that a moment lies in.
    fn place(&self, due: f64) -> u32 {
        let widths = self.widths(due);
        self.at.partition_point(|at| *at < widths) as u32
    }
}

/// The calls of one side, sorted once: a round only counts how often each is there.
pub(super) struct Side {
    /// Milliseconds, ascending, and the slice.
    calls: Vec<(f64, u32)>,
    /// Calls of each slice.
    sizes: Vec<u64>,
}

impl Side {
    /// `None` where there are too few slices with any of its calls.
    pub(super) fn of(calls: &[(f64, f64)], slices: &Slices) -> Option<Self> {
        let known = calls.iter().filter(|call| is_known(call));
        let mut calls: Vec<(f64, u32)> = known.map(|&(due, took)| (took, slices.place(due))).collect();
        calls.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut sizes = vec![0_u64; slices.count()];
        for &(_, slice) in &calls {
            sizes[slice as usize] += 1;
        }
        let with_calls = sizes.iter().filter(|size| **size > 0).count();
        (with_calls >= LEAST_SLICES).then_some(Self { calls, sizes })
    }

    /// The quantile of the calls where those of each slice are there so many times.
    pub(super) fn quantile(&self, counts: &[u32], q: f64) -> Option<f64> {
        let total: u64 = counts.iter().zip(&self.sizes).map(|(&count, &size)| u64::from(count) * size).sum();
        let place = Place::of(total, q)?;
        // From the nearer end: a p99 then takes a look at one call in a hundred.
        let (lower, upper) = if place.below < total / 2 {
            values_at(self.calls.iter(), counts, place.below, place.above)?
        } else {
            let (below, above) = (total - 1 - place.below, total - 1 - place.above);
            let (upper, lower) = values_at(self.calls.iter().rev(), counts, above, below)?;
            (lower, upper)
        };
        Some(place.between(lower, upper))
    }
}

/// The values at two ranks, the second at or after the first.
fn values_at<'a>(
    mut calls: impl Iterator<Item = &'a (f64, u32)>,
    counts: &[u32],
    first: u64,
    second: u64,
) -> Option<(f64, f64)> {
    let (mut passed, mut value) = (0, 0.0);
    let mut reach = |rank: u64| -> Option<f64> {
        while passed <= rank {
            let call = calls.next()?;
            passed += u64::from(counts[call.1 as usize]);
            value = call.0;
        }
        Some(value)
    };
    Some((reach(first)?, reach(second)?))
}

/// Whether both its moment and its time are numbers.
fn is_known(call: &(f64, f64)) -> bool {
    call.0.is_finite() && call.1.is_finite()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};

    use super::{
        super::quantile::{ascending, quantile},
        *,
    };

    #[test]
    fn a_weighted_quantile_is_that_of_the_calls_written_out() {
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        for round in 0..200 {
            // With ties, and with slices that are not there at all.
            let each = 1 + round % 5;
            let call = |place: usize| ((place / each) as f64, f64::from(dice.random_range(0_u8..8)));
            let calls: Vec<(f64, f64)> = (0..6 * each).map(call).collect();
            let counts: Vec<u32> = (0..6).map(|_| dice.random_range(0..4)).collect();
            let copies = |&(due, took): &(f64, f64)| vec![took; counts[due as usize] as usize];
            let written: Vec<f64> = calls.iter().flat_map(copies).collect();
            let side = Side::of(&calls, &Slices::of([&calls, &[]], 1.0).unwrap()).unwrap();
            for q in [0.0, 0.05, 0.37, 0.5, 0.75, 0.99, 1.0] {
                assert_eq!(side.quantile(&counts, q), quantile(&ascending(&written), q), "{q} of {written:?}");
            }
        }
    }

    #[test]
    fn slices_begin_with_the_first_call_of_either_side() {
        let (one, other) = ([(3.5, 1.0), (4.4, 1.0), (4.5, 1.0), (9.0, 1.0)], [(2.5, 1.0), (5.5, 1.0)]);
        let slices = Slices::of([&one, &other], 1.0).unwrap();
        // From 2.5, 3.5, 4.5, 5.5 and 8.5; there is no call in between.
        let places = [2.5, 3.5, 4.4, 4.5, 5.5, 9.0].map(|due| slices.place(due));
        assert_eq!((slices.count(), places), (5, [0, 1, 1, 2, 3, 4]));
        assert!(Side::of(&one, &slices).is_none(), "it has calls in three of them");
    }

    #[test]
    fn a_width_that_is_no_time_makes_no_slices() {
        for width in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Slices::of([&[(0.0, 1.0)], &[]], width).is_none(), "{width}");
        }
        assert_eq!(Slices::of([&[], &[(f64::NAN, 1.0), (1.0, f64::NAN)]], 1.0).unwrap().count(), 0);
    }
}
