//! The collector against the local GitHub and a real database: complete, only what changed the next time, polite, and with one
//! clear error for whatever is wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

#[path = "github/access.rs"]
mod access;
#[path = "github/changes.rs"]
mod changes;
#[path = "github/complete.rs"]
mod complete;
#[path = "github/database.rs"]
mod database;
#[path = "github/faults.rs"]
mod faults;
#[path = "github/given.rs"]
mod given;
#[path = "github/limits.rs"]
mod limits;
#[path = "github/pipeline.rs"]
mod pipeline;
#[path = "github/together.rs"]
mod together;
