//! Points in one byte an input: enough to tell of most that they are not the nearest.
//!
//! The bytes are read in order and are a quarter as many as those of the points themselves, and only of points that may
//! be the nearest the exact distance is worked out: the vector-approximation file of Weber, Schek and Blott, "A
//! quantitative analysis and performance study for similarity-search methods in high-dimensional spaces" (1998).

#![expect(
    clippy::inline_always,
    reason = "vector units are chosen once, above all of this: what is not inlined goes without"
)]

use ndarray::Array2;
use pulp::{Arch, NullaryFnOnce};

use crate::neighbours::{LARGE, SMALL};
use crate::views::View;

/// The code of a point in the middle.
const MIDDLE: f32 = 128.0;

/// Points that are compared at once: those of a large sample.
type Block = [u8; LARGE];

/// Sums of 255 differences fit into two bytes, and no more.
const MOST_INPUTS: usize = 256;

/// The points of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch {
    /// How much each input counts.
    weights: Vec<f32>,
    /// The mean of each input over the points, times its weight.
    middle: Vec<f32>,
    /// What a difference of one in a code stands for, above 0.
    step: f32,
    /// The codes of the points of a large sample, input by input; then of the next one.
    codes: Vec<Block>,
    /// How far each point's distance from another one may be off by its codes.
    errors: Vec<f32>,
}

impl Sketch {
    /// Of points in rows, whole large samples of them, with the weights of their inputs; `None` where there are too many
    /// inputs.
    pub(crate) fn of(points: &Array2<f32>, weights: &[f32]) -> Option<Self> {
        let rows = points.nrows();
        let mean = |input: usize| points.column(input).iter().map(|value| value / rows as f32).sum::<f32>();
        let middle: Vec<f32> = weights.iter().enumerate().map(|(input, weight)| weight * mean(input)).collect();
        let heaviest = weights.iter().copied().fold(0.0, f32::max);
        // A fine step tells near points apart, and cuts off far ones.
        let steps = [0.16, 0.08, 0.04, 0.02].map(|step| step * if heaviest > 0.0 { heaviest } else { 1.0 });
        let with = |step: f32| {
            let (codes, errors) = (vec![[0; LARGE]; rows / LARGE * weights.len()], vec![0.0; rows]);
            let mut sketch = Self { weights: weights.to_vec(), middle: middle.clone(), step, codes, errors };
            for (place, point) in points.outer_iter().enumerate() {
                for (input, &value) in point.iter().enumerate() {
                    let (code, error) = sketch.code(input, value);
                    sketch.codes[place / LARGE * weights.len() + input][place % LARGE] = code;
                    sketch.errors[place] += error;
                }
            }
            sketch
        };
        let error = |sketch: &Self| sketch.errors.iter().sum::<f32>();
        let sketches = steps.into_iter().map(with);
        sketches.min_by(|a, b| error(a).total_cmp(&error(b))).filter(|_| weights.len() <= MOST_INPUTS)
    }

    /// The code of a value, and how far it is off.
    #[inline(always)]
    fn code(&self, input: usize, value: f32) -> (u8, f32) {
        let steps = (self.weights[input] * value - self.middle[input]) / self.step;
        let code = (steps + (MIDDLE + 0.5)) as u8;
        (code, (steps - (f32::from(code) - MIDDLE)).abs() * self.step)
    }

    /// Looks for the neighbours of a vector.
    pub(crate) fn look(&self, view: &View<'_>) -> Sketched<'_> {
        let mut known = Vec::with_capacity(self.weights.len());
        let (mut error, mut weight) = (0.0, 0.0);
        for (input, &value) in view.scaled.iter().enumerate() {
            if view.known[input] {
                let (code, off) = self.code(input, value);
                known.push((input, code));
                error += off;
                weight += self.weights[input];
            }
        }
        let mut differences = vec![[0; LARGE]; self.errors.len() / LARGE];
        Arch::new().dispatch(Differences { sketch: self, known: &known, to: &mut differences });
        Sketched { sketch: self, differences, error, weight }
    }
}

/// Sums of the differences between the codes of a vector, where it is known, and those of each point.
struct Differences<'a> {
    sketch: &'a Sketch,
    known: &'a [(usize, u8)],
    to: &'a mut [[u16; LARGE]],
}

impl NullaryFnOnce for Differences<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { sketch, known, to } = self;
        for (codes, to) in sketch.codes.chunks_exact(sketch.weights.len().max(1)).zip(to) {
            let mut sums = [0; LARGE];
            for &(input, code) in known {
                let points = &codes[input];
                for place in 0..LARGE {
                    // Not `abs_diff`, which works in four bytes.
                    let point = points[place];
                    sums[place] += u16::from(point.max(code) - point.min(code));
                }
            }
            *to = sums;
        }
    }
}

/// A vector beside the sketch of the points.
pub(crate) struct Sketched<'a> {
    sketch: &'a Sketch,
    /// Of each point, by large samples.
    differences: Vec<[u16; LARGE]>,
    /// How far the vector's own codes are off.
    error: f32,
    /// Sum of the weights of its known inputs.
    weight: f32,
}

impl Sketched<'_> {
    /// The place in the small sample that begins at this point of the one that is probably the nearest.
    #[inline(always)]
    pub(crate) fn likeliest(&self, begin: usize) -> usize {
        let differences = &self.differences.as_flattened()[begin..][..SMALL];
        // Difference and place in one number, so that there is nothing to guess.
        let mut least = u32::MAX;
        for (place, &difference) in (0..).zip(differences) {
            least = least.min(u32::from(difference) * SMALL as u32 + place);
        }
        least as usize % SMALL
    }

    /// The places in that sample that may be no farther than this, each one bit.
    #[inline(always)]
    pub(crate) fn within(&self, distance: f32, begin: usize) -> u8 {
        let Self { sketch, error, weight, .. } = self;
        // As far as rounding may move either.
        let limit = (distance * weight + error) * 1.001 + 1e-3 * sketch.step;
        let differences = &self.differences.as_flattened()[begin..][..SMALL];
        let errors = &sketch.errors[begin..][..SMALL];
        let mut places = 0;
        for place in 0..SMALL {
            let least = f32::from(differences[place]) * sketch.step - errors[place] * 1.001;
            places |= u8::from(least <= limit) << place;
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::tests::view;

    /// One large sample of one input that counts half, from 0 to 6.3.
    fn sketch() -> Sketch {
        Sketch::of(&Array2::from_shape_fn((LARGE, 1), |(row, _)| row as f32 / 10.0), &[0.5]).unwrap()
    }

    #[test]
    fn the_finest_step_that_cuts_nothing_off_is_taken() {
        let sketch = sketch();
        assert_eq!((sketch.step, sketch.codes.len(), sketch.errors.len()), (0.04 * 0.5, 1, LARGE));
        assert!((sketch.middle[0] - 0.5 * 3.15).abs() < 1e-5, "{:?}", sketch.middle);
        // Two points are two and a half steps apart, and each a quarter of one off its code.
        let near = |error: &f32| (error - 0.25 * sketch.step).abs() < 1e-5;
        assert!(sketch.errors.iter().all(near), "{:?}", sketch.errors);
    }

    #[test]
    fn there_is_a_step_without_weights_and_no_sketch_of_too_many_inputs() {
        let of = |inputs: usize, weight: f32| Sketch::of(&Array2::zeros((LARGE, inputs)), &vec![weight; inputs]);
        assert_eq!(of(1, 0.0).unwrap().step, 0.16);
        assert!(of(MOST_INPUTS, 1.0).is_some() && of(MOST_INPUTS + 1, 1.0).is_none());
    }

    #[test]
    fn the_nearest_is_the_likeliest_and_what_is_surely_farther_is_left_out() {
        let sketch = sketch();
        let sketched = sketch.look(&view(&[2.0], &[true]));
        assert!((sketched.error - 0.25 * sketch.step).abs() < 1e-5, "{}", sketched.error);
        assert_eq!(sketched.weight, 0.5);
        // Points 16 to 23 of the third sample lie around the vector, those of the others on one side.
        assert_eq!([0, 16, 24].map(|begin| sketched.likeliest(begin)), [7, 4, 0]);
        // Points 19 and 21 are 0.1 away, 18 and 22 are 0.2.
        assert_eq!(sketched.within(0.1, 16), 0b0011_1000);
        assert_eq!(sketched.within(0.2, 16), 0b0111_1100);
        assert_eq!(sketched.within(0.1, 24), 0);
        let unknown = sketch.look(&view(&[2.0], &[false]));
        assert_eq!((unknown.error, unknown.weight, unknown.within(0.0, 24)), (0.0, 0.0, 0xff));
    }
}
