//! What the user typed, and the validated configuration that it becomes.

use clap::{Parser, Subcommand};
use prowl_platform::{StoreUrl, arguments::wrong_use};

use crate::Settings;
use crate::backtest::BacktestConfig;

/// Learns from a features run what a repository's normal change looks like, and publishes the model.
#[derive(Debug, Parser)]
#[command(version, after_help = "Environment: PROWL_LOG=debug for every epoch, PROWL_LOG_FORMAT=text|json.")]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a model on a features run
    ///
    /// Splits the pull requests by the time of their creation: learns from the first 70%, takes the next 15% to stop and
    /// to calibrate, and measures on the last 15%. The most unusual 2% of the first slice are left out of the final fit.
    /// It takes 50 pull requests at least, and holds all of them in memory, at 1 to 2 kB each.
    #[command(after_help = "Examples:\n  prowl-trainer train --store file://$PWD/store\n  \
                      prowl-trainer train --store file://$PWD/store --features 20261124T214500Z --seed 7 --json\n\n\
                      The same rows, options and seed give the same tensors, bit for bit.")]
    Train(TrainArgs),
    /// Measure how the heads would have done on a features run
    ///
    /// Cuts the second half of the time into slices. For each, the heads learn from what was known before it; the table
    /// sets them beside churn alone, plain regression on sizes, words alone and the most frequent category, each with the
    /// interval of 500 bootstrap resamples.
    #[command(after_help = "Example:\n  prowl-trainer backtest --store file://$PWD/store --json")]
    Backtest(BacktestArgs),
}

/// `prowl-trainer train`
#[derive(Debug, clap::Args)]
pub struct TrainArgs {
    /// URL of the store, such as `file:///absolute/directory` or `s3://bucket/prefix`
    #[arg(long, value_name = "URL", env = "PROWL_STORE")]
    pub store: String,
    /// The features run to learn from: its name, or the newest
    #[arg(long, value_name = "RUN", default_value = "latest")]
    pub features: String,
    /// Seed of every random choice
    #[arg(long, value_name = "S", default_value_t = Settings::default().seed)]
    pub seed: u64,
    /// Passes over the training slice at most, in each of the two fits
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub epochs: u32,
    /// Stop after this many epochs without progress on the validation slice
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub patience: u32,
    /// Pull requests of a mini-batch
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub batch_size: u32,
    /// Width of the two hidden layers
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub hidden: u32,
    /// Width of the code between them
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub code: u32,
    /// Step size of the optimiser
    #[arg(long, value_name = "R", default_value_t = Settings::default().learning_rate)]
    pub learning_rate: f32,
    /// Print the metrics as JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// `prowl-trainer backtest`
#[derive(Debug, clap::Args)]
pub struct BacktestArgs {
    /// URL of the store, such as `file:///absolute/directory` or `s3://bucket/prefix`
    #[arg(long, value_name = "URL", env = "PROWL_STORE")]
    pub store: String,
    /// The features run to measure on: its name, or the newest
    #[arg(long, value_name = "RUN", default_value = "latest")]
    pub features: String,
    /// Slices of the second half of the time
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub folds: u32,
    /// Seed of every random choice
    #[arg(long, value_name = "S", default_value_t = Settings::default().seed)]
    pub seed: u64,
    /// Print all figures as JSON on stdout
    #[arg(long)]
    pub json: bool,
}

impl TryFrom<BacktestArgs> for BacktestConfig {
    type Error = clap::Error;

    fn try_from(args: BacktestArgs) -> Result<Self, clap::Error> {
        Ok(Self {
            store: StoreUrl::parse(&args.store).map_err(wrong_use)?,
            features: args.features,
            folds: args.folds as usize,
            seed: args.seed,
            json: args.json,
        })
    }
}

/// A training that can be started.
#[derive(Debug)]
pub struct TrainConfig {
    /// Where the run is and the model goes.
    pub store: StoreUrl,
    /// Name of the run, or `latest`.
    pub features: String,
    /// How to train.
    pub settings: Settings,
    /// Whether to print the metrics as JSON.
    pub json: bool,
}

impl TryFrom<TrainArgs> for TrainConfig {
    type Error = clap::Error;

    fn try_from(args: TrainArgs) -> Result<Self, clap::Error> {
        if !(args.learning_rate > 0.0 && args.learning_rate <= 1.0) {
            return Err(wrong_use(format!("--learning-rate {} is not above 0 and at most 1", args.learning_rate)));
        }
        if args.code >= args.hidden {
            let (code, hidden) = (args.code, args.hidden);
            return Err(wrong_use(format!(
                "--code {code} is no bottleneck: it must be smaller than --hidden {hidden}"
            )));
        }
        Ok(Self {
            store: StoreUrl::parse(&args.store).map_err(wrong_use)?,
            features: args.features,
            settings: Settings {
                seed: args.seed,
                epochs: args.epochs as usize,
                patience: args.patience as usize,
                batch_size: args.batch_size as usize,
                hidden: args.hidden as usize,
                code: args.code as usize,
                learning_rate: args.learning_rate,
                ..Settings::default()
            },
            json: args.json,
        })
    }
}
