//! Preprocessing on Ballista: from a MongoDB export to Parquet features, profiles and rejects.
//!
//! One plan, one exchange of rows:
//!
//! ```text
//! scan          reads documents, computes what each says by itself         (scan.rs, rows.rs)
//!   │           exchange by bucket of repositories
//! outcomes      newest version wins, finds what was taken back             (outcomes.rs)
//!   │           the rows of a repository by creation                       (gathered.rs)
//! publish       replays history, calls the kernel, writes Parquet          (publish.rs, parts.rs, sources.rs)
//!   │           one report a partition, in the store                       (report.rs)
//! job           adds the counts up, compares with the run before, writes the manifest   (job.rs)
//! summary       tells what came of it                                      (summary.rs)
//! ```
//!
//! `plan` holds the nodes as the planner sees them and the codec that carries them between the processes of a cluster;
//! `statistics` says what the columns hold and how far that has drifted; [`session`] makes the sessions of client,
//! scheduler and executor alike.
//!
//! This crate never defines a feature (that is `prowl-features`) and never calls another stage. Its functions return
//! `anyhow`'s errors, as a `main` does: only its three programs call them, and all that these do with an error is print it.

pub mod args;
mod columns;
mod export;
mod failure;
mod feature_file;
mod gathered;
pub mod inspect;
pub mod job;
mod memory;
mod outcomes;
mod parts;
mod plan;
mod progress;
pub mod prune;
mod publish;
mod report;
mod requirements;
mod reverts;
mod rows;
mod scan;
pub mod session;
mod sources;
mod statistics;
pub mod summary;
