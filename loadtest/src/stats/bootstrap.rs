//! How much slower one side is than another, and how sure that is.
//!
//! Calls of one moment are alike: a pause of the machine makes all of them slow, so that ten thousand of them tell less than
//! ten thousand dice would. Therefore whole blocks of time are drawn anew and not single calls (the moving-block bootstrap:
//! Künsch, "The jackknife and the bootstrap for general stationary observations", Annals of Statistics 17, 1989), and the same
//! ones for both sides, whose calls went out side by side and had the same machine below them.

use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};
use serde::{Deserialize, Serialize};

use super::{
    quantile::{ascending, quantile},
    slices::{Side, Slices},
};

/// What 95% of the rounds leave out below and above.
const TAIL: f64 = 0.025;

/// A figure, and where it lies with a certainty of 95%.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// 2.5% are below; never above [`Interval::at`].
    pub low: f64,
    /// As measured.
    pub at: f64,
    /// 2.5% are above; never below [`Interval::at`].
    pub high: f64,
}

/// The quantile `q` of the latencies of `ours` divided by that of `theirs`, with its interval over so many `rounds`.
///
/// A call is the second at which it was due and its milliseconds. Time is cut into slices of `slice` seconds, those without any
/// call left out; a round draws blocks of as many slices as the cube root of their number, which is the rate that Künsch
/// gives. A block that begins near the end goes on at the beginning, so that no slice counts less than another (Politis and
/// Romano, "A circular block-resampling procedure for stationary data", 1992). The same seed gives the same interval, in
/// whatever order the calls are.
///
/// `None` where either side has calls in fewer than five slices, where the quantile of `theirs` is zero, as measured or in more
/// than half of the rounds, and for a `q` that is no share, a `slice` that is no time, or no rounds.
pub(crate) fn quantile_ratio(
    ours: &[(f64, f64)],
    theirs: &[(f64, f64)],
    q: f64,
    slice: f64,
    rounds: usize,
    seed: u64,
) -> Option<Interval> {
    let slices = Slices::of([ours, theirs], slice)?;
    let (ours, theirs) = (Side::of(ours, &slices)?, Side::of(theirs, &slices)?);
    let ratio = |counts: &[u32]| {
        let ratio = ours.quantile(counts, q)? / theirs.quantile(counts, q)?;
        ratio.is_finite().then_some(ratio)
    };
    let mut counts = vec![1_u32; slices.count()];
    let at = ratio(&counts)?;

    let block = (slices.count() as f64).cbrt().round() as usize;
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let round = |_| {
        draw(&mut dice, block, &mut counts);
        ratio(&counts)
    };
    let ratios: Vec<f64> = (0..rounds).filter_map(round).collect();
    if ratios.len() < rounds.div_ceil(2) {
        return None;
    }
    let ratios = ascending(&ratios);
    Some(Interval { low: quantile(&ratios, TAIL)?.min(at), at, high: quantile(&ratios, 1.0 - TAIL)?.max(at) })
}

/// Draws as many slices as there are, in blocks of neighbours that each begin anywhere, and counts how often each came.
fn draw(dice: &mut ChaCha8Rng, block: usize, counts: &mut [u32]) {
    counts.fill(0);
    let slices = counts.len();
    let mut left = slices;
    while left > 0 {
        let first = dice.random_range(0..slices);
        let length = block.clamp(1, left);
        for place in first..first + length {
            counts[place % slices] += 1;
        }
        left -= length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Calls = Vec<(f64, f64)>;

    /// So many calls in each second, whose time is told by the second and by dice from 0 to 1.
    fn calls(seed: u64, seconds: usize, each: usize, took: impl Fn(usize, f64) -> f64) -> Calls {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let mut calls = Vec::new();
        for second in 0..seconds {
            for place in 0..each {
                calls.push((second as f64 + place as f64 / each as f64, took(second, dice.random())));
            }
        }
        calls
    }

    /// Times as of waiting for something that has no memory: 10 ms on average.
    fn exponential(_: usize, chance: f64) -> f64 {
        -10.0 * (1.0 - chance).ln()
    }

    fn width(interval: Interval) -> f64 {
        interval.high - interval.low
    }

    #[test]
    fn a_side_is_as_fast_as_itself() {
        let side = calls(1, 30, 40, exponential);
        for q in [0.0, 0.5, 0.99, 1.0] {
            let told = quantile_ratio(&side, &side, q, 1.0, 200, 7);
            assert_eq!(told, Some(Interval { low: 1.0, at: 1.0, high: 1.0 }), "{q}");
        }
    }

    #[test]
    fn twice_as_long_is_two() {
        let theirs = calls(1, 30, 40, exponential);
        let ours: Calls = theirs.iter().map(|&(due, took)| (due, 2.0 * took)).collect();
        let told = quantile_ratio(&ours, &theirs, 0.99, 1.0, 200, 7);
        assert_eq!(told, Some(Interval { low: 2.0, at: 2.0, high: 2.0 }));
    }

    #[test]
    fn the_ratio_is_that_of_the_quantiles() {
        let (ours, theirs) = (calls(1, 20, 33, exponential), calls(2, 20, 21, exponential));
        let of =
            |calls: &Calls, q| quantile(&ascending(&calls.iter().map(|call| call.1).collect::<Vec<_>>()), q).unwrap();
        for q in [0.0, 0.1, 0.5, 0.9, 0.99, 1.0] {
            let told = quantile_ratio(&ours, &theirs, q, 1.0, 100, 7).unwrap();
            assert_eq!(told.at, of(&ours, q) / of(&theirs, q), "{q}");
            assert!(told.low <= told.at && told.at <= told.high, "{told:?}");
        }
    }

    #[test]
    fn blocks_are_runs_of_neighbours_and_no_slice_counts_less() {
        let mut dice = ChaCha8Rng::seed_from_u64(4);
        let mut counts = [0_u32; 64];
        for _ in 0..200 {
            draw(&mut dice, 4, &mut counts);
            assert_eq!(counts.iter().sum::<u32>(), 64);
            // Each of the sixteen blocks has a beginning and an end; slices drawn singly would change about 67 times.
            let changes: u32 = (0..64).map(|place| counts[place].abs_diff(counts[(place + 1) % 64])).sum();
            assert!(changes <= 32, "{counts:?}");
        }
        let mut sums = [0_u32; 10];
        let mut counts = [0_u32; 10];
        for _ in 0..20_000 {
            // The last block is cut.
            draw(&mut dice, 3, &mut counts);
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        assert!(sums.iter().all(|sum| (19_000..21_000).contains(sum)), "{sums:?}");
    }

    #[test]
    fn what_slows_both_at_the_same_moment_is_no_difference() {
        // Five seconds take ten times as long and five do not, so that the median is now of these and now of those.
        let slow =
            |second: usize, chance: f64| (1.0 + chance) * if (second / 5).is_multiple_of(2) { 10.0 } else { 1.0 };
        let (ours, theirs) = (calls(1, 60, 50, slow), calls(2, 60, 50, slow));
        let told = quantile_ratio(&ours, &theirs, 0.5, 1.0, 300, 7).unwrap();
        assert!(told.low > 0.9 && told.high < 1.1, "{told:?}");
        // Where theirs is fast whenever ours is slow, nothing of it cancels.
        let other = calls(2, 60, 50, |second, chance| slow(second + 5, chance));
        let apart = quantile_ratio(&ours, &other, 0.5, 1.0, 300, 7).unwrap();
        assert!(apart.low < 0.5 && apart.high > 2.0, "{apart:?}");
    }

    #[test]
    fn calls_that_are_alike_tell_less_than_as_many_dice() {
        let mut dice = ChaCha8Rng::seed_from_u64(5);
        let moments: Vec<f64> = (0..40).map(|_| 1.0 + dice.random::<f64>()).collect();
        let ours = calls(1, 40, 50, |second, chance| moments[second] + 0.01 * chance);
        let theirs = calls(2, 40, 50, |_, chance| 1.0 + 0.01 * chance);
        // The same times, at moments that have nothing to do with them.
        let strewn: Calls =
            ours.iter().enumerate().map(|(place, &(_, took))| ((place * 7 % 40) as f64 + 0.5, took)).collect();
        let alike = quantile_ratio(&ours, &theirs, 0.5, 1.0, 400, 7).unwrap();
        let strewn = quantile_ratio(&strewn, &theirs, 0.5, 1.0, 400, 7).unwrap();
        assert_eq!(alike.at, strewn.at);
        assert!(width(alike) > 2.0 * width(strewn), "{alike:?} {strewn:?}");
    }

    #[test]
    fn the_interval_holds_the_truth_about_as_often_as_it_says() {
        let (mut equal, mut slower) = (0, 0);
        for seed in 0..100 {
            let (ours, theirs) = (calls(2 * seed, 60, 20, exponential), calls(2 * seed + 1, 60, 20, exponential));
            let told = quantile_ratio(&ours, &theirs, 0.5, 1.0, 200, seed).unwrap();
            equal += u32::from(told.low <= 1.0 && 1.0 <= told.high);
            let half_more: Calls = ours.iter().map(|&(due, took)| (due, 1.5 * took)).collect();
            slower += u32::from(quantile_ratio(&half_more, &theirs, 0.5, 1.0, 200, seed).unwrap().low > 1.0);
        }
        // 95 by its name; blocks, of which there are few, make it a little less.
        assert!((82..100).contains(&equal), "{equal}");
        assert!(slower >= 95, "{slower}");
    }

    #[test]
    fn it_is_told_by_the_seed_and_not_by_the_order() {
        let (mut ours, theirs) = (calls(1, 30, 40, exponential), calls(2, 30, 40, exponential));
        let of = |ours: &Calls, seed| quantile_ratio(ours, &theirs, 0.9, 1.0, 400, seed).unwrap();
        let told = of(&ours, 7);
        ours.reverse();
        assert_eq!(of(&ours, 7), told);
        let other = of(&ours, 8);
        assert!(other != told && other.at == told.at, "{other:?}");
        assert!(width(other) < 1.5 * width(told) && width(told) < 1.5 * width(other), "{other:?} {told:?}");
        // When the clock began is nothing to it.
        let later = |calls: &Calls| calls.iter().map(|&(due, took)| (due + 4_096.0, took)).collect::<Calls>();
        assert_eq!(quantile_ratio(&later(&ours), &later(&theirs), 0.9, 1.0, 400, 7), Some(told));
    }

    #[test]
    fn too_little_tells_nothing() {
        let side = calls(1, 30, 4, exponential);
        let told = |ours: &[(f64, f64)], theirs: &[(f64, f64)]| quantile_ratio(ours, theirs, 0.5, 1.0, 50, 7);
        assert!(told(&side, &side).is_some());
        let none: &[(f64, f64)] = &[];
        for few in [none, &side[..1], &side[..16]] {
            assert!(told(&side, few).is_none() && told(few, &side).is_none() && told(few, few).is_none(), "{few:?}");
        }
        assert!(told(&side, &side[..17]).is_some(), "one more, which is in the fifth slice");
        let four = calls(1, 4, 1_000, exponential);
        assert_eq!(told(&four, &four), None, "however many calls there are in each");
        let nothing: Calls = side.iter().map(|&(due, _)| (due, 0.0)).collect();
        assert_eq!(told(&side, &nothing), None, "nothing is so many times as long as no time");
        assert_eq!(told(&nothing, &side), Some(Interval { low: 0.0, at: 0.0, high: 0.0 }));
    }

    #[test]
    fn what_makes_no_sense_tells_nothing() {
        let side = calls(1, 30, 4, exponential);
        for q in [-0.1, 1.1, f64::NAN] {
            assert_eq!(quantile_ratio(&side, &side, q, 1.0, 50, 7), None, "{q}");
        }
        for slice in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(quantile_ratio(&side, &side, 0.5, slice, 50, 7), None, "{slice}");
        }
        assert_eq!(quantile_ratio(&side, &side, 0.5, 1.0, 0, 7), None);
        assert!(quantile_ratio(&side, &side, 0.5, 1.0, 1, 7).is_some());
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let (ours, theirs) = (calls(1, 30, 10, exponential), calls(2, 30, 10, exponential));
        let told = quantile_ratio(&ours, &theirs, 0.9, 1.0, 100, 7);
        assert!(told.is_some());
        let mut with = ours.clone();
        for odd in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            with.extend([(odd, 1.0), (3.0, odd), (odd, odd)]);
        }
        assert_eq!(quantile_ratio(&with, &theirs, 0.9, 1.0, 100, 7), told);
        let odd = [(f64::NAN, f64::NAN); 100];
        assert_eq!(quantile_ratio(&odd, &odd, 0.9, 1.0, 100, 7), None);
        // Moments beyond all reason take no room.
        let far = [-f64::MAX, 0.0, 1.0, 1e9, f64::MAX].map(|due| (due, 1.0));
        for slice in [1e-300, f64::MIN_POSITIVE, 1.0, 1e9, f64::MAX] {
            let told = quantile_ratio(&far, &far, 0.5, slice, 50, 7);
            assert_eq!(told, None, "of {slice}, there are fewer than five that differ");
        }
        let apart = [0.0, 1.0, 1e6, 1e9, 1e12].map(|due| (due, 1.0));
        assert!(quantile_ratio(&apart, &apart, 0.5, 1.0, 50, 7).is_some());
    }
}
