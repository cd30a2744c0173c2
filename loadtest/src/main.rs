//! `prowl-loadtest`: parse, telemetry, a runtime, run until a signal, drain.

mod commands;

use std::{num::NonZero, process::ExitCode, thread::available_parallelism};

use anyhow::Context as _;
use goose::config::GooseConfiguration;
use prowl_loadtest::args::{Args, Command, LoadArgs};
use prowl_platform::{arguments, exit, telemetry};
use tokio::runtime::Builder;

/// A call makes and drops dozens of small things, with which the system's own takes longer.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Steps of tasks between two looks at the network: calls that go out together share their way, and the looks cost as much as they do.
const AT_ONCE: u32 = 512;

fn main() -> ExitCode {
    // Of the two that goose and we bring.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Args { command, load, goose } = arguments::parse::<Args>();
    if goose.version {
        println!("prowl-loadtest {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    run(command, load, goose).unwrap_or_else(|error| exit::after(Err(error)))
}

fn run(command: Option<Command>, load: LoadArgs, goose: GooseConfiguration) -> anyhow::Result<ExitCode> {
    let _telemetry = telemetry::init("prowl-loadtest", "info,goose=warn")?;
    // Two threads of one core only take turns. While the gate of a rehearsal computes, its load and its switch go on.
    let is_alone = available_parallelism().is_ok_and(|cores| cores == NonZero::<usize>::MIN)
        && !matches!(command, Some(Command::Rehearse(_)));
    let mut builder = if is_alone { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    let runtime =
        builder.event_interval(AT_ONCE).enable_all().build().context("cannot start the threads of the load test")?;
    let ended = runtime.block_on(async {
        match command {
            None => commands::test(load, goose).await,
            Some(Command::Gate(args)) => commands::judge(*args).await,
            Some(Command::Rehearse(args)) => commands::rehearse(*args).await,
            Some(Command::Trend(args)) => commands::tell(args).await,
            Some(Command::StandIn(args)) => commands::stand_in(*args).await,
        }
    });
    // An export that is still being read would otherwise be read to its end first.
    runtime.shutdown_background();
    ended
}
