//! The autoencoder's forward pass.

use std::ops::Range;

use ndarray::{Array1, Array2};

use crate::ArtifactError;
use crate::product::add_products;
use crate::tensors::{Reader, Writer};

/// `x / sqrt(1 + x²)`: bounded and smooth as tanh, made of operations that IEEE 754 rounds exactly, so that it has the
/// same bits everywhere. It is the inverse square root unit of Carlile et al., "Improving deep learning by inverse
/// square root linear units" (2017).
///
/// Bounded, because a network without bounds reconstructs any extreme that its training only hinted at.
#[inline]
pub fn activation(x: f32) -> f32 {
    x / (1.0 + x * x).sqrt()
}

/// Derivative of [`activation`] at the point where it has the value `y`: `(1 - y²)^(3/2)`.
#[inline]
pub fn activation_slope(y: f32) -> f32 {
    let rest = (1.0 - y * y).max(0.0);
    rest * rest.sqrt()
}

/// A dense layer: `x · weights + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Shape (inputs, outputs).
    pub weights: Array2<f32>,
    /// Shape (outputs).
    pub bias: Array1<f32>,
}

impl Dense {
    /// Of vectors one after the other. Adds input by input to each output, so that its sum has one fixed order.
    fn forward(&self, inputs: &[f32], outputs: &mut Vec<f32>) {
        outputs.clear();
        for _ in inputs.chunks_exact(self.weights.nrows().max(1)) {
            outputs.extend(self.bias.iter());
        }
        add_products(outputs, inputs, &self.weights);
    }
}

/// Layers with [`activation`] between them; none after the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// At least one; the outputs of each are the inputs of the next.
    pub layers: Vec<Dense>,
}

impl Network {
    /// Number of inputs, which is that of outputs.
    pub fn inputs(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.weights.nrows())
    }

    /// What the narrowest layer says of scaled vectors, one after the other: all that the reconstruction knows of them.
    pub fn code(&self, inputs: &[f32]) -> Vec<f32> {
        self.run(inputs, 0..self.narrowest() + 1)
    }

    /// What follows from codes.
    pub fn decode(&self, codes: &[f32]) -> Vec<f32> {
        self.run(codes, self.narrowest() + 1..self.layers.len())
    }

    /// Length of the code.
    pub fn code_length(&self) -> usize {
        self.layers.get(self.narrowest()).map_or(0, |layer| layer.bias.len())
    }

    /// Place of the narrowest layer; of several the first.
    fn narrowest(&self) -> usize {
        let widths = self.layers.iter().map(|layer| layer.bias.len()).enumerate();
        widths.min_by_key(|&(_, width)| width).map_or(0, |(depth, _)| depth)
    }

    /// Reconstructions of scaled vectors, one after the other. Those of several take less time than each by itself, and have
    /// the same bits.
    pub fn reconstruct(&self, inputs: &[f32]) -> Vec<f32> {
        self.decode(&self.code(inputs))
    }

    /// What some layers, one after the other, make of what the layer before them gave.
    fn run(&self, inputs: &[f32], layers: Range<usize>) -> Vec<f32> {
        let (mut current, mut next) = (inputs.to_vec(), Vec::new());
        for (depth, layer) in self.layers.iter().enumerate().take(layers.end).skip(layers.start) {
            layer.forward(&current, &mut next);
            if depth + 1 < self.layers.len() {
                for x in &mut next {
                    *x = activation(*x);
                }
            }
            std::mem::swap(&mut current, &mut next);
        }
        current
    }

    pub(crate) fn write(&self, tensors: &mut Writer) {
        for (depth, layer) in self.layers.iter().enumerate() {
            tensors.matrix(&format!("network.{depth}.weights"), &layer.weights);
            tensors.vector(&format!("network.{depth}.bias"), &layer.bias);
        }
    }

    pub(crate) fn read(tensors: &Reader<'_>) -> Result<Self, ArtifactError> {
        let mut layers = Vec::new();
        while layers.is_empty() || tensors.has(&format!("network.{}.weights", layers.len())) {
            let depth = layers.len();
            layers.push(Dense {
                weights: tensors.matrix(&format!("network.{depth}.weights"))?,
                bias: tensors.vector(&format!("network.{depth}.bias"))?,
            });
        }
        Ok(Self { layers })
    }

    /// Checks that the layers fit together and lead from `inputs` back to `inputs`.
    pub(crate) fn check(&self, inputs: usize) -> Result<(), ArtifactError> {
        let mut width = inputs;
        for (depth, Dense { weights, bias }) in self.layers.iter().enumerate() {
            let name = format!("network.{depth}");
            ArtifactError::unless(weights.nrows() == width, &name, || {
                format!("it reads {} values and gets {width}", weights.nrows())
            })?;
            ArtifactError::unless(weights.ncols() == bias.len(), &name, || {
                format!("it has {} columns of weights and {} biases", weights.ncols(), bias.len())
            })?;
            ArtifactError::unless(!bias.is_empty(), &name, || "it gives nothing".to_owned())?;
            width = bias.len();
        }
        ArtifactError::unless(width == inputs && !self.layers.is_empty(), "network", || {
            format!("it reads {inputs} values and gives back {width}")
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::fixture::Numbers;

    #[test]
    fn a_small_network_gives_what_the_hand_computes() {
        let network = Network {
            layers: vec![
                Dense { weights: array![[1.0, 0.5], [-2.0, 0.0]], bias: array![0.0, 1.0] },
                Dense { weights: array![[2.0, 0.0], [0.0, 3.0]], bias: array![0.25, 0.0] },
            ],
        };
        // Sums of the hidden layer: 1·3 - 2·1 + 0 = 1 and 0.5·3 + 1 = 2.5.
        let hidden = [1.0 / 2.0_f32.sqrt(), 2.5 / 7.25_f32.sqrt()];
        let output = network.reconstruct(&[3.0, 1.0]);
        assert!(
            (output[0] - (2.0 * hidden[0] + 0.25)).abs() < 1e-6 && (output[1] - 3.0 * hidden[1]).abs() < 1e-6,
            "{output:?}"
        );
    }

    #[test]
    fn the_code_is_what_the_narrowest_layer_says() {
        let mut numbers = Numbers::new(7);
        let widths = [6, 4, 2, 3, 2, 6];
        let layers = widths.windows(2);
        let layers =
            layers.map(|pair| Dense { weights: numbers.matrix(pair[0], pair[1]), bias: numbers.vector(pair[1]) });
        let network = Network { layers: layers.collect() };
        let input = [0.3, -1.0, 2.0, 0.0, 0.7, -0.2];
        let code = network.code(&input);
        assert_eq!((code.len(), network.code_length()), (2, 2));
        // What follows of it alone is the reconstruction.
        let rest = Network { layers: network.layers[2..].to_vec() };
        assert_eq!(rest.reconstruct(&code), network.reconstruct(&input));
        let alone = Network { layers: rest.layers[2..].to_vec() };
        assert_eq!(alone.code(&[0.5, 0.5]), alone.reconstruct(&[0.5, 0.5]), "of a single layer");
        assert_eq!(alone.code_length(), 6);
    }

    #[test]
    fn the_slope_is_that_of_the_activation() {
        for step in -80..=80 {
            let x = f64::from(step) / 8.0;
            let exact = |x: f64| x / (1.0 + x * x).sqrt();
            let difference = (exact(x + 1e-5) - exact(x - 1e-5)) / 2e-5;
            let slope = f64::from(activation_slope(activation(x as f32)));
            assert!((slope - difference).abs() < 1e-4, "at {x}: {slope} and {difference}");
        }
        assert_eq!(activation_slope(1.0), 0.0);
    }
}
