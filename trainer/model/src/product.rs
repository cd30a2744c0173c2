//! The product of a vector and a matrix that is small enough to stay in the cache.
//!
//! The sums of a few dozen columns are held in registers while the rows pass by. Each sum adds row after row, whatever the
//! vector units of the machine are, and no multiplication is fused with an addition: so its bits are the same everywhere.

#![expect(
    clippy::inline_always,
    reason = "vector units are chosen once, above all of this: what is not inlined goes without"
)]

use ndarray::Array2;
use pulp::{Arch, Simd, WithSimd};

/// Columns whose sums the registers hold: of a wide matrix, and of a narrow one.
const WIDE: usize = 64;
const NARROW: usize = 16;

/// Vectors that share each value of a matrix while it is in a register.
const ABREAST: usize = 4;

/// [`add_product`] of several vectors, one after the other in `sums` and in `factors`, to the same bits.
pub(crate) fn add_products(sums: &mut [f32], factors: &[f32], matrix: &Array2<f32>) {
    let (height, width) = matrix.dim();
    let (mut sums, mut factors) =
        (sums.chunks_mut((ABREAST * width).max(1)), factors.chunks((ABREAST * height).max(1)));
    for (sums, factors) in sums.by_ref().zip(factors.by_ref()) {
        match matrix.as_slice() {
            Some(matrix) if sums.len() == ABREAST * width && width >= NARROW => {
                Arch::new().dispatch(AddProducts { sums, factors, matrix });
            }
            _ => sums
                .chunks_exact_mut(width.max(1))
                .zip(factors.chunks_exact(height.max(1)))
                .for_each(|(sums, factors)| add_product(sums, factors, matrix)),
        }
    }
}

/// `sums += factors · matrix`
pub(crate) fn add_product(sums: &mut [f32], factors: &[f32], matrix: &Array2<f32>) {
    add(sums, factors.iter().copied().enumerate(), matrix);
}

/// Adds some rows of a matrix, each times its factor.
pub(crate) fn add_rows(sums: &mut [f32], rows: &[(u32, f32)], matrix: &Array2<f32>) {
    add(sums, rows.iter().map(|&(row, factor)| (row as usize, factor)), matrix);
}

fn add(sums: &mut [f32], rows: impl Iterator<Item = (usize, f32)> + Clone, matrix: &Array2<f32>) {
    match matrix.as_slice() {
        Some(matrix) => Arch::new().dispatch(AddRows { sums, rows, matrix }),
        None => rows.for_each(|(row, factor)| {
            sums.iter_mut().zip(matrix.row(row)).for_each(|(sum, value)| *sum += factor * value);
        }),
    }
}

struct AddRows<'a, R> {
    sums: &'a mut [f32],
    rows: R,
    /// Row by row, each as long as the sums.
    matrix: &'a [f32],
}

impl<R: Iterator<Item = (usize, f32)> + Clone> WithSimd for AddRows<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (self.sums.len() >= WIDE, S::F32_LANES) {
            (true, 16) => self.by_panels::<S, WIDE, { WIDE / 16 }>(simd),
            (true, 8) => self.by_panels::<S, WIDE, { WIDE / 8 }>(simd),
            (false, 16) => self.by_panels::<S, NARROW, { NARROW / 16 }>(simd),
            (false, 8) => self.by_panels::<S, NARROW, { NARROW / 8 }>(simd),
            (_, 4) => self.by_panels::<S, NARROW, { NARROW / 4 }>(simd),
            _ => self.by_panels::<S, NARROW, NARROW>(simd),
        }
    }
}

impl<R: Iterator<Item = (usize, f32)> + Clone> AddRows<'_, R> {
    /// By panels of `COLUMNS`, which are `VECTORS` vectors. Of a ragged end the last panel begins earlier.
    #[inline(always)]
    fn by_panels<S: Simd, const COLUMNS: usize, const VECTORS: usize>(self, simd: S) {
        let Self { sums, rows, matrix } = self;
        let width = sums.len();
        for begin in (0..width).step_by(COLUMNS) {
            let first = begin.min(width.saturating_sub(COLUMNS));
            let mut panel: [f32; COLUMNS] = padded(&sums[first..]);
            let mut held = [simd.splat_f32s(0.0); VECTORS];
            held.copy_from_slice(S::as_simd_f32s(&panel).0);
            for (row, factor) in rows.clone() {
                let factor = simd.splat_f32s(factor);
                let row = &matrix[row * width + first..];
                // Behind a narrow row the next one is read as well, and given up in the end.
                let at_the_end: [f32; COLUMNS];
                let values = match row.first_chunk::<COLUMNS>() {
                    Some(values) => values,
                    None => {
                        at_the_end = padded(row);
                        &at_the_end
                    }
                };
                for (sum, &value) in held.iter_mut().zip(S::as_simd_f32s(values).0) {
                    *sum = simd.add_f32s(*sum, simd.mul_f32s(factor, value));
                }
            }
            S::as_mut_simd_f32s(&mut panel).0.copy_from_slice(&held);
            // What the panel before has summed already stays as it is.
            let end = width.min(first + COLUMNS);
            sums[begin..end].copy_from_slice(&panel[begin - first..end - first]);
        }
    }
}

/// The products of as many vectors as are worked on abreast.
struct AddProducts<'a> {
    sums: &'a mut [f32],
    factors: &'a [f32],
    /// Row by row, each at least [`NARROW`] long.
    matrix: &'a [f32],
}

impl WithSimd for AddProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.by_panels::<S, { NARROW / 16 }>(simd),
            8 => self.by_panels::<S, { NARROW / 8 }>(simd),
            4 => self.by_panels::<S, { NARROW / 4 }>(simd),
            _ => self.by_panels::<S, NARROW>(simd),
        }
    }
}

impl AddProducts<'_> {
    /// By panels of [`NARROW`] columns, which are `VECTORS` vectors. Of a ragged end the last panel begins earlier.
    #[inline(always)]
    fn by_panels<S: Simd, const VECTORS: usize>(self, simd: S) {
        let Self { sums, factors, matrix } = self;
        let (width, height) = (sums.len() / ABREAST, factors.len() / ABREAST);
        let factors: [&[f32]; ABREAST] = std::array::from_fn(|vector| &factors[vector * height..][..height]);
        for begin in (0..width).step_by(NARROW) {
            let first = begin.min(width - NARROW);
            let mut panels = [[0.0; NARROW]; ABREAST];
            let mut held = [[simd.splat_f32s(0.0); VECTORS]; ABREAST];
            for vector in 0..ABREAST {
                panels[vector].copy_from_slice(&sums[vector * width + first..][..NARROW]);
                held[vector].copy_from_slice(S::as_simd_f32s(&panels[vector]).0);
            }
            for (row, values) in matrix.chunks_exact(width).enumerate() {
                let values = S::as_simd_f32s(&values[first..][..NARROW]).0;
                for vector in 0..ABREAST {
                    let factor = simd.splat_f32s(factors[vector][row]);
                    for place in 0..VECTORS {
                        held[vector][place] = simd.add_f32s(held[vector][place], simd.mul_f32s(factor, values[place]));
                    }
                }
            }
            let end = width.min(first + NARROW);
            for vector in 0..ABREAST {
                S::as_mut_simd_f32s(&mut panels[vector]).0.copy_from_slice(&held[vector]);
                // What the panel before has summed already stays as it is.
                sums[vector * width + begin..vector * width + end].copy_from_slice(&panels[vector][begin - first..]);
            }
        }
    }
}

/// The first values, and zeros where there are fewer.
#[inline(always)]
pub(crate) fn padded<const COLUMNS: usize>(values: &[f32]) -> [f32; COLUMNS] {
    let mut padded = [0.0; COLUMNS];
    let count = values.len().min(COLUMNS);
    padded[..count].copy_from_slice(&values[..count]);
    padded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Numbers;

    /// `sums += factors · matrix`, as a loop.
    fn add_by_a_loop(sums: &mut [f32], factors: &[f32], matrix: &Array2<f32>) {
        for (&factor, row) in factors.iter().zip(matrix.outer_iter()) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += factor * value);
        }
    }

    #[test]
    fn the_product_has_the_bits_of_a_loop_at_any_width_on_any_machine() {
        let mut numbers = Numbers::new(4);
        for width in [1, 11, 15, 16, 17, 24, 63, 64, 65, 111, 128, 130] {
            let (matrix, factors, begin) =
                (numbers.matrix(37, width), numbers.vector(37).to_vec(), numbers.vector(width));
            let mut expected = begin.to_vec();
            add_by_a_loop(&mut expected, &factors, &matrix);
            let mut sums = begin.to_vec();
            add_product(&mut sums, &factors, &matrix);
            assert_eq!(sums, expected, "{width}");
            let mut sums = begin.to_vec();
            let rows = factors.iter().copied().enumerate();
            let matrix = matrix.as_slice().unwrap();
            Arch::Scalar.dispatch(AddRows { sums: &mut sums, rows, matrix });
            assert_eq!(sums, expected, "{width} without vector units");
        }
    }

    #[test]
    fn several_vectors_at_a_time_have_the_bits_of_each_alone() {
        let mut numbers = Numbers::new(9);
        for (height, width) in [(37, 15), (37, 16), (1, 17), (24, 111), (111, 24), (8, 130), (5, 1)] {
            let matrix = numbers.matrix(height, width);
            for vectors in [0, 1, 4, 7, 9] {
                let factors = numbers.vector(vectors * height).to_vec();
                let mut sums = numbers.vector(vectors * width).to_vec();
                let mut expected = sums.clone();
                for (sums, factors) in expected.chunks_exact_mut(width).zip(factors.chunks_exact(height)) {
                    add_by_a_loop(sums, factors, &matrix);
                }
                add_products(&mut sums, &factors, &matrix);
                assert_eq!(sums, expected, "{vectors} vectors, {height} by {width}");
            }
        }
    }

    #[test]
    fn rows_are_added_wherever_they_stand() {
        let mut numbers = Numbers::new(5);
        for width in [3, 11, 24, 70] {
            let matrix = numbers.matrix(9, width);
            let mut factors = [0.0; 9];
            (factors[8], factors[2]) = (0.3, -1.5);
            let (mut sums, mut expected) = (vec![0.5; width], vec![0.5; width]);
            add_rows(&mut sums, &[(2, -1.5), (8, 0.3)], &matrix);
            add_by_a_loop(&mut expected, &factors, &matrix);
            assert_eq!(sums, expected, "{width}");
        }
    }

    #[test]
    fn the_layout_of_a_matrix_in_memory_changes_no_bit() {
        let mut numbers = Numbers::new(5);
        let matrix = numbers.matrix(9, 7);
        let columns_first = matrix.t().as_standard_layout().into_owned().reversed_axes();
        assert!(!columns_first.is_standard_layout());
        let (mut one, mut other) = (vec![0.5; 7], vec![0.5; 7]);
        add_product(&mut one, &[0.3; 9], &matrix);
        add_product(&mut other, &[0.3; 9], &columns_first);
        assert_eq!(one, other);
    }

    #[test]
    fn registers_of_any_width_give_the_bits_of_a_loop() {
        fn compare<S: Simd>(simd: S) {
            let (height, mut numbers) = (5, Numbers::new(6));
            for width in [16, 17, 64, 70] {
                let (matrix, factors) = (numbers.matrix(height, width), numbers.vector(ABREAST * height).to_vec());
                let begin = numbers.vector(ABREAST * width).to_vec();
                let mut expected = begin.clone();
                for (sums, factors) in expected.chunks_exact_mut(width).zip(factors.chunks_exact(height)) {
                    add_by_a_loop(sums, factors, &matrix);
                }
                let matrix = matrix.as_slice().unwrap();
                let mut sums = begin.clone();
                AddProducts { sums: &mut sums, factors: &factors, matrix }.with_simd(simd);
                assert_eq!(sums, expected, "{width}, {} at a time", S::F32_LANES);
                let mut sums = begin[..width].to_vec();
                let rows = factors[..height].iter().copied().enumerate();
                AddRows { sums: &mut sums, rows, matrix }.with_simd(simd);
                assert_eq!(sums, expected[..width], "{width}, {} at a time", S::F32_LANES);
            }
        }
        compare(pulp::Scalar::new());
        compare(pulp::Scalar128b);
        compare(pulp::Scalar256b);
        compare(pulp::Scalar512b);
    }
}
