//! Learns what a repository's normal change looks like: from the Parquet rows of a features run to one model.
//!
//! It reads a published features run and nothing else: it never sees a pull request, and never computes a feature. What
//! scores lives in `prowl-model`; what learns lives here. Every sum has one order, however many threads share the work, so
//! the same rows, settings and seed give the same tensors, bit for bit, on machines whose processors have the same vector
//! units. The network learns on all threads of rayon's pool (`RAYON_NUM_THREADS`); the rest runs on one.

mod adam;
pub mod args;
pub mod autoencoder;
pub mod backtest;
mod boost;
mod card;
mod category;
mod clusters;
mod covariance;
mod curves;
mod dataset;
mod detector;
mod error;
mod evaluate;
mod feedback;
pub mod figures;
mod findings;
mod forest;
mod gradient;
mod kernel;
mod layer;
mod lbfgs;
mod learn;
mod logistic;
pub mod mlflow;
mod neighbours;
pub mod onnx;
mod page;
mod panel;
mod probability;
mod profiles;
mod progress;
mod read;
mod report;
pub mod risk;
mod run;
mod scale;
mod settings;
mod shard;
mod split;
mod svd;
mod table;
mod temperature;
mod typical;
mod words;

pub use dataset::{Builder, Dataset, Outcome, Row};
pub use error::TrainError;
pub use learn::{Origin, Step, learn};
pub use report::Report;
pub use run::{Trained, train};
pub use settings::Settings;
pub use table::table;

use split::{FEWEST_ROWS, Split};
