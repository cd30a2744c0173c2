//! A dense layer as training holds it: padded, and with what the optimiser remembers.

#![expect(
    clippy::inline_always,
    reason = "vector units are chosen once, above all of this: what is not inlined goes without"
)]

use ndarray::{Array1, Array2};
use prowl_model::Dense;
use pulp::Simd;

use crate::adam::{Parameters, Slices, Step};
use crate::kernel::{Left, PANEL, Right, multiply_add, padded};
use crate::shard::Shard;

/// Weights and biases. Rows and columns are padded with zeros, which stay so: what is 0 on both sides of a weight gives
/// it no gradient.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Shape (padded inputs, padded outputs).
    weights: Parameters,
    /// The transpose of the weights, panel by panel; shape (padded inputs / panel, outputs, panel).
    turned: Vec<f32>,
    /// Shape (padded outputs).
    bias: Parameters,
}

/// A part of a layer that learns by itself, on any thread.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    /// The weights of the inputs of one panel, from `first` on.
    Weights { first: usize, weights: Slices<'a>, turned: &'a mut [f32] },
    /// The biases.
    Bias(Slices<'a>),
}

impl Layer {
    pub(crate) fn new(layer: &Dense) -> Self {
        let (inputs, outputs) = layer.weights.dim();
        let stride = padded(outputs);
        let mut weights = vec![0.0; padded(inputs) * stride];
        for (to, from) in weights.chunks_exact_mut(stride).zip(layer.weights.outer_iter()) {
            for (to, &from) in to.iter_mut().zip(from) {
                *to = from;
            }
        }
        let mut bias = layer.bias.to_vec();
        bias.resize(stride, 0.0);
        let mut turned = vec![0.0; padded(inputs) * outputs];
        for (panel, turned) in turned.chunks_exact_mut(PANEL * outputs).enumerate() {
            turn(&weights[panel * PANEL * stride..][..PANEL * stride], turned);
        }
        Self { inputs, outputs, weights: Parameters::new(weights), turned, bias: Parameters::new(bias) }
    }

    /// The layer without its padding.
    pub(crate) fn dense(&self) -> Dense {
        dense(&self.weights.values, &self.bias.values, self.inputs, self.outputs)
    }

    /// The gradients of the last step.
    #[cfg(test)]
    pub(crate) fn gradients(&self) -> Dense {
        dense(&self.weights.gradients, &self.bias.gradients, self.inputs, self.outputs)
    }

    /// `output = bias + input * weights`
    #[inline(always)]
    pub(crate) fn forward<S: Simd>(&self, simd: S, input: &[f32], output: &mut [f32]) {
        let stride = padded(self.outputs);
        for row in output.chunks_exact_mut(stride) {
            row.copy_from_slice(&self.bias.values);
        }
        let left = Left::Plain { values: input, stride: padded(self.inputs) };
        multiply_add(simd, self.inputs, left, Right::Rows { values: &self.weights.values, stride }, output, stride);
    }

    /// `earlier = delta * weights'`: what the derivatives by the sums of this layer make of those by its inputs.
    #[inline(always)]
    pub(crate) fn backward<S: Simd>(&self, simd: S, delta: &[f32], earlier: &mut [f32]) {
        earlier.fill(0.0);
        let left = Left::Plain { values: delta, stride: padded(self.outputs) };
        multiply_add(simd, self.outputs, left, Right::Panels { values: &self.turned }, earlier, padded(self.inputs));
    }

    /// All parts. Together they are the layer.
    pub(crate) fn parts(&mut self) -> impl Iterator<Item = Part<'_>> {
        let weights = self.weights.chunks_mut(PANEL * padded(self.outputs));
        let panels = self.turned.chunks_mut(PANEL * self.outputs);
        let weights = weights.zip(panels).enumerate().map(|(panel, (weights, turned))| Part::Weights {
            first: panel * PANEL,
            weights,
            turned,
        });
        weights.chain(self.bias.chunks_mut(padded(self.outputs)).map(Part::Bias))
    }
}

impl Part<'_> {
    /// Sums the gradients of the layer number `depth` over the shards of a batch, and takes a step against them.
    #[inline(always)]
    pub(crate) fn learn<S: Simd>(self, simd: S, shards: &[Shard], depth: usize, step: Step) {
        match self {
            Part::Weights { first, mut weights, turned } => {
                let stride = weights.values.len() / PANEL;
                weights.gradients.fill(0.0);
                for shard in shards {
                    let before = shard.before(depth);
                    let left = Left::Turned { values: before, stride: before.len() / shard.rows, first };
                    let right = Right::Rows { values: shard.delta(depth), stride };
                    multiply_add(simd, shard.rows, left, right, weights.gradients, stride);
                }
                step.take(weights.reborrow());
                turn(weights.values, turned);
            }
            Part::Bias(bias) => {
                bias.gradients.fill(0.0);
                let stride = bias.values.len();
                for row in shards.iter().flat_map(|shard| shard.delta(depth).chunks_exact(stride)) {
                    for (sum, &delta) in bias.gradients.iter_mut().zip(row) {
                        *sum += delta;
                    }
                }
                step.without_decay().take(bias);
            }
        }
    }
}

/// Transposes the weights of a panel of inputs: `turned[output][input] = weights[input][output]`.
#[inline(always)]
fn turn(weights: &[f32], turned: &mut [f32]) {
    let stride = weights.len() / PANEL;
    for (output, turned) in turned.chunks_exact_mut(PANEL).enumerate() {
        for (input, turned) in turned.iter_mut().enumerate() {
            *turned = weights[input * stride + output];
        }
    }
}

fn dense(weights: &[f32], bias: &[f32], inputs: usize, outputs: usize) -> Dense {
    let stride = bias.len();
    Dense {
        weights: Array2::from_shape_fn((inputs, outputs), |(input, output)| weights[input * stride + output]),
        bias: Array1::from(bias[..outputs].to_vec()),
    }
}
