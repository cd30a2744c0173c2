//! Fits the category head: multinomial logistic regression on what tells the kind of a change, and on scaled features.

use std::{collections::BTreeMap, ops::ControlFlow};

use ndarray::{Array1, Array2, ArrayView1, Axis};
use prowl_model::{CategoryHead, TextVector, tf_idf};

use crate::evaluate::macro_f1;
use crate::figures::Judged;
use crate::{Dataset, TrainError, lbfgs, temperature, words};

/// A category needs this many declared pull requests in the training slice to be learnt.
const FEWEST: usize = 20;

/// Buckets that tokens are hashed into.
const BUCKETS: usize = 16_384;

/// Examples that a bucket needs to count: one alone tells nothing that holds.
const FEWEST_OF_A_BUCKET: u32 = 2;

/// Strengths of regularisation that are tried, strong to weak, in units of one row's loss; the validation slice chooses.
const STRENGTHS: [f64; 3] = [1.0, 0.3, 0.1];

/// Steps of the optimiser for each strength.
const ITERATIONS: usize = 100;

/// How far rare classes are weighted up: 0 counts every row alike, 1 every class alike.
const BALANCE: f64 = 0.6;

/// Over this share of the rows the weight of a row halves, from the newest backwards: what people call a change drifts.
const HALF_LIFE: f64 = 1.0 / 3.0;

/// Scaled features are about 1 in size and a token of a vector about 0.1. At the same size, regularisation draws both alike;
/// without it the features, which fewer weights serve, crowd out the tokens.
const FEATURE_SIZE: f64 = 0.1;

/// One declared pull request: what the head reads, and its category.
#[derive(Clone, Debug)]
pub(crate) struct Example<'a> {
    /// Scaled features, 0 where unknown.
    pub(crate) scaled: Vec<f32>,
    /// Hashes of what tells its kind.
    pub(crate) kind_tokens: &'a [u32],
    /// Name of the declared category.
    pub(crate) category: &'a str,
}

/// Fits a head for every category with at least [`FEWEST`] examples, sorted by name. Examples come in the order of time.
/// Heads fitted on `training` alone are compared on `validation`, which is later; the strength of regularisation of the best
/// is then used on both together, since the newest examples tell most. How sure that head may be is what `validation` says of
/// the one fitted on `training`.
///
/// Where `training` has fewer than two such categories there is no head, and a text that says so.
///
/// # Errors
/// [`TrainError::Stopped`] when `watch` broke off.
pub(crate) fn fit(
    training: &[Example<'_>],
    validation: &[Example<'_>],
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
    let problem = Problem::new(&learnt, &classes);
    let truth = truth(validation);
    let (mut best_quality, mut best_strength, mut factor) = (f64::NEG_INFINITY, STRENGTHS[0], 1.0);
    // Each from where the last one ended.
    let mut weights = Array1::zeros(problem.size());
    for strength in STRENGTHS {
        weights = problem.solve(weights, strength, watch)?;
        let head = problem.head(&weights);
        let quality = macro_f1(&truth, &predictions(&head, &classes, validation));
        if quality > best_quality {
            (best_quality, best_strength) = (quality, strength);
            factor = temperature::fit(&logits(&head, &classes, validation));
        }
    }
    let both: Vec<&Example<'_>> = training.iter().chain(validation).collect();
    let classes = self::classes(&both);
    let problem = Problem::new(&both, &classes);
    let mut head = problem.head(&problem.solve(Array1::zeros(problem.size()), best_strength, watch)?);
    for weights in [&mut head.tokens, &mut head.features] {
        *weights *= factor as f32;
    }
    head.bias *= factor as f32;
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

/// Scaled features and tokens of a row, as a head reads them.
pub(crate) type Reads<'r, 'a> = &'r dyn Fn(usize) -> (Vec<f32>, &'a [u32]);

/// The declared ones of these rows, in their order.
pub(crate) fn examples<'a>(data: &'a Dataset, rows: &[usize], read: Reads<'_, 'a>) -> Vec<Example<'a>> {
    let example = |&row: &usize| {
        let category = data.category(row)?;
        let (scaled, kind_tokens) = read(row);
        Some(Example { scaled, kind_tokens, category })
    };
    rows.iter().filter_map(example).collect()
}

/// The declared categories.
pub(crate) fn truth<'a>(examples: &[Example<'a>]) -> Vec<&'a str> {
    examples.iter().map(|example| example.category).collect()
}

/// Logits of the examples of a known class, each with its class.
fn logits(head: &CategoryHead, classes: &[&str], examples: &[Example<'_>]) -> Vec<(Vec<f64>, usize)> {
    let of = |example: &Example<'_>| {
        let class = classes.iter().position(|&class| class == example.category)?;
        let logits = head.logits(&example.scaled, example.kind_tokens);
        Some((logits.into_iter().map(f64::from).collect(), class))
    };
    examples.iter().filter_map(of).collect()
}

/// Mean difference between the probability of the most probable category and how often it is right, over ten bins.
pub(crate) fn calibration_error<T: AsRef<str>>(head: &CategoryHead, classes: &[T], examples: &[Example<'_>]) -> f64 {
    let of = |example: &Example<'_>| {
        let shares = head.probabilities(&example.scaled, example.kind_tokens);
        let class = first_largest(&shares);
        (f64::from(shares[class]), classes[class].as_ref() == example.category)
    };
    Judged::probabilities(examples.iter().map(of)).calibration_error()
}

/// The most probable category of each example.
pub(crate) fn predictions<'a, T: AsRef<str>>(
    head: &CategoryHead,
    classes: &'a [T],
    examples: &[Example<'_>],
) -> Vec<&'a str> {
    let most_probable =
        |example: &Example<'_>| classes[most_probable(head, &example.scaled, example.kind_tokens)].as_ref();
    examples.iter().map(most_probable).collect()
}

/// Index of the most probable class; of several the first.
pub(crate) fn most_probable(head: &CategoryHead, scaled: &[f32], kind_tokens: &[u32]) -> usize {
    first_largest(&head.probabilities(scaled, kind_tokens))
}

fn first_largest(shares: &[f32]) -> usize {
    let best = shares.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
    best.map_or(0, |(class, _)| class)
}

/// One row of a [`Problem`].
struct Line<'a> {
    scaled: &'a [f32],
    tokens: TextVector,
    class: usize,
    weight: f64,
}

/// The convex function whose lowest point is the head.
struct Problem<'a> {
    idf: Array1<f32>,
    lines: Vec<Line<'a>>,
    classes: usize,
    features: usize,
}

impl<'a> Problem<'a> {
    fn new(examples: &[&'a Example<'_>], classes: &[&str]) -> Self {
        let tokens = examples.iter().map(|example| example.kind_tokens);
        let idf = words::inverse_document_frequency(tokens, BUCKETS, FEWEST_OF_A_BUCKET);
        let class = |example: &Example<'_>| classes.iter().position(|&class| class == example.category);
        let mut counts = vec![0_usize; classes.len()];
        examples.iter().filter_map(|example| class(example)).for_each(|class| counts[class] += 1);
        let usual = counts.iter().sum::<usize>() as f64 / classes.len() as f64;
        let newest = examples.len().saturating_sub(1);
        let half_life = HALF_LIFE * examples.len() as f64;
        let line = |(place, example): (usize, &&'a Example<'_>)| {
            let class = class(example)?;
            let rarity = (usual / counts[class] as f64).powf(BALANCE);
            let age = (newest - place) as f64 / half_life;
            Some(Line {
                scaled: &example.scaled,
                tokens: tf_idf(&idf, example.kind_tokens),
                class,
                weight: rarity * (-age).exp2(),
            })
        };
        let lines = examples.iter().enumerate().filter_map(line).collect();
        let features = examples.first().map_or(0, |example| example.scaled.len());
        Self { idf, lines, classes: classes.len(), features }
    }

    /// Number of weights: of tokens, then of features, then the bias; for each of these one a class.
    fn size(&self) -> usize {
        (BUCKETS + self.features + 1) * self.classes
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
        for line in &self.lines {
            logits.fill(0.0);
            for (place, value) in self.terms(line) {
                for (logit, weight) in logits.iter_mut().zip(&all[place..]) {
                    *logit += value * weight;
                }
            }
            loss += line.weight * softmax(&mut logits, line.class);
            logits[line.class] -= 1.0;
            for (place, value) in self.terms(line) {
                for (slope, residual) in gradient[place..].iter_mut().zip(&logits) {
                    *slope += line.weight * value * residual;
                }
            }
        }
        let drawn = self.size() - self.classes;
        for (slope, weight) in gradient.iter_mut().zip(&all[..drawn]) {
            loss += 0.5 * strength * weight * weight;
            *slope += strength * weight;
        }
        let rows = self.lines.len() as f64;
        (loss / rows, Array1::from_vec(gradient) / rows)
    }

    /// Where the weights of what a line reads begin, with the values; the bias comes last.
    fn terms<'b>(&'b self, line: &'b Line<'_>) -> impl Iterator<Item = (usize, f64)> + 'b {
        let tokens = line.tokens.iter().map(|&(bucket, value)| (bucket as usize, f64::from(value)));
        let features = line.scaled.iter().enumerate().filter(|&(_, &value)| value != 0.0);
        let features = features.map(|(feature, &value)| (BUCKETS + feature, FEATURE_SIZE * f64::from(value)));
        let bias = (BUCKETS + self.features, 1.0);
        tokens.chain(features).chain([bias]).map(|(row, value)| (row * self.classes, value))
    }

    fn head(&self, weights: &Array1<f64>) -> CategoryHead {
        let (tokens, rest) = weights.view().split_at(Axis(0), BUCKETS * self.classes);
        let (features, bias) = rest.split_at(Axis(0), self.features * self.classes);
        let matrix = |rows: usize, values: ArrayView1<'_, f64>, size: f64| {
            Array2::from_shape_vec((rows, self.classes), values.iter().map(|&value| (size * value) as f32).collect())
                .expect("the size is rows times classes")
        };
        CategoryHead {
            idf: self.idf.clone(),
            tokens: matrix(BUCKETS, tokens, 1.0),
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
        super::fit(training, validation, &mut || ControlFlow::Continue(())).unwrap()
    }

    /// What a row of each class says, one of four words that say nothing among it.
    const TOKENS: [[u32; 2]; 12] =
        [[0, 3], [1, 6], [2, 5], [0, 4], [1, 3], [2, 6], [0, 5], [1, 4], [2, 3], [0, 6], [1, 5], [2, 4]];

    fn examples() -> Vec<Example<'static>> {
        let example = |row: usize| {
            let class = row % 3;
            let scaled = vec![(row % 5) as f32 - 2.0, if class == 2 { 1.5 } else { 0.0 }];
            Example { scaled, kind_tokens: &TOKENS[row % 12], category: ["a", "b", "c"][class] }
        };
        (0..90).map(example).collect()
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let examples = examples();
        let problem = Problem::new(&examples.iter().collect::<Vec<_>>(), &["a", "b", "c"]);
        let weights = Array1::from_shape_fn(problem.size(), |place| ((place * 37 % 11) as f64 - 5.0) / 10.0);
        let (_, gradient) = problem.loss(&weights, 0.7);
        // Of all buckets that are read, a few that are not, the features and the bias.
        for place in (0..30).chain(BUCKETS * 3 - 6..problem.size()) {
            let at = |by: f64| {
                let mut moved = weights.clone();
                moved[place] += by;
                problem.loss(&moved, 0.7).0
            };
            let difference = (at(1e-3) - at(-1e-3)) / 2e-3;
            assert!((gradient[place] - difference).abs() < 1e-6, "{place}: {} and {difference}", gradient[place]);
        }
    }

    #[test]
    fn what_tokens_tell_apart_is_told_apart() {
        let examples = examples();
        let (classes, head) = fit(&examples, &examples[..30]).unwrap();
        assert_eq!(classes, ["a", "b", "c"]);
        assert_eq!(predictions(&head, &classes, &examples), truth(&examples));
    }

    #[test]
    fn a_token_of_one_example_tells_nothing() {
        let mut examples = examples();
        examples[40].kind_tokens = &[0, 9];
        let Problem { idf, .. } = Problem::new(&examples.iter().collect::<Vec<_>>(), &["a", "b", "c"]);
        assert_eq!((idf[9], idf[10]), (0.0, 0.0));
        assert!(idf[0] > 1.0 && idf[6] > idf[0], "{} {}", idf[0], idf[6]);
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
        let problem = Problem::new(&all.iter().collect::<Vec<_>>(), &["a", "b", "c"]);
        let solve = |strength| {
            problem.solve(Array1::zeros(problem.size()), strength, &mut || ControlFlow::Continue(())).unwrap()
        };
        let (_, head) = fit(&all, &[]).unwrap();
        assert_eq!(head, problem.head(&solve(STRENGTHS[0])));
        assert_ne!(head, problem.head(&solve(STRENGTHS[2])));
    }

    #[test]
    fn the_head_is_as_sure_as_the_validation_slice_lets_it() {
        let all = examples();
        // Half of what comes later declares another class than its words say.
        let turned = |(place, of): (usize, &Example<'static>)| {
            let category = if place % 2 == 0 { of.category } else { ["b", "c", "a"][place % 3] };
            Example { category, ..of.clone() }
        };
        let later: Vec<_> = all.iter().enumerate().map(turned).collect();
        let (classes, unsure) = fit(&all, &later).unwrap();
        let (_, sure) = fit(&all, &all).unwrap();
        let certainty = |head: &CategoryHead| {
            let of = |example: &Example<'_>| head.probabilities(&example.scaled, example.kind_tokens);
            all.iter().map(|example| of(example).into_iter().fold(0.0, f32::max)).sum::<f32>() / all.len() as f32
        };
        assert!(
            (certainty(&unsure) - 0.5).abs() < 0.15 && certainty(&sure) > 0.9,
            "{} {}",
            certainty(&unsure),
            certainty(&sure)
        );
        let [honest, proud] = [&unsure, &sure].map(|head| calibration_error(head, &classes, &later));
        assert!(proud > 0.35 && honest < proud / 2.0, "{honest} {proud}");
    }

    #[test]
    fn rare_classes_and_new_rows_are_weighted_up() {
        let mut all = examples();
        all.retain(|example| example.category != "c");
        all.truncate(45);
        for example in &mut all {
            example.category = "a";
        }
        for row in [0, 5, 10, 15, 20, 25, 30, 35, 44] {
            all[row].category = "b";
        }
        let problem = Problem::new(&all.iter().collect::<Vec<_>>(), &["a", "b"]);
        let weight = |row: usize| problem.lines[row].weight;
        assert!((weight(44) / weight(43) - 4_f64.powf(BALANCE) * (1.0_f64 / 15.0).exp2()).abs() < 1e-9);
        assert!((weight(20) / weight(5) - 2.0).abs() < 1e-9, "a third of the rows later");
    }
}
