//! Regression trees whose sum is the log-odds of an outcome.

use ndarray::{Array1, Array2, ArrayView1};

use crate::ArtifactError;
use crate::tensors::{Reader, Writer, index};

/// A node of a tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TreeNode {
    /// The answer of a leaf; of a split the mean of the answers below it over the rows of training.
    pub value: f32,
    /// Where to go on; `None` for a leaf.
    pub split: Option<Split>,
}

/// A question at a node. Where the answer is yes, the next node in the list follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// Index of the feature.
    pub feature: usize,
    /// Whether its value is below this one.
    pub threshold: f32,
    /// Whether an unknown value counts as below.
    pub unknown_below: bool,
    /// Place of the node that follows where the answer is no, after the place of this one.
    pub otherwise: usize,
}

/// Trees in one list of nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Trees {
    /// All nodes. Whatever follows a node comes after it, so each walk ends.
    pub nodes: Vec<TreeNode>,
    /// Places of the first nodes.
    pub roots: Vec<usize>,
}

impl Trees {
    /// Sum of all trees' answers for the features of one row, NaN or infinite where unknown.
    pub fn score(&self, values: &[f32]) -> f32 {
        self.roots.iter().map(|&root| self.from(root, values)).sum()
    }

    /// Answer of the tree with this root.
    pub fn from(&self, root: usize, values: &[f32]) -> f32 {
        let mut place = root;
        while let Some(split) = &self.nodes[place].split {
            place = split.next(place, values);
        }
        self.nodes[place].value
    }

    /// The answer without knowing anything of a row.
    pub fn usual(&self) -> f32 {
        self.roots.iter().map(|&root| self.nodes[root].value).sum()
    }

    /// Adds to each feature's place what its splits changed on the way to the leaves, times `factor`: with
    /// [`Trees::usual`] they sum to [`Trees::score`], which it gives (Saabas, "Interpreting random forests", 2014).
    pub(crate) fn contribute(&self, values: &[f32], factor: f32, contributions: &mut [f32]) -> f32 {
        let answer = |&root: &usize| {
            let mut place = root;
            while let Some(split) = &self.nodes[place].split {
                let next = split.next(place, values);
                contributions[split.feature] += factor * (self.nodes[next].value - self.nodes[place].value);
                place = next;
            }
            self.nodes[place].value
        };
        self.roots.iter().map(answer).sum()
    }

    pub(crate) fn write(&self, name: &str, tensors: &mut Writer) {
        let row = |node: &TreeNode| {
            let split = node.split.map_or([-1.0, 0.0, 0.0, 0.0], |split| {
                let unknown = f32::from(u8::from(split.unknown_below));
                [split.feature as f32, split.threshold, unknown, split.otherwise as f32]
            });
            [node.value, split[0], split[1], split[2], split[3]]
        };
        tensors.matrix(&format!("{name}.nodes"), &Array2::from(self.nodes.iter().map(row).collect::<Vec<_>>()));
        tensors.vector(&format!("{name}.roots"), &self.roots.iter().map(|&root| root as f32).collect::<Array1<f32>>());
    }

    pub(crate) fn read(name: &str, tensors: &Reader<'_>) -> Result<Self, ArtifactError> {
        let table = format!("{name}.nodes");
        let rows = tensors.matrix(&table)?;
        ArtifactError::unless(rows.ncols() == 5, &table, || {
            format!("it has {} columns and should have 5", rows.ncols())
        })?;
        let node = |row: ArrayView1<'_, f32>| {
            let split = || {
                let (feature, otherwise) = (index(&table, row[1])?, index(&table, row[4])?);
                Ok(Split { feature, threshold: row[2], unknown_below: row[3] > 0.5, otherwise })
            };
            let split = if row[1] < 0.0 { None } else { Some(split()?) };
            Ok(TreeNode { value: row[0], split })
        };
        let nodes = rows.outer_iter().map(node).collect::<Result<_, _>>()?;
        let name = format!("{name}.roots");
        let roots = tensors.vector(&name)?.iter().map(|&root| index(&name, root)).collect::<Result<_, _>>()?;
        Ok(Self { nodes, roots })
    }

    /// Checks that each walk stays in the list, and ends.
    pub(crate) fn check(&self, name: &str, features: usize) -> Result<(), ArtifactError> {
        let count = self.nodes.len();
        let unsound = self.nodes.iter().enumerate().find(|(place, node)| {
            node.split.is_some_and(|split| {
                split.feature >= features || split.otherwise <= place + 1 || split.otherwise >= count
            })
        });
        if let Some((place, node)) = unsound {
            return Err(ArtifactError::tensor(name, format!("of its {count} nodes, number {place} is {node:?}")));
        }
        let rooted = !self.roots.is_empty() && self.roots.iter().all(|&root| root < count);
        ArtifactError::unless(rooted, name, || format!("its roots are not among its {count} nodes"))
    }
}

impl Split {
    #[inline]
    fn next(&self, place: usize, values: &[f32]) -> usize {
        let value = values[self.feature];
        let below = if value.is_finite() { value < self.threshold } else { self.unknown_below };
        if below { place + 1 } else { self.otherwise }
    }
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;

    /// Below 2 of feature 1, or unknown: 1; else by feature 0 below 5, -1 or 3. And a tree that always says 0.5.
    fn trees() -> Trees {
        let leaf = |value| TreeNode { value, split: None };
        let split = |value, feature, threshold, unknown_below, otherwise| TreeNode {
            value,
            split: Some(Split { feature, threshold, unknown_below, otherwise }),
        };
        Trees {
            nodes: vec![
                split(0.75, 1, 2.0, true, 2),
                leaf(1.0),
                split(0.5, 0, 5.0, false, 4),
                leaf(-1.0),
                leaf(3.0),
                leaf(0.5),
            ],
            roots: vec![0, 5],
        }
    }

    #[test]
    fn a_row_walks_to_its_leaves() {
        let score = |values: [f32; 2]| trees().score(&values);
        assert_eq!([score([0.0, 1.9]), score([4.9, 2.0]), score([5.0, 2.0])], [1.5, -0.5, 3.5]);
        assert_eq!([score([9.0, f32::NAN]), score([f32::NAN, 9.0]), score([f32::NEG_INFINITY, 9.0])], [1.5, 3.5, 3.5]);
    }

    #[test]
    fn contributions_lead_from_the_usual_to_the_score() {
        let trees = trees();
        assert_eq!(trees.usual(), 1.25);
        let contributions = |values: [f32; 2]| {
            let mut contributions = [0.0; 2];
            trees.contribute(&values, 1.0, &mut contributions);
            assert_eq!(trees.usual() + contributions.iter().sum::<f32>(), trees.score(&values));
            contributions
        };
        assert_eq!(contributions([7.0, 1.0]), [0.0, 0.25]);
        assert_eq!(contributions([7.0, 3.0]), [2.5, -0.25]);
    }

    #[test]
    fn trees_that_leave_the_list_or_turn_back_are_refused() {
        trees().check("t", 2).unwrap();
        assert!(trees().check("t", 1).unwrap_err().to_string().contains("number 0"), "a feature too many");
        for otherwise in [0, 2, 3, 6, 16_777_215] {
            let mut trees = trees();
            trees.nodes[2].split.as_mut().unwrap().otherwise = otherwise;
            assert!(trees.check("t", 2).unwrap_err().to_string().contains("number 2"), "{otherwise}");
        }
        for roots in [vec![], vec![6]] {
            assert!(Trees { roots, ..trees() }.check("t", 2).unwrap_err().to_string().contains("roots"));
        }
    }

    #[test]
    fn trees_come_back_from_their_tensors() {
        let mut tensors = Writer::default();
        trees().write("t", &mut tensors);
        let bytes = tensors.finish(String::new()).unwrap();
        let reader = Reader(SafeTensors::deserialize(&bytes).unwrap());
        assert_eq!(Trees::read("t", &reader).unwrap(), trees());
    }
}
