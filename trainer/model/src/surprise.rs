//! How surprising a value is, beside what the network expects of it.

#![expect(
    clippy::inline_always,
    reason = "vector units are chosen once, above all of this: what is not inlined goes without"
)]

use ndarray::{Array2, ArrayView1};

use pulp::{Arch, NullaryFnOnce};

use crate::ArtifactError;
use crate::elementary::ln_1p;
use crate::tensors::{Reader, Writer};
use crate::views::{Opinion, View, sum};

/// What is usual for one input, in its scaled unit, and how much it counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Habit {
    /// Root of the mean squared error of its reconstruction, above 0.
    pub error: f32,
    /// How much it counts in the anomaly score, at least 0.
    pub weight: f32,
}

impl Habit {
    /// How many usual errors a value lies from what is expected of it.
    #[inline]
    fn distance(self, value: f32, expected: f32) -> f32 {
        (value - expected) / self.error
    }
}

/// Surprise in nats, by how many usual errors a value lies from what is expected of it.
///
/// That of z usual errors is `ln(1 + z²)`, the negative logarithm of a Cauchy density but for a constant. By
/// Chebyshev's inequality such a distance has at most the probability 1 / z², whatever the distribution. So a flag that
/// is raised once in a hundred and a size that is reached once in a hundred surprise alike, and one wild input cannot
/// outweigh all others.
#[inline(always)]
fn surprise(distance: f32) -> f32 {
    ln_1p(distance * distance)
}

/// Turns distances in usual errors into each input's weighted square of its surprise.
struct Squares<'a> {
    distances: &'a mut [f32],
    weights: &'a [f32],
}

impl NullaryFnOnce for Squares<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (distance, weight) in self.distances.iter_mut().zip(self.weights) {
            let surprise = surprise(*distance);
            *distance = weight * surprise * surprise;
        }
    }
}

/// The root of the weighted mean of the squared surprises over the known inputs, by their distances in usual errors.
/// Squares, because a few large surprises tell more than many small ones.
pub(crate) fn opinion_on(mut distances: Vec<f32>, weights: &[f32]) -> Opinion {
    Arch::new().dispatch(Squares { distances: &mut distances, weights });
    Opinion::new(sum(&distances).sqrt(), distances)
}

/// The habits of all inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Surprise {
    /// In the order of the network's inputs.
    pub habits: Vec<Habit>,
}

impl Surprise {
    /// How far the values are from what the network reconstructs.
    pub fn opinion(&self, view: &View<'_>, reconstruction: &[f32]) -> Opinion {
        let inputs = self.habits.iter().zip(view.scaled).zip(reconstruction);
        opinion_on(inputs.map(|((habit, value), expected)| habit.distance(*value, *expected)).collect(), &view.weights)
    }

    pub(crate) fn write(&self, tensors: &mut Writer) {
        let rows: Vec<[f32; 2]> = self.habits.iter().map(|h| [h.error, h.weight]).collect();
        tensors.matrix("habits", &Array2::from(rows));
    }

    pub(crate) fn read(tensors: &Reader<'_>) -> Result<Self, ArtifactError> {
        let rows = tensors.matrix("habits")?;
        ArtifactError::unless(rows.ncols() == 2, "habits", || {
            format!("it has {} columns and should have 2", rows.ncols())
        })?;
        let habit = |row: ArrayView1<'_, f32>| Habit { error: row[0], weight: row[1] };
        Ok(Self { habits: rows.outer_iter().map(habit).collect() })
    }

    pub(crate) fn check(&self, inputs: usize) -> Result<(), ArtifactError> {
        ArtifactError::unless(self.habits.len() == inputs, "habits", || {
            format!("it has {} rows and should have {inputs}", self.habits.len())
        })?;
        let sound = |habit: &Habit| habit.error > 0.0 && habit.weight >= 0.0;
        ArtifactError::unless(self.habits.iter().all(sound), "habits", || {
            "an error is not above 0, or a weight below 0".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::tests::view;

    const HABIT: Habit = Habit { error: 0.5, weight: 1.0 };

    #[test]
    fn surprise_grows_with_the_distance() {
        let surprise = |expected: f32| surprise(HABIT.distance(1.0, expected));
        assert_eq!(surprise(1.0), 0.0);
        assert!((surprise(1.5) - 2.0_f32.ln()).abs() < 1e-6, "one usual error off");
        assert!((surprise(2.5) - 10.0_f32.ln()).abs() < 1e-6, "three of them");
    }

    #[test]
    fn an_input_counts_by_its_weight() {
        let surprise = Surprise { habits: vec![HABIT; 2] };
        let mut view = view(&[0.5, 0.5], &[true; 2]);
        view.weights = vec![0.25, 0.75];
        let opinion = surprise.opinion(&view, &[0.0, 0.0]);
        assert!((opinion.score - 2.0_f32.ln()).abs() < 1e-6 && (opinion.shares[1] - 0.75).abs() < 1e-6, "{opinion:?}");
        let opinion = surprise.opinion(&view, &[0.5, 0.0]);
        assert!((opinion.score.powi(2) - 0.75 * 2.0_f32.ln().powi(2)).abs() < 1e-6, "{opinion:?}");
        assert_eq!(opinion.shares, [0.0, 1.0]);
    }

    #[test]
    fn the_unknown_neither_counts_nor_dilutes() {
        let surprise = Surprise { habits: vec![HABIT; 3] };
        let reconstruction = [2.5, 1.0, 0.0];
        let opinion = surprise.opinion(&view(&[3.0, 1.0, 9.0], &[true, true, false]), &reconstruction);
        assert!((opinion.score - (2.0_f32.ln().powi(2) / 2.0).sqrt()).abs() < 1e-6, "{opinion:?}");
        assert_eq!(opinion.shares, [1.0, 0.0, 0.0]);
        let nothing = surprise.opinion(&view(&[3.0, 1.0, 9.0], &[false; 3]), &reconstruction);
        assert_eq!(nothing, Opinion { score: 0.0, shares: vec![0.0; 3] });
    }
}
