//! What the gate may find where the machine does other things, too.

/// Limits of the gate that no busy machine breaks: how fast it is, is no matter where these are given. What is said of answers stays
/// as it is.
pub const WIDE: [[&str; 2]; 8] = [
    ["--max-p99", "60000"],
    ["--max-first-p99", "60000"],
    ["--max-p99-ratio", "1000"],
    ["--max-p50-ratio", "1000"],
    ["--max-cpu-ratio", "1000"],
    ["--min-throughput", "0.5"],
    ["--max-memory-growth", "1000000"],
    ["--max-lag", "60000"],
];
