//! What a new version may do: as fast as the active one within reason, never wrong, and moved no further than a retrained
//! model moves.

use serde::Serialize;

/// The limits of a gate. The defaults let an identical version through, and a retrained one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Limits {
    /// Of the 99th percentile of the preview to that of the active version.
    pub p99_ratio: f64,
    /// The same of the median.
    pub p50_ratio: f64,
    /// The same of the processor's time for a call.
    pub cpu_ratio: f64,
    /// Longest 99th percentile of the preview, in milliseconds, whatever the active version has.
    pub p99_ms: f64,
    /// 99th percentile of the first calls, and the slowest of the very first, in milliseconds.
    pub first_ms: f64,
    /// Share of calls that may fail.
    pub error_rate: f64,
    /// Share of the calls that has to be answered while the race goes on.
    pub throughput: f64,
    /// Population stability index of the percentiles.
    pub psi: f64,
    /// Kolmogorov's statistic of the same: the largest difference of the shares below a percentile.
    pub ks: f64,
    /// Rank correlation of the percentiles.
    pub rank_correlation: f64,
    /// Share of pull requests whose band changes.
    pub bands_changed: f64,
    /// How late the load may go out, its 99th percentile in milliseconds: beyond that it is another load than was asked for.
    pub lag_ms: f64,
    /// Growth of the resident memory for a thousand calls, in kB.
    pub memory_kb: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            p99_ratio: 2.0,
            p50_ratio: 1.5,
            cpu_ratio: 1.5,
            p99_ms: 250.0,
            first_ms: 200.0,
            error_rate: 0.0005,
            throughput: 0.99,
            psi: 0.25,
            ks: 0.15,
            rank_correlation: 0.8,
            bands_changed: 0.1,
            lag_ms: 50.0,
            memory_kb: 2_000.0,
        }
    }
}
