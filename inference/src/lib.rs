//! The service that scores pull requests: `prowl.v1.Scoring` over gRPC, and GitHub's own JSON over HTTP.
//!
//! ```text
//!          grpc, stream, oip ─┐                   ┌─ prowl_features: pull request + history ──> vector
//! door ─>                     ├─> Scorer ─> Engine┤
//!          http, oip, webhook ┘   in turns        └─ prowl_model: vector ──> score ──> reasons
//! ```
//!
//! Every request comes through the [door](crate::server), which knows who may ask and counts what came of it.
//!
//! Both ports are open once the secrets are read, and say that they are not ready; a model is then loaded from
//! the store, verified and warmed up. Each answer comes from one [`engine::Engine`], which never changes once it is made: no
//! call waits for a lock. A newer model, or newer histories, make another engine, which takes its place between two calls.
//!
//! This crate never trains, never computes a feature by itself, and no answer depends on another call. It links
//! neither the batch engine nor a database.

mod admission;
pub mod args;
mod category;
mod checks;
pub mod config;
mod connection;
mod door;
pub mod engine;
mod error;
mod feedback;
mod following;
mod grpc;
mod guard;
mod http;
mod lacking;
mod line;
pub mod loading;
mod observe;
mod oip;
mod readiness;
pub mod reasons;
mod scorer;
pub mod server;
mod stream;
pub mod task;
mod tls;
mod webhook;
pub mod words;

pub use error::Error;
