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
pub mod boost;
mod card;
pub mod category;
mod clusters;
mod covariance;
pub mod curves;
mod dataset;
mod detector;
mod error;
pub mod evaluate;
pub mod feedback;
pub mod figures;
mod findings;
mod forest;
mod gradient;
mod kernel;
mod layer;
pub mod lbfgs;
mod learn;
pub mod logistic;
pub mod mlflow;
mod neighbours;
pub mod onnx;
mod page;
mod panel;
pub mod probability;
pub mod profiles;
mod progress;
pub mod read;
mod report;
pub mod risk;
mod run;
pub mod scale;
mod settings;
mod shard;
mod split;
pub mod svd;
mod table;
pub mod temperature;
mod typical;
pub mod words;

pub use dataset::{Builder, Dataset, Outcome, Row};
pub use error::TrainError;
pub use learn::{Origin, Step, learn};
pub use report::Report;
pub use run::{Published, Trained, train};
pub use settings::Settings;
pub use split::{FEWEST_ROWS, Split};
pub use table::{AnomalyReport, MeasuredOn, OutcomeReport, Outcomes, TableError, TableReport, table};
