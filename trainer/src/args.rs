//! What the user typed, and the validated configuration that it becomes.

mod table;

use std::time::Duration;

use clap::{Parser, Subcommand};
use prowl_platform::{
    StoreUrl,
    arguments::{self, variable, wrong_use},
};

pub use table::{TableArgs, TableConfig};

use crate::Settings;
use crate::backtest::FOLDS;
use crate::mlflow::Tracking;

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
    /// to calibrate, learns from both anew, and measures on the last 15%. The network does not learn from the most unusual
    /// 2%, and the last 15% are known to no part of the model.
    /// It takes 50 pull requests at least; of more than --max-rows the newest count.
    ///
    /// report.html beside the model shows the most unusual of the last 15%, and why. A head that cannot be learnt, or a
    /// risk head that ranks no better than chance, is left out, and the reason told.
    #[command(after_help = "Examples:\n  prowl-trainer train --store file://$PWD/store\n  \
                      prowl-trainer train --store file://$PWD/store --features 20261124T214500Z --seed 7 --json\n\n\
                      The same rows, options and seed give the same tensors, bit for bit.\n\n\
                      MLflow down or slow holds nothing up: the model is published, and a warning says what is missing.")]
    Train(TrainArgs),
    /// Tell how unusual the rows of any table of numbers are, or how probable a label is
    ///
    /// Learns from the rows of a Parquet or CSV file without being told which are odd, as `train` learns from pull
    /// requests, and writes a score for each row, the more the more unusual. Every column of numbers counts; missing and
    /// infinite values are unknown; other columns are left out. These are named, and those that are the same in all rows as well.
    /// All rows are held in memory, at 4 bytes a value, and a few times that while they are read and learnt from.
    ///
    /// With --label the score is a probability, learnt as the risk of pull requests is. How good it is, is measured on the
    /// rows of --score where these have the label, else on the newest 30% by what the others teach; what scores has learnt
    /// from all rows of --input. Trees read all columns, a regression the 256 that differ most between the labels.
    #[command(after_help = "Examples:\n  prowl-trainer table --input rows.parquet --output scores.parquet\n  \
                      prowl-trainer table --input old.csv --score new.csv --output scores.csv --json\n  \
                      prowl-trainer table --input old.csv --score new.csv --label bug --time t --output scores.csv\n\n\
                      The same rows, options and seed give the same scores, bit for bit.")]
    Table(TableArgs),
    /// Measure how the heads would have done on a features run
    ///
    /// Cuts the second half of the time into slices. For each, the heads learn from what was known before it, and answer for
    /// the slice; figures are means over the slices, in brackets the interval of 500 bootstrap resamples.
    ///
    /// How unusual: nobody knows which pull requests are odd, so as many are made as the slice has, each with a quarter of
    /// its features from another one of the slice. AUC is the probability that such a mixture scores higher than a real pull
    /// request; beside it stands an isolation forest.
    ///
    /// How risky: on the pull requests that had stood their time when the newest one came, beside churn alone (lines
    /// changed) and plain regression on sizes. `mean precision` is the average precision, `calib.` the calibration error in
    /// ten bins. The bands of each slice are told with the share of it that was taken back, the riskiest first: shares
    /// that fall from left to right are in order.
    ///
    /// What kind: on the pull requests that declare one, beside words alone and the most frequent category.
    ///
    /// Last comes each figure in which something else is at least as good as ours, and what could not be measured.
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
    /// Pull requests to learn from at most, the newest of the run; they are held in memory, at 1 to 2 kB each
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(50..))]
    pub max_rows: u32,
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
    /// Train nothing where the store has a model of the same run, feedback and options, for runs by a clock
    ///
    /// Where there are no features yet, that is no failure. Where MLflow is used, and has no such model, it is trained anew.
    #[arg(long)]
    pub if_new: bool,
    /// Run a backtest of five slices first, and give the model its figures; takes about three times as long
    #[arg(long)]
    pub backtest: bool,
    /// How it is logged.
    #[command(flatten)]
    pub mlflow: MlflowArgs,
    /// Print the metrics as JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// How a training is logged to MLflow.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "MLflow, where the secret mlflow_uri names one (see docs/mlflow.md)")]
pub struct MlflowArgs {
    /// The experiment that the run belongs to; it is made if it is missing
    #[arg(long, value_name = "NAME", default_value = "prowl")]
    pub mlflow_experiment: String,
    /// The registered model that the model becomes a version of; it is made if it is missing
    #[arg(long, value_name = "NAME", default_value = "prowl")]
    pub mlflow_model: String,
    /// How long the end of a training waits for MLflow
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = arguments::positive_duration)]
    pub mlflow_timeout: Duration,
    /// Fail before the work if MLflow cannot be used, and with exit code 1 after it if the model is not registered there
    #[arg(long, conflicts_with = "no_mlflow")]
    pub require_mlflow: bool,
    /// Log nothing to MLflow
    #[arg(long)]
    pub no_mlflow: bool,
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
    #[arg(long, value_name = "N", default_value_t = FOLDS as u32, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub folds: u32,
    /// Seed of every random choice
    #[arg(long, value_name = "S", default_value_t = Settings::default().seed)]
    pub seed: u64,
    /// Print all figures as JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// A backtest that can be started.
#[derive(Debug)]
pub struct BacktestConfig {
    /// Where the run is.
    pub store: StoreUrl,
    /// Name of the run, or `latest`.
    pub features: String,
    /// Slices that the second half of the time is cut into.
    pub folds: usize,
    /// Seed of every random choice.
    pub seed: u64,
    /// Whether to print the figures as JSON.
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
    /// Whether a model that is there already is enough.
    pub if_new: bool,
    /// How to log it, if it is to be logged.
    pub mlflow: Option<Tracking>,
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
                most_rows: args.max_rows as usize,
                epochs: args.epochs as usize,
                patience: args.patience as usize,
                batch_size: args.batch_size as usize,
                hidden: args.hidden as usize,
                code: args.code as usize,
                learning_rate: args.learning_rate,
                backtest: args.backtest,
                ..Settings::default()
            },
            if_new: args.if_new,
            mlflow: tracking(args.mlflow)?,
            json: args.json,
        })
    }
}

/// MLflow's own limits, told before the work instead of after it.
fn tracking(args: MlflowArgs) -> Result<Option<Tracking>, clap::Error> {
    let MlflowArgs { mlflow_experiment: experiment, mlflow_model: model, mlflow_timeout: patience, .. } = args;
    if experiment.trim().is_empty() || experiment.chars().count() > 500 {
        return Err(wrong_use(format!("--mlflow-experiment {experiment:?} is no name of 1 to 500 characters")));
    }
    let fits = (1..=256).contains(&model.chars().count());
    if !fits || model.contains(['/', ':']) || matches!(model.trim(), "" | "." | "..") {
        return Err(wrong_use(format!(
            "--mlflow-model {model:?} is no name of 1 to 256 characters without slashes and colons"
        )));
    }
    let built = option_env!("PROWL_COMMIT").filter(|commit| !commit.is_empty());
    Ok((!args.no_mlflow).then(|| Tracking {
        experiment,
        model,
        required: args.require_mlflow,
        patience,
        commit: variable("PROWL_COMMIT").or_else(|| built.map(str::to_owned)),
        user: variable("USER").or_else(|| variable("LOGNAME")),
        tracking_uri: variable("MLFLOW_TRACKING_URI").is_some(),
    }))
}
