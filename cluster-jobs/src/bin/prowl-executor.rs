//! `prowl-executor`: Ballista's executor, which also knows Prowl's plans.

use std::process::ExitCode;

use anyhow::Context;
use prowl_cluster::args::ExecutorArgs;
use prowl_cluster::session::run_executor;
use prowl_platform::{arguments, exit, telemetry};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    exit::after(run(arguments::parse()))
}

fn run(args: ExecutorArgs) -> anyhow::Result<()> {
    // Ballista would say that memory is unbounded, since the pool is ours and not its own.
    let _telemetry =
        telemetry::init("prowl-executor", "info,datafusion=warn,ballista_executor::executor_process=warn")?;
    let runtime = Runtime::new().context("cannot start")?;
    let ended = runtime.block_on(run_executor(args));
    // What has not ended within its limit is not waited for.
    runtime.shutdown_background();
    ended
}
