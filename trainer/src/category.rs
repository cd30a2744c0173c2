//! Fits the category head: multinomial logistic regression on words and scaled features.

use std::{collections::BTreeMap, ops::ControlFlow};

use ndarray::{Array1, Array2, ArrayView1, Axis};
use prowl_model::{CategoryHead, Inputs};

use crate::evaluate::macro_f1;
use crate::{TrainError, lbfgs};

/// A category needs this many declared pull requests in the training slice to be learnt.
pub const FEWEST: usize = 20;

/// Strengths of regularisation that are tried, strong to weak, in units of one row's loss; the validation slice chooses.
const STRENGTHS: [f64; 3] = [3.0, 1.0, 0.3];

/// Steps of the optimiser for each strength.
const ITERATIONS: usize = 100;

/// How far rare classes are weighted up: 0 counts every row alike, 1 every class alike.
const BALANCE: f64 = 0.5;

/// Scaled features are about 1 in size and a word of a text about 0.1. At the same size, regularisation draws both alike;
/// without it the features, which fewer weights serve, crowd out the words.
const FEATURE_SIZE: f64 = 0.1;

/// One declared pull request: what the head reads, and its category.
#[derive(Clone, Debug)]
pub struct Example<'a> {
    /// Scaled features and words.
    pub inputs: Inputs,
    /// Name of the declared category.
    pub category: &'a str,
}

/// Fits a head for every category with at least [`FEWEST`] examples, sorted by name. Heads fitted on `training` alone are
/// compared on `validation`, which is later; the strength of regularisation of the best is then used on both together,
/// since what people call a change drifts and the newest examples tell most.
///
/// Where `training` has fewer than two such categories there is no head, and a text that says so.
///
/// # Errors
/// [`TrainError::Stopped`] when `watch` broke off.
pub fn fit(
    training: &[Example<'_>],
    validation: &[Example<'_>],
    features: usize,
    buckets: usize,
    watch: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Result<(Vec<String>, CategoryHead), String>, TrainError> {
    let learnt: Vec<&Example<'_>> = training.iter().collect();
    let classes = classes(&learnt);
    if classes.len() < 2 {
        return Ok(Err(format!(
            "{} of the categories that pull requests of the training slice declare have at least {FEWEST} of them, and \
             telling them apart needs 2",
            classes.len()
        )));
    }
    let problem = Problem::new(&learnt, &classes, features, buckets);
    let truth = truth(validation);
    let (mut best_quality, mut best_strength) = (f64::NEG_INFINITY, STRENGTHS[0]);
    // Each from where the last one ended.
    let mut weights = Array1::zeros(problem.size());
    for strength in STRENGTHS {
        weights = problem.solve(weights, strength, watch)?;
        let quality = macro_f1(&truth, &predictions(&problem.head(&weights), &classes, features, validation));
        if quality > best_quality {
            (best_quality, best_strength) = (quality, strength);
        }
    }
    let both: Vec<&Example<'_>> = training.iter().chain(validation).collect();
    let classes = self::classes(&both);
    let problem = Problem::new(&both, &classes, features, buckets);
    let head = problem.head(&problem.solve(Array1::zeros(problem.size()), best_strength, watch)?);
    Ok(Ok((classes.into_iter().map(str::to_owned).collect(), head)))
}

/// The categories with enough examples, sorted.
fn classes<'a>(examples: &[&Example<'a>]) -> Vec<&'a str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for example in examples {
        *counts.entry(example.category).or_default() += 1;
    }
    counts.into_iter().filter(|&(_, count)| count >= FEWEST).map(|(class, _)| class).collect()
}

/// The declared categories.
pub fn truth<'a>(examples: &[Example<'a>]) -> Vec<&'a str> {
    examples.iter().map(|example| example.category).collect()
}

/// The most probable category of each example.
pub fn predictions<'a, T: AsRef<str>>(
    head: &CategoryHead,
    classes: &'a [T],
    features: usize,
    examples: &[Example<'_>],
) -> Vec<&'a str> {
    let most_probable = |example: &Example<'_>| {
        let shares = head.probabilities(&example.inputs.scaled[..features], &example.inputs.words);
        let best = shares.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
        classes[best.map_or(0, |(class, _)| class)].as_ref()
    };
    examples.iter().map(most_probable).collect()
}

/// The convex function whose lowest point is the head.
struct Problem<'a> {
    /// What each row reads, its class and its weight.
    rows: Vec<(&'a Inputs, usize, f64)>,
    classes: usize,
    features: usize,
    buckets: usize,
}

impl<'a> Problem<'a> {
    fn new(examples: &[&'a Example<'_>], classes: &[&str], features: usize, buckets: usize) -> Self {
        let class = |example: &&Example<'_>| classes.iter().position(|&class| class == example.category);
        let mut counts = vec![0_usize; classes.len()];
        examples.iter().filter_map(class).for_each(|class| counts[class] += 1);
        let usual = counts.iter().sum::<usize>() as f64 / classes.len() as f64;
        let weight = |class: usize| (usual / counts[class] as f64).powf(BALANCE);
        let row = |example: &&'a Example<'_>| class(example).map(|class| (&example.inputs, class, weight(class)));
        Self { rows: examples.iter().filter_map(row).collect(), classes: classes.len(), features, buckets }
    }

    /// Number of weights: of words, then of features, then the bias; for each of these one a class.
    fn size(&self) -> usize {
        (self.buckets + self.features + 1) * self.classes
    }

    fn solve(
        &self,
        start: Array1<f64>,
        strength: f64,
        watch: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Array1<f64>, TrainError> {
        lbfgs::minimise(start, ITERATIONS, 1e-3, watch, |weights| self.loss(weights, strength))
            .ok_or(TrainError::Stopped)
    }

    /// Mean weighted cross entropy plus `strength / 2 rows` times the squared weights, the bias left out; and its
    /// gradient.
    fn loss(&self, weights: &Array1<f64>, strength: f64) -> (f64, Array1<f64>) {
        let all = weights.as_slice().expect("a new vector is contiguous");
        let mut gradient = vec![0.0; all.len()];
        let mut loss = 0.0;
        let mut logits = vec![0.0; self.classes];
        for &(inputs, class, weight) in &self.rows {
            logits.fill(0.0);
            for (place, value) in self.terms(inputs) {
                for (logit, weight) in logits.iter_mut().zip(&all[place..]) {
                    *logit += value * weight;
                }
            }
            loss += weight * softmax(&mut logits, class);
            logits[class] -= 1.0;
            for (place, value) in self.terms(inputs) {
                for (slope, residual) in gradient[place..].iter_mut().zip(&logits) {
                    *slope += weight * value * residual;
                }
            }
        }
        let drawn = self.size() - self.classes;
        for (slope, weight) in gradient.iter_mut().zip(&all[..drawn]) {
            loss += 0.5 * strength * weight * weight;
            *slope += strength * weight;
        }
        let rows = self.rows.len() as f64;
        (loss / rows, Array1::from_vec(gradient) / rows)
    }

    /// Where the weights of what a row reads begin, with the values; the bias comes last.
    fn terms<'b>(&'b self, inputs: &'b Inputs) -> impl Iterator<Item = (usize, f64)> + 'b {
        let words = inputs.words.iter().map(|&(bucket, value)| (bucket as usize, f64::from(value)));
        let features = inputs.scaled[..self.features].iter().enumerate().filter(|&(_, &value)| value != 0.0);
        let features = features.map(|(feature, &value)| (self.buckets + feature, FEATURE_SIZE * f64::from(value)));
        let bias = (self.buckets + self.features, 1.0);
        words.chain(features).chain([bias]).map(|(row, value)| (row * self.classes, value))
    }

    fn head(&self, weights: &Array1<f64>) -> CategoryHead {
        let (words, rest) = weights.view().split_at(Axis(0), self.buckets * self.classes);
        let (features, bias) = rest.split_at(Axis(0), self.features * self.classes);
        let matrix = |rows: usize, values: ArrayView1<'_, f64>, size: f64| {
            Array2::from_shape_vec((rows, self.classes), values.iter().map(|&value| (size * value) as f32).collect())
                .expect("the size is rows times classes")
        };
        CategoryHead {
            words: matrix(self.buckets, words, 1.0),
            features: matrix(self.features, features, FEATURE_SIZE),
            bias: bias.mapv(|value| value as f32),
        }
    }
}

/// Makes probabilities of logits, and returns minus the logarithm of that of `class`.
fn softmax(logits: &mut [f64], class: usize) -> f64 {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let chosen = logits[class] - largest;
    for logit in logits.iter_mut() {
        *logit = (*logit - largest).exp();
    }
    let sum: f64 = logits.iter().sum();
    for share in logits.iter_mut() {
        *share /= sum;
    }
    sum.ln() - chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(training: &[Example<'_>], validation: &[Example<'_>]) -> Result<(Vec<String>, CategoryHead), String> {
        super::fit(training, validation, 2, 8, &mut || ControlFlow::Continue(())).unwrap()
    }

    fn examples() -> Vec<Example<'static>> {
        let example = |row: usize| {
            let class = row % 3;
            let words = vec![(class as u32, 0.8), (3 + (row * 7 % 4) as u32, 0.6)];
            let scaled = vec![(row % 5) as f32 - 2.0, if class == 2 { 1.5 } else { 0.0 }, 9.0];
            Example { inputs: Inputs { scaled, known: vec![true; 3], words }, category: ["a", "b", "c"][class] }
        };
        (0..90).map(example).collect()
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let examples = examples();
        let problem = Problem::new(&examples.iter().collect::<Vec<_>>(), &["a", "b", "c"], 2, 8);
        let weights = Array1::from_shape_fn(problem.size(), |place| ((place * 37 % 11) as f64 - 5.0) / 10.0);
        let (_, gradient) = problem.loss(&weights, 0.7);
        for place in 0..problem.size() {
            let at = |by: f64| {
                let mut moved = weights.clone();
                moved[place] += by;
                problem.loss(&moved, 0.7).0
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((gradient[place] - difference).abs() < 1e-8, "{place}: {} and {difference}", gradient[place]);
        }
    }

    #[test]
    fn what_words_tell_apart_is_told_apart() {
        let examples = examples();
        let (classes, head) = fit(&examples, &examples[..30]).unwrap();
        assert_eq!(classes, ["a", "b", "c"]);
        assert_eq!(predictions(&head, &classes, 2, &examples), truth(&examples));
    }

    #[test]
    fn a_rare_category_is_left_out() {
        let mut examples = examples();
        examples.iter_mut().take(3 * (FEWEST - 1)).filter(|e| e.category == "c").for_each(|e| e.category = "rare");
        let (classes, _) = fit(&examples, &[]).unwrap();
        assert_eq!(classes, ["a", "b"], "19 rare ones and 11 of c are too few");
        assert!(fit(&examples[..40], &[]).unwrap_err().contains("0 of the categories"));
        let (of_twenty, _) = fit(&examples[..60], &[]).unwrap();
        assert_eq!(of_twenty, ["a", "b"], "of both there are exactly {FEWEST} among these");
    }

    #[test]
    fn the_validation_slice_counts_in_the_end() {
        let all = examples();
        let newest: Vec<_> = all[..60].iter().map(|of| Example { category: "new", ..of.clone() }).collect();
        assert_eq!(fit(&all, &newest).unwrap().0, ["a", "b", "c", "new"]);
    }

    #[test]
    fn of_strengths_that_do_alike_the_strongest_counts() {
        let all = examples();
        let problem = Problem::new(&all.iter().collect::<Vec<_>>(), &["a", "b", "c"], 2, 8);
        let solve = |strength| {
            problem.solve(Array1::zeros(problem.size()), strength, &mut || ControlFlow::Continue(())).unwrap()
        };
        let (_, head) = fit(&all, &[]).unwrap();
        assert_eq!(head, problem.head(&solve(STRENGTHS[0])));
        assert_ne!(head, problem.head(&solve(STRENGTHS[2])));
    }

    #[test]
    fn rare_classes_are_weighted_up() {
        let mut all = examples();
        all.retain(|example| example.category != "c");
        all.truncate(45);
        all.iter_mut().take(36).for_each(|example| example.category = "a");
        all.iter_mut().skip(36).for_each(|example| example.category = "b");
        let problem = Problem::new(&all.iter().collect::<Vec<_>>(), &["a", "b"], 2, 8);
        let weight = |class| problem.rows.iter().find(|row| row.1 == class).unwrap().2;
        assert!((weight(1) / weight(0) - 2.0).abs() < 1e-12, "four times as rare, twice the weight");
    }
}
