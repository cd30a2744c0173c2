//! Ballista's own options of scheduler and executor, with our defaults where its own would not do.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Arg, Parser};
use prowl_platform::arguments::duration;

use crate::memory;

/// A Ballista scheduler that knows Prowl's plans.
#[derive(Debug, Parser)]
#[command(
    name = "prowl-scheduler",
    version,
    about = "A Ballista scheduler that knows Prowl's plans",
    mut_arg("bind_host", |arg| arg.value_parser(ip_address)),
    mut_arg("executor_timeout_seconds", |arg| {
        arg.default_value("20").help("Seconds without a word of an executor after which its tasks run on others")
    }),
    mut_arg("expire_dead_executor_interval_seconds", |arg| arg.default_value("3")),
    // Most tasks take seconds, and the job stands still until the shuffle files that went are made again: a task that takes
    // longer runs twice rather.
    mut_arg("executor_termination_grace_period", |arg| {
        arg.default_value("8").help("Seconds after an executor said that it stops, until its tasks and files are made anew by others")
    }),
    mut_arg("cors_allowed_origins", |arg| {
        arg.default_value("http://localhost:8080").help("Web pages that may ask this scheduler, separated by commas")
    }),
    mut_args(hide_logging)
)]
pub struct SchedulerArgs {
    /// After SIGTERM: time for jobs at work to finish; those that need longer are given up, and their clients told so.
    /// Kubernetes kills 30s after SIGTERM
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = duration)]
    pub(crate) drain_timeout: Duration,

    #[command(flatten)]
    pub(crate) ballista: ballista_scheduler::config::Config,
}

/// A Ballista executor that knows Prowl's plans. Its ports are none of `prowl-inference`, which Ballista's own would be.
#[derive(Debug, Parser)]
#[command(
    name = "prowl-executor",
    version,
    about = "A Ballista executor that knows Prowl's plans",
    mut_arg("bind_host", |arg| arg.value_parser(ip_address)),
    mut_arg("bind_port", |arg| arg.default_value("50061").help("Port that hands out shuffle files, over Arrow Flight")),
    mut_arg("bind_grpc_port", |arg| arg.default_value("50062").help("Port that takes tasks, over gRPC")),
    mut_arg("bind_health_port", |arg| {
        arg.default_value("50063").help("Port for probes and figures, over HTTP: /healthz, /readyz, /metrics")
    }),
    mut_arg("scheduler_connect_timeout_seconds", |arg| {
        arg.default_value("60").help("Seconds to wait for a scheduler that does not answer yet, or not any more")
    }),
    mut_arg("executor_heartbeat_interval_seconds", |arg| {
        arg.default_value("5").help("Seconds between two words to the scheduler; after five without an answer it is lost")
    }),
    mut_arg("work_dir", |arg| {
        arg.help("Folder of this executor alone for shuffle files and spills [default: a temporary one]")
    }),
    mut_arg("memory_pool_size", |arg| {
        arg.long("memory-limit")
            .value_name("SIZE")
            .value_parser(memory::parse)
            .help(
                "Memory that it is to keep within, such as 4GiB or 4096 (MiB); rows that do not fit spill to disk [default: 2GiB, or what its cores \
                 need if that is more: 256MiB, and 128MiB a core]",
            )
    }),
    mut_arg("job_data_clean_up_interval_seconds", |arg| {
        arg.default_value("300").help("Seconds between two looks for old shuffle files; 0 looks never")
    }),
    mut_arg("job_data_ttl_seconds", |arg| {
        arg.default_value("21600").help("Seconds after which shuffle files are old: longer than any job takes")
    }),
    mut_arg("memory_pool_fraction", |arg| arg.hide(true)),
    mut_arg("client_ttl", |arg| arg.hide(true)),
    mut_args(hide_logging)
)]
pub struct ExecutorArgs {
    /// After SIGTERM: time for tasks at work to finish; those that need longer run again on other executors.
    /// Kubernetes kills 30s after SIGTERM
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = duration)]
    pub(crate) drain_timeout: Duration,

    #[command(flatten)]
    pub(crate) ballista: ballista_executor::config::Config,
}

/// Hides the options of a log of Ballista's own: logs are those of all programs, by `PROWL_LOG`.
fn hide_logging(arg: Arg) -> Arg {
    let of_logs = ["log_dir", "log_level_setting", "log_rotation_policy", "print_thread_info"];
    if of_logs.contains(&arg.get_id().as_str()) { arg.hide(true) } else { arg }
}

/// Ballista takes any text, and fails on a name once it has started.
fn ip_address(host: &str) -> Result<String, String> {
    match format!("{host}:0").parse::<SocketAddr>() {
        Ok(_) => Ok(host.to_owned()),
        Err(_) => Err("write an IP address, such as 127.0.0.1, 0.0.0.0 or [::1]".to_owned()),
    }
}
