//! What the user types, and the configuration it becomes.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Parser;

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
    /// URL below which exports are and features go, such as `file:///absolute/directory`
    #[arg(long, env = "PROWL_STORE", value_name = "URL")]
    store: String,

    /// `latest`, the name of an export in the store, or files and folders as `mongoexport` writes them
    #[arg(long, required = true, num_args = 1.., value_name = "latest|NAME|PATH")]
    export: Vec<String>,

    /// Scheduler to run on; without it everything runs in this process
    #[arg(long, value_name = "df://HOST:PORT", env = "PROWL_SCHEDULER")]
    scheduler: Option<String>,

    /// Days after its merge from which a pull request counts as not taken back
    #[arg(long, default_value_t = 30, value_name = "DAYS")]
    label_maturity_days: u32,

    /// Fail when more than this share of the lines, and at least 20 of them, cannot be used
    #[arg(long, default_value_t = 0.01, value_name = "SHARE")]
    max_reject_share: f64,

    /// Longest line that is read; a longer one is rejected
    #[arg(long, default_value_t = 64 << 20, value_name = "BYTES")]
    max_line_bytes: usize,

    /// Keep with each row the history that it was computed from, as JSON in a column `history`
    #[arg(long)]
    keep_history: bool,

    /// Tasks that the work is split into after the exchange
    #[arg(long, default_value_t = 8, value_name = "N")]
    partitions: usize,

    /// Cores to use in this process [default: all]
    #[arg(long, value_name = "N")]
    cores: Option<usize>,

    /// Memory for sorting in this process, in MiB; beyond it rows spill to disk
    #[arg(long, default_value_t = 2048, value_name = "MIB")]
    memory_limit: usize,

    /// Folder for shuffle files and spills of this process [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,

    /// Print the result as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What `prowl-preprocess` was asked to do, checked.
#[derive(Debug)]
pub struct Preprocess {
    pub(crate) store: String,
    pub(crate) export: Vec<String>,
    pub(crate) cluster: Cluster,
    /// In milliseconds.
    pub(crate) maturity: i64,
    pub(crate) max_reject_share: f64,
    pub(crate) max_line_bytes: usize,
    pub(crate) keep_history: bool,
    pub(crate) partitions: usize,
    /// Whether the result is wanted as JSON.
    pub json: bool,
}

/// Where the job runs.
#[derive(Debug)]
pub enum Cluster {
    /// On a scheduler at this URL.
    Remote(String),
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

impl TryFrom<PreprocessArgs> for Preprocess {
    type Error = anyhow::Error;

    fn try_from(args: PreprocessArgs) -> anyhow::Result<Self> {
        if !(0.0..=1.0).contains(&args.max_reject_share) {
            bail!("--max-reject-share {} is no share; give a number from 0 to 1", args.max_reject_share);
        }
        if args.partitions == 0 || args.cores == Some(0) || args.memory_limit == 0 || args.max_line_bytes == 0 {
            bail!("--partitions, --cores, --memory-limit and --max-line-bytes start at 1");
        }
        let cluster = match args.scheduler {
            Some(scheduler) => Cluster::Remote(scheduler),
            None => Cluster::Local {
                cores: match args.cores {
                    Some(cores) => cores,
                    None => std::thread::available_parallelism()
                        .context("cannot tell the number of cores; give --cores")?
                        .get(),
                },
                memory: args.memory_limit << 20,
                work_dir: args.work_dir,
            },
        };
        Ok(Self {
            store: args.store,
            export: args.export,
            cluster,
            maturity: i64::from(args.label_maturity_days) * 86_400_000,
            max_reject_share: args.max_reject_share,
            max_line_bytes: args.max_line_bytes,
            keep_history: args.keep_history,
            partitions: args.partitions,
            json: args.json,
        })
    }
}

/// A Ballista scheduler that knows Prowl's plans.
#[derive(Debug, Parser)]
#[command(name = "prowl-scheduler", version, about = "A Ballista scheduler that knows Prowl's plans")]
pub struct SchedulerArgs {
    #[command(flatten)]
    pub(crate) ballista: ballista_scheduler::config::Config,
}

/// A Ballista executor that knows Prowl's plans.
#[derive(Debug, Parser)]
#[command(name = "prowl-executor", version, about = "A Ballista executor that knows Prowl's plans")]
pub struct ExecutorArgs {
    #[command(flatten)]
    pub(crate) ballista: ballista_executor::config::Config,
}
