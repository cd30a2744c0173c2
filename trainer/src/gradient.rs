//! The autoencoder's pass over a batch, forwards and backwards, cut up among threads.
//!
//! The batch is cut into shards of rows, which do not know of each other, for the outputs and their derivatives; then the
//! parameters are cut into parts, each of which sums its gradients over all rows. So no sum depends on how many threads
//! there are.

#![expect(
    clippy::inline_always,
    reason = "vector units are chosen once, above all of this: what is not inlined goes without"
)]

use ndarray::ArrayView2;
use prowl_model::Network;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::adam::{Adam, Step};
use crate::layer::{Layer, Part};
use crate::shard::{Loss, Noise, Shard};

/// Rows of a shard, of a batch of so many rows: few, so that a small batch is work for several threads; of a large one
/// more, which read the weights less often. A multiple of the rows of a tile. The sum of the losses depends on it, so the
/// number of threads must not change it.
fn rows_of_shard(rows: usize) -> usize {
    if rows < 256 { 16 } else { 32 }
}

/// A network that learns.
#[derive(Debug)]
pub(crate) struct Learner {
    layers: Vec<Layer>,
    shards: Vec<Shard>,
    arch: Arch,
}

impl Learner {
    /// With buffers for batches of at most `rows` rows.
    pub(crate) fn new(network: &Network, rows: usize) -> Self {
        let layers: Vec<Layer> = network.layers.iter().map(Layer::new).collect();
        let shard = rows_of_shard(rows);
        let shards = (0..rows.max(1).div_ceil(shard)).map(|_| Shard::new(&layers, shard)).collect();
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
        for batch in rows.chunks(self.shards.iter().map(|shard| shard.rows).sum()) {
            loss.add(self.pass(data, batch, None, false));
        }
        loss
    }

    /// Outputs and loss of a batch, and, if they are wanted, derivatives by each layer's sums.
    fn pass(&mut self, data: ArrayView2<'_, f32>, batch: &[usize], noise: Option<Noise>, derivatives: bool) -> Loss {
        let Self { layers, shards, arch } = self;
        let layers = &*layers;
        shards.par_iter_mut().with_max_len(1).enumerate().for_each(|(number, shard)| {
            let first = number * shard.rows;
            let rows = &batch[first.min(batch.len())..(first + shard.rows).min(batch.len())];
            arch.dispatch(Pass { layers, shard, data, first, rows, noise, derivatives });
        });
        let mut loss = Loss::default();
        for shard in &*shards {
            loss.add(shard.loss);
        }
        loss
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
    use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

    use super::*;
    use crate::kernel::padded;

    fn random(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        Array2::from_shape_simple_fn((rows, columns), || random.random_range(-1.0..1.0))
    }

    /// Wider than a panel, no multiple of one, and of more rows than a shard.
    const WIDTHS: [usize; 5] = [37, 20, 3, 20, 37];
    const ROWS: usize = 35;

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

    /// Not only those of this machine: a network that was learnt here is the one that is learnt elsewhere.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_width_of_vectors_changes_no_bit() {
        let data = data();
        let learnt = |arch: Arch, rows: usize| {
            let mut learner = Learner { arch, ..Learner::new(&network(), rows) };
            let mut adam = Adam::new(1e-2, 1e-2);
            let order: Vec<usize> = (0..rows).map(|place| place % ROWS).collect();
            let mut losses = Loss::default();
            for batch in 0..3 {
                losses.add(learner.learn(data.view(), &order, Noise::new(5, 0.1).of_batch(batch), &mut adam));
            }
            losses.add(learner.loss(data.view()));
            (learner.network(), losses)
        };
        let kinds = [pulp::x86::V4::try_new().map(Arch::V4), pulp::x86::V3::try_new().map(Arch::V3)];
        for rows in [ROWS, 300] {
            let scalar = learnt(Arch::Scalar, rows);
            for arch in kinds.into_iter().flatten() {
                assert_eq!(learnt(arch, rows), scalar, "{arch:?}");
            }
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
