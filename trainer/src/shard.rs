//! Some rows of a batch, on their way forwards and backwards through the network.

#![expect(
    clippy::inline_always,
    reason = "vector units are chosen once, above all of this: what is not inlined goes without"
)]

use ndarray::{ArrayView2, ArrayViewMut1};
use prowl_model::{activation, activation_slope};
use pulp::Simd;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::gradient::huber;
use crate::kernel::{PANEL, padded};
use crate::layer::Layer;

/// What inputs are hidden from the network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    seed: u64,
    /// Out of 65536.
    share: u32,
    /// Number of the batch, from the start of the fit.
    batch: u64,
}

impl Noise {
    /// Hides a share of the inputs, rounded to a multiple of 1 / 65536.
    pub(crate) fn new(seed: u64, share: f32) -> Self {
        Self { seed, share: (share * 65536.0).round() as u32, batch: 0 }
    }

    /// The noise of another batch.
    pub(crate) fn of_batch(self, batch: u64) -> Self {
        Self { batch, ..self }
    }

    /// The draws of a batch from one of its rows on. A batch has a stream of its own, and a row its place there, so that
    /// any shard begins where its rows do. A draw has 16 bits; a row has whole words of 32.
    fn draws_from(self, row: usize, inputs: usize) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(self.batch);
        random.set_word_pos(row as u128 * inputs.div_ceil(2) as u128);
        random
    }
}

/// A sum of losses, and over how many values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Loss {
    pub(crate) sum: f64,
    pub(crate) known: usize,
}

impl Loss {
    /// Mean over the known values; 0 without any.
    pub(crate) fn mean(self) -> f64 {
        self.sum / self.known.max(1) as f64
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.known += other.known;
    }
}

/// A few rows of a batch. Rows that are none have the input 0 and no target.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) rows: usize,
    /// Shape (rows, padded inputs), as all that follow.
    pub(crate) input: Vec<f32>,
    target: Vec<f32>,
    /// Values after each layer.
    pub(crate) outputs: Vec<Vec<f32>>,
    /// Derivatives of the sum of the losses by each layer's sums.
    pub(crate) deltas: Vec<Vec<f32>>,
    pub(crate) loss: Loss,
    /// Noise of one row.
    draws: Vec<u16>,
}

impl Shard {
    pub(crate) fn new(layers: &[Layer], rows: usize) -> Self {
        let wide = |width: usize| vec![0.0; rows * padded(width)];
        let inputs = layers[0].inputs;
        let outputs: Vec<Vec<f32>> = layers.iter().map(|layer| wide(layer.outputs)).collect();
        Self {
            rows,
            input: wide(inputs),
            target: wide(inputs),
            deltas: outputs.clone(),
            outputs,
            loss: Loss::default(),
            draws: vec![0; inputs],
        }
    }

    /// What the layer number `depth` reads.
    pub(crate) fn before(&self, depth: usize) -> &[f32] {
        if depth == 0 { &self.input } else { &self.outputs[depth - 1] }
    }

    /// Derivatives by the sums of the layer number `depth`.
    pub(crate) fn delta(&self, depth: usize) -> &[f32] {
        &self.deltas[depth]
    }

    /// Takes its rows, and hides some of their values.
    #[inline(always)]
    pub(crate) fn fill(&mut self, data: ArrayView2<'_, f32>, first: usize, rows: &[usize], noise: Option<Noise>) {
        let width = data.ncols();
        let stride = padded(width);
        // Rows lie far apart in memory: copied in a loop of its own, many of them are on their way at once.
        self.target.fill(f32::NAN);
        for (target, &row) in self.target.chunks_exact_mut(stride).zip(rows) {
            ArrayViewMut1::from(&mut target[..width]).assign(&data.row(row));
        }
        for (input, &target) in self.input.iter_mut().zip(&self.target) {
            *input = if target.is_nan() { 0.0 } else { target };
        }
        if let Some(noise) = noise {
            let mut random = noise.draws_from(first, width);
            for input in self.input.chunks_exact_mut(stride).take(rows.len()) {
                random.fill(&mut self.draws[..]);
                for (input, &draw) in input.iter_mut().zip(&self.draws) {
                    *input = if u32::from(draw) < noise.share { 0.0 } else { *input };
                }
            }
        }
    }

    #[inline(always)]
    pub(crate) fn forward<S: Simd>(&mut self, simd: S, layers: &[Layer]) {
        let last = layers.len() - 1;
        for (depth, layer) in layers.iter().enumerate() {
            let (before, after) = self.outputs.split_at_mut(depth);
            let output = &mut after[0];
            layer.forward(simd, before.last().unwrap_or(&self.input), output);
            if depth < last {
                for value in output {
                    *value = activation(*value);
                }
            }
        }
    }

    /// The loss, and the derivatives of its sum by the outputs.
    #[inline(always)]
    pub(crate) fn compare(&mut self) {
        let last = self.outputs.len() - 1;
        let rows = self.outputs[last].as_chunks().0.iter().zip(self.target.as_chunks().0);
        // A sum for each column of a panel: in an order that does not depend on the width of vectors.
        let (mut sums, mut known) = ([0.0_f32; PANEL], [0_u32; PANEL]);
        for ((outputs, targets), deltas) in rows.zip(self.deltas[last].as_chunks_mut::<PANEL>().0) {
            let (outputs, targets): (&[f32; PANEL], &[f32; PANEL]) = (outputs, targets);
            for column in 0..PANEL {
                let (loss, slope) = huber(outputs[column] - targets[column]);
                let unknown = targets[column].is_nan();
                deltas[column] = if unknown { 0.0 } else { slope };
                sums[column] += if unknown { 0.0 } else { loss };
                known[column] += u32::from(!unknown);
            }
        }
        self.loss = Loss {
            sum: sums.iter().map(|&sum| f64::from(sum)).sum(),
            known: known.iter().map(|&known| known as usize).sum(),
        };
    }

    #[inline(always)]
    pub(crate) fn backward<S: Simd>(&mut self, simd: S, layers: &[Layer]) {
        for depth in (1..layers.len()).rev() {
            let (earlier, later) = self.deltas.split_at_mut(depth);
            let delta = &mut earlier[depth - 1];
            layers[depth].backward(simd, &later[0], delta);
            for (delta, &output) in delta.iter_mut().zip(&self.outputs[depth - 1]) {
                *delta *= activation_slope(output);
            }
        }
    }
}
