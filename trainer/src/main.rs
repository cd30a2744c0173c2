//! `prowl-trainer`: learns from a features run, and publishes a model.

use std::process::ExitCode;

use anyhow::Context;
use prowl_platform::{arguments, exit, telemetry};
use prowl_trainer::args::{Args, BacktestArgs, Command, TrainArgs, TrainConfig};
use prowl_trainer::backtest::BacktestConfig;

#[tokio::main]
async fn main() -> ExitCode {
    exit::after(run(arguments::parse::<Args>()).await)
}

async fn run(args: Args) -> anyhow::Result<()> {
    let _telemetry = telemetry::init("prowl-trainer", "info")?;
    match args.command {
        Command::Train(args) => train(args).await,
        Command::Backtest(args) => backtest(args).await,
    }
}

async fn backtest(args: BacktestArgs) -> anyhow::Result<()> {
    let config = BacktestConfig::try_from(args).unwrap_or_else(|wrong_use| wrong_use.exit());
    let measured = prowl_trainer::backtest::backtest(&config).await?;
    exit::say(&format_args!("backtest of {} in {} slices\n{}", measured.run, measured.folds, measured.table()));
    if config.json {
        exit::answer(&measured).context("the figures cannot be printed")?;
    }
    Ok(())
}

async fn train(args: TrainArgs) -> anyhow::Result<()> {
    let config = TrainConfig::try_from(args).unwrap_or_else(|wrong_use| wrong_use.exit());
    let published = prowl_trainer::train(&config).await?;
    let report = published.report();
    exit::say(&format_args!(
        "model {} in {:.1} s: {}\n{}\nnext: prowl-inference --store {} --model latest",
        report.version,
        report.seconds,
        report.url,
        report.table(),
        config.store
    ));
    if config.json {
        exit::answer(&report).context("the model is published, but its figures cannot be printed")?;
    }
    Ok(())
}
