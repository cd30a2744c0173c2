//! Logistic regression around a prior: what the weights are thought to be before any row is seen.

use ndarray::{Array1, Array2, ArrayView2};
use prowl_model::{Linear, Term};

/// What is known of the weights beforehand. With few rows they stay there; with many the rows tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Prior {
    /// Where every weight begins. The bias is free.
    pub(crate) mean: f64,
    /// Inverse of the variance around it, above 0.
    pub(crate) strength: f64,
    /// Whether no weight may fall below 0.
    pub(crate) positive: bool,
}

/// Weights, one an input, and a bias.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fitted {
    /// Shape (inputs).
    pub(crate) weights: Array1<f64>,
    /// Log-odds where all inputs are 0.
    pub(crate) bias: f64,
}

/// Steps of Newton's method at most; a handful is usual.
const STEPS: usize = 50;

/// Turns over the weights of one step.
const SWEEPS: usize = 5_000;

/// Finds the weights that make the rows' log-loss and the prior's penalty together smallest.
///
/// `inputs` has shape (rows, inputs), `counts` says how much each row counts. Newton's method, in which each step is a
/// quadratic problem with bounds, solved one weight at a time; the function is convex, so there is one solution.
pub(crate) fn fit(inputs: ArrayView2<'_, f32>, outcomes: &[bool], counts: &[f64], prior: Prior) -> Fitted {
    let problem = Problem { inputs, outcomes, counts, prior };
    let width = inputs.ncols();
    let total: f64 = counts.iter().sum();
    let positive: f64 = counts.iter().zip(outcomes).filter(|row| *row.1).map(|row| row.0).sum();
    let mut point = Array1::from_elem(width + 1, prior.mean);
    point[width] = usual(positive, total);
    let (mut loss, mut gradient, mut curvature) = problem.look(&point);
    for _ in 0..STEPS {
        let step = problem.step(&point, &gradient, &curvature);
        // Convex, but not quadratic: a step that leads too far is halved.
        let mut size = 1.0;
        let next = loop {
            let candidate = &point + &(&step * size);
            let looked = problem.look(&candidate);
            if looked.0 <= loss {
                break Some((candidate, looked));
            }
            size *= 0.5;
            if size < 1e-6 {
                break None;
            }
        };
        // Nothing lower: as low as rounding allows.
        let Some((candidate, looked)) = next else { break };
        let gained = loss - looked.0;
        (point, (loss, gradient, curvature)) = (candidate, looked);
        if gained <= 1e-10 * loss.abs() {
            break;
        }
    }
    Fitted { bias: point[width], weights: point.iter().copied().take(width).collect() }
}

/// The regression on these curves, whatever their weights are: on the height of each at the values of the rows, all of
/// which count alike. `None` without a curve.
pub(crate) fn on_curves(mut terms: Vec<Term>, values: &[&[f32]], outcomes: &[bool], prior: Prior) -> Option<Linear> {
    if terms.is_empty() {
        return None;
    }
    let height = |(row, term): (usize, usize)| {
        let term: &Term = &terms[term];
        term.height(values[row][term.feature])
    };
    let inputs = Array2::from_shape_fn((values.len(), terms.len()), height);
    let fitted = fit(inputs.view(), outcomes, &vec![1.0; outcomes.len()], prior);
    for (term, &weight) in terms.iter_mut().zip(&fitted.weights) {
        term.weight = weight as f32;
    }
    Some(Linear { terms, bias: fitted.bias as f32 })
}

/// The probability that log-odds stand for.
pub(crate) fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// Log-odds of a positive row, of so many that are positive and of all; half a row of each kind is added.
pub(crate) fn usual(positive: f64, total: f64) -> f64 {
    ((positive + 0.5) / (total - positive + 0.5)).ln()
}

/// The function to make small.
struct Problem<'a> {
    inputs: ArrayView2<'a, f32>,
    outcomes: &'a [bool],
    counts: &'a [f64],
    prior: Prior,
}

impl Problem<'_> {
    /// Value, gradient and second derivatives at a point: the weights, and then the bias.
    fn look(&self, point: &Array1<f64>) -> (f64, Array1<f64>, Array2<f64>) {
        let width = self.inputs.ncols();
        let (mut loss, mut gradient) = (0.0, Array1::zeros(width + 1));
        let mut curvature = Array2::zeros((width + 1, width + 1));
        let mut row = vec![1.0; width + 1];
        for ((inputs, &positive), &count) in self.inputs.outer_iter().zip(self.outcomes).zip(self.counts) {
            for (place, &input) in row.iter_mut().zip(inputs) {
                *place = f64::from(input);
            }
            let log_odds: f64 = row.iter().zip(point).map(|(input, weight)| input * weight).sum();
            let probability = probability(log_odds);
            // ln(1 + e^z) without overflow.
            loss += count * (log_odds.max(0.0) + (-log_odds.abs()).exp().ln_1p());
            let residual = probability - f64::from(u8::from(positive));
            loss -= if positive { count * log_odds } else { 0.0 };
            let weight = count * probability * (1.0 - probability);
            for (place, &input) in row.iter().enumerate() {
                gradient[place] += count * residual * input;
                let scaled = weight * input;
                if scaled != 0.0 {
                    let mut line = curvature.row_mut(place);
                    let line = line.as_slice_mut().expect("rows of a new matrix are contiguous");
                    for (sum, other) in line[..=place].iter_mut().zip(&row) {
                        *sum += scaled * other;
                    }
                }
            }
        }
        let Prior { mean, strength, .. } = self.prior;
        for place in 0..width {
            let distance = point[place] - mean;
            loss += 0.5 * strength * distance * distance;
            gradient[place] += strength * distance;
            curvature[[place, place]] += strength;
        }
        // Without any doubt left the bias would have no curvature.
        curvature[[width, width]] += 1e-9;
        for place in 0..=width {
            for other in 0..place {
                curvature[[other, place]] = curvature[[place, other]];
            }
        }
        (loss, gradient, curvature)
    }

    /// The step to where the quadratic at the point is lowest within the bounds: one coordinate after the other, until
    /// none moves.
    fn step(&self, point: &Array1<f64>, gradient: &Array1<f64>, curvature: &Array2<f64>) -> Array1<f64> {
        let width = self.inputs.ncols();
        let mut step = Array1::<f64>::zeros(width + 1);
        // Gradient of the quadratic where the step leads.
        let mut slope = gradient.clone();
        for _ in 0..SWEEPS {
            let mut moved = 0.0_f64;
            for place in 0..=width {
                let mut to = step[place] - slope[place] / curvature[[place, place]];
                if self.prior.positive && place < width {
                    to = to.max(-point[place]);
                }
                let by = to - step[place];
                if by != 0.0 {
                    step[place] = to;
                    slope.scaled_add(by, &curvature.row(place));
                    moved = moved.max(by.abs());
                }
            }
            if moved < 1e-9 {
                break;
            }
        }
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Prior = Prior { mean: 0.0, strength: 1e-6, positive: false };

    /// Two inputs that look arbitrary; positive by a log-odds of 1.5 first - 0.8 second - 1.
    fn rows(count: usize) -> (Array2<f32>, Vec<bool>) {
        let noise = |place: usize| ((place * 2_654_435_761) % 10_007) as f32 / 10_007.0;
        let inputs = Array2::from_shape_fn((count, 2), |(row, input)| 4.0 * noise(row * 2 + input + 1) - 2.0);
        let outcome = |row: usize| {
            let log_odds = 1.5 * inputs[[row, 0]] - 0.8 * inputs[[row, 1]] - 1.0;
            noise(row * 7 + 500_000) < 1.0 / (1.0 + (-log_odds).exp())
        };
        let outcomes = (0..count).map(outcome).collect();
        (inputs, outcomes)
    }

    #[test]
    fn derivatives_are_those_of_finite_differences() {
        let (inputs, outcomes) = rows(50);
        let counts: Vec<f64> = (0..50).map(|row| 0.5 + f64::from(row % 3)).collect();
        let prior = Prior { mean: 0.6, strength: 3.0, positive: true };
        let problem = Problem { inputs: inputs.view(), outcomes: &outcomes, counts: &counts, prior };
        let point = ndarray::array![0.3, -0.7, 0.2];
        let (_, gradient, curvature) = problem.look(&point);
        for place in 0..3 {
            let at = |by: f64| {
                let mut moved = point.clone();
                moved[place] += by;
                problem.look(&moved)
            };
            let (above, below) = (at(1e-5), at(-1e-5));
            let difference = (above.0 - below.0) / 2e-5;
            assert!((gradient[place] - difference).abs() < 1e-6, "{place}: {} and {difference}", gradient[place]);
            for other in 0..3 {
                let difference = (above.1[other] - below.1[other]) / 2e-5;
                assert!((curvature[[place, other]] - difference).abs() < 1e-5, "{place} and {other}");
            }
        }
    }

    #[test]
    fn many_rows_tell_the_weights() {
        let (inputs, outcomes) = rows(20_000);
        let fitted = fit(inputs.view(), &outcomes, &vec![1.0; 20_000], FREE);
        let found = [fitted.weights[0], fitted.weights[1], fitted.bias];
        for (found, expected) in found.into_iter().zip([1.5, -0.8, -1.0]) {
            assert!((found - expected).abs() < 0.1, "{fitted:?}");
        }
    }

    #[test]
    fn the_gradient_is_zero_at_the_end_and_points_outwards_at_a_bound() {
        let (inputs, outcomes) = rows(500);
        let counts = vec![1.0; 500];
        for positive in [false, true] {
            let prior = Prior { mean: 0.6, strength: 10.0, positive };
            let fitted = fit(inputs.view(), &outcomes, &counts, prior);
            let problem = Problem { inputs: inputs.view(), outcomes: &outcomes, counts: &counts, prior };
            let point = ndarray::array![fitted.weights[0], fitted.weights[1], fitted.bias];
            let (_, gradient, _) = problem.look(&point);
            assert!(gradient[0].abs() < 1e-3 && gradient[2].abs() < 1e-3, "{gradient}");
            if positive {
                assert!(fitted.weights[1] == 0.0 && gradient[1] > 1.0, "against its sign it is left out: {fitted:?}");
            } else {
                assert!(fitted.weights[1] < -0.1 && gradient[1].abs() < 1e-3, "{fitted:?}");
            }
        }
    }

    #[test]
    fn few_rows_leave_the_prior_and_counts_are_rows() {
        let (inputs, outcomes) = rows(12);
        let prior = Prior { mean: 0.6, strength: 1000.0, positive: true };
        let fitted = fit(inputs.view(), &outcomes, &[1.0; 12], prior);
        assert!(fitted.weights.iter().all(|weight| (weight - 0.6).abs() < 0.01), "{fitted:?}");

        let prior = Prior { strength: 1.0, ..prior };
        let twice: Vec<usize> = (0..12).chain(0..6).collect();
        let doubled: Vec<bool> = twice.iter().map(|&row| outcomes[row]).collect();
        let rows = fit(inputs.select(ndarray::Axis(0), &twice).view(), &doubled, &[1.0; 18], prior);
        let counts: Vec<f64> = (0..12).map(|row| if row < 6 { 2.0 } else { 1.0 }).collect();
        let counted = fit(inputs.view(), &outcomes, &counts, prior);
        assert!(rows.weights.iter().zip(&counted.weights).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn rows_that_can_be_told_apart_are_no_trouble() {
        let inputs = Array2::from_shape_fn((20, 1), |(row, _)| if row < 10 { -1e3 } else { 1e3 });
        let outcomes: Vec<bool> = (0..20).map(|row| row >= 10).collect();
        let fitted = fit(inputs.view(), &outcomes, &[1.0; 20], Prior { strength: 1.0, ..FREE });
        assert!(fitted.weights[0] > 0.0 && fitted.weights[0].is_finite() && fitted.bias.is_finite(), "{fitted:?}");
        let nothing = fit(Array2::zeros((20, 0)).view(), &outcomes, &[1.0; 20], FREE);
        assert!(nothing.bias.abs() < 1e-6 && nothing.weights.is_empty());
    }
}
