//! The service that scores pull requests: `prowl.v1.Scoring` over gRPC, and GitHub's own JSON over HTTP.
//!
//! ```text
//! grpc.rs ─┐                 ┌─ prowl_features: pull request + history ──> vector
//!          ├─> Task ─> Engine┤
//! http.rs ─┘                 └─ prowl_model: vector ──> score ──> reasons
//! ```
//!
//! Both ports are open from the start and say that they are not ready; a model is then loaded from the store,
//! verified and warmed up. Each answer comes from one [`engine::Engine`], which never changes once it is made: no
//! call waits for a lock.
//!
//! This crate never trains, never computes a feature by itself, and keeps nothing between two calls. It links
//! neither the batch engine nor a database.

pub mod admission;
pub mod args;
mod category;
mod checks;
pub mod config;
mod connection;
pub mod engine;
pub mod error;
pub mod grpc;
pub mod http;
pub mod loading;
pub mod readiness;
pub mod reasons;
pub mod server;
pub mod task;
