//! The optimiser: Adam with decoupled weight decay.

#![expect(
    clippy::inline_always,
    reason = "vector units are chosen once, above all of this: what is not inlined goes without"
)]

/// Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015), with the weight decay applied to the
/// weights themselves and not to their gradients (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019).
#[derive(Debug)]
pub(crate) struct Adam {
    learning_rate: f32,
    weight_decay: f32,
    steps: i32,
}

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

impl Adam {
    pub(crate) fn new(learning_rate: f32, weight_decay: f32) -> Self {
        Self { learning_rate, weight_decay, steps: 0 }
    }

    /// The next step. The gradients that it will be given are to be multiplied by `scale` first.
    pub(crate) fn next(&mut self, scale: f32) -> Step {
        self.steps = self.steps.saturating_add(1);
        Step {
            scale,
            decay: 1.0 - self.learning_rate * self.weight_decay,
            // Both corrections of the moments' bias towards 0 in one factor, but for epsilon.
            rate: self.learning_rate / (1.0 - BETA_1.powi(self.steps)),
            correction: 1.0 / (1.0 - BETA_2.powi(self.steps)),
        }
    }
}

/// One step, for every parameter alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    scale: f32,
    decay: f32,
    rate: f32,
    correction: f32,
}

impl Step {
    /// The same step without weight decay, as biases take it.
    pub(crate) fn without_decay(self) -> Self {
        Self { decay: 1.0, ..self }
    }

    /// Moves the values against their gradients.
    #[inline(always)]
    pub(crate) fn take(self, parameters: Slices<'_>) {
        let Slices { values, gradients, first, second } = parameters;
        for (((value, &gradient), m), v) in values.iter_mut().zip(&*gradients).zip(first).zip(second) {
            let gradient = gradient * self.scale;
            *m = BETA_1 * *m + (1.0 - BETA_1) * gradient;
            *v = BETA_2 * *v + (1.0 - BETA_2) * gradient * gradient;
            *value = *value * self.decay - self.rate * *m / ((*v * self.correction).sqrt() + EPSILON);
        }
    }
}

/// Values that are learnt, their gradients, and the running means of these and of their squares.
#[derive(Debug)]
pub(crate) struct Parameters {
    pub(crate) values: Vec<f32>,
    pub(crate) gradients: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
}

/// A part of [`Parameters`].
#[derive(Debug)]
pub(crate) struct Slices<'a> {
    pub(crate) values: &'a mut [f32],
    pub(crate) gradients: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl Slices<'_> {
    /// The same part, for a while.
    pub(crate) fn reborrow(&mut self) -> Slices<'_> {
        Slices { values: self.values, gradients: self.gradients, first: self.first, second: self.second }
    }
}

impl Parameters {
    pub(crate) fn new(values: Vec<f32>) -> Self {
        let zeros = || vec![0.0; values.len()];
        Self { gradients: zeros(), first: zeros(), second: zeros(), values }
    }

    /// Parts of `size` values each.
    pub(crate) fn chunks_mut(&mut self, size: usize) -> impl Iterator<Item = Slices<'_>> {
        let Self { values, gradients, first, second } = self;
        let moments = first.chunks_mut(size).zip(second.chunks_mut(size));
        values
            .chunks_mut(size)
            .zip(gradients.chunks_mut(size))
            .zip(moments)
            .map(|((values, gradients), (first, second))| Slices { values, gradients, first, second })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(parameters: &mut Parameters, step: Step, gradient: f32) {
        parameters.gradients.fill(gradient);
        for part in parameters.chunks_mut(2) {
            step.take(part);
        }
    }

    /// The first two steps, computed by hand from the paper's algorithm 1.
    #[test]
    fn steps_are_those_of_the_paper() {
        let mut parameters = Parameters::new(vec![1.0; 3]);
        let mut adam = Adam::new(0.1, 0.0);
        // Corrected moments are g and g²: a step of the learning rate against the sign.
        step(&mut parameters, adam.next(0.25), 2.0);
        assert!(parameters.values.iter().all(|value| (value - 0.9).abs() < 1e-5), "{parameters:?}");
        step(&mut parameters, adam.next(0.25), -1.0);
        let first = (0.9 * 0.05 - 0.1 * 0.25) / (1.0 - 0.81);
        let second: f32 = (0.999 * 0.00025 + 0.001 * 0.0625) / (1.0 - 0.998_001);
        let expected = 0.9 - 0.1 * first / second.sqrt();
        assert!(parameters.values.iter().all(|value| (value - expected).abs() < 1e-4), "{parameters:?} {expected}");
    }

    #[test]
    fn weights_decay_and_biases_do_not() {
        let mut parameters = Parameters::new(vec![1.0; 3]);
        let first = Adam::new(0.1, 0.5).next(1.0);
        step(&mut parameters, first, 0.0);
        assert_eq!(parameters.values, [0.95; 3]);
        step(&mut parameters, first.without_decay(), 0.0);
        assert_eq!(parameters.values, [0.95; 3]);
    }
}
