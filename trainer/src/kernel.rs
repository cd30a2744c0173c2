//! Products of matrices that are small enough to stay in the cache.
//!
//! Every sum is one chain of fused multiply-adds in a fixed order, whatever the vector units of the machine are and
//! however the work is cut up: so its bits are the same everywhere. Matrices are stored row by row, and their width is
//! padded with zeros to whole panels, so that no product has a ragged edge.

#![expect(
    clippy::inline_always,
    reason = "vector units are chosen once, above all of this: what is not inlined goes without"
)]

use pulp::Simd;

/// Columns of a panel: what the widest vector units take at once.
pub(crate) const PANEL: usize = 16;

/// The width of a matrix of so many columns, padded.
pub(crate) fn padded(columns: usize) -> usize {
    columns.next_multiple_of(PANEL)
}

/// A left factor of a product: `rows` by `depth`.
#[derive(Clone, Copy)]
pub(crate) enum Left<'a> {
    /// The element of row `i` and column `p` is `values[i * stride + p]`.
    Plain { values: &'a [f32], stride: usize },
    /// The transpose of that, from its row `first` on: `values[p * stride + first + i]`.
    Turned { values: &'a [f32], stride: usize, first: usize },
}

/// A right factor of a product: `depth` rows of panels.
#[derive(Clone, Copy)]
pub(crate) enum Right<'a> {
    /// Row by row, `stride` values each.
    Rows { values: &'a [f32], stride: usize },
    /// Panel by panel, of `depth` rows each.
    Panels { values: &'a [f32] },
}

impl<'a> Right<'a> {
    /// The values from the first of a panel on, and how far its rows lie apart.
    #[inline(always)]
    fn panel(self, panel: usize, depth: usize) -> (&'a [f32], usize) {
        match self {
            Self::Rows { values, stride } => (&values[panel * PANEL..], stride),
            Self::Panels { values } => (&values[panel * depth * PANEL..], PANEL),
        }
    }
}

/// `sums += left * right`, where `sums` has `stride` columns, a multiple of [`PANEL`], and rows in whole groups of eight.
#[inline(always)]
pub(crate) fn multiply_add<S: Simd>(
    simd: S,
    depth: usize,
    left: Left<'_>,
    right: Right<'_>,
    sums: &mut [f32],
    stride: usize,
) {
    // As many sums at once as the registers hold.
    match S::F32_LANES {
        16 => multiply_add_by::<S, 8, 2, 1>(simd, depth, left, right, sums, stride),
        8 => multiply_add_by::<S, 4, 1, 2>(simd, depth, left, right, sums, stride),
        4 => multiply_add_by::<S, 4, 1, 4>(simd, depth, left, right, sums, stride),
        _ => multiply_add_by::<S, 1, 1, PANEL>(simd, depth, left, right, sums, stride),
    }
}

/// By tiles of `ROWS` rows and `PANELS` panels, each of `VECTORS` vectors.
#[inline(always)]
fn multiply_add_by<S: Simd, const ROWS: usize, const PANELS: usize, const VECTORS: usize>(
    simd: S,
    depth: usize,
    left: Left<'_>,
    right: Right<'_>,
    sums: &mut [f32],
    stride: usize,
) {
    let panels = stride / PANEL;
    for panel in (0..panels).step_by(PANELS) {
        for (group, sums) in sums.chunks_exact_mut(ROWS * stride).enumerate() {
            let sums = &mut sums[panel * PANEL..];
            let row = group * ROWS;
            if panel + PANELS <= panels {
                groups::<S, ROWS, PANELS, VECTORS>(simd, depth, left, row, right, panel, sums, stride);
            } else {
                groups::<S, ROWS, 1, VECTORS>(simd, depth, left, row, right, panel, sums, stride);
            }
        }
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the place of a tile in three matrices")]
fn groups<S: Simd, const ROWS: usize, const PANELS: usize, const VECTORS: usize>(
    simd: S,
    depth: usize,
    left: Left<'_>,
    row: usize,
    right: Right<'_>,
    panel: usize,
    sums: &mut [f32],
    sums_stride: usize,
) {
    let (first, stride) = right.panel(panel, depth);
    let mut right_panels = [first; PANELS];
    for (beside, values) in right_panels.iter_mut().enumerate() {
        *values = right.panel(panel + beside, depth).0;
    }
    match left {
        Left::Plain { values, stride: left_stride } => {
            let mut rows = [values; ROWS];
            for (place, values) in rows.iter_mut().enumerate() {
                *values = &values[(row + place) * left_stride..][..depth];
            }
            let column = |p: usize| {
                let mut column = [0.0; ROWS];
                for (value, row) in column.iter_mut().zip(rows) {
                    *value = row[p];
                }
                column
            };
            tile::<S, ROWS, PANELS, VECTORS>(simd, depth, column, right_panels, stride, sums, sums_stride);
        }
        Left::Turned { values, stride: left_stride, first } => {
            let values = &values[first + row..];
            let column =
                |p: usize| *values[p * left_stride..].first_chunk::<ROWS>().expect("rows come in whole groups");
            tile::<S, ROWS, PANELS, VECTORS>(simd, depth, column, right_panels, stride, sums, sums_stride);
        }
    }
}

#[inline(always)]
fn tile<S: Simd, const ROWS: usize, const PANELS: usize, const VECTORS: usize>(
    simd: S,
    depth: usize,
    left: impl Fn(usize) -> [f32; ROWS],
    right: [&[f32]; PANELS],
    right_stride: usize,
    sums: &mut [f32],
    sums_stride: usize,
) {
    let mut held = [[[simd.splat_f32s(0.0); VECTORS]; PANELS]; ROWS];
    for row in 0..ROWS {
        for panel in 0..PANELS {
            let vectors = S::as_simd_f32s(&sums[row * sums_stride + panel * PANEL..][..PANEL]).0;
            held[row][panel].copy_from_slice(vectors);
        }
    }
    for p in 0..depth {
        let mut factors = [[simd.splat_f32s(0.0); VECTORS]; PANELS];
        for panel in 0..PANELS {
            let vectors = S::as_simd_f32s(&right[panel][p * right_stride..][..PANEL]).0;
            factors[panel].copy_from_slice(vectors);
        }
        let column = left(p);
        for row in 0..ROWS {
            let value = simd.splat_f32s(column[row]);
            for panel in 0..PANELS {
                for vector in 0..VECTORS {
                    let sum = &mut held[row][panel][vector];
                    *sum = simd.mul_add_f32s(value, factors[panel][vector], *sum);
                }
            }
        }
    }
    for row in 0..ROWS {
        for panel in 0..PANELS {
            let vectors = S::as_mut_simd_f32s(&mut sums[row * sums_stride + panel * PANEL..][..PANEL]).0;
            vectors.copy_from_slice(&held[row][panel]);
        }
    }
}
