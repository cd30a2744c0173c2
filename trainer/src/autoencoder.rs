//! Fits the denoising autoencoder: batches, noise, early stopping.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2, ArrayView2, Axis};
use prowl_model::{Dense, Network};
use rand::{SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};
use rand_distr::{Distribution, StandardNormal};

use crate::adam::Adam;
use crate::gradient::Learner;
use crate::shard::Noise;
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
/// `training` and `validation` have the shape (rows, inputs), with one input or more, NaN where unknown. Stops when the
/// validation loss made no progress for [`Settings::patience`] epochs, and keeps the best. `watch` sees each epoch and
/// may break off. Works on all threads of the pool of rayon that it is called in; their number changes no bit.
///
/// # Errors
/// [`TrainError::Stopped`] when `watch` broke off, [`TrainError::Diverged`] when the loss is no number.
pub fn fit(
    training: ArrayView2<'_, f32>,
    validation: ArrayView2<'_, f32>,
    settings: &Settings,
    watch: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Fitted, TrainError> {
    let mut best = initial(training, settings);
    let mut order: Vec<usize> = (0..training.nrows()).collect();
    let batch_size = settings.batch_size.min(order.len()).max(1);
    let mut learner = Learner::new(&best, batch_size);
    let mut adam = Adam::new(settings.learning_rate, settings.weight_decay);
    let mut shuffle = ChaCha8Rng::seed_from_u64(seed(settings, Use::Order));
    let noise = Noise::new(seed(settings, Use::Noise), settings.hide);
    let mut batches_done = 0;
    let mut epochs: Vec<Epoch> = Vec::new();
    let (mut best_loss, mut best_epoch) = (f64::INFINITY, 0);

    for number in 1..=settings.epochs {
        order.shuffle(&mut shuffle);
        // The rows that fill no batch wait for another epoch; the shuffle gives each its turn.
        let batches = order.chunks_exact(batch_size);
        let count = batches.len();
        // In the scope this runs on a thread of the pool, from which work is handed to the others without a system call.
        let (sum, validation_loss) = rayon::scope(|_| {
            let mut sum = 0.0;
            for batch in batches {
                sum += learner.learn(training, batch, noise.of_batch(batches_done), &mut adam).mean();
                batches_done += 1;
            }
            (sum, learner.loss(validation).mean())
        });
        if !validation_loss.is_finite() {
            return Err(TrainError::Diverged { epoch: number });
        }
        // Progress that is too small to matter would only train on and on.
        if validation_loss < best_loss * (1.0 - 1e-3) {
            (best_loss, best_epoch) = (validation_loss, number);
            best = learner.network();
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

/// What random numbers are for.
#[derive(Clone, Copy)]
enum Use {
    Weights,
    Order,
    Noise,
}

/// Each use has random numbers of its own.
fn seed(settings: &Settings, what: Use) -> u64 {
    settings.seed.wrapping_mul(3).wrapping_add(what as u64)
}

/// Inputs -> hidden -> code -> hidden -> inputs. Weights are normal with a variance of 2 / (inputs + outputs) (Glorot and
/// Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010), biases 0.
///
/// An input that never varies is 0 throughout. Its weights begin as 0 and stay so, since both its value and its error
/// are 0: what it may be some day, the network has not learnt to read.
pub fn initial(training: ArrayView2<'_, f32>, settings: &Settings) -> Network {
    let mut random = ChaCha8Rng::seed_from_u64(seed(settings, Use::Weights));
    let inputs = training.ncols();
    let widths = [inputs, settings.hidden, settings.code, settings.hidden, inputs];
    let mut layers: Vec<Dense> = widths
        .windows(2)
        .map(|pair| {
            let (from, to) = (pair[0], pair[1]);
            let deviation = (2.0 / (from + to) as f32).sqrt();
            let mut draw = || -> f32 { StandardNormal.sample(&mut random) };
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

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(Learner::new(&all.network, 64).loss(validation.view()).mean() < last.validation_loss);
    }

    fn normal(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        Array2::from_shape_simple_fn((rows, columns), || StandardNormal.sample(&mut random))
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let (mut training, validation) = (normal(150, 21, 5), normal(37, 21, 6));
        training[[3, 4]] = f32::NAN;
        // One batch is smaller than a shard, one is no multiple of it, one is several.
        for batch_size in [7, 40, 100] {
            let settings = Settings { epochs: 4, batch_size, ..Settings::default() };
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    assert_eq!(rayon::current_num_threads(), threads);
                    fit(training.view(), validation.view(), &settings, &mut |_| ControlFlow::Continue(())).unwrap()
                })
            };
            let one = on(1);
            for threads in [2, 4] {
                let several = on(threads);
                assert_eq!(several.network, one.network, "{threads} threads, batches of {batch_size}");
                assert_eq!(several.epochs, one.epochs, "{threads} threads, batches of {batch_size}");
            }
        }
    }

    /// Rows of rank 3 and a little noise: the network gives them back to about the noise, and fills in what is hidden.
    #[test]
    fn a_planted_structure_is_found() {
        const NOISE: f32 = 0.1;
        let factors = normal(3, 24, 7);
        let rows = |count: usize, seed: u64| {
            (normal(count, 3, seed) / 3.0_f32.sqrt()).dot(&factors) + NOISE * normal(count, 24, seed + 1)
        };
        let (training, validation, test) = (rows(3000, 8), rows(300, 10), rows(200, 12));
        let settings = Settings { epochs: 100, hidden: 48, code: 12, ..Settings::default() };
        let fitted = fit(training.view(), validation.view(), &settings, &mut |_| ControlFlow::Continue(())).unwrap();
        let error = |hide: bool| {
            let mut sum = 0.0;
            for row in test.outer_iter() {
                for input in 0..24 {
                    let mut seen = row.to_vec();
                    if hide {
                        seen[input] = 0.0;
                    }
                    sum += (fitted.network.reconstruct(&seen)[input] - row[input]).powi(2);
                }
            }
            (sum / test.len() as f32).sqrt()
        };
        let spread = test.mapv(|value| value * value).mean().unwrap().sqrt();
        let (whole, filled) = (error(false), error(true));
        assert!(whole < 2.0 * NOISE, "{whole} of {spread}");
        assert!(filled < 3.0 * NOISE, "{filled} of {spread}");
    }
}
