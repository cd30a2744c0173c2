//! The isolation forest laid out to be walked fast: all paths are of one length, so that nothing is to be guessed.
//!
//! A path that ends early goes on by splits that part nothing. Several trees are walked at a time, since each step waits for
//! the one before it.

use crate::forest::{DEPTH, Forest, PLACES, usual_length};
use crate::views::{Opinion, View};

/// Trees that are walked at a time.
const ABREAST: usize = 8;

/// Places with a split: all above the last level.
const SPLITS: usize = PLACES / 2;

/// A split.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Step {
    input: u32,
    threshold: f32,
    /// The share of rows that going to either child parts the vector from.
    gains: [f32; 2],
}

#[derive(Clone, Debug, PartialEq)]
struct Tree {
    /// The children of the place k are 2k + 1 and 2k + 2.
    steps: [Step; SPLITS],
    /// Lengths of the paths that come to the places of the last level.
    lengths: [f32; SPLITS + 1],
}

/// A forest to walk.
#[derive(Clone, Debug, PartialEq)]
pub struct Walks {
    trees: Vec<Tree>,
    /// Sum of the lengths that are usual.
    usual: f32,
}

impl Walks {
    /// Through a forest that was checked.
    pub(crate) fn of(forest: &Forest) -> Self {
        let mut trees = Vec::with_capacity(forest.nodes.len() / PLACES);
        let mut usual = 0.0;
        for nodes in forest.nodes.chunks_exact(PLACES) {
            usual += usual_length(nodes[0].rows);
            let mut tree = Tree { steps: [Step::default(); SPLITS], lengths: [0.0; SPLITS + 1] };
            // The length of a path that ended above a place.
            let mut ended = [None; PLACES];
            for place in 0..PLACES {
                let node = &nodes[place];
                let length = ended[place].or_else(|| {
                    let depth = (place + 1).ilog2();
                    (node.input.is_none() || depth == DEPTH as u32).then(|| depth as f32 + usual_length(node.rows))
                });
                if place >= SPLITS {
                    tree.lengths[place - SPLITS] = length.unwrap_or_default();
                    continue;
                }
                let children = 2 * place + 1;
                ended[children..children + 2].fill(length);
                if let (None, Some(input)) = (length, node.input) {
                    let gain = |child: usize| (1.0 - nodes[child].rows / node.rows).max(0.0);
                    let gains = [gain(children), gain(children + 1)];
                    tree.steps[place] = Step { input, threshold: node.threshold, gains };
                }
            }
            trees.push(tree);
        }
        Self { trees, usual }
    }

    /// [`Forest::opinion`], but for the order in which the gains of an input are summed.
    pub fn opinion(&self, view: &View<'_>) -> Opinion {
        let mut parts = vec![0.0; view.scaled.len()];
        let mut length = 0.0;
        let (groups, rest) = self.trees.as_chunks::<ABREAST>();
        for group in groups {
            length = walk(group, view.scaled, &mut parts, length);
        }
        for tree in rest {
            length = walk(std::array::from_ref(tree), view.scaled, &mut parts, length);
        }
        for (part, known) in parts.iter_mut().zip(view.known) {
            *part *= f32::from(u8::from(*known));
        }
        Forest::judge(length, self.usual, view, parts)
    }
}

/// Walks some trees and adds what it gains to `parts`, and the lengths of the paths to `length`.
fn walk<const TREES: usize>(trees: &[Tree; TREES], values: &[f32], parts: &mut [f32], mut length: f32) -> f32 {
    let mut places = [0; TREES];
    for _ in 0..DEPTH {
        for (place, tree) in places.iter_mut().zip(trees) {
            let step = &tree.steps[*place];
            let input = step.input as usize;
            let side = 1 - usize::from(values[input] < step.threshold);
            parts[input] += step.gains[side];
            *place = 2 * *place + 1 + side;
        }
    }
    for (place, tree) in places.into_iter().zip(trees) {
        length += tree.lengths[place - SPLITS];
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Node;
    use crate::fixture::Numbers;
    use crate::views::tests::view;

    #[test]
    fn the_paths_are_those_of_the_forest() {
        let (inputs, trees) = (5, 2 * ABREAST + 3);
        let mut numbers = Numbers::new(8);
        let mut nodes = vec![Node::default(); trees * PLACES];
        for (number, node) in nodes.iter_mut().enumerate() {
            let place = number % PLACES;
            // Some paths end early, at any depth.
            let ends = place >= SPLITS || numbers.next() > 0.7;
            *node = Node {
                input: (!ends).then(|| (numbers.next().abs() * inputs as f32) as u32),
                threshold: numbers.next(),
                rows: (256.0 * numbers.next().abs()).floor() + 1.0,
            };
        }
        let forest = Forest { nodes };
        forest.check(inputs).unwrap();
        let walks = Walks::of(&forest);
        for round in 0..200 {
            let scaled = numbers.vector(inputs).to_vec();
            let known: Vec<bool> = (0..inputs).map(|input| (round + input) % 3 > 0).collect();
            let (found, expected) = (walks.opinion(&view(&scaled, &known)), forest.opinion(&view(&scaled, &known)));
            assert_eq!(found.score, expected.score);
            let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
            assert!(found.shares.iter().zip(&expected.shares).all(near), "{found:?} {expected:?}");
        }
    }

    #[test]
    fn a_value_at_the_threshold_is_not_below_it() {
        let mut nodes = vec![Node::default(); PLACES];
        nodes[0] = Node { input: Some(0), threshold: 1.0, rows: 4.0 };
        (nodes[1].rows, nodes[2].rows) = (3.0, 1.0);
        let forest = Forest { nodes };
        for value in [[0.5], [1.0]] {
            let view = view(&value, &[true]);
            assert_eq!(Walks::of(&forest).opinion(&view), forest.opinion(&view), "{value:?}");
        }
    }
}
