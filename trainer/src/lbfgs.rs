//! Minimises a smooth function of many variables: limited-memory BFGS.

use std::{collections::VecDeque, ops::ControlFlow};

use ndarray::Array1;

/// Steps that are remembered.
const MEMORY: usize = 10;

/// The point at which `function`, which returns its value and gradient, is smallest, from `start` on. Stops when the
/// gradient is `tolerance` times as long as it was, or after `iterations`; before each, `watch` may break off, and then
/// there is no point.
///
/// Two-loop recursion of Nocedal and Wright, "Numerical optimization", algorithm 7.4, with a backtracking line search.
pub(crate) fn minimise(
    start: Array1<f64>,
    iterations: usize,
    tolerance: f64,
    watch: &mut dyn FnMut() -> ControlFlow<()>,
    mut function: impl FnMut(&Array1<f64>) -> (f64, Array1<f64>),
) -> Option<Array1<f64>> {
    let mut point = start;
    let (mut value, mut gradient) = function(&point);
    let first_length = gradient.dot(&gradient).sqrt();
    // Steps and the changes of the gradient along them, the latest last.
    let mut memory: VecDeque<(Array1<f64>, Array1<f64>)> = VecDeque::with_capacity(MEMORY);

    for _ in 0..iterations {
        if watch().is_break() {
            return None;
        }
        let length = gradient.dot(&gradient).sqrt();
        if length <= tolerance * first_length || length == 0.0 {
            break;
        }
        let direction = direction(&gradient, &memory);
        let slope = direction.dot(&gradient);
        // The first step knows no curvature: at most a length of 1.
        let mut size = if memory.is_empty() { (1.0 / length).min(1.0) } else { 1.0 };
        let found = loop {
            let candidate = &point + &(&direction * size);
            let (candidate_value, candidate_gradient) = function(&candidate);
            if candidate_value <= value + 1e-4 * size * slope {
                break Some((candidate, candidate_value, candidate_gradient));
            }
            size *= 0.5;
            if size < 1e-10 {
                break None;
            }
        };
        // Nothing lower along the way down: as low as rounding allows.
        let Some((candidate, candidate_value, candidate_gradient)) = found else { break };
        let (step, change) = (&candidate - &point, &candidate_gradient - &gradient);
        if step.dot(&change) > 1e-12 * step.dot(&step) {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back((step, change));
        }
        (point, value, gradient) = (candidate, candidate_value, candidate_gradient);
    }
    Some(point)
}

/// Minus the gradient, times the inverse curvature as the memory knows it.
fn direction(gradient: &Array1<f64>, memory: &VecDeque<(Array1<f64>, Array1<f64>)>) -> Array1<f64> {
    let mut direction = -gradient;
    let mut shares = Vec::with_capacity(memory.len());
    for (step, change) in memory.iter().rev() {
        let share = step.dot(&direction) / step.dot(change);
        direction.scaled_add(-share, change);
        shares.push(share);
    }
    if let Some((step, change)) = memory.back() {
        direction *= step.dot(change) / change.dot(change);
    }
    for ((step, change), share) in memory.iter().zip(shares.into_iter().rev()) {
        let correction = share - change.dot(&direction) / step.dot(change);
        direction.scaled_add(correction, step);
    }
    direction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_bottom_of_a_curved_valley() {
        // Rosenbrock's function, smallest at (1, 1).
        let rosenbrock = |x: &Array1<f64>| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            (a * a + 100.0 * b * b, ndarray::array![-2.0 * a - 400.0 * x[0] * b, 200.0 * b])
        };
        let start = ndarray::array![-1.2, 1.0];
        let found = minimise(start, 200, 1e-10, &mut || ControlFlow::Continue(()), rosenbrock).unwrap();
        assert!((found[0] - 1.0).abs() < 1e-6 && (found[1] - 1.0).abs() < 1e-6, "{found}");
    }

    #[test]
    fn stays_where_nothing_is_lower() {
        let flat = |x: &Array1<f64>| (0.0, x * 0.0);
        let from = |watch: &mut dyn FnMut() -> ControlFlow<()>| minimise(ndarray::array![3.0], 10, 1e-6, watch, flat);
        assert_eq!(from(&mut || ControlFlow::Continue(())), Some(ndarray::array![3.0]));
        assert_eq!(from(&mut || ControlFlow::Break(())), None, "broken off");
    }
}
