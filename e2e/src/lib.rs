//! What the whole-pipeline tests share: the programs as a user starts them, and what they leave behind.
//!
//! The programs are those of the same build (`target/<profile>/`), so `cargo build --workspace` comes first, as
//! `make test` does.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that cannot go on ends here")]

mod documents;
mod programs;
mod runs;
pub mod servers;
mod store;

pub use documents::{Documents, known_before, revert_of};
pub use programs::{Cluster, Outcome, Running, Server, Variable, run, run_unheard, run_with};
pub use runs::{RejectRow, Row, Run, publish_model, read_run, reject_rows};
pub use store::{TestStore, open};
