//! `prowl-executor`: Ballista's executor, which also knows Prowl's plans.

use prowl_cluster::args::ExecutorArgs;
use prowl_cluster::session::run_executor;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = prowl_platform::arguments::parse::<ExecutorArgs>();
    prowl_platform::telemetry::init("info,datafusion=warn,ballista=info")?;
    run_executor(args).await
}
