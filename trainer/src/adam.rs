//! The optimiser: Adam with decoupled weight decay.

use ndarray::{Array, Dimension, Zip};
use prowl_model::{Dense, Network};

/// Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015), with the weight decay applied to the
/// weights themselves and not to their gradients (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019).
#[derive(Debug)]
pub struct Adam {
    learning_rate: f32,
    weight_decay: f32,
    steps: i32,
    first: Vec<Dense>,
    second: Vec<Dense>,
}

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

impl Adam {
    /// For a network of this shape.
    pub fn new(network: &Network, learning_rate: f32, weight_decay: f32) -> Self {
        let zero = |layer: &Dense| Dense { weights: &layer.weights * 0.0, bias: &layer.bias * 0.0 };
        let moments = || network.layers.iter().map(zero).collect();
        Self { learning_rate, weight_decay, steps: 0, first: moments(), second: moments() }
    }

    /// Takes one step against the gradients. Biases do not decay.
    pub fn step(&mut self, network: &mut Network, gradients: &[Dense]) {
        self.steps += 1;
        let decay = 1.0 - self.learning_rate * self.weight_decay;
        // Both corrections of the moments' bias towards 0 in one factor, but for epsilon.
        let correct_1 = 1.0 - BETA_1.powi(self.steps);
        let correct_2 = 1.0 - BETA_2.powi(self.steps);
        let rate = self.learning_rate / correct_1;
        for (((layer, gradient), first), second) in
            network.layers.iter_mut().zip(gradients).zip(&mut self.first).zip(&mut self.second)
        {
            update(
                &mut layer.weights,
                &gradient.weights,
                (&mut first.weights, &mut second.weights),
                (rate, correct_2, decay),
            );
            update(&mut layer.bias, &gradient.bias, (&mut first.bias, &mut second.bias), (rate, correct_2, 1.0));
        }
    }
}

fn update<D: Dimension>(
    values: &mut Array<f32, D>,
    gradients: &Array<f32, D>,
    (first, second): (&mut Array<f32, D>, &mut Array<f32, D>),
    (rate, correct_2, decay): (f32, f32, f32),
) {
    Zip::from(values).and(gradients).and(first).and(second).for_each(|value, &gradient, m, v| {
        *m = BETA_1 * *m + (1.0 - BETA_1) * gradient;
        *v = BETA_2 * *v + (1.0 - BETA_2) * gradient * gradient;
        *value = *value * decay - rate * *m / ((*v / correct_2).sqrt() + EPSILON);
    });
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn single(weight: f32, bias: f32) -> Dense {
        Dense { weights: array![[weight]], bias: array![bias] }
    }

    /// The first two steps, computed by hand from the paper's algorithm 1.
    #[test]
    fn steps_are_those_of_the_paper() {
        let mut network = Network { layers: vec![single(1.0, 1.0)] };
        let mut adam = Adam::new(&network, 0.1, 0.0);
        adam.step(&mut network, &[single(0.5, -2.0)]);
        // Corrected moments are g and g²: a step of the learning rate against the sign.
        assert!((network.layers[0].weights[[0, 0]] - 0.9).abs() < 1e-5);
        assert!((network.layers[0].bias[0] - 1.1).abs() < 1e-5);
        adam.step(&mut network, &[single(-0.25, -2.0)]);
        let first = (0.9 * 0.05 - 0.1 * 0.25) / (1.0 - 0.81);
        let second: f32 = (0.999 * 0.00025 + 0.001 * 0.0625) / (1.0 - 0.998_001);
        let expected = 0.9 - 0.1 * first / second.sqrt();
        assert!(
            (network.layers[0].weights[[0, 0]] - expected).abs() < 1e-4,
            "{} {expected}",
            network.layers[0].weights
        );
    }

    #[test]
    fn weights_decay_and_biases_do_not() {
        let mut network = Network { layers: vec![single(1.0, 1.0)] };
        let mut adam = Adam::new(&network, 0.1, 0.5);
        adam.step(&mut network, &[single(0.0, 0.0)]);
        assert_eq!((network.layers[0].weights[[0, 0]], network.layers[0].bias[0]), (0.95, 1.0));
    }
}
