//! The autoencoder's pass over a batch, forwards and backwards.

use ndarray::{Array1, Array2, ArrayView2, Axis, Zip, linalg::general_mat_mul};
use prowl_model::{Dense, Network, activation, activation_slope};

/// Buffers for batches of one size, so that no pass allocates.
#[derive(Debug)]
pub struct Pass {
    /// Values after each layer; shapes (rows, outputs).
    outputs: Vec<Array2<f32>>,
    /// Derivative of the loss by each layer's sums; shapes (rows, outputs).
    deltas: Vec<Array2<f32>>,
    /// Derivative of the loss by each weight and bias.
    gradients: Vec<Dense>,
}

impl Pass {
    /// Buffers for batches of `rows` through a network of this shape.
    pub fn new(network: &Network, rows: usize) -> Self {
        let wide = |layer: &Dense| Array2::zeros((rows, layer.bias.len()));
        let like = |layer: &Dense| Dense {
            weights: Array2::zeros(layer.weights.dim()),
            bias: Array1::zeros(layer.bias.dim()),
        };
        Self {
            outputs: network.layers.iter().map(wide).collect(),
            deltas: network.layers.iter().map(wide).collect(),
            gradients: network.layers.iter().map(like).collect(),
        }
    }

    /// Number of rows of a batch.
    pub fn rows(&self) -> usize {
        self.outputs[0].nrows()
    }

    /// Reconstructs a batch; shape (rows, inputs) both.
    pub fn forward(&mut self, network: &Network, input: ArrayView2<'_, f32>) -> ArrayView2<'_, f32> {
        let last = network.layers.len() - 1;
        for (depth, layer) in network.layers.iter().enumerate() {
            let (before, after) = self.outputs.split_at_mut(depth);
            let output = &mut after[0];
            output.assign(&layer.bias);
            let input = before.last().map_or(input, |earlier| earlier.view());
            general_mat_mul(1.0, &input, &layer.weights, 1.0, output);
            if depth < last {
                output.mapv_inplace(activation);
            }
        }
        self.outputs[last].view()
    }

    /// The loss of the last forward pass against `target`, and the gradients of it.
    ///
    /// The loss is the mean of [`huber`] over the known values of `target`; unknown ones are NaN and count nothing. An
    /// unknown input is nothing that the network could have missed.
    pub fn backward(
        &mut self,
        network: &Network,
        input: ArrayView2<'_, f32>,
        target: ArrayView2<'_, f32>,
    ) -> (f64, &[Dense]) {
        let last = network.layers.len() - 1;
        let known = target.iter().filter(|value| !value.is_nan()).count().max(1);
        let scale = 1.0 / known as f32;
        let mut loss = 0.0;
        Zip::from(&mut self.deltas[last]).and(&self.outputs[last]).and(target).for_each(|delta, &output, &target| {
            let error = output - target;
            if error.is_nan() {
                *delta = 0.0;
            } else {
                let (value, slope) = huber(error);
                loss += f64::from(value);
                *delta = slope * scale;
            }
        });
        for depth in (0..=last).rev() {
            let before = if depth == 0 { input } else { self.outputs[depth - 1].view() };
            let gradient = &mut self.gradients[depth];
            general_mat_mul(1.0, &before.t(), &self.deltas[depth], 0.0, &mut gradient.weights);
            gradient.bias.assign(&self.deltas[depth].sum_axis(Axis(0)));
            if depth > 0 {
                let (earlier, later) = self.deltas.split_at_mut(depth);
                let delta = &mut earlier[depth - 1];
                general_mat_mul(1.0, &later[0], &network.layers[depth].weights.t(), 0.0, delta);
                Zip::from(delta)
                    .and(&self.outputs[depth - 1])
                    .for_each(|delta, &output| *delta *= activation_slope(output));
            }
        }
        (loss / known as f64, &self.gradients)
    }
}

/// Errors beyond this many spreads pull no harder: an outlier in the training slice must not bend the network.
const HUBER: f32 = 2.0;

/// Half the square of the error, and beyond [`HUBER`] its tangent (Huber, "Robust estimation of a location parameter",
/// 1964); and the derivative.
#[inline]
pub fn huber(error: f32) -> (f32, f32) {
    let slope = error.clamp(-HUBER, HUBER);
    (slope * (error - 0.5 * slope), slope)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

    use super::*;

    fn random(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        Array2::from_shape_simple_fn((rows, columns), || random.random_range(-1.0..1.0))
    }

    fn network(widths: &[usize]) -> Network {
        let layer = |(depth, pair): (usize, &[usize])| Dense {
            weights: random(pair[0], pair[1], depth as u64),
            bias: random(1, pair[1], 10 + depth as u64).row(0).to_owned(),
        };
        Network { layers: widths.windows(2).enumerate().map(layer).collect() }
    }

    /// Every weight and bias of every layer, errors on both sides of the Huber bend, some targets unknown.
    #[test]
    fn gradients_are_those_of_finite_differences() {
        let mut network = network(&[6, 5, 3, 5, 6]);
        let input = random(7, 6, 20);
        let mut target = random(7, 6, 21) * 6.0;
        (target[[0, 0]], target[[3, 5]]) = (f32::NAN, f32::NAN);
        let mut pass = Pass::new(&network, 7);
        pass.forward(&network, input.view());
        let gradients = pass.backward(&network, input.view(), target.view()).1.to_vec();
        let bent = pass.deltas[4 - 1].iter().filter(|delta| (delta.abs() * 40.0 - HUBER).abs() < 1e-4).count();
        assert!((5..35).contains(&bent), "{bent} of 40 errors beyond the bend");

        let mut loss = |network: &Network| {
            pass.forward(network, input.view());
            pass.backward(network, input.view(), target.view()).0
        };
        let step = 4e-3;
        let mut check = |change: &dyn Fn(&mut Network, f32), gradient: f32, name: String| {
            change(&mut network, step);
            let above = loss(&network);
            change(&mut network, -2.0 * step);
            let below = loss(&network);
            change(&mut network, step);
            let difference = (above - below) / (2.0 * f64::from(step));
            assert!((difference - f64::from(gradient)).abs() < 2e-4, "{name}: {gradient}, by differences {difference}");
        };
        let mut largest = 0.0_f32;
        for (depth, layer) in gradients.iter().enumerate() {
            for ((row, column), &gradient) in layer.weights.indexed_iter() {
                largest = largest.max(gradient.abs());
                let change = |network: &mut Network, by: f32| network.layers[depth].weights[[row, column]] += by;
                check(&change, gradient, format!("weight {row}, {column} of layer {depth}"));
            }
            for (place, &gradient) in layer.bias.iter().enumerate() {
                let change = |network: &mut Network, by: f32| network.layers[depth].bias[place] += by;
                check(&change, gradient, format!("bias {place} of layer {depth}"));
            }
        }
        assert!(largest > 0.05, "the tolerance is small beside the gradients: {largest}");
    }

    #[test]
    fn the_batch_pass_agrees_with_the_pass_that_scores() {
        let network = network(&[6, 5, 3, 5, 6]);
        let input = random(4, 6, 30);
        let mut pass = Pass::new(&network, 4);
        let output = pass.forward(&network, input.view());
        for (row, output) in input.outer_iter().zip(output.outer_iter()) {
            for (batch, single) in output.iter().zip(network.reconstruct(&row.to_vec())) {
                assert!((batch - single).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn an_unknown_target_costs_nothing() {
        let network = network(&[2, 3, 2]);
        let input = random(1, 2, 40);
        let mut pass = Pass::new(&network, 1);
        pass.forward(&network, input.view());
        let nothing = ndarray::array![[f32::NAN, f32::NAN]];
        let (loss, gradients) = pass.backward(&network, input.view(), nothing.view());
        assert!(
            loss == 0.0
                && gradients.iter().all(|layer| layer.weights.iter().chain(&layer.bias).all(|&slope| slope == 0.0))
        );
    }

    #[test]
    fn far_errors_pull_no_harder() {
        assert_eq!(huber(1.0), (0.5, 1.0));
        assert_eq!(huber(-1.0), (0.5, -1.0));
        assert_eq!(huber(5.0), (8.0, 2.0));
        assert_eq!(huber(-5.0), (8.0, -2.0));
    }
}
