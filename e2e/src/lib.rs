//! What the whole-pipeline tests share: the programs as a user starts them, and what they leave behind.
//!
//! The programs are those of the same build (`target/<profile>/`), so `cargo build --workspace` comes first, as
//! `make test` does. This library links none of them: it starts them, and looks at what they say and leave.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that cannot go on ends here")]

mod cluster;
mod documents;
mod limits;
mod programs;
mod runs;
pub mod servers;
mod signals;
mod store;
mod words;

pub use cluster::{Cluster, Executor, done};
pub use documents::{Documents, known_before, revert_of};
pub use limits::WIDE;
pub use programs::{Outcome, Running, Server, Variable, get, get_as, run, run_unheard, run_with, wait_for};
pub use runs::{RejectRow, Row, Run, publish_model, read_run, reject_rows};
pub use signals::{Signal, heed_signals, send, signal_that_came};
pub use store::{TestStore, digests, open};
pub use words::{keep_words_in, texts_below};
