//! The service and its client through their own doors: the binaries, real ports, a real store, a real model.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod attacks;
mod bad_input;
mod bad_store;
mod certificates;
mod client;
mod feedback;
mod fixture;
mod floods;
mod following;
mod fuzz;
mod github;
mod lifecycle;
mod observed;
mod open_inference;
mod programs;
mod security;
mod shadow;
mod siege;
mod streams;
mod webhooks;
