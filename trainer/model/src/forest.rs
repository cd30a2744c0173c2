//! How soon random splits leave a vector alone: the isolation forest.
//!
//! Liu, Ting and Zhou, "Isolation forest" (2008). What lies apart from the others of a small sample, along any input, is
//! alone after few splits.

use ndarray::{Array1, Array2};

use crate::ArtifactError;
use crate::tensors::{Reader, Writer};
use crate::views::{Opinion, View};

/// Splits along a path at most: what takes more is not isolated.
pub const DEPTH: usize = 8;

/// Places of a tree. The children of the place k are 2k + 1 and 2k + 2, so a tree has no loop whatever a file holds.
pub const PLACES: usize = (1 << (DEPTH + 1)) - 1;

/// A place of a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Node {
    /// The input that is looked at; `None` where the path ends.
    pub input: Option<u32>,
    /// Below it the path goes to the first child, else to the second.
    pub threshold: f32,
    /// Rows of the sample that came here.
    pub rows: f32,
}

/// Trees, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    /// [`PLACES`] for each tree.
    pub nodes: Vec<Node>,
}

impl Forest {
    /// Two to the power of minus the mean length of the paths, in units of the length that is usual: 1 is isolated at
    /// once, 0.5 is usual. A split counts for its input by the share of rows that it parts the vector from.
    pub fn opinion(&self, view: &View<'_>) -> Opinion {
        let mut parts = vec![0.0; view.scaled.len()];
        let (mut length, mut usual) = (0.0, 0.0);
        for tree in self.nodes.chunks_exact(PLACES) {
            let (mut place, mut depth) = (0, 0);
            usual += usual_length(tree[0].rows);
            while let (Some(input), true) = (tree[place].input, depth < DEPTH) {
                let value = view.scaled.get(input as usize).copied().unwrap_or(0.0);
                let child = 2 * place + if value < tree[place].threshold { 1 } else { 2 };
                if let Some(part) = parts.get_mut(input as usize)
                    && view.known[input as usize]
                {
                    *part += (1.0 - tree[child].rows / tree[place].rows).max(0.0);
                }
                (place, depth) = (child, depth + 1);
            }
            length += depth as f32 + usual_length(tree[place].rows);
        }
        Self::judge(length, usual, view, parts)
    }

    /// The opinion on paths of this length, all together, where another is usual.
    pub(crate) fn judge(length: f32, usual: f32, view: &View<'_>, parts: Vec<f32>) -> Opinion {
        let score = if usual > 0.0 && view.known.contains(&true) { libm::exp2f(-length / usual) } else { 0.0 };
        Opinion::new(score, parts)
    }

    pub(crate) fn write(&self, tensors: &mut Writer) {
        let column = |value: fn(&Node) -> f32| -> Array2<f32> {
            let values: Array1<f32> = self.nodes.iter().map(value).collect();
            values.into_shape_with_order((self.nodes.len() / PLACES, PLACES)).unwrap_or_default()
        };
        tensors.matrix("forest.inputs", &column(|node| node.input.map_or(-1.0, |input| input as f32)));
        tensors.matrix("forest.thresholds", &column(|node| node.threshold));
        tensors.matrix("forest.rows", &column(|node| node.rows));
    }

    pub(crate) fn read(tensors: &Reader<'_>) -> Result<Self, ArtifactError> {
        let [inputs, thresholds, rows] =
            ["forest.inputs", "forest.thresholds", "forest.rows"].map(|name| tensors.matrix(name));
        let (inputs, thresholds, rows) = (inputs?, thresholds?, rows?);
        let fits = inputs.ncols() == PLACES && thresholds.dim() == inputs.dim() && rows.dim() == inputs.dim();
        ArtifactError::unless(fits, "forest", || format!("its trees do not have {PLACES} places each"))?;
        let whole = |input: &f32| *input == -1.0 || (0.0..1e6).contains(input) && input.fract() == 0.0;
        ArtifactError::unless(inputs.iter().all(whole), "forest.inputs", || "one is no input".to_owned())?;
        let node = |((&input, &threshold), &rows): ((&f32, &f32), &f32)| Node {
            input: (input >= 0.0).then_some(input as u32),
            threshold,
            rows,
        };
        Ok(Self { nodes: inputs.iter().zip(&thresholds).zip(&rows).map(node).collect() })
    }

    pub(crate) fn check(&self, inputs: usize) -> Result<(), ArtifactError> {
        let trees = !self.nodes.is_empty() && self.nodes.len().is_multiple_of(PLACES);
        ArtifactError::unless(trees, "forest", || format!("{} places make no trees", self.nodes.len()))?;
        for tree in self.nodes.chunks_exact(PLACES) {
            for (place, node) in tree.iter().enumerate() {
                let Some(input) = node.input else { continue };
                let sound = (input as usize) < inputs && 2 * place + 2 < PLACES && node.rows > 0.0;
                ArtifactError::unless(sound, "forest", || format!("place {place} of a tree splits what it cannot"))?;
            }
            ArtifactError::unless(tree.iter().all(|node| node.rows >= 0.0), "forest.rows", || {
                "one is below 0".to_owned()
            })?;
        }
        Ok(())
    }
}

/// Mean length of a path in a tree of random splits over so many rows.
pub(crate) fn usual_length(rows: f32) -> f32 {
    const EULER: f32 = 0.577_215_7;
    if rows > 2.0 {
        2.0 * (libm::logf(rows - 1.0) + EULER) - 2.0 * (rows - 1.0) / rows
    } else if rows > 1.0 {
        1.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;
    use crate::views::tests::view;

    /// One tree: below 1 in the first input are 3 rows, from there on one.
    fn tree() -> Forest {
        let mut nodes = vec![Node::default(); PLACES];
        nodes[0] = Node { input: Some(0), threshold: 1.0, rows: 4.0 };
        (nodes[1].rows, nodes[2].rows) = (3.0, 1.0);
        Forest { nodes }
    }

    #[test]
    fn what_is_isolated_sooner_stands_out() {
        let opinion = |first: f32| tree().opinion(&view(&[first, 0.0], &[true; 2]));
        let usual = |rows: f32| 2.0 * ((rows - 1.0).ln() + 0.577_215_7) - 2.0 * (rows - 1.0) / rows;
        assert!((opinion(1.0).score - 2.0_f32.powf(-1.0 / usual(4.0))).abs() < 1e-6, "{:?}", opinion(1.0));
        assert!((opinion(0.5).score - 2.0_f32.powf(-(1.0 + usual(3.0)) / usual(4.0))).abs() < 1e-6);
        assert_eq!(opinion(1.0).shares, [1.0, 0.0]);
    }

    #[test]
    fn the_unknown_follows_the_centre_and_is_no_reason() {
        let opinion = tree().opinion(&view(&[0.0, 0.0], &[false, true]));
        assert_eq!(opinion.shares, [0.0, 0.0]);
        assert!(opinion.score > 0.0);
    }

    #[test]
    fn a_tree_that_cannot_be_walked_is_refused() {
        let refused = |change: fn(&mut Vec<Node>)| {
            let mut nodes = tree().nodes;
            change(&mut nodes);
            Forest { nodes }.check(2).is_err()
        };
        assert!(!refused(|_| ()));
        assert!(refused(|nodes| nodes.truncate(9)), "shape");
        assert!(refused(Vec::clear), "none");
        assert!(refused(|nodes| nodes[0].input = Some(2)), "no such input");
        assert!(refused(|nodes| nodes[0].rows = 0.0), "nothing to split");
        assert!(refused(|nodes| nodes[9].rows = -1.0), "below 0");
        assert!(refused(|nodes| nodes[PLACES / 2] = Node { input: Some(0), threshold: 0.0, rows: 2.0 }), "too deep");
        assert!(refused(|nodes| nodes[PLACES - 1] = Node { input: Some(0), threshold: 0.0, rows: 2.0 }), "too deep");
    }

    #[test]
    fn paths_have_the_usual_length_of_random_splits() {
        assert_eq!([0.0, 1.0, 2.0].map(usual_length), [0.0, 0.0, 1.0]);
        let single = Forest { nodes: vec![Node { rows: 1.0, ..Node::default() }; PLACES] };
        let opinion = single.opinion(&view(&[0.0], &[true]));
        assert_eq!(opinion, Opinion { score: 0.0, shares: vec![0.0] }, "where no path has a length");
    }

    #[test]
    fn a_path_ends_at_the_deepest_place_even_where_that_splits() {
        let nodes = vec![Node { input: Some(0), threshold: 1.0, rows: 4.0 }; PLACES];
        let opinion = Forest { nodes }.opinion(&view(&[0.0], &[true]));
        let usual = usual_length(4.0);
        assert!((opinion.score - 2.0_f32.powf(-(DEPTH as f32 + usual) / usual)).abs() < 1e-6, "{opinion:?}");
    }

    #[test]
    fn only_tensors_that_are_trees_are_read() {
        let read = |inputs: Array2<f32>, thresholds: Array2<f32>, rows: Array2<f32>| {
            let mut tensors = Writer::default();
            tensors.matrix("forest.inputs", &inputs);
            tensors.matrix("forest.thresholds", &thresholds);
            tensors.matrix("forest.rows", &rows);
            let bytes = tensors.finish(String::new()).unwrap();
            Forest::read(&Reader(SafeTensors::deserialize(&bytes).unwrap()))
        };
        let leaves = || Array2::from_elem((1, PLACES), -1.0);
        let zeros = |trees: usize| Array2::zeros((trees, PLACES));
        assert_eq!(read(leaves(), zeros(1), zeros(1)).unwrap().nodes, vec![Node::default(); PLACES]);
        let with = |input: f32| {
            let mut inputs = leaves();
            inputs[[0, 3]] = input;
            read(inputs, zeros(1), zeros(1))
        };
        assert_eq!([0.0, 2.0].map(|input| with(input).unwrap().nodes[3].input), [Some(0), Some(2)]);
        for wrong in [0.5, -2.0, 1e6] {
            assert!(with(wrong).unwrap_err().to_string().contains("forest.inputs"), "{wrong}");
        }
        let five = || Array2::zeros((1, 5));
        assert!(read(five(), five(), five()).is_err());
        assert!(read(leaves(), zeros(2), zeros(1)).is_err() && read(leaves(), zeros(1), zeros(2)).is_err());
    }
}
