//! The statistics of a comparison: pure functions of numbers, that neither wait nor draw but from a seed.
//!
//! None of them panics. A value that is no finite number is left out, and what cannot be told of the rest is `None`.

mod bootstrap;
mod distance;
mod quantile;
mod rank;
mod slices;

pub(crate) use self::{
    bootstrap::{Interval, quantile_ratio},
    distance::{kolmogorov_smirnov, psi},
    quantile::quantile,
    rank::spearman,
};
