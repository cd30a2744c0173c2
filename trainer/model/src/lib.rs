//! The model that scores a pull request: scaler, text projection, autoencoder and the views beside it, calibration, the
//! heads for category and risk, and the one file that carries them.
//!
//! [`Model::score`] is pure: the same vector gives the same bits, alone or in a batch, on every machine. It uses only
//! operations that IEEE 754 defines exactly and logarithms written in Rust, never those of the system.
//!
//! This crate never learns: gradients, optimisers and splits live in `prowl-trainer`. It never reads a file, opens a
//! socket, or knows what a feature means.

#![deny(missing_docs)]

mod artifact;
mod bins;
mod calibration;
mod category;
mod clusters;
mod covariance;
mod digest;
mod elementary;
#[cfg(test)]
mod fixture;
mod forest;
#[cfg(test)]
mod fuzz;
mod linear;
mod metadata;
mod model;
mod neighbours;
mod network;
mod percentiles;
mod product;
mod risk;
mod scaler;
mod score;
mod sketch;
mod surprise;
mod tensors;
mod text;
mod trees;
mod views;
mod walks;

pub use artifact::{ArtifactError, FILE_NAME};
pub use bins::{BINS, Bins};
pub use calibration::Calibration;
pub use category::CategoryHead;
pub use clusters::{ClusterInfo, Clusters, Membership, nearest, squared_distance};
pub use covariance::Covariance;
pub use digest::digest;
pub use forest::{DEPTH, Forest, Node, PLACES};
pub use linear::{Linear, Term};
pub use metadata::{Bands, DRIFTED, Details, FeatureInfo, Metadata, SCHEMA, Training};
pub use model::{Inputs, Model, Parts, Vector};
pub use neighbours::{LARGE, Neighbours, SMALL};
pub use network::{Dense, Network, activation, activation_slope};
pub use percentiles::Percentiles;
pub use risk::{Candidate, Member, RiskBand, RiskHead, RiskInfo};
pub use scaler::{CLIP, Column, Scaler, signed_log};
pub use score::{Band, Contribution, Effect, Input, InputError, Reference, Score, Usual};
pub use sketch::Sketch;
pub use surprise::{Habit, Surprise};
pub use text::{Text, TextVector, tf_idf};
pub use trees::{Split, TreeNode, Trees};
pub use views::{OPINIONS, Opinion, Tables, View, Views};
pub use walks::Walks;
