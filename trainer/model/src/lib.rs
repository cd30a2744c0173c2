//! The model that scores a pull request: scaler, text projection, autoencoder, calibration, the heads for
//! category and risk, and the one file that carries them.
//!
//! [`Model::score`] is pure: the same vector gives the same bits, alone or in a batch, on every machine. It uses only
//! operations that IEEE 754 defines exactly and logarithms written in Rust, never those of the system.
//!
//! This crate never learns: gradients, optimisers and splits live in `prowl-trainer`. It never reads a file, opens a
//! socket, or knows what a feature means.

mod artifact;
mod calibration;
mod category;
mod digest;
#[cfg(test)]
mod fixture;
mod linear;
mod metadata;
mod model;
mod network;
mod risk;
mod scaler;
mod score;
mod surprise;
mod tensors;
mod text;
mod trees;

pub use artifact::{ArtifactError, FILE_NAME};
pub use calibration::Percentiles;
pub use category::CategoryHead;
pub use digest::digest;
pub use linear::{Linear, Term};
pub use metadata::{Bands, Details, FeatureInfo, Metadata, SCHEMA, Training};
pub use model::{Inputs, Model, Parts};
pub use network::{Dense, Network, activation, activation_slope};
pub use risk::{Candidate, Member, RiskBand, RiskHead, RiskInfo};
pub use scaler::{Column, Scaler, signed_log};
pub use score::{Band, Contribution, Input, InputError, Score, Usual};
pub use surprise::{Habit, Surprise};
pub use text::{Text, TextVector};
pub use trees::{Node, Split, Trees};
