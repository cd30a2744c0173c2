//! What the user types, and the configuration it becomes.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use prowl_platform::{
    StoreUrl,
    arguments::{within, wrong_use},
};
use url::Url;

/// MiB below which sorting cannot spill: a task holds a few batches and what merging spills needs, for two sorts.
const MEMORY_PER_CORE: usize = 64;

/// Tasks after the exchange on a cluster, of which the client does not know the cores.
const REMOTE_PARTITIONS: usize = 8;

/// Turns an export of pull requests into Parquet features.
#[derive(Debug, Parser)]
#[command(
    name = "prowl-preprocess",
    version,
    about = "Turns an export of pull requests into Parquet features, profiles and rejects",
    long_about = "Turns an export of pull requests into Parquet features, profiles and rejects.\n\n\
        Runs on Ballista: with --scheduler on that cluster, without it on a scheduler and an executor in this \
        process. The run is published below the store as features/<UTC time>/ once it is whole.",
    after_help = "Examples:\n  \
        prowl-preprocess --store file:///data/prowl --export latest\n  \
        prowl-preprocess --store file:///data/prowl --export dump.ndjson.gz more/*.json\n  \
        prowl-preprocess --store file:///mnt/shared/prowl --export latest --scheduler df://scheduler:50050\n\n\
        Exit codes: 0 done, 1 failed, 2 wrong use."
)]
pub struct PreprocessArgs {
    /// URL below which exports are and features go, such as `file:///absolute/directory` or `s3://bucket/prefix`
    #[arg(long, env = "PROWL_STORE", value_name = "URL")]
    store: String,

    /// `latest`, the name of an export in the store, or files and folders as `mongoexport` writes them
    #[arg(long, required = true, num_args = 1.., value_name = "latest|NAME|PATH")]
    export: Vec<String>,

    /// Scheduler to run on; without it everything runs in this process
    #[arg(long, value_name = "df://HOST:PORT", env = "PROWL_SCHEDULER")]
    scheduler: Option<String>,

    /// Days after its merge from which a pull request counts as not taken back
    ///
    /// It is as late as the newest time in the repository's documents says; a time after the start of the run says nothing.
    #[arg(long, default_value_t = 30, value_name = "DAYS")]
    label_maturity_days: u32,

    /// Fail when more than this share of the lines cannot be used [default: 0.01, and 20 lines or half of them]
    #[arg(long, value_name = "SHARE")]
    max_reject_share: Option<f64>,

    /// Longest line, or element of an array, that is read; a longer one is rejected
    #[arg(long, default_value_t = 64 << 20, value_name = "BYTES", value_parser = within(1, 1 << 31))]
    max_line_bytes: u64,

    /// Keep with each row the history that it was computed from, as JSON in a column `history`
    #[arg(long)]
    keep_history: bool,

    /// Tasks that the work is split into after the exchange [default: one a core, or 8 with --scheduler]
    ///
    /// More than the cluster has cores cost a twentieth of a second each, fewer leave cores idle; beyond 32 there is
    /// nothing to split.
    #[arg(long, value_name = "N", value_parser = within(1, 65_536))]
    partitions: Option<u64>,

    /// Cores to use in this process [default: all]
    #[arg(long, value_name = "N", conflicts_with = "scheduler", value_parser = within(1, 4096))]
    cores: Option<u64>,

    /// Memory for sorting in this process, in MiB; beyond it rows spill to disk [default: 2048, or 64 a core if more]
    #[arg(long, value_name = "MIB", conflicts_with = "scheduler", value_parser = within(1, 1 << 30))]
    memory_limit: Option<u64>,

    /// Folder for shuffle files and spills of this process [default: a temporary one]
    #[arg(long, value_name = "DIR", conflicts_with = "scheduler")]
    work_dir: Option<PathBuf>,

    /// Print the result as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What `prowl-preprocess` was asked to do, checked.
#[derive(Debug)]
pub struct Preprocess {
    pub(crate) store: StoreUrl,
    pub(crate) export: Vec<String>,
    pub(crate) cluster: Cluster,
    /// In milliseconds.
    pub(crate) maturity: i64,
    /// The share of lines that may be unusable, where the user gave one.
    pub(crate) max_reject_share: Option<f64>,
    pub(crate) max_line_bytes: usize,
    pub(crate) keep_history: bool,
    pub(crate) partitions: usize,
    /// Whether the result is wanted as JSON.
    pub json: bool,
}

/// Where the job runs.
#[derive(Debug)]
pub(crate) enum Cluster {
    /// On a cluster.
    Remote(Scheduler),
    /// In this process.
    Local {
        /// Cores to use.
        cores: usize,
        /// Bytes that sorting may hold in memory.
        memory: usize,
        /// Folder for shuffle files and spills; `None` for a temporary one.
        work_dir: Option<PathBuf>,
    },
}

/// Where a scheduler listens.
#[derive(Clone, Debug)]
pub(crate) struct Scheduler {
    /// A name or an address; an IPv6 address in brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "df://{}:{}", self.host, self.port)
    }
}

impl Scheduler {
    fn parse(url: &str) -> Option<Self> {
        let parsed = Url::parse(url).ok().filter(|url| url.scheme() == "df")?;
        Some(Self { host: parsed.host_str().filter(|host| !host.is_empty())?.to_owned(), port: parsed.port()? })
    }
}

impl TryFrom<PreprocessArgs> for Preprocess {
    type Error = clap::Error;

    fn try_from(args: PreprocessArgs) -> Result<Self, clap::Error> {
        if let Some(share) = args.max_reject_share.filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(wrong_use(format!("--max-reject-share {share} is no share; give a number from 0 to 1")));
        }
        let (cluster, tasks_at_once) = match args.scheduler {
            Some(url) => {
                let scheduler = Scheduler::parse(&url)
                    .ok_or_else(|| wrong_use(format!("--scheduler {url} names no scheduler; give df://HOST:PORT")))?;
                (Cluster::Remote(scheduler), REMOTE_PARTITIONS)
            }
            None => {
                let cores = match args.cores {
                    Some(cores) => cores as usize,
                    None => std::thread::available_parallelism()
                        .map_err(|error| wrong_use(format!("cannot tell the number of cores, give --cores: {error}")))?
                        .get(),
                };
                let least = MEMORY_PER_CORE * cores;
                let memory = args.memory_limit.map_or(least.max(2048), |memory| memory as usize);
                if memory < least {
                    return Err(wrong_use(format!(
                        "--memory-limit {memory} is too little for {cores} cores; give at least {least}, or fewer --cores"
                    )));
                }
                (Cluster::Local { cores, memory: memory << 20, work_dir: args.work_dir }, cores)
            }
        };
        Ok(Self {
            store: StoreUrl::parse(&args.store).map_err(wrong_use)?,
            export: args.export,
            cluster,
            maturity: i64::from(args.label_maturity_days) * 86_400_000,
            max_reject_share: args.max_reject_share,
            max_line_bytes: args.max_line_bytes as usize,
            keep_history: args.keep_history,
            partitions: args.partitions.map_or(tasks_at_once, |partitions| partitions as usize),
            json: args.json,
        })
    }
}

/// A Ballista scheduler that knows Prowl's plans.
#[derive(Debug, Parser)]
#[command(
    name = "prowl-scheduler",
    version,
    about = "A Ballista scheduler that knows Prowl's plans",
    mut_arg("bind_host", |arg| arg.value_parser(ip_address))
)]
pub struct SchedulerArgs {
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
    mut_arg("bind_health_port", |arg| arg.default_value("50063")),
    mut_arg("scheduler_connect_timeout_seconds", |arg| {
        arg.default_value("60").help("Seconds to wait at the start for a scheduler that does not answer yet")
    })
)]
pub struct ExecutorArgs {
    #[command(flatten)]
    pub(crate) ballista: ballista_executor::config::Config,
}

/// Ballista takes any text, and fails on a name once it has started.
fn ip_address(host: &str) -> Result<String, String> {
    match format!("{host}:0").parse::<SocketAddr>() {
        Ok(_) => Ok(host.to_owned()),
        Err(_) => Err("an IP address is needed, such as 127.0.0.1, 0.0.0.0 or [::1]".to_owned()),
    }
}
