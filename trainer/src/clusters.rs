//! Finds groups among pull requests that declare no category: k-means on the codes that the network gives them, as many
//! groups as lie apart well and hold in either half.

use std::ops::ControlFlow;

use ndarray::Array2;
use prowl_model::{Clusters, nearest, squared_distance};
use smartcore::cluster::kmeans::{KMeans, KMeansParameters};
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::metrics::{Metrics, cluster_hcv::HCVScore};

use crate::TrainError;
use crate::findings::spread;

/// Fewer pull requests without a category give no groups that hold.
pub(crate) const FEWEST: usize = 200;

/// Codes by which the number of groups is chosen, at most, evenly spread over time.
const SAMPLE: usize = 2_000;

/// Numbers of groups that are tried.
const COUNTS: std::ops::RangeInclusive<usize> = 2..=10;

/// Beginnings that are tried for each number; the tightest groups count.
const STARTS: u64 = 4;

/// Steps from each beginning, at most.
const ITERATIONS: usize = 100;

/// Codes that lie apart less than this, in the mean silhouette, fall into no groups.
const LEAST_SILHOUETTE: f64 = 0.1;

/// A number of groups counts if either half of the codes alone gives the same ones, to this V-measure: 1 is the same,
/// 0 is by chance. Other groups would be gone after the next training.
const LEAST_AGREEMENT: f64 = 0.6;

/// Of numbers with nearly the largest silhouette, this share of it, the fewest groups count: which of them has the largest is
/// chance.
const NEARLY: f64 = 0.9;

/// Steps between the quantiles of a group's distances.
const STEPS: usize = 20;

/// Groups, the largest first.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Where they lie.
    pub(crate) clusters: Clusters,
    /// Places of the codes that belong to each, those nearest to its middle first.
    pub(crate) members: Vec<Vec<usize>>,
    /// Mean silhouette of the sample: 1 where groups are far apart, 0 where there are none.
    pub(crate) silhouette: f64,
}

/// Groups of these codes, which are of equal length and come in the order of time; or the reason why there are none. The
/// same codes and seed give the same groups.
///
/// # Errors
/// [`TrainError::Stopped`] when `watch` broke off, which is asked before each number of groups.
pub(crate) fn find(
    codes: &[Vec<f32>],
    seed: u64,
    watch: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Result<Found, String>, TrainError> {
    if codes.len() < FEWEST {
        return Ok(Err(format!(
            "{} pull requests of training and validation slice declare no category, and groups of them need {FEWEST}",
            codes.len()
        )));
    }
    let places: Vec<usize> = (0..codes.len()).collect();
    let sample: Vec<&[f32]> = spread(&places, SAMPLE).into_iter().map(|place| codes[place].as_slice()).collect();
    let mut hold: Vec<(usize, f64)> = Vec::new();
    for count in COUNTS {
        if watch().is_break() {
            return Err(TrainError::Stopped);
        }
        let Some(agreement) = agreement(&sample, count, seed) else { continue };
        let Some(centres) = k_means(&sample, count, seed) else { continue };
        let groups: Vec<usize> = sample.iter().map(|code| nearest(&centres, code).0).collect();
        let silhouette = silhouette(&sample, &groups, count);
        tracing::debug!(count, silhouette, agreement, "groups");
        if agreement >= LEAST_AGREEMENT {
            hold.push((count, silhouette));
        }
    }
    let highest = hold.iter().map(|&(_, silhouette)| silhouette).fold(f64::NEG_INFINITY, f64::max);
    let Some(&(count, silhouette)) = hold.iter().find(|(_, silhouette)| *silhouette >= NEARLY * highest) else {
        return Ok(Err(format!(
            "the {} pull requests that declare no category do not fall into groups: each half of them gives other ones",
            codes.len()
        )));
    };
    if silhouette < LEAST_SILHOUETTE {
        return Ok(Err(format!(
            "the {} pull requests that declare no category do not fall into groups: their silhouette is {silhouette:.2}, \
             and {LEAST_SILHOUETTE} is the least that counts",
            codes.len()
        )));
    }
    let all: Vec<&[f32]> = codes.iter().map(Vec::as_slice).collect();
    let Some(centres) = k_means(&all, count, seed) else {
        return Ok(Err(format!("too few different ones among {} pull requests", codes.len())));
    };
    Ok(Ok(found(&centres, &all, silhouette)))
}

/// How far groups of every other code are those of the rest, as V-measure of the codes that both put into groups (Rosenberg
/// and Hirschberg, "V-Measure", 2007); `None` where a half gives too few.
fn agreement(codes: &[&[f32]], count: usize, seed: u64) -> Option<f64> {
    let groups = |first: usize| {
        let half: Vec<&[f32]> = codes.iter().copied().skip(first).step_by(2).collect();
        let centres = k_means(&half, count, seed)?;
        Some(codes.iter().map(|code| nearest(&centres, code).0 as u32).collect::<Vec<u32>>())
    };
    let mut score = HCVScore::<u32>::new();
    score.compute(&groups(0)?, &groups(1)?);
    score.v_measure()
}

/// Middles of the tightest groups of several beginnings; shape (count, code). `None` where a group stays empty, since too
/// few codes differ.
fn k_means(codes: &[&[f32]], count: usize, seed: u64) -> Option<Array2<f32>> {
    let values = codes.iter().flat_map(|code| code.iter().map(|&value| f64::from(value))).collect();
    let matrix = DenseMatrix::new(codes.len(), codes.first()?.len(), values, false).ok()?;
    let start = |start: u64| {
        // The library has no field for the seed but this one.
        let parameters = KMeansParameters {
            k: count,
            max_iter: ITERATIONS,
            seed: Some(seed.wrapping_mul(STARTS).wrapping_add(start)),
        };
        let fitted = KMeans::<f64, u32, _, Vec<u32>>::fit(&matrix, parameters).ok()?;
        let groups = fitted.predict(&matrix).ok()?;
        let centres = middles(codes, &groups, count)?;
        let loss: f64 = codes.iter().map(|code| nearest(&centres, code).1).sum();
        Some((loss, centres))
    };
    (0..STARTS).filter_map(start).min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, centres)| centres)
}

/// Means of groups; `None` where one is empty.
fn middles(codes: &[&[f32]], groups: &[u32], count: usize) -> Option<Array2<f32>> {
    let mut sums = Array2::<f64>::zeros((count, codes.first()?.len()));
    let mut sizes = vec![0_usize; count];
    for (code, &group) in codes.iter().zip(groups) {
        let mut sum = sums.row_mut(group as usize);
        sum.iter_mut().zip(*code).for_each(|(sum, &value)| *sum += f64::from(value));
        sizes[group as usize] += 1;
    }
    for (mut sum, &size) in sums.outer_iter_mut().zip(&sizes) {
        sum /= size.max(1) as f64;
    }
    sizes.iter().all(|&size| size > 0).then(|| sums.mapv(|value| value as f32))
}

/// Mean over all codes of `(b - a) / max(a, b)`, with `a` the mean distance to the others of its group and `b` that to the
/// nearest other group; 0 for one that is alone (Rousseeuw, "Silhouettes", 1987).
fn silhouette(codes: &[&[f32]], groups: &[usize], count: usize) -> f64 {
    let mut sizes = vec![0_usize; count];
    for &group in groups {
        sizes[group] += 1;
    }
    let mut sums = vec![0.0; count];
    let mut of = |(code, &group): (&&[f32], &usize)| {
        if sizes[group] < 2 {
            return 0.0;
        }
        sums.fill(0.0);
        for (other, &of) in codes.iter().zip(groups) {
            sums[of] += squared_distance(*other, code).sqrt();
        }
        let own = sums[group] / (sizes[group] - 1) as f64;
        let others = (0..count).filter(|&other| other != group && sizes[other] > 0);
        let next = others.map(|other| sums[other] / sizes[other] as f64).fold(f64::INFINITY, f64::min);
        let larger = own.max(next);
        if larger > 0.0 && larger.is_finite() { (next - own) / larger } else { 0.0 }
    };
    codes.iter().zip(groups).map(&mut of).sum::<f64>() / codes.len().max(1) as f64
}

/// The groups around these middles, sorted.
fn found(centres: &Array2<f32>, codes: &[&[f32]], silhouette: f64) -> Found {
    let mut groups: Vec<(usize, Vec<(f64, usize)>)> = (0..centres.nrows()).map(|group| (group, Vec::new())).collect();
    for (place, code) in codes.iter().enumerate() {
        let (group, distance) = nearest(centres, code);
        groups[group].1.push((distance.sqrt(), place));
    }
    groups.retain(|(_, members)| !members.is_empty());
    for (_, members) in &mut groups {
        members.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    }
    groups.sort_by_key(|(group, members)| (std::cmp::Reverse(members.len()), *group));
    let centre = |(row, column): (usize, usize)| centres[[groups[row].0, column]];
    let distance = |(row, step): (usize, usize)| {
        let members = &groups[row].1;
        members[(members.len() - 1) * step / STEPS].0 as f32
    };
    let clusters = Clusters {
        centres: Array2::from_shape_fn((groups.len(), centres.ncols()), centre),
        distances: Array2::from_shape_fn((groups.len(), STEPS + 1), distance),
    };
    let members = groups.into_iter().map(|(_, members)| members.into_iter().map(|(_, place)| place).collect());
    Found { clusters, members: members.collect(), silhouette }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

    use super::*;

    fn find(codes: &[Vec<f32>], seed: u64) -> Result<Found, String> {
        super::find(codes, seed, &mut || ControlFlow::Continue(())).unwrap()
    }

    /// Rows around three middles, of which the last has most.
    fn planted(rows: usize) -> (Vec<Vec<f32>>, Vec<usize>) {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let middles = [[0.6, 0.0, 0.0], [-0.6, 0.3, 0.0], [0.0, -0.3, 0.7]];
        let group = |row: usize| [0, 1, 1, 2, 2, 2][row / 2 % 6];
        let mut code = |row: usize| middles[group(row)].map(|middle| middle + 0.2 * (random.random::<f32>() - 0.5));
        ((0..rows).map(|row| code(row).to_vec()).collect(), (0..rows).map(group).collect())
    }

    #[test]
    fn planted_groups_are_found_the_largest_first() {
        let (codes, groups) = planted(3_000);
        let Found { clusters, members, silhouette } = find(&codes, 1).unwrap();
        assert_eq!(members.iter().map(Vec::len).collect::<Vec<_>>(), [1_500, 1_000, 500]);
        for (group, members) in [2, 1, 0].into_iter().zip(&members) {
            assert!(members.iter().all(|&place| groups[place] == group));
        }
        assert!(silhouette > 0.6, "{silhouette}");
        assert!((clusters.centres[[0, 2]] - 0.7).abs() < 0.02, "{:?}", clusters.centres);
        let of = |place: usize| clusters.nearest(&codes[place]);
        let [first, last] = [members[1][0], members[1][999]].map(of);
        assert_eq!((first.cluster, first.farther, last.cluster), (1, 1.0, 1));
        let middle = of(members[1][499]).farther;
        assert!((middle - 0.5).abs() < 0.03 && last.farther < 1e-6, "{middle} {last:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_groups() {
        let (codes, _) = planted(1_000);
        let [one, again, other] = [7, 7, 8].map(|seed| find(&codes, seed).unwrap());
        assert_eq!((one.clusters, &one.members), (again.clusters, &again.members));
        assert_eq!(one.members.iter().map(Vec::len).sum::<usize>(), 1_000);
        assert_eq!(other.members.len(), 3, "whatever the seed");
    }

    #[test]
    fn where_there_are_no_groups_none_are_found() {
        let (codes, _) = planted(FEWEST - 1);
        assert!(find(&codes, 1).unwrap_err().contains("199 pull requests"));
        let alike = vec![vec![0.5, 0.5]; 300];
        assert!(find(&alike, 1).unwrap_err().contains("do not fall into groups"));
        let mut random = ChaCha8Rng::seed_from_u64(9);
        let cloud: Vec<Vec<f32>> = (0..400).map(|_| (0..16).map(|_| random.random::<f32>()).collect()).collect();
        assert!(find(&cloud, 1).unwrap_err().contains("do not fall into groups"));
        let stopped = super::find(&planted(300).0, 1, &mut || ControlFlow::Break(()));
        assert!(matches!(stopped, Err(TrainError::Stopped)));
    }

    #[test]
    fn of_nearly_equal_silhouettes_the_fewest_groups_count() {
        // Two pairs of groups: four lie apart better than two, by a little or by far.
        let count = |apart: f32, wide: f32| {
            let mut random = ChaCha8Rng::seed_from_u64(2);
            let middles = [-1.0 - apart, -1.0 + apart, 1.0 - apart, 1.0 + apart];
            let mut code = |row: usize| vec![middles[row / 2 % 4] + wide * (random.random::<f32>() - 0.5)];
            find(&(0..400).map(&mut code).collect::<Vec<_>>(), 1).unwrap().members.len()
        };
        assert_eq!((count(0.3, 0.2), count(0.4, 0.1)), (2, 4));
    }

    #[test]
    fn groups_of_one_half_are_those_of_the_other_only_where_there_are_groups() {
        let agreement = |codes: &[Vec<f32>], count: usize| {
            super::agreement(&codes.iter().map(Vec::as_slice).collect::<Vec<_>>(), count, 1).unwrap()
        };
        let (codes, _) = planted(600);
        assert!(agreement(&codes, 3) > 0.99);
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let ring: Vec<Vec<f32>> = (0..600)
            .map(|_| std::f32::consts::TAU * random.random::<f32>())
            .map(|angle| vec![angle.cos(), angle.sin()])
            .collect();
        let by_chance = agreement(&ring, 2);
        assert!(by_chance < LEAST_AGREEMENT, "{by_chance}");
    }

    #[test]
    fn a_silhouette_is_that_worked_out_by_hand() {
        let codes: [&[f32]; 3] = [&[0.0], &[1.0], &[5.0]];
        // The first: 1 to its own, 5 to the other; the second: 1 and 4; the third is alone.
        let expected = (4.0 / 5.0 + 3.0 / 4.0) / 3.0;
        assert!((silhouette(&codes, &[0, 0, 1], 2) - expected).abs() < 1e-6);
        assert_eq!(silhouette(&[&[1.0], &[1.0]], &[0, 0], 1), 0.0);
    }
}
