//! Grows the isolation forest.

use ndarray::ArrayView2;
use prowl_model::{DEPTH, Forest, Node, PLACES};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, seq::index};

/// Trees.
const TREES: usize = 100;

/// Rows that a tree grows on, at most.
const SAMPLE: usize = 256;

/// A forest on these rows, NaN where unknown; shape (rows, inputs), at least one row. An input is looked at in proportion
/// to its weight, and split anywhere between its smallest and its largest value at that place.
pub(crate) fn fit(rows: ArrayView2<'_, f32>, weights: &[f32], random: &mut ChaCha8Rng) -> Forest {
    let mut nodes = vec![Node::default(); TREES * PLACES];
    for tree in nodes.chunks_exact_mut(PLACES) {
        let mut sample = index::sample(random, rows.nrows(), SAMPLE.min(rows.nrows())).into_vec();
        grow(tree, 0, &mut sample, rows, weights, random);
    }
    Forest { nodes }
}

/// Splits what came to a place, and what comes to the places below it.
fn grow(
    tree: &mut [Node],
    place: usize,
    sample: &mut [usize],
    rows: ArrayView2<'_, f32>,
    weights: &[f32],
    random: &mut ChaCha8Rng,
) {
    tree[place].rows = sample.len() as f32;
    let depth = (place + 1).ilog2() as usize;
    if depth == DEPTH || sample.len() < 2 {
        return;
    }
    let value = |row: usize, input: usize| Some(rows[[row, input]]).filter(|value| !value.is_nan()).unwrap_or(0.0);
    let range = |input: usize| {
        let values = || sample.iter().map(|&row| value(row, input));
        (values().fold(f32::INFINITY, f32::min), values().fold(f32::NEG_INFINITY, f32::max))
    };
    // Inputs that do not vary here are passed over.
    let mut candidates: Vec<usize> = (0..weights.len()).filter(|&input| weights[input] > 0.0).collect();
    let (input, low, high) = loop {
        let Some(at) = draw(&candidates, weights, random) else { return };
        let input = candidates.swap_remove(at);
        let (low, high) = range(input);
        if low < high {
            break (input, low, high);
        }
    };
    let between = low + (high - low) * random.random::<f32>();
    // Both children get a row, however the numbers round.
    let threshold = if between > low { between.min(high) } else { high };
    (tree[place].input, tree[place].threshold) = (Some(input as u32), threshold);
    sample.sort_by_key(|&row| value(row, input) >= threshold);
    let below = sample.partition_point(|&row| value(row, input) < threshold);
    let (first, second) = sample.split_at_mut(below);
    grow(tree, 2 * place + 1, first, rows, weights, random);
    grow(tree, 2 * place + 2, second, rows, weights, random);
}

/// The place of a candidate, drawn in proportion to its weight.
fn draw(candidates: &[usize], weights: &[f32], random: &mut ChaCha8Rng) -> Option<usize> {
    let sum: f32 = candidates.iter().map(|&input| weights[input]).sum();
    let mut left = sum * random.random::<f32>();
    let found = candidates.iter().position(|&input| {
        left -= weights[input];
        left < 0.0
    });
    found.or_else(|| candidates.len().checked_sub(1))
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    fn random() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(1)
    }

    #[test]
    fn every_split_parts_rows_and_loses_none() {
        let mut random = random();
        let mut rows: Array2<f32> = Array2::from_shape_simple_fn((500, 4), || StandardNormal.sample(&mut random));
        rows.column_mut(1).fill(3.0);
        rows[[5, 0]] = f32::NAN;
        let forest = fit(rows.view(), &[1.0, 1.0, 1.0, 0.0], &mut random);
        assert_eq!(forest.nodes.len(), TREES * PLACES);
        for tree in forest.nodes.chunks_exact(PLACES) {
            assert_eq!(tree[0].rows, SAMPLE as f32);
            for (place, node) in tree.iter().enumerate().filter(|(_, node)| node.input.is_some()) {
                let [first, second] = [1, 2].map(|child| tree[2 * place + child].rows);
                assert!(first > 0.0 && second > 0.0 && first + second == node.rows);
                assert!(!matches!(node.input, Some(1 | 3)), "a constant, and one without weight");
            }
        }
        let splits = |input| forest.nodes.iter().filter(|node| node.input == Some(input)).count() as f32;
        assert!((0.8..1.25).contains(&(splits(0) / splits(2))), "{} and {}", splits(0), splits(2));
    }

    #[test]
    fn an_input_is_looked_at_by_its_weight() {
        let mut random = random();
        let rows: Array2<f32> = Array2::from_shape_simple_fn((500, 2), || StandardNormal.sample(&mut random));
        let forest = fit(rows.view(), &[3.0, 1.0], &mut random);
        let splits = |input| forest.nodes.iter().filter(|node| node.input == Some(input)).count() as f32;
        assert!((2.5..3.6).contains(&(splits(0) / splits(1))), "{} and {}", splits(0), splits(1));
    }

    #[test]
    fn rows_that_are_alike_are_not_split() {
        for rows in [1, 50] {
            let forest = fit(Array2::from_elem((rows, 3), 2.0).view(), &[1.0; 3], &mut random());
            assert!(forest.nodes.iter().all(|node| node.input.is_none()));
        }
    }
}
