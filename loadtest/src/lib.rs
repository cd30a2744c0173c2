//! The load test of the scoring service, and the gate that decides whether a new model or image goes live.
//!
//! ```text
//!  export ──sample──> deck ──draws──┬─> goose's users (closed loop) ─┐
//!                                   └─> arrivals (open loop) ────────┼─> calls ──> server(s)
//!                                                                    │     └─> outcome: answered, by the right model, finite …
//!  gate: ready, first calls, panel, race, load test, knee ──> checks ──> verdict ──> report
//!  rehearse: blue | green behind a switch, load on it, the gate in between
//! ```
//!
//! This crate never scores by itself, and never lets what it could not find out pass for a go. A call that failed is never made
//! again, so that it counts; with one exception: a load test that is told so (`--again`) and the load of a rehearsal make those
//! again that no server has begun, as clients of gRPC do, and count how often.

pub mod args;
mod arrivals;
mod call;
mod deck;
mod error;
pub mod gate;
mod generator;
pub mod holding;
pub mod load;
mod open;
pub mod rehearse;
pub mod report;
mod sample;
mod scenarios;
mod skimmed;
mod stats;
mod target;
mod tensors;
mod thresholds;
pub mod trend;
pub mod verdict;

pub use error::Error;
