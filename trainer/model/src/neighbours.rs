//! How far a vector lies from its nearest neighbours among a few that were drawn at random.
//!
//! The nearest of a small sample tells whether a vector lies where most do, the nearest of a larger one whether it lies
//! near any. Both are means over many samples (Sugiyama and Borgwardt, "Rapid distance-based outlier detection via
//! sampling", 2013; Bandaragoda et al., "Isolation-based anomaly detection using nearest-neighbor ensembles", 2018). A few
//! odd rows in training seldom come into a small sample, so even those that lie close together stand out.

#![expect(
    clippy::inline_always,
    reason = "vector units are chosen once, above all of this: what is not inlined goes without"
)]

use ndarray::Array2;
use pulp::{Arch, Simd, WithSimd};

use crate::ArtifactError;
use crate::product::padded;
use crate::sketch::{Sketch, Sketched};
use crate::tensors::{Reader, Writer};
use crate::views::{Opinion, View};

/// Points of a large sample.
pub const LARGE: usize = 64;

/// Points of a small sample: an eighth of a large one.
pub const SMALL: usize = 8;

/// The samples, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    /// Scaled vectors, 0 where unknown; shape (a multiple of [`LARGE`], inputs). Each run of [`LARGE`] is a large sample,
    /// and each run of [`SMALL`] a small one.
    pub points: Array2<f32>,
}

impl Neighbours {
    /// Mean distance to the nearest of a small sample, and to the nearest of a large one.
    ///
    /// The distance is the weighted mean of the absolute differences over the known inputs: unlike a square, it lets no
    /// single wild input outweigh all others. A point at the distance 0 is passed over, since it is the vector itself,
    /// where that was learnt from.
    pub fn opinions(&self, view: &View<'_>) -> [Opinion; 2] {
        self.opinions_by(None, view)
    }

    /// The same, bit for bit: a sketch of the points tells of most of them that they are not the nearest.
    pub fn opinions_by(&self, sketch: Option<&Sketch>, view: &View<'_>) -> [Opinion; 2] {
        let sketched = sketch.map(|sketch| sketch.look(view));
        let points = self.points.as_slice().unwrap_or_default();
        Arch::new().dispatch(Search { points, sketched, view, padded: PaddedView::of(view) })
    }

    pub(crate) fn write(&self, tensors: &mut Writer) {
        tensors.matrix("neighbours", &self.points);
    }

    pub(crate) fn read(tensors: &Reader<'_>) -> Result<Self, ArtifactError> {
        Ok(Self { points: tensors.matrix("neighbours")? })
    }

    pub(crate) fn check(&self, inputs: usize) -> Result<(), ArtifactError> {
        let (rows, columns) = self.points.dim();
        ArtifactError::unless(
            rows > 0 && rows.is_multiple_of(LARGE) && columns == inputs && self.points.is_standard_layout(),
            "neighbours",
            || format!("it has {rows} points of {columns} values and should have a multiple of {LARGE}, of {inputs}"),
        )
    }
}

/// Values of which sums are made side by side.
const PANEL: usize = 16;

/// One vector among the points.
struct Search<'a> {
    /// Row by row.
    points: &'a [f32],
    sketched: Option<Sketched<'a>>,
    view: &'a View<'a>,
    padded: PaddedView,
}

/// The nearest point of a sample, and how far it is.
type Nearest = (usize, f32);

impl WithSimd for Search<'_> {
    type Output = [Opinion; 2];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [Opinion; 2] {
        match S::F32_LANES {
            16 => self.opinions::<S, { PANEL / 16 }>(simd),
            8 => self.opinions::<S, { PANEL / 8 }>(simd),
            4 => self.opinions::<S, { PANEL / 4 }>(simd),
            _ => self.opinions::<S, PANEL>(simd),
        }
    }
}

impl<'a> Search<'a> {
    // Plain loops: what an adapter of iterators calls may be compiled by itself, without vector units.
    #[inline(always)]
    fn opinions<S: Simd, const VECTORS: usize>(&self, simd: S) -> [Opinion; 2] {
        let count = self.points.len() / (LARGE * self.view.scaled.len().max(1));
        let nearest = self.nearest::<S, VECTORS>(simd, count * LARGE / SMALL);
        let (mut of_small, mut of_large) = (Vec::with_capacity(nearest.len()), Vec::with_capacity(count));
        for samples in nearest.chunks_exact(LARGE / SMALL) {
            // The nearest of a large sample is that of one of the small ones in it.
            let mut nearest_of_all = None;
            for &nearest in samples {
                of_small.extend(nearest);
                nearest_of_all = nearer(nearest_of_all, nearest);
            }
            of_large.extend(nearest_of_all);
        }
        [self.opinion(&of_small, nearest.len()), self.opinion(&of_large, count)]
    }

    /// The nearest of each small sample; `None` where none differs from the vector. Distances are worked out in two rounds
    /// in which nothing is decided, so that the next points are fetched from memory meanwhile.
    #[inline(always)]
    fn nearest<S: Simd, const VECTORS: usize>(&self, simd: S, samples: usize) -> Vec<Option<Nearest>> {
        let mut nearest = vec![None; samples];
        let mut others = Vec::with_capacity(samples);
        if let Some(sketched) = &self.sketched {
            // The likeliest first: most others cannot be nearer then.
            for (sample, nearest) in nearest.iter_mut().enumerate() {
                *nearest = self.point::<S, VECTORS>(simd, sample * SMALL + sketched.likeliest(sample * SMALL));
            }
            for (sample, nearest) in nearest.iter().enumerate() {
                let begin = sample * SMALL;
                let distance = if let Some((_, distance)) = nearest { *distance } else { f32::INFINITY };
                let mut places = sketched.within(distance, begin) & !(1 << sketched.likeliest(begin));
                while places != 0 {
                    others.push(begin + places.trailing_zeros() as usize);
                    places &= places - 1;
                }
            }
        } else {
            others.extend(0..samples * SMALL);
        }
        for place in others {
            let nearest = &mut nearest[place / SMALL];
            *nearest = nearer(*nearest, self.point::<S, VECTORS>(simd, place));
        }
        nearest
    }

    /// A point, if it is not the vector itself.
    #[inline(always)]
    fn point<S: Simd, const VECTORS: usize>(&self, simd: S, place: usize) -> Option<Nearest> {
        let begin = place * self.view.scaled.len();
        let distance = distance::<S, VECTORS>(simd, &self.padded, &self.points[begin..]);
        (distance > 0.0).then_some((place, distance))
    }

    #[inline(always)]
    fn values(&self, place: usize) -> &'a [f32] {
        let width = self.view.scaled.len();
        &self.points[place * width..][..width]
    }

    /// What the nearest of so many samples say together.
    #[inline(always)]
    fn opinion(&self, nearest: &[Nearest], samples: usize) -> Opinion {
        let mut distances = 0.0;
        for (_, distance) in nearest {
            distances += distance;
        }
        let width = self.view.scaled.len();
        let mut parts = vec![0.0; width];
        // Of a ragged end the last panel begins earlier, and finds the same sums again.
        let step = if width < PANEL { 1 } else { PANEL };
        for first in (0..width).step_by(step) {
            if step == 1 {
                self.differences::<1>(nearest, first, &mut parts);
            } else {
                self.differences::<PANEL>(nearest, first.min(width - PANEL), &mut parts);
            }
        }
        for (part, weight) in parts.iter_mut().zip(&self.view.weights) {
            *part *= weight;
        }
        Opinion::new(libm::log1pf(distances / samples.max(1) as f32), parts)
    }

    /// Sums of the differences from these points, in some columns, which registers hold.
    #[inline(always)]
    fn differences<const COLUMNS: usize>(&self, nearest: &[Nearest], first: usize, parts: &mut [f32]) {
        const FITS: &str = "a panel is no wider than a row";
        let values: &[f32; COLUMNS] = self.view.scaled[first..].first_chunk().expect(FITS);
        let mut sums = [0.0; COLUMNS];
        for &(place, _) in nearest {
            let point: &[f32; COLUMNS] = self.values(place)[first..].first_chunk().expect(FITS);
            for column in 0..COLUMNS {
                sums[column] += (values[column] - point[column]).abs();
            }
        }
        parts[first..][..COLUMNS].copy_from_slice(&sums);
    }
}

/// The nearer of two, of equal ones the first.
#[inline(always)]
fn nearer(a: Option<Nearest>, b: Option<Nearest>) -> Option<Nearest> {
    match (a, b) {
        (Some(a), Some(b)) if b.1 < a.1 || (b.1 == a.1 && b.0 < a.0) => Some(b),
        (None, b) => b,
        (a, _) => a,
    }
}

/// Weighted mean of the absolute differences. In lanes, so that the sum has one fixed order and wide registers serve.
#[inline(always)]
fn distance<S: Simd, const VECTORS: usize>(simd: S, view: &PaddedView, point: &[f32]) -> f32 {
    let mut sums = [simd.splat_f32s(0.0); VECTORS];
    for (chunk, (values, weights)) in view.values.iter().zip(&view.weights).enumerate() {
        // Behind the last value another point follows, or nothing: there the weight is 0.
        let point = &point[chunk * PANEL..];
        let at_the_end: [f32; PANEL];
        let point = match point.first_chunk::<PANEL>() {
            Some(point) => point,
            None => {
                at_the_end = padded(point);
                &at_the_end
            }
        };
        let (values, weights) = (S::as_simd_f32s(values).0, S::as_simd_f32s(weights).0);
        let point = S::as_simd_f32s(point).0;
        for vector in 0..VECTORS {
            let difference = simd.abs_f32s(simd.sub_f32s(values[vector], point[vector]));
            sums[vector] = simd.add_f32s(sums[vector], simd.mul_f32s(weights[vector], difference));
        }
    }
    let mut lanes = [0.0; PANEL];
    S::as_mut_simd_f32s(&mut lanes).0.copy_from_slice(&sums);
    let eight: [f32; 8] = std::array::from_fn(|lane| lanes[lane] + lanes[lane + 8]);
    let four: [f32; 4] = std::array::from_fn(|lane| eight[lane] + eight[lane + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

/// A vector and its weights in whole panels.
struct PaddedView {
    values: Vec<[f32; PANEL]>,
    weights: Vec<[f32; PANEL]>,
}

impl PaddedView {
    fn of(view: &View<'_>) -> Self {
        let panels = |values: &[f32]| values.chunks(PANEL).map(padded).collect();
        Self { values: panels(view.scaled), weights: panels(&view.weights) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Numbers;
    use crate::views::tests::view;

    fn sample(points: &[f32]) -> Neighbours {
        let points =
            Array2::from_shape_fn((LARGE, 2), |(row, column)| if column == 0 { points[row / SMALL] } else { 5.0 });
        Neighbours { points }
    }

    #[test]
    fn the_nearest_of_each_sample_counts() {
        let neighbours = sample(&[1.0, 2.0, 3.0, 4.0, -1.0, -2.0, -3.0, -4.0]);
        let [small, large] = neighbours.opinions(&view(&[0.5, 5.0], &[true; 2]));
        // Half of each distance, since both inputs count alike.
        let mean = [0.5, 1.5, 2.5, 3.5, 1.5, 2.5, 3.5, 4.5].iter().sum::<f32>() / 8.0 / 2.0;
        assert!((small.score - mean.ln_1p()).abs() < 1e-6, "{small:?}");
        assert!((large.score - 0.25_f32.ln_1p()).abs() < 1e-6, "{large:?}");
        assert_eq!((small.shares, large.shares), (vec![1.0, 0.0], vec![1.0, 0.0]));
    }

    #[test]
    fn the_vector_itself_is_no_neighbour() {
        let neighbours = sample(&[0.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]);
        let [_, large] = neighbours.opinions(&view(&[0.0, 5.0], &[true; 2]));
        assert!((large.score - 1.0_f32.ln_1p()).abs() < 1e-6, "{large:?}");
        let alone = sample(&[0.0; 8]).opinions(&view(&[0.0, 5.0], &[true; 2]));
        assert!(alone.iter().all(|opinion| opinion.score == 0.0), "{alone:?}");
    }

    #[test]
    fn the_unknown_is_passed_over() {
        let neighbours = sample(&[1.0; 8]);
        let [small, _] = neighbours.opinions(&view(&[0.0, 0.0], &[true, false]));
        assert!((small.score - 1.0_f32.ln_1p()).abs() < 1e-6 && small.shares == [1.0, 0.0], "{small:?}");
    }

    #[test]
    fn a_sketch_changes_no_bit() {
        let mut numbers = Numbers::new(6);
        for (width, spread) in [(2, 1.0), (31, 1.0), (64, 3.0), (111, 10.0)] {
            let mut points = numbers.matrix(2 * LARGE, width).mapv(|value| (spread * value).powi(3));
            // Flags, points that are alike, and one that is wild.
            points.column_mut(0).mapv_inplace(|value| f32::from(u8::from(value > 0.0)));
            points.row_mut(LARGE + 3).fill(1.0);
            points.row_mut(LARGE + 4).fill(1.0);
            points[[5, width - 1]] = 1e6;
            let neighbours = Neighbours { points };
            let weights: Vec<f32> = (0..width).map(|input| [1.0, 0.25, 0.0][input % 3]).collect();
            let sketch = Sketch::of(&neighbours.points, &weights);
            assert!(sketch.is_some());
            for query in 0..2 * LARGE + 50 {
                let (mut scaled, mut known) = match neighbours.points.rows().into_iter().nth(query) {
                    Some(point) => (point.to_vec(), vec![true; width]),
                    None => (numbers.vector(width).mapv(|value| 12.0 * value.powi(3)).to_vec(), vec![true; width]),
                };
                for input in (query % 5..width).step_by(5) {
                    (scaled[input], known[input]) = (0.0, false);
                }
                let counts: Vec<f32> =
                    known.iter().zip(&weights).map(|(known, weight)| if *known { *weight } else { 0.0 }).collect();
                let sum = counts.iter().sum::<f32>().max(f32::MIN_POSITIVE);
                let weights = counts.iter().map(|count| count / sum).collect();
                let view = View { scaled: &scaled, known: &known, weights };
                assert_eq!(neighbours.opinions_by(sketch.as_ref(), &view), neighbours.opinions(&view), "{query}");
            }
        }
    }

    #[test]
    fn lanes_sum_what_a_loop_sums() {
        let mut numbers = Numbers::new(2);
        for length in [1, 7, 8, 9, 31] {
            let (a, b) = (numbers.vector(length).to_vec(), numbers.vector(length).to_vec());
            let plain = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum::<f32>() / length as f32;
            let known = vec![true; length];
            let view = PaddedView::of(&view(&a, &known));
            let distance = distance::<_, PANEL>(pulp::Scalar::new(), &view, &b);
            assert!((distance - plain).abs() < 1e-6, "{length}");
        }
    }

    #[test]
    fn of_two_that_are_as_near_the_first_counts() {
        let (first, second, nearest) = (Some((2, 1.0)), Some((3, 1.0)), Some((4, 0.5)));
        assert_eq!([nearer(first, second), nearer(second, first)], [first; 2]);
        assert_eq!([nearer(first, nearest), nearer(nearest, first)], [nearest; 2]);
        assert_eq!([nearer(None, first), nearer(first, None), nearer(None, None)], [first, first, None]);
    }

    #[test]
    fn registers_of_any_width_find_the_same() {
        fn found<S: Simd>(simd: S, neighbours: &Neighbours, view: &View<'_>) -> [Opinion; 2] {
            let points = neighbours.points.as_slice().unwrap();
            Search { points, sketched: None, view, padded: PaddedView::of(view) }.with_simd(simd)
        }
        let mut numbers = Numbers::new(4);
        let neighbours = Neighbours { points: numbers.matrix(2 * LARGE, 19) };
        let (scaled, known) = (numbers.vector(19).to_vec(), vec![true; 19]);
        let view = view(&scaled, &known);
        let expected = found(pulp::Scalar::new(), &neighbours, &view);
        assert_eq!(found(pulp::Scalar128b, &neighbours, &view), expected);
        assert_eq!(found(pulp::Scalar256b, &neighbours, &view), expected);
        assert_eq!(found(pulp::Scalar512b, &neighbours, &view), expected);
        assert_eq!(neighbours.opinions(&view), expected, "and those of this machine");
    }

    #[test]
    fn an_input_has_its_part_of_the_distances_as_its_share() {
        // Each sample begins with the row that is nearest to -1; the second half of them lies 4 away in the other input.
        let place = |(row, column): (usize, usize)| match column {
            0 => row as f32,
            _ => f32::from(u8::from(row >= LARGE / 2)) * 4.0,
        };
        let neighbours = Neighbours { points: Array2::from_shape_fn((LARGE, 2), place) };
        let [small, large] = neighbours.opinions(&view(&[-1.0, 0.0], &[true; 2]));
        // 1 + 9 + 17 + … + 57, and four times 4.
        assert!((small.shares[0] - 232.0 / 248.0).abs() < 1e-6, "{small:?}");
        assert!((small.shares[1] - 16.0 / 248.0).abs() < 1e-6, "{small:?}");
        assert_eq!(large.shares, [1.0, 0.0]);
    }
}
