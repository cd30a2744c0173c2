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
        let like = |layer: &Dense| Dense { weights: Array2::zeros(layer.weights.dim()), bias: Array1::zeros(layer.bias.dim()) };
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
    pub fn backward(&mut self, network: &Network, input: ArrayView2<'_, f32>, target: ArrayView2<'_, f32>) -> (f64, &[Dense]) {
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
                Zip::from(delta).and(&self.outputs[depth - 1]).for_each(|delta, &output| *delta *= activation_slope(output));
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
