//! The service and its client through their own doors: the binaries, real ports, a real store, a real model.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod bad_input;
mod bad_store;
mod client;
mod feedback;
mod fixture;
mod following;
mod github;
mod lifecycle;
mod observed;
mod open_inference;
mod programs;
mod security;
mod shadow;
mod streams;
mod webhooks;
