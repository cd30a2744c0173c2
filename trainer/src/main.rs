//! `prowl-trainer`: learns from a features run and publishes a model, or scores any table.

mod commands;

use std::process::ExitCode;

use prowl_platform::{arguments, exit, telemetry};
use prowl_trainer::args::{Args, BacktestConfig, Command, TableConfig, TrainConfig};

#[tokio::main]
async fn main() -> ExitCode {
    exit::after(run(arguments::parse::<Args>()).await)
}

async fn run(args: Args) -> anyhow::Result<()> {
    let _telemetry = telemetry::init("prowl-trainer", "info")?;
    match args.command {
        Command::Train(args) => {
            commands::train(&TrainConfig::try_from(args).unwrap_or_else(|wrong_use| wrong_use.exit())).await
        }
        Command::Backtest(args) => {
            commands::backtest(&BacktestConfig::try_from(args).unwrap_or_else(|wrong_use| wrong_use.exit())).await
        }
        Command::Table(args) => {
            commands::table(&TableConfig::try_from(args).unwrap_or_else(|wrong_use| wrong_use.exit()))
        }
    }
}
