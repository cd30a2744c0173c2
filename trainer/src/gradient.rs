//! The autoencoder's pass over a batch, forwards and backwards, cut up among threads.
//!
//! The batch is cut into shards of rows, which do not know of each other, for the outputs and their derivatives; then the
//! parameters are cut into parts, each of which sums its gradients over all rows. So no sum depends on how many threads
//! there are.

use ndarray::{ArrayView2, ArrayViewMut1};
use prowl_model::{Network, activation, activation_slope};
use pulp::{Arch, Simd, WithSimd};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use rayon::prelude::*;

use crate::adam::{Adam, Step};
use crate::kernel::{PANEL, padded};
use crate::layer::{Layer, Part};

/// Rows of a shard: few, so that a small batch is work for several threads; more read the weights less often.
const SHARD: usize = 16;

/// A network that learns.
#[derive(Debug)]
pub(crate) struct Learner {
    layers: Vec<Layer>,
    shards: Vec<Shard>,
    arch: Arch,
}

/// What inputs are hidden from the network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    seed: u64,
    /// Out of 65536.
    share: u32,
    /// Number of the batch, from the start of the fit.
    batch: u64,
}

/// A sum of losses, and over how many values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Loss {
    sum: f64,
    known: usize,
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
    fn from_row(self, row: usize, inputs: usize) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(self.batch);
        random.set_word_pos(row as u128 * inputs.div_ceil(2) as u128);
        random
    }
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

impl Learner {
    /// With buffers for batches of at most `rows` rows.
    pub(crate) fn new(network: &Network, rows: usize) -> Self {
        let layers: Vec<Layer> = network.layers.iter().map(Layer::new).collect();
        let shards = (0..rows.max(1).div_ceil(SHARD)).map(|_| Shard::new(&layers)).collect();
        Self { layers, shards, arch: Arch::new() }
    }

    /// The network as it is now.
    pub(crate) fn network(&self) -> Network {
        Network { layers: self.layers.iter().map(Layer::dense).collect() }
    }

    /// Learns from the rows of `data` that `batch` names, and returns the loss before. The loss is the mean of [`huber`]
    /// over the known values of the rows; unknown ones are NaN, are read as 0, and count nothing.
    pub(crate) fn learn(&mut self, data: ArrayView2<'_, f32>, batch: &[usize], noise: Noise, adam: &mut Adam) -> Loss {
        let loss = self.pass(data, batch, Some(noise), true);
        let step = adam.next(1.0 / loss.known.max(1) as f32);
        let Self { layers, shards, arch } = self;
        let parts: Vec<(usize, Part<'_>)> = layers
            .iter_mut()
            .enumerate()
            .flat_map(|(depth, layer)| layer.parts().map(move |part| (depth, part)))
            .collect();
        let shards = &*shards;
        parts.into_par_iter().with_max_len(1).for_each(|(depth, part)| {
            arch.dispatch(Learn { part, shards, depth, step });
        });
        loss
    }

    /// The loss over all rows of `data`, of which nothing is hidden.
    pub(crate) fn loss(&mut self, data: ArrayView2<'_, f32>) -> Loss {
        let rows: Vec<usize> = (0..data.nrows()).collect();
        let mut loss = Loss::default();
        for batch in rows.chunks(self.shards.len() * SHARD) {
            loss.add(self.pass(data, batch, None, false));
        }
        loss
    }

    /// Outputs and loss of a batch, and, if they are wanted, derivatives by each layer's sums.
    fn pass(&mut self, data: ArrayView2<'_, f32>, batch: &[usize], noise: Option<Noise>, derivatives: bool) -> Loss {
        let Self { layers, shards, arch } = self;
        let layers = &*layers;
        shards.par_iter_mut().with_max_len(1).enumerate().for_each(|(number, shard)| {
            let first = number * SHARD;
            let rows = &batch[first.min(batch.len())..(first + SHARD).min(batch.len())];
            arch.dispatch(Pass { layers, shard, data, first, rows, noise, derivatives });
        });
        let mut loss = Loss::default();
        for shard in &*shards {
            loss.add(shard.loss);
        }
        loss
    }
}

/// A few rows of a batch. Rows that are none have the input 0 and no target.
#[derive(Debug)]
pub(crate) struct Shard {
    /// Shape (rows, padded inputs), as all that follow.
    input: Vec<f32>,
    target: Vec<f32>,
    /// Values after each layer.
    outputs: Vec<Vec<f32>>,
    /// Derivatives of the sum of the losses by each layer's sums.
    deltas: Vec<Vec<f32>>,
    loss: Loss,
    /// Noise of one row.
    draws: Vec<u16>,
}

impl Shard {
    fn new(layers: &[Layer]) -> Self {
        let wide = |width: usize| vec![0.0; SHARD * padded(width)];
        let inputs = layers[0].inputs;
        let outputs: Vec<Vec<f32>> = layers.iter().map(|layer| wide(layer.outputs)).collect();
        Self {
            input: wide(inputs),
            target: wide(inputs),
            deltas: outputs.clone(),
            outputs,
            loss: Loss::default(),
            draws: vec![0; inputs],
        }
    }

    pub(crate) fn rows(&self) -> usize {
        SHARD
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
    fn fill(&mut self, data: ArrayView2<'_, f32>, first: usize, rows: &[usize], noise: Option<Noise>) {
        let width = data.ncols();
        let mut noise = noise.map(|noise| (noise.from_row(first, width), noise.share));
        let stride = padded(width);
        let places = self.input.chunks_exact_mut(stride).zip(self.target.chunks_exact_mut(stride));
        for (place, (input, target)) in places.enumerate() {
            target.fill(f32::NAN);
            if let Some(&row) = rows.get(place) {
                ArrayViewMut1::from(&mut target[..width]).assign(&data.row(row));
            }
            for (input, &target) in input.iter_mut().zip(&*target) {
                *input = if target.is_nan() { 0.0 } else { target };
            }
            if let Some((random, share)) = &mut noise {
                random.fill(&mut self.draws[..]);
                for (input, &draw) in input.iter_mut().zip(&self.draws) {
                    *input = if u32::from(draw) < *share { 0.0 } else { *input };
                }
            }
        }
    }

    #[inline(always)]
    fn forward<S: Simd>(&mut self, simd: S, layers: &[Layer]) {
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
    fn compare(&mut self) {
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
    fn backward<S: Simd>(&mut self, simd: S, layers: &[Layer]) {
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

/// The work on a shard, compiled for each kind of vector units.
struct Pass<'a> {
    layers: &'a [Layer],
    shard: &'a mut Shard,
    data: ArrayView2<'a, f32>,
    /// Place of the first row in the batch.
    first: usize,
    rows: &'a [usize],
    noise: Option<Noise>,
    derivatives: bool,
}

impl WithSimd for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { layers, shard, data, first, rows, noise, derivatives } = self;
        shard.fill(data, first, rows, noise);
        shard.forward(simd, layers);
        shard.compare();
        if derivatives {
            shard.backward(simd, layers);
        }
    }
}

/// The work on a part of the parameters.
struct Learn<'a> {
    part: Part<'a>,
    shards: &'a [Shard],
    depth: usize,
    step: Step,
}

impl WithSimd for Learn<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.part.learn(simd, self.shards, self.depth, self.step);
    }
}

/// Errors beyond this many spreads pull no harder: an outlier in the training slice must not bend the network.
const HUBER: f32 = 2.0;

/// Half the square of the error, and beyond [`HUBER`] its tangent (Huber, "Robust estimation of a location parameter",
/// 1964); and the derivative.
#[inline]
pub(crate) fn huber(error: f32) -> (f32, f32) {
    let slope = error.clamp(-HUBER, HUBER);
    (slope * (error - 0.5 * slope), slope)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};
    use prowl_model::Dense;

    use super::*;

    fn random(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        Array2::from_shape_simple_fn((rows, columns), || random.random_range(-1.0..1.0))
    }

    /// Wider than a panel, no multiple of one, and of more rows than a shard.
    const WIDTHS: [usize; 5] = [37, 20, 3, 20, 37];
    const ROWS: usize = 2 * SHARD + 3;

    fn network() -> Network {
        let layer = |(depth, pair): (usize, &[usize])| Dense {
            weights: random(pair[0], pair[1], depth as u64),
            bias: random(1, pair[1], 10 + depth as u64).row(0).to_owned(),
        };
        Network { layers: WIDTHS.windows(2).enumerate().map(layer).collect() }
    }

    fn data() -> Array2<f32> {
        let mut data = random(ROWS, WIDTHS[0], 20) * 3.0;
        (data[[0, 0]], data[[33, 5]]) = (f32::NAN, f32::NAN);
        data
    }

    /// The sum of losses in 64 bits, written down as the definition says.
    fn reference(network: &Network, input: &Array2<f32>, target: &Array2<f32>) -> f64 {
        let mut sum = 0.0;
        for (input, target) in input.outer_iter().zip(target.outer_iter()) {
            let mut values: Array1<f64> = input.mapv(f64::from);
            for (depth, layer) in network.layers.iter().enumerate() {
                values = values.dot(&layer.weights.mapv(f64::from)) + layer.bias.mapv(f64::from);
                if depth + 1 < network.layers.len() {
                    values.mapv_inplace(|x| x / (1.0 + x * x).sqrt());
                }
            }
            for (&output, &target) in values.iter().zip(target).filter(|(_, target)| !target.is_nan()) {
                let error = (output - f64::from(target)).abs();
                sum += if error <= 2.0 { 0.5 * error * error } else { 2.0 * (error - 1.0) };
            }
        }
        sum
    }

    /// What the shards read: the data, less what is unknown or hidden.
    fn inputs(learner: &Learner) -> Array2<f32> {
        let stride = padded(WIDTHS[0]);
        let rows = learner.shards.iter().flat_map(|shard| shard.input.chunks_exact(stride)).take(ROWS);
        Array2::from_shape_vec((ROWS, WIDTHS[0]), rows.flat_map(|row| row[..WIDTHS[0]].to_vec()).collect()).unwrap()
    }

    /// Every weight and bias of every layer, errors on both sides of the Huber bend, some values unknown, some hidden.
    #[test]
    fn gradients_are_those_of_finite_differences() {
        let (mut network, data) = (network(), data());
        let mut learner = Learner::new(&network, ROWS);
        let rows: Vec<usize> = (0..ROWS).collect();
        let noise = Noise::new(5, 0.2);
        let loss = learner.learn(data.view(), &rows, noise, &mut Adam::new(0.0, 0.0));
        let input = inputs(&learner);
        let hidden = input.iter().filter(|&&value| value == 0.0).count();
        assert!((150..400).contains(&hidden), "{hidden} of {} are hidden", input.len());
        let bent = learner.shards.iter().flat_map(|shard| shard.delta(3)).filter(|delta| delta.abs() == HUBER).count();
        assert!((100..1000).contains(&bent), "{bent} errors beyond the bend");

        let sum = reference(&network, &input, &data);
        assert!((loss.sum / sum - 1.0).abs() < 1e-5, "{} {sum}", loss.sum);
        assert_eq!(loss.known, data.len() - 2);
        let step = 1e-3;
        let mut check = |change: &dyn Fn(&mut Network, f32), gradient: f32, name: String| {
            change(&mut network, step);
            let above = reference(&network, &input, &data);
            change(&mut network, -2.0 * step);
            let below = reference(&network, &input, &data);
            change(&mut network, step);
            let difference = (above - below) / (2.0 * f64::from(step));
            assert!((difference - f64::from(gradient)).abs() < 0.01, "{name}: {gradient}, by differences {difference}");
        };
        for (depth, layer) in learner.layers.iter().enumerate() {
            let layer = layer.gradients();
            let largest =
                layer.weights.iter().chain(&layer.bias).fold(0.0_f32, |largest, slope| largest.max(slope.abs()));
            assert!(largest > 2.0, "the tolerance is small beside the gradients of layer {depth}: {largest}");
            for ((row, column), &gradient) in layer.weights.indexed_iter() {
                let change = |network: &mut Network, by: f32| network.layers[depth].weights[[row, column]] += by;
                check(&change, gradient, format!("weight {row}, {column} of layer {depth}"));
            }
            for (place, &gradient) in layer.bias.iter().enumerate() {
                let change = |network: &mut Network, by: f32| network.layers[depth].bias[place] += by;
                check(&change, gradient, format!("bias {place} of layer {depth}"));
            }
        }
    }

    #[test]
    fn the_batch_pass_agrees_with_the_pass_that_scores() {
        let (network, data) = (network(), random(ROWS, WIDTHS[0], 30));
        let mut learner = Learner::new(&network, ROWS);
        learner.loss(data.view());
        let stride = padded(WIDTHS[0]);
        let outputs = learner.shards.iter().flat_map(|shard| shard.outputs[3].chunks_exact(stride));
        for (row, output) in data.outer_iter().zip(outputs) {
            for (batch, single) in output.iter().zip(network.reconstruct(&row.to_vec())) {
                assert!((batch - single).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn a_network_comes_out_as_it_went_in() {
        assert_eq!(Learner::new(&network(), 1).network(), network());
    }

    /// The transposed weights follow the weights: a second batch sees what the first one taught.
    #[test]
    fn a_step_is_seen_by_the_next_pass() {
        let data = data();
        let rows: Vec<usize> = (0..ROWS).collect();
        let noise = Noise::new(5, 0.0);
        let mut learner = Learner::new(&network(), ROWS);
        let mut adam = Adam::new(1e-2, 1e-2);
        learner.learn(data.view(), &rows, noise, &mut adam);
        let mut other = Learner::new(&learner.network(), ROWS);
        learner.pass(data.view(), &rows, None, true);
        other.pass(data.view(), &rows, None, true);
        for (shard, other) in learner.shards.iter().zip(&other.shards) {
            assert_eq!(shard.deltas, other.deltas);
        }
    }

    #[test]
    fn an_unknown_target_costs_nothing() {
        let nothing = Array2::from_elem((3, WIDTHS[0]), f32::NAN);
        let mut learner = Learner::new(&network(), 3);
        let noise = Noise::new(5, 0.1);
        let loss = learner.learn(nothing.view(), &[0, 1, 2], noise, &mut Adam::new(0.1, 0.0));
        assert_eq!((loss, loss.mean()), (Loss::default(), 0.0));
        assert_eq!(learner.network(), network());
    }

    #[test]
    fn some_inputs_are_hidden_and_no_target_is() {
        let mut learner = Learner::new(&network(), ROWS);
        let data = Array2::from_elem((ROWS, WIDTHS[0]), 2.0);
        let rows: Vec<usize> = (0..ROWS).collect();
        let noise = Noise::new(3, 0.1);
        let mut hidden = |batch| {
            let loss = learner.pass(data.view(), &rows, Some(noise.of_batch(batch)), false);
            assert_eq!(loss.known, data.len());
            inputs(&learner)
        };
        let (first, second) = (hidden(0), hidden(1));
        let count = first.iter().filter(|&&input| input == 0.0).count();
        assert!((90..170).contains(&count), "{count} of {}", data.len());
        assert_ne!(first, second, "each batch has its own noise");
        for other in 1..ROWS {
            assert_ne!(first.row(0), first.row(other), "each row has its own noise");
        }
        assert_eq!(first, hidden(0), "the same batch has the same noise");
    }

    #[test]
    fn far_errors_pull_no_harder() {
        assert_eq!(huber(1.0), (0.5, 1.0));
        assert_eq!(huber(-1.0), (0.5, -1.0));
        assert_eq!(huber(5.0), (8.0, 2.0));
        assert_eq!(huber(-5.0), (8.0, -2.0));
    }
}
