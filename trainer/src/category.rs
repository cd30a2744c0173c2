//! Fits the category head: multinomial logistic regression on words and scaled features.

use std::collections::BTreeMap;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis};
use prowl_model::{CategoryHead, Inputs};

use crate::evaluate::macro_f1;
use crate::lbfgs;

/// A category needs this many declared pull requests in the training slice to be learnt.
pub const FEWEST: usize = 20;

/// Strengths of regularisation that are tried, in units of one row's loss; the validation slice chooses.
const STRENGTHS: [f64; 4] = [0.3, 1.0, 3.0, 10.0];

/// Steps of the optimiser for each strength.
const ITERATIONS: usize = 100;

/// How far rare classes are weighted up: 0 counts every row alike, 1 every class alike.
const BALANCE: f64 = 0.5;

/// One declared pull request: what the head reads, and its category.
#[derive(Clone, Debug)]
pub struct Example<'a> {
    /// Scaled features and words.
    pub inputs: Inputs,
    /// Name of the declared category.
    pub category: &'a str,
}

/// Fits a head for every category with at least [`FEWEST`] examples in `training`, sorted by name. `validation`, which
/// is later, chooses the strength of regularisation.
///
/// # Errors
/// There are fewer than two such categories; the text says so.
pub fn fit(
    training: &[Example<'_>],
    validation: &[Example<'_>],
    features: usize,
    buckets: usize,
) -> Result<(Vec<String>, CategoryHead), String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for example in training {
        *counts.entry(example.category).or_default() += 1;
    }
    let classes: Vec<&str> = counts.iter().filter(|&(_, &count)| count >= FEWEST).map(|(&class, _)| class).collect();
    if classes.len() < 2 {
        return Err(format!(
            "{} of the categories that pull requests of the training slice declare have at least {FEWEST} of them, and \
             telling them apart needs 2",
            classes.len()
        ));
    }
    let problem = Problem::new(training, &classes, &counts, features, buckets);
    let mut best: Option<(f64, CategoryHead)> = None;
    let mut weights = Array1::zeros(problem.size());
    // From strong to weak, each from where the last one ended.
    for strength in STRENGTHS.iter().rev() {
        weights = lbfgs::minimise(weights, ITERATIONS, 1e-4, |weights| problem.loss(weights, *strength));
        let head = problem.head(&weights);
        let quality = macro_f1(&truth(validation), &predictions(&head, &classes, features, validation));
        if best.as_ref().is_none_or(|(best, _)| quality > *best) {
            best = Some((quality, head));
        }
    }
    let (_, head) = best.expect("there is at least one strength");
    Ok((classes.into_iter().map(str::to_owned).collect(), head))
}

/// The declared categories.
pub fn truth<'a>(examples: &[Example<'a>]) -> Vec<&'a str> {
    examples.iter().map(|example| example.category).collect()
}

/// The most probable category of each example.
pub fn predictions<'a, T: AsRef<str>>(head: &CategoryHead, classes: &'a [T], features: usize, examples: &[Example<'_>]) -> Vec<&'a str> {
    let most_probable = |example: &Example<'_>| {
        let shares = head.probabilities(&example.inputs.scaled[..features], &example.inputs.words);
        let best = shares.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
        classes[best.map_or(0, |(class, _)| class)].as_ref()
    };
    examples.iter().map(most_probable).collect()
}

/// The convex function whose lowest point is the head.
struct Problem<'a> {
    /// Rows with their class and weight.
    rows: Vec<(&'a Inputs, usize, f64)>,
    classes: usize,
    features: usize,
    buckets: usize,
}

impl<'a> Problem<'a> {
    fn new(examples: &'a [Example<'_>], classes: &[&str], counts: &BTreeMap<&str, usize>, features: usize, buckets: usize) -> Self {
        let total: usize = classes.iter().map(|class| counts[class]).sum();
        let usual = total as f64 / classes.len() as f64;
        let weight = |class: usize| (usual / counts[classes[class]] as f64).powf(BALANCE);
        let row = |example: &'a Example<'_>| {
            let class = classes.iter().position(|&class| class == example.category)?;
            Some((&example.inputs, class, weight(class)))
        };
        Self { rows: examples.iter().filter_map(row).collect(), classes: classes.len(), features, buckets }
    }

    /// Number of weights: words, then features, then the bias, each row by row of classes.
    fn size(&self) -> usize {
        (self.buckets + self.features + 1) * self.classes
    }

    /// Mean weighted cross entropy plus `strength / 2 rows` times the squared weights, the bias left out; and its
    /// gradient.
    fn loss(&self, weights: &Array1<f64>, strength: f64) -> (f64, Array1<f64>) {
        let classes = self.classes;
        let all = weights.view().into_shape_with_order((self.buckets + self.features + 1, classes));
        let all: ArrayView2<'_, f64> = all.expect("the size is rows times classes");
        let bias_row = self.buckets + self.features;
        let mut gradient = Array1::zeros(weights.len());
        let mut loss = 0.0;
        {
            let view = gradient.view_mut().into_shape_with_order((bias_row + 1, classes));
            let mut slopes: ArrayViewMut2<'_, f64> = view.expect("the size is rows times classes");
            let mut logits = vec![0.0; classes];
            for &(inputs, class, weight) in &self.rows {
                logits.copy_from_slice(all.row(bias_row).as_slice().expect("rows are contiguous"));
                for (row, value) in self.terms(inputs) {
                    for (logit, weight) in logits.iter_mut().zip(all.row(row)) {
                        *logit += value * weight;
                    }
                }
                loss += weight * softmax(&mut logits, class);
                logits[class] -= 1.0;
                for (row, value) in self.terms(inputs).chain([(bias_row, 1.0)]) {
                    for (slope, residual) in slopes.row_mut(row).iter_mut().zip(&logits) {
                        *slope += weight * value * residual;
                    }
                }
            }
        }
        // All but the bias, which comes last, is drawn towards 0.
        let drawn = bias_row * classes;
        let (w, _) = weights.view().split_at(Axis(0), drawn);
        loss += 0.5 * strength * w.dot(&w);
        gradient.view_mut().split_at(Axis(0), drawn).0.scaled_add(strength, &w);
        let rows = self.rows.len() as f64;
        gradient /= rows;
        (loss / rows, gradient)
    }

    /// Rows of the weights that an example touches, with its values.
    fn terms<'b>(&'b self, inputs: &'b Inputs) -> impl Iterator<Item = (usize, f64)> + 'b {
        let words = inputs.words.iter().map(|&(bucket, value)| (bucket as usize, f64::from(value)));
        let features = inputs.scaled[..self.features].iter().enumerate().filter(|&(_, &value)| value != 0.0);
        words.chain(features.map(|(feature, &value)| (self.buckets + feature, f64::from(value))))
    }

    fn head(&self, weights: &Array1<f64>) -> CategoryHead {
        let (words, rest) = weights.view().split_at(Axis(0), self.buckets * self.classes);
        let (features, bias) = rest.split_at(Axis(0), self.features * self.classes);
        let matrix = |rows: usize, values: ArrayView1<'_, f64>| {
            Array2::from_shape_vec((rows, self.classes), values.iter().map(|&value| value as f32).collect())
                .expect("the size is rows times classes")
        };
        CategoryHead {
            words: matrix(self.buckets, words),
            features: matrix(self.features, features),
            bias: bias.mapv(|value| value as f32),
        }
    }
}

/// Makes probabilities of logits, and returns minus the logarithm of that of `class`.
fn softmax(logits: &mut [f64], class: usize) -> f64 {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let chosen = logits[class] - largest;
    logits.iter_mut().for_each(|logit| *logit = (*logit - largest).exp());
    let sum: f64 = logits.iter().sum();
    logits.iter_mut().for_each(|share| *share /= sum);
    sum.ln() - chosen
}
