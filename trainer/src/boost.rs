//! Gradient boosted trees for a probability: histograms of values, second-order gains, leaf by leaf.
//!
//! Friedman, "Greedy function approximation" (2001), with the gains of Chen and Guestrin, "`XGBoost`" (2016), and the
//! histograms and best-first growth of Ke et al., "`LightGBM`" (2017). A value costs one byte while trees grow. There are
//! crates for boosting; of those at hand one takes eight bytes a value and another grows trees by how much memory the
//! machine has left, so that the same rows would not give the same trees.

use prowl_model::{Split, TreeNode, Trees};
use rand::{SeedableRng, rngs::ChaCha8Rng, seq::index};

use crate::logistic;

/// How trees are grown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Growth {
    /// Trees at most.
    pub(crate) trees: usize,
    /// Leaves of a tree at most.
    pub(crate) leaves: usize,
    /// Share of its answer that a tree gives.
    pub(crate) rate: f64,
    /// Rows of a leaf at least.
    pub(crate) rows: u32,
    /// Share of the features that a tree may ask for, 0 to 1.
    pub(crate) features: f64,
    /// Squared penalty of a leaf's answer, in rows of even odds times four.
    pub(crate) penalty: f64,
}

impl Default for Growth {
    /// Small slow trees: outcomes are rare, and much of what they seem to follow is chance.
    fn default() -> Self {
        Self { trees: 300, leaves: 8, rate: 0.05, rows: 30, features: 0.5, penalty: 5.0 }
    }
}

/// The code of an unknown value; those of known ones are below.
const UNKNOWN: u8 = u8::MAX;

/// Values of a feature that are told apart, at most.
const BINS: usize = UNKNOWN as usize;

/// Rows as the trees see them: of each value the range that it lies in.
#[derive(Clone, Debug)]
pub(crate) struct Binned {
    /// The features that are looked at.
    features: Vec<usize>,
    /// Row by row.
    codes: Vec<u8>,
    /// Of each feature, where its ranges after the first begin, ascending.
    cuts: Vec<Vec<f32>>,
}

impl Binned {
    /// Sorts the values of these features into at most 255 ranges of about as many rows each. What is not finite is
    /// unknown.
    pub(crate) fn of(rows: &[&[f32]], features: &[usize]) -> Self {
        let mut codes = vec![UNKNOWN; rows.len() * features.len()];
        let mut known = Vec::with_capacity(rows.len());
        let cuts = features.iter().enumerate().map(|(place, &feature)| {
            known.clear();
            known.extend(rows.iter().map(|row| row[feature]).filter(|value| value.is_finite()));
            known.sort_unstable_by(f32::total_cmp);
            let cuts = cuts(&known);
            for (row, codes) in rows.iter().zip(codes.chunks_exact_mut(features.len())) {
                if row[feature].is_finite() {
                    codes[place] = cuts.partition_point(|&cut| cut <= row[feature]) as u8;
                }
            }
            cuts
        });
        Self { features: features.to_vec(), cuts: cuts.collect(), codes }
    }

    fn row(&self, row: usize) -> &[u8] {
        &self.codes[row * self.cuts.len()..][..self.cuts.len()]
    }
}

/// Where ranges begin: half way between neighbours among the distinct values, where ranks are evenly spread.
fn cuts(sorted: &[f32]) -> Vec<f32> {
    let mut cuts = Vec::new();
    let distinct = 1 + sorted.windows(2).filter(|pair| pair[0] < pair[1]).count();
    // In whole numbers: one range too many would have the code of the unknown.
    let ranges = if distinct <= BINS { sorted.len() } else { BINS };
    let range = |rank: usize| rank * ranges / sorted.len();
    let mut last = 0;
    for (rank, pair) in (1..).zip(sorted.windows(2)) {
        if pair[0] < pair[1] && range(rank) > last {
            let middle = f64::midpoint(f64::from(pair[0]), f64::from(pair[1])) as f32;
            cuts.push(if middle > pair[0] { middle } else { pair[1] });
            last = range(rank);
        }
    }
    cuts
}

/// Sums over the rows of one range.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    gradient: f64,
    curvature: f64,
    rows: u32,
}

impl Sums {
    fn plus(self, other: Self) -> Self {
        Self {
            gradient: self.gradient + other.gradient,
            curvature: self.curvature + other.curvature,
            rows: self.rows + other.rows,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            gradient: self.gradient - other.gradient,
            curvature: self.curvature - other.curvature,
            rows: self.rows - other.rows,
        }
    }

    /// By how much the best answer lowers the loss, doubled.
    fn gain(self, penalty: f64) -> f64 {
        self.gradient * self.gradient / (self.curvature + penalty)
    }

    fn answer(self, growth: &Growth) -> f64 {
        -growth.rate * self.gradient / (self.curvature + growth.penalty)
    }
}

/// The best question at a leaf.
#[derive(Clone, Copy, Debug)]
struct Question {
    gain: f64,
    feature: usize,
    /// Codes up to this one are below; [`UNKNOWN`] - 1 where all known ones are.
    last: u8,
    unknown_below: bool,
}

/// A leaf that may yet be split.
struct Leaf {
    /// Its rows, within the list of all.
    rows: std::ops::Range<usize>,
    sums: Sums,
    histogram: Vec<Sums>,
    question: Option<Question>,
    /// Place among the nodes of the tree.
    node: usize,
}

/// A node while its tree grows.
struct Draft {
    sums: Sums,
    children: Option<(Question, usize, usize)>,
}

/// Grows trees for the probability of a positive outcome. The first answers with the log-odds of all rows.
///
/// `counts` says how much each row counts. After each tree `watch` hears how many there are, and may break off; the
/// trees so far are given back.
pub(crate) fn fit(
    rows: &Binned,
    outcomes: &[bool],
    counts: &[f64],
    growth: &Growth,
    seed: u64,
    watch: &mut dyn FnMut(usize) -> std::ops::ControlFlow<()>,
) -> Trees {
    let positive: f64 = counts.iter().zip(outcomes).filter(|row| *row.1).map(|row| row.0).sum();
    let total: f64 = counts.iter().sum();
    let usual = logistic::usual(positive, total);
    let mut trees = Trees { nodes: vec![TreeNode { value: usual as f32, split: None }], roots: vec![0] };
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let features = rows.cuts.len();
    let asked = ((features as f64 * growth.features).ceil() as usize).clamp(features.min(1), features);
    let mut grower = Grower {
        rows,
        growth,
        order: (0..outcomes.len() as u32).collect(),
        aside: Vec::with_capacity(outcomes.len()),
        slopes: vec![(0.0, 0.0); outcomes.len()],
        features: Vec::new(),
    };
    let mut log_odds = vec![usual; outcomes.len()];
    for tree in 1..=growth.trees {
        for (((slope, log_odds), &positive), count) in grower.slopes.iter_mut().zip(&log_odds).zip(outcomes).zip(counts)
        {
            let probability = logistic::probability(*log_odds);
            let residual = probability - f64::from(u8::from(positive));
            *slope = (count * residual, count * probability * (1.0 - probability));
        }
        grower.features = index::sample(&mut random, features, asked).into_vec();
        grower.features.sort_unstable();
        grower.grow(&mut trees, &mut log_odds);
        if watch(tree).is_break() {
            break;
        }
    }
    trees
}

struct Grower<'a> {
    rows: &'a Binned,
    growth: &'a Growth,
    /// All rows; those of a leaf lie together, in their first order.
    order: Vec<u32>,
    aside: Vec<u32>,
    /// Gradient and curvature of each row.
    slopes: Vec<(f64, f64)>,
    /// Features that this tree may ask for.
    features: Vec<usize>,
}

impl Grower<'_> {
    /// Adds one tree, and its answers to `log_odds`.
    fn grow(&mut self, trees: &mut Trees, log_odds: &mut [f64]) {
        self.order.sort_unstable();
        let histogram = self.histogram(0..self.order.len());
        let sums = self
            .slopes
            .iter()
            .fold(Sums::default(), |sum, &(gradient, curvature)| sum.plus(Sums { gradient, curvature, rows: 1 }));
        let question = self.question(sums, &histogram);
        let mut drafts = vec![Draft { sums, children: None }];
        let mut leaves = vec![Leaf { rows: 0..self.order.len(), sums, histogram, question, node: 0 }];
        while leaves.len() < self.growth.leaves {
            // Of equal gains the first.
            let gain = |leaf: &Leaf| leaf.question.map_or(0.0, |question| question.gain);
            let Some(best) = (0..leaves.len()).rev().max_by(|&a, &b| gain(&leaves[a]).total_cmp(&gain(&leaves[b])))
            else {
                break;
            };
            let Some(question) = leaves[best].question else { break };
            let leaf = leaves.swap_remove(best);
            for child in self.split(leaf, question, &mut drafts) {
                leaves.push(child);
            }
        }
        for leaf in &leaves {
            let answer = leaf.sums.answer(self.growth);
            for &row in &self.order[leaf.rows.clone()] {
                log_odds[row as usize] += answer;
            }
        }
        trees.roots.push(trees.nodes.len());
        self.lay_out(&drafts, 0, &mut trees.nodes);
    }

    fn split(&mut self, leaf: Leaf, question: Question, drafts: &mut Vec<Draft>) -> [Leaf; 2] {
        let below = |row: u32| {
            let code = self.rows.row(row as usize)[question.feature];
            if code == UNKNOWN { question.unknown_below } else { code <= question.last }
        };
        // Stable, so that sums run in one order.
        self.aside.clear();
        let mut middle = leaf.rows.start;
        for place in leaf.rows.clone() {
            let row = self.order[place];
            if below(row) {
                self.order[middle] = row;
                middle += 1;
            } else {
                self.aside.push(row);
            }
        }
        self.order[middle..leaf.rows.end].copy_from_slice(&self.aside);
        let sides = [leaf.rows.start..middle, middle..leaf.rows.end];
        // The smaller side is summed up; the other is what remains.
        let smaller = usize::from(sides[1].len() < sides[0].len());
        let mut of_smaller = self.histogram(sides[smaller].clone());
        let mut of_larger = leaf.histogram;
        for (larger, smaller) in of_larger.iter_mut().zip(&of_smaller) {
            *larger = larger.minus(*smaller);
        }
        let sums = |rows: &std::ops::Range<usize>| {
            self.order[rows.clone()].iter().fold(Sums::default(), |sum, &row| {
                let (gradient, curvature) = self.slopes[row as usize];
                sum.plus(Sums { gradient, curvature, rows: 1 })
            })
        };
        let node = drafts.len();
        drafts[leaf.node].children = Some((question, node, node + 1));
        [0, 1].map(|side: usize| {
            let sums = sums(&sides[side]);
            let histogram = std::mem::take(if side == smaller { &mut of_smaller } else { &mut of_larger });
            let question = self.question(sums, &histogram);
            drafts.push(Draft { sums, children: None });
            Leaf { rows: sides[side].clone(), sums, histogram, question, node: node + side }
        })
    }

    /// Sums of each code of each feature that may be asked for; shape (features, 256).
    fn histogram(&self, rows: std::ops::Range<usize>) -> Vec<Sums> {
        let mut histogram = vec![Sums::default(); self.features.len() * 256];
        for &row in &self.order[rows] {
            let (gradient, curvature) = self.slopes[row as usize];
            let codes = self.rows.row(row as usize);
            for (line, &feature) in histogram.chunks_exact_mut(256).zip(&self.features) {
                let sums = &mut line[codes[feature] as usize];
                sums.gradient += gradient;
                sums.curvature += curvature;
                sums.rows += 1;
            }
        }
        histogram
    }

    /// The question with the largest gain, of equal ones the first; `None` where none gains or leaves enough rows.
    fn question(&self, all: Sums, histogram: &[Sums]) -> Option<Question> {
        let Growth { penalty, rows, .. } = *self.growth;
        let mut best: Option<Question> = None;
        let mut look = |below: Sums, feature: usize, last: u8, unknown_below: bool| {
            let above = all.minus(below);
            if below.rows < rows || above.rows < rows {
                return;
            }
            let gain = below.gain(penalty) + above.gain(penalty) - all.gain(penalty);
            if gain > best.map_or(1e-9, |best| best.gain) {
                best = Some(Question { gain, feature, last, unknown_below });
            }
        };
        for (line, &feature) in histogram.chunks_exact(256).zip(&self.features) {
            let unknown = line[UNKNOWN as usize];
            let mut below = Sums::default();
            for (last, &sums) in line[..self.rows.cuts[feature].len()].iter().enumerate() {
                below = below.plus(sums);
                // Without unknown rows, such a one goes with the most.
                look(below, feature, last as u8, unknown.rows == 0 && below.rows > all.rows - below.rows);
                if unknown.rows > 0 {
                    look(below.plus(unknown), feature, last as u8, true);
                }
            }
            if unknown.rows > 0 {
                look(all.minus(unknown), feature, UNKNOWN - 1, false);
            }
        }
        best
    }

    /// Writes a node and all below it, the one that follows a yes right behind. Gives the value of the node back.
    fn lay_out(&self, drafts: &[Draft], draft: usize, nodes: &mut Vec<TreeNode>) -> f64 {
        let Draft { sums, children } = &drafts[draft];
        let place = nodes.len();
        nodes.push(TreeNode { value: 0.0, split: None });
        let value = match children {
            None => sums.answer(self.growth),
            Some((question, below, above)) => {
                let weight = |child: usize| f64::from(drafts[child].sums.rows);
                let of_below = weight(*below) * self.lay_out(drafts, *below, nodes);
                let otherwise = nodes.len();
                let of_above = weight(*above) * self.lay_out(drafts, *above, nodes);
                let Question { feature, last, unknown_below, .. } = *question;
                // Every known value is below the largest of the type, but for that one itself.
                let threshold = self.rows.cuts[feature].get(last as usize).copied().unwrap_or(f32::MAX);
                let feature = self.rows.features[feature];
                nodes[place].split = Some(Split { feature, threshold, unknown_below, otherwise });
                (of_below + of_above) / (weight(*below) + weight(*above))
            }
        };
        nodes[place].value = value as f32;
        value
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;

    fn noise(place: usize) -> f32 {
        ((place * 2_654_435_761 + 12_345) % 1_000_003) as f32 / 1_000_003.0
    }

    fn grown(rows: &[Vec<f32>], outcomes: &[bool], growth: &Growth) -> Trees {
        let features: Vec<usize> = (0..rows[0].len()).collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        fit(&Binned::of(&rows, &features), outcomes, &vec![1.0; rows.len()], growth, 1, &mut |_| {
            ControlFlow::Continue(())
        })
    }

    #[test]
    fn an_exclusive_or_is_found() {
        let rows: Vec<Vec<f32>> =
            (0..2000).map(|row| vec![noise(row), noise(row + 9000), noise(row + 77_000)]).collect();
        let outcomes: Vec<bool> = rows.iter().map(|row| (row[0] > 0.5) != (row[1] > 0.3)).collect();
        let trees = grown(&rows, &outcomes, &Growth { features: 1.0, ..Growth::default() });
        let right = rows.iter().zip(&outcomes).filter(|(row, outcome)| (trees.score(row) > 0.0) == **outcome).count();
        assert!(right > 1950, "{right} of 2000");
    }

    #[test]
    fn one_tree_answers_what_the_hand_computes() {
        let rows: Vec<Vec<f32>> = (0..40).map(|row| vec![if row < 10 { 1.0 } else { 3.0 }]).collect();
        let outcomes: Vec<bool> = (0..40).map(|row| !(5..35).contains(&row)).collect();
        let growth = Growth { trees: 1, leaves: 2, rate: 0.5, rows: 10, features: 1.0, penalty: 2.0 };
        let trees = grown(&rows, &outcomes, &growth);
        // A quarter is positive: gradient 10 · p - 5 and 30 · p - 5, curvature p (1 - p) a row.
        let p = 10.5 / 41.0;
        let answer = |rows: f64| -0.5 * (rows * p - 5.0) / (rows * p * (1.0 - p) + 2.0);
        let usual = (10.5_f64 / 30.5).ln();
        for (value, rows) in [(1.0, 10.0), (3.0, 30.0)] {
            let found = f64::from(trees.score(&[value]));
            assert!((found - usual - answer(rows)).abs() < 1e-6, "{found} and {}", usual + answer(rows));
        }
        assert_eq!(trees.nodes[1].split.unwrap().threshold, 2.0, "half way");
        assert!((f64::from(trees.nodes[1].value) - (10.0 * answer(10.0) + 30.0 * answer(30.0)) / 40.0).abs() < 1e-6);
        assert_eq!(trees.score(&[f32::NAN]), trees.score(&[3.0]), "an unknown one goes with the most");
        let none = grown(&rows, &outcomes, &Growth { rows: 11, ..growth });
        assert_eq!(none.score(&[1.0]), none.score(&[3.0]), "too few rows for a leaf");
    }

    #[test]
    fn the_unknown_is_a_value_of_its_own() {
        let value = |row: usize| if row.is_multiple_of(4) { f32::NAN } else { noise(row) };
        let rows: Vec<Vec<f32>> = (0..800).map(|row| vec![value(row)]).collect();
        let outcomes: Vec<bool> = (0..800).map(|row| row % 4 == 0).collect();
        let trees = grown(&rows, &outcomes, &Growth { features: 1.0, ..Growth::default() });
        assert!(trees.score(&[f32::NAN]) > 2.0 && trees.score(&[0.1]) < -2.0 && trees.score(&[0.9]) < -2.0);
    }

    #[test]
    fn codes_keep_the_order_of_values_and_of_thresholds() {
        for distinct in [3, 255, 256, 5000] {
            let values: Vec<f32> = (0..5000).map(|row| (noise(row % distinct) * 50.0).exp()).collect();
            let rows: Vec<&[f32]> = values.chunks(1).collect();
            let binned = Binned::of(&rows, &[0]);
            let cuts = &binned.cuts[0];
            assert!(cuts.len() < BINS && cuts.len() >= distinct.min(200) - 1, "{} of {distinct}", cuts.len());
            for (row, &value) in values.iter().enumerate() {
                let code = binned.row(row)[0] as usize;
                assert!(code < BINS && cuts.iter().filter(|&&cut| cut <= value).count() == code);
            }
        }
        let next = 1.0_f32.next_up();
        assert_eq!(cuts(&[1.0, next]), [next], "nothing lies between them");
        assert_eq!(cuts(&[f32::MIN, f32::MAX]), [0.0]);
        assert!(cuts(&[]).is_empty() && cuts(&[2.0; 9]).is_empty());
    }

    #[test]
    fn constants_and_nothing_to_ask_are_no_trouble() {
        let outcomes: Vec<bool> = (0..100).map(|row| row % 5 == 0).collect();
        for rows in [vec![vec![]; 100], vec![vec![7.0]; 100], vec![vec![f32::NAN, f32::INFINITY]; 100]] {
            let trees = grown(&rows, &outcomes, &Growth { trees: 3, ..Growth::default() });
            let score = trees.score(&rows[0]);
            assert!((f64::from(score) - (20.5_f64 / 80.5).ln()).abs() < 0.05, "{score}");
        }
    }

    #[test]
    fn the_seed_chooses_the_features_and_counts_are_rows() {
        let rows: Vec<Vec<f32>> = (0..600).map(|row| (0..6).map(|f| noise(row * 6 + f)).collect()).collect();
        let outcomes: Vec<bool> = rows.iter().map(|row| row[0] + row[3] > 1.2).collect();
        let slices: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let binned = Binned::of(&slices, &[0, 1, 2, 3, 5]);
        let grow = |counts: &[f64], seed| {
            let growth = Growth { trees: 10, ..Growth::default() };
            fit(&binned, &outcomes, counts, &growth, seed, &mut |_| ControlFlow::Continue(()))
        };
        let even = vec![1.0; 600];
        assert_eq!(grow(&even, 1), grow(&even, 1));
        let asked = |trees: &Trees| trees.nodes.iter().filter_map(|node| Some(node.split?.feature)).collect::<Vec<_>>();
        assert!(asked(&grow(&even, 1)).contains(&5) && !asked(&grow(&even, 1)).contains(&4), "4 is not looked at");
        assert_ne!(grow(&even, 1), grow(&even, 2));
        let later: Vec<f64> = (0..600).map(|row| if row < 300 { 0.0 } else { 1.0 }).collect();
        let positive = outcomes[300..].iter().filter(|outcome| **outcome).count() as f32;
        let usual = ((positive + 0.5) / (300.5 - positive)).ln();
        assert!((grow(&later, 1).nodes[0].value - usual).abs() < 1e-6);
        let stopped = fit(&binned, &outcomes, &even, &Growth::default(), 1, &mut |tree| {
            if tree == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(stopped.roots.len(), 5);
    }
}
