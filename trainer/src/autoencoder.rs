//! Fits the denoising autoencoder: batches, noise, early stopping.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2, ArrayView2, Axis};
use prowl_model::{Dense, Network};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};
use rand_distr::{Distribution, StandardNormal};

use crate::adam::Adam;
use crate::gradient::{Pass, huber};
use crate::{Settings, TrainError};

/// What became of one epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// From 1.
    pub number: usize,
    /// Mean loss over the batches, of which some inputs are hidden.
    pub training_loss: f64,
    /// Loss over the clean validation slice.
    pub validation_loss: f64,
    /// The smallest validation loss so far.
    pub best_loss: f64,
    /// Epochs since it was reached.
    pub without_progress: usize,
}

/// A network and the course of its fit.
#[derive(Debug)]
pub struct Fitted {
    /// The network of the best epoch.
    pub network: Network,
    /// The epochs, the last one included.
    pub epochs: Vec<Epoch>,
}

/// Fits a network that undoes noise (Vincent et al., "Extracting and composing robust features with denoising
/// autoencoders", 2008): in each batch some inputs are hidden, set to 0 as unknown ones are, and the network has to give
/// back the clean ones, hidden ones included.
///
/// `training` and `validation` have the shape (rows, inputs), NaN where unknown. Stops when the validation loss made no
/// progress for [`Settings::patience`] epochs, and keeps the best. `watch` sees each epoch and may break off.
///
/// # Errors
/// [`TrainError::Stopped`] when `watch` broke off, [`TrainError::Diverged`] when the loss is no number.
pub fn fit(
    training: ArrayView2<'_, f32>,
    validation: ArrayView2<'_, f32>,
    settings: &Settings,
    watch: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Fitted, TrainError> {
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    let mut network = initial(training, settings, &mut random);
    let mut best = network.clone();
    let mut adam = Adam::new(&network, settings.learning_rate, settings.weight_decay);
    let mut order: Vec<usize> = (0..training.nrows()).collect();
    let mut batch = Batch::new(&network, settings.batch_size.min(order.len()));
    let mut epochs: Vec<Epoch> = Vec::new();
    let (mut best_loss, mut best_epoch) = (f64::INFINITY, 0);

    for number in 1..=settings.epochs {
        order.shuffle(&mut random);
        let mut sum = 0.0;
        // The rows that fill no batch wait for another epoch; the shuffle gives each its turn.
        let batches = order.chunks_exact(batch.pass.rows());
        let count = batches.len();
        for rows in batches {
            batch.fill(training, rows, settings.hide, &mut random);
            batch.pass.forward(&network, batch.input.view());
            let (loss, gradients) = batch.pass.backward(&network, batch.input.view(), batch.target.view());
            adam.step(&mut network, gradients);
            sum += loss;
        }
        let validation_loss = loss(&network, validation);
        if !validation_loss.is_finite() {
            return Err(TrainError::Diverged { epoch: number });
        }
        // Progress that is too small to matter would only train on and on.
        if validation_loss < best_loss * (1.0 - 1e-3) {
            (best_loss, best_epoch) = (validation_loss, number);
            best.clone_from(&network);
        }
        let epoch = Epoch {
            number,
            training_loss: sum / count as f64,
            validation_loss,
            best_loss,
            without_progress: number - best_epoch,
        };
        epochs.push(epoch);
        if watch(&epoch).is_break() {
            return Err(TrainError::Stopped);
        }
        if epoch.without_progress >= settings.patience {
            break;
        }
    }
    Ok(Fitted { network: best, epochs })
}

/// Mean Huber loss over the known values of clean rows.
fn loss(network: &Network, rows: ArrayView2<'_, f32>) -> f64 {
    let (mut sum, mut known) = (0.0, 0_usize);
    let mut clean = Vec::with_capacity(rows.ncols());
    for row in rows.outer_iter() {
        clean.clear();
        clean.extend(row.iter().map(|&value| if value.is_nan() { 0.0 } else { value }));
        for (&target, &output) in row.iter().zip(&network.reconstruct(&clean)) {
            if !target.is_nan() {
                sum += f64::from(huber(output - target).0);
                known += 1;
            }
        }
    }
    sum / known.max(1) as f64
}

/// Inputs -> hidden -> code -> hidden -> inputs. Weights are normal with a variance of 2 / (inputs + outputs) (Glorot and
/// Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010), biases 0.
///
/// An input that never varies is 0 throughout. Its weights begin as 0 and stay so, since both its value and its error
/// are 0: what it may be some day, the network has not learnt to read.
fn initial(training: ArrayView2<'_, f32>, settings: &Settings, random: &mut ChaCha8Rng) -> Network {
    let inputs = training.ncols();
    let widths = [inputs, settings.hidden, settings.code, settings.hidden, inputs];
    let mut layers: Vec<Dense> = widths
        .windows(2)
        .map(|pair| {
            let (from, to) = (pair[0], pair[1]);
            let deviation = (2.0 / (from + to) as f32).sqrt();
            let mut draw = || -> f32 { StandardNormal.sample(random) };
            Dense { weights: Array2::from_shape_simple_fn((from, to), || deviation * draw()), bias: Array1::zeros(to) }
        })
        .collect();
    let last = layers.len() - 1;
    for (input, column) in training.axis_iter(Axis(1)).enumerate() {
        if column.iter().all(|&value| value.is_nan() || value == 0.0) {
            layers[0].weights.row_mut(input).fill(0.0);
            layers[last].weights.column_mut(input).fill(0.0);
        }
    }
    Network { layers }
}

/// One batch: inputs of which some are hidden, and clean targets.
struct Batch {
    input: Array2<f32>,
    target: Array2<f32>,
    pass: Pass,
}

impl Batch {
    fn new(network: &Network, rows: usize) -> Self {
        let shape = (rows, network.inputs());
        Self { input: Array2::zeros(shape), target: Array2::zeros(shape), pass: Pass::new(network, rows) }
    }

    fn fill(&mut self, data: ArrayView2<'_, f32>, rows: &[usize], hide: f32, random: &mut ChaCha8Rng) {
        for (place, &row) in rows.iter().enumerate() {
            self.target.row_mut(place).assign(&data.row(row));
        }
        for (input, &target) in self.input.iter_mut().zip(&self.target) {
            let hidden = random.random::<f32>() < hide;
            *input = if target.is_nan() || hidden { 0.0 } else { target };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_inputs_are_hidden_and_no_target_is() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut data = Array2::from_elem((50, 40), 2.0);
        data[[7, 5]] = f32::NAN;
        let mut batch = Batch::new(&initial(data.view(), &Settings::default(), &mut random), 50);
        let rows: Vec<usize> = (0..50).collect();
        batch.fill(data.view(), &rows, 0.1, &mut random);
        assert_eq!(batch.input[[7, 5]], 0.0, "unknown");
        let hidden = batch.input.iter().filter(|&&input| input == 0.0).count() - 1;
        assert!((150..250).contains(&hidden), "{hidden} of 2000");
        assert_eq!(batch.target.iter().filter(|&&target| target == 2.0).count(), 1999);
    }

    /// What never varied in training may be anything later: the network must not answer at random.
    #[test]
    fn a_constant_input_is_not_read() {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let mut data: Array2<f32> = Array2::from_shape_simple_fn((64, 6), || StandardNormal.sample(&mut random));
        data.column_mut(2).fill(0.0);
        let settings = Settings { epochs: 5, batch_size: 16, ..Settings::default() };
        let fitted = fit(data.view(), data.view(), &settings, &mut |_| ControlFlow::Continue(())).unwrap();
        let varied = |value: f32| fitted.network.reconstruct(&[0.5, -1.0, value, 0.0, 1.0, 2.0]);
        assert_eq!(varied(0.0), varied(9.0));
        assert_eq!(varied(9.0)[2], 0.0);
    }

    /// Noise has no structure: training on it makes the validation loss worse after a while.
    #[test]
    fn the_network_of_the_best_epoch_is_kept() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut noise =
            |rows| -> Array2<f32> { Array2::from_shape_simple_fn((rows, 12), || StandardNormal.sample(&mut random)) };
        let (training, validation) = (noise(64), noise(64));
        let fitted = |epochs: usize| {
            let settings = Settings { epochs, patience: 30, batch_size: 16, ..Settings::default() };
            fit(training.view(), validation.view(), &settings, &mut |_| ControlFlow::Continue(())).unwrap()
        };
        let all = fitted(300);
        let last = all.epochs.last().unwrap();
        assert_eq!(last.without_progress, 30, "it stops by patience");
        let best = fitted(last.number - last.without_progress);
        assert_eq!(all.network, best.network);
        assert!(loss(&all.network, validation.view()) < last.validation_loss);
    }
}
