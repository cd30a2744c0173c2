//! `prowl-inference`: parse, telemetry, run until a signal, drain.

use std::process::ExitCode;

use anyhow::Context;
use prowl_inference::{args::Args, config::Config, server};
use prowl_platform::{arguments, exit, shutdown, telemetry};
use tokio::runtime::Builder;

/// An answer makes and drops more than a hundred texts and lists, with which the system's own takes twice as long.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let config = Config::try_from(arguments::parse::<Args>()).unwrap_or_else(|wrong_use| wrong_use.exit());
    exit::after(serve(config))
}

fn serve(config: Config) -> anyhow::Result<()> {
    let _telemetry = telemetry::init("prowl-inference", "info")?;
    let runtime = Builder::new_multi_thread().enable_all().build().context("cannot start the threads of the server")?;
    let ended = runtime.block_on(async { server::run(config, shutdown::signal()).await });
    // A model that is still being loaded would otherwise be loaded to its end first.
    runtime.shutdown_background();
    ended
}
