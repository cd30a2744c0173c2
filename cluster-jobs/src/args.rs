//! What the user types, and the configuration it becomes.

mod daemons;

use std::fmt;
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};
use prowl_platform::{
    StoreUrl,
    arguments::{share, within, wrong_use},
};
use url::Url;

use crate::memory;

pub use daemons::{ExecutorArgs, SchedulerArgs};

/// Tasks for each core: repositories are of unlike size, so that with one task a core most would wait for the slowest.
const PARTITIONS_PER_CORE: usize = 4;

/// Tasks on a cluster, of which the client does not know the cores.
const REMOTE_PARTITIONS: usize = 8;

/// Bytes of an export that are worth a task: to hand one out takes as long as a core needs for them.
const BYTES_PER_PARTITION: u64 = 2 << 20;

/// The command line of `prowl-preprocess`: a run, or what there is to do with the runs of before.
#[derive(Debug, Parser)]
#[command(
    name = "prowl-preprocess",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    about = "Turns an export of pull requests into Parquet features, profiles and rejects",
    long_about = "Turns an export of pull requests into Parquet features, profiles and rejects. Column statistics of \
        the run are compared with those of the run before it.\n\n\
        Runs on Ballista: with --scheduler on that cluster, without it on a scheduler and an executor in this \
        process. The run is published below the store as features/<UTC time>/ once it is whole.",
    after_help = "Examples:\n  \
        prowl-preprocess --store file:///data/prowl --export latest\n  \
        prowl-preprocess --store file:///data/prowl --export dump.ndjson.gz more/*.json\n  \
        prowl-preprocess --store file:///mnt/shared/prowl --export latest --scheduler df://scheduler:50050\n  \
        prowl-preprocess --store file:///data/prowl --export latest --fail-on-drift 0.25\n  \
        prowl-preprocess inspect --store file:///data/prowl\n\n\
        Exit codes: 0 done, 1 failed, 2 wrong use."
)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    run: PreprocessArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(InspectArgs),
    Prune(PruneArgs),
}

/// What `prowl-preprocess` was asked to do, checked.
#[derive(Debug)]
pub enum Ask {
    /// To make a run.
    Run(Box<Preprocess>),
    /// To show one.
    Inspect(Inspect),
    /// To take old ones away.
    Prune(Prune),
}

impl TryFrom<CommandLine> for Ask {
    type Error = clap::Error;

    fn try_from(CommandLine { command, run }: CommandLine) -> Result<Self, clap::Error> {
        Ok(match command {
            None => Self::Run(Box::new(run.try_into()?)),
            Some(Command::Inspect(args)) => Self::Inspect(args.try_into()?),
            Some(Command::Prune(args)) => Self::Prune(args.try_into()?),
        })
    }
}

/// Shows a published run: counts, rejects, what each column holds, and how far that is from an earlier run
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    prowl-preprocess inspect --store file:///data/prowl\n  \
    prowl-preprocess inspect --store file:///data/prowl 20261124T214500Z --against 20261117T214500Z\n  \
    prowl-preprocess inspect --store file:///data/prowl --json | jq '.statistics.columns[] | {name, missing}'")]
struct InspectArgs {
    /// URL below which the runs are
    #[arg(long, env = "PROWL_STORE", value_name = "URL")]
    store: String,

    /// Name of the run
    #[arg(default_value = "latest", value_name = "latest|RUN")]
    run: String,

    /// Compare with this run instead of the one before
    #[arg(long, value_name = "RUN")]
    against: Option<String>,

    /// Print everything as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// Which run to show.
#[derive(Debug)]
pub struct Inspect {
    pub(crate) store: StoreUrl,
    pub(crate) run: String,
    pub(crate) against: Option<String>,
    /// Whether it is wanted as JSON.
    pub json: bool,
}

impl TryFrom<InspectArgs> for Inspect {
    type Error = clap::Error;

    fn try_from(InspectArgs { store, run, against, json }: InspectArgs) -> Result<Self, clap::Error> {
        Ok(Self { store: StoreUrl::parse(&store).map_err(wrong_use)?, run, against, json })
    }
}

/// Removes all but the newest runs, and what programs that died have left of theirs in the store
///
/// A run from which a model of the store was made stays. An unfinished one goes when nothing was written into it for a day.
/// Shuffle files of a process that was killed are not in the store: the next one with the same work folder removes them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    prowl-preprocess prune --store file:///data/prowl --keep 5 --dry-run\n  \
    prowl-preprocess prune --store file:///data/prowl --keep 5")]
struct PruneArgs {
    /// URL below which the runs are
    #[arg(long, env = "PROWL_STORE", value_name = "URL")]
    store: String,

    /// How many of the newest runs stay
    #[arg(long, value_name = "N", value_parser = within(1, 1 << 30))]
    keep: u64,

    /// Only say what would go
    #[arg(long)]
    dry_run: bool,

    /// Print what went as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// Which runs to take away.
#[derive(Debug)]
pub struct Prune {
    pub(crate) store: StoreUrl,
    pub(crate) keep: usize,
    pub(crate) dry_run: bool,
    /// Whether what went is wanted as JSON.
    pub json: bool,
}

impl TryFrom<PruneArgs> for Prune {
    type Error = clap::Error;

    fn try_from(PruneArgs { store, keep, dry_run, json }: PruneArgs) -> Result<Self, clap::Error> {
        Ok(Self { store: StoreUrl::parse(&store).map_err(wrong_use)?, keep: keep as usize, dry_run, json })
    }
}

/// How to make a run. What is required here is not where a subcommand is given.
#[derive(Debug, Args)]
pub(crate) struct PreprocessArgs {
    /// URL below which exports are and features go, such as `file:///absolute/directory` or `s3://bucket/prefix`
    #[arg(long, env = "PROWL_STORE", value_name = "URL", required = true)]
    store: Option<String>,

    /// `latest`, the name of an export in the store, or files and folders as `mongoexport` writes them
    #[arg(long, required = true, num_args = 1.., value_name = "latest|NAME|PATH")]
    export: Vec<String>,

    /// Scheduler to run on; without it everything runs in this process
    #[arg(long, value_name = "df://HOST:PORT", env = "PROWL_SCHEDULER")]
    scheduler: Option<String>,

    /// Days after its merge from which a pull request counts as not taken back
    ///
    /// It is as late as the newest time in its document says and in those with higher numbers of its repository; a time after
    /// the start of the run says nothing.
    #[arg(long, default_value_t = 30, value_name = "DAYS")]
    label_maturity_days: u32,

    /// CSV of pull requests that were taken back, for what the documents do not tell
    ///
    /// It has the columns `repo`, `number`, and `reverted_at` (a time such as 2024-01-31T12:00:00Z) or `reverted_after_days` (days since
    /// the merge). Where a document says so too, the earlier time counts.
    #[arg(long, value_name = "FILE")]
    reverts: Option<PathBuf>,

    /// Fail when more than this share of the lines cannot be used, such as 0.05 or 5%
    #[arg(long, default_value = "1%", value_name = "SHARE", value_parser = share)]
    max_reject_share: f64,

    /// Fail when a column is farther than this from the run before, by its population stability index
    ///
    /// Usual is 0.25: beyond it, what was learned from that run may not hold for this one. The run before is the newest of
    /// the store with the same features; where there is none, nothing is compared.
    #[arg(long, value_name = "PSI")]
    fail_on_drift: Option<f64>,

    /// Longest line, or element of an array, that is read, such as 64MiB or 65536 (bytes); a longer one is rejected
    #[arg(long, default_value = "64MiB", value_name = "SIZE", value_parser = line_bytes)]
    max_line_bytes: u64,

    /// Keep with each row the history that it was computed from, as JSON in a column `history`
    #[arg(long)]
    keep_history: bool,

    /// Make no run where the store has one of the same export, made on the same terms, for runs by a clock
    ///
    /// The export is one of the store; where there is none yet, that is no failure. The same terms are the same features, list
    /// of reverts, days and lengths.
    #[arg(long)]
    if_new: bool,

    /// Tasks that each stage of the work is split into [default: four a core, or 8 with --scheduler, and fewer for a
    /// small export]
    ///
    /// Two or three for each core of a cluster even out repositories of unlike size. Each costs a twentieth of a second;
    /// beyond 32 there is nothing to split.
    #[arg(long, value_name = "N", value_parser = within(1, 65_536))]
    partitions: Option<u64>,

    /// Cores to use in this process [default: all]
    #[arg(long, value_name = "N", conflicts_with = "scheduler", value_parser = within(1, 4096))]
    cores: Option<u64>,

    /// Memory that this process is to keep within, such as 4GiB or 4096 (MiB); rows that do not fit spill to disk [default: 2GiB, or what
    /// its cores need if that is more: 256MiB, and 128MiB a core]
    #[arg(long, value_name = "SIZE", conflicts_with = "scheduler", value_parser = memory::parse)]
    memory_limit: Option<u64>,

    /// Folder for shuffle files and spills of this process [default: a temporary one]
    #[arg(long, value_name = "DIR", conflicts_with = "scheduler")]
    work_dir: Option<PathBuf>,

    /// Print the result as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// How to make a run, checked.
#[derive(Debug)]
pub struct Preprocess {
    pub(crate) store: StoreUrl,
    pub(crate) export: Vec<String>,
    pub(crate) cluster: Cluster,
    /// Days after its merge from which a pull request counts as not taken back.
    pub(crate) label_maturity_days: u32,
    /// List of pull requests that were taken back.
    pub(crate) reverts: Option<PathBuf>,
    /// The share of lines that may be unusable.
    pub(crate) max_reject_share: f64,
    /// The population stability index that no column may exceed.
    pub(crate) fail_on_drift: Option<f64>,
    pub(crate) max_line_bytes: usize,
    pub(crate) keep_history: bool,
    /// Whether a run that is there already is enough.
    pub(crate) if_new: bool,
    /// Tasks of a stage, where they were asked for.
    partitions: Option<usize>,
    /// Whether the result is wanted as JSON.
    pub json: bool,
}

impl Preprocess {
    /// Tasks of a stage, for an export of so many bytes.
    pub(crate) fn partitions(&self, bytes: u64) -> usize {
        let most = match self.cluster {
            Cluster::Remote(_) => REMOTE_PARTITIONS,
            Cluster::Local { cores, .. } => PARTITIONS_PER_CORE * cores,
        };
        self.partitions.unwrap_or_else(|| most.min(bytes.div_ceil(BYTES_PER_PARTITION).max(1) as usize))
    }
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
        /// Bytes that the process may take.
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

/// A length as users write it: `64MiB`, or a number of bytes.
fn line_bytes(text: &str) -> Result<u64, String> {
    let bytes = text.parse().ok().map(|size: ByteSize| size.as_u64());
    bytes.filter(|bytes| (1..=1 << 31).contains(bytes)).ok_or_else(|| "write a size from 1 byte to 2GiB".to_owned())
}

impl TryFrom<PreprocessArgs> for Preprocess {
    type Error = clap::Error;

    fn try_from(args: PreprocessArgs) -> Result<Self, clap::Error> {
        if let Some(most) = args.fail_on_drift.filter(|most| !(0.0..f64::INFINITY).contains(most)) {
            return Err(wrong_use(format!("--fail-on-drift {most} is no bound: give a number from 0, such as 0.25")));
        }
        let store = args.store.ok_or_else(|| wrong_use("no store is named: give --store URL"))?;
        let cluster = match args.scheduler {
            Some(url) => {
                let scheduler = Scheduler::parse(&url)
                    .ok_or_else(|| wrong_use(format!("--scheduler {url} names no scheduler: give df://HOST:PORT")))?;
                Cluster::Remote(scheduler)
            }
            None => {
                let cores = match args.cores {
                    Some(cores) => cores as usize,
                    None => std::thread::available_parallelism()
                        .map_err(|error| wrong_use(format!("cannot tell the number of cores: {error}; give --cores")))?
                        .get(),
                };
                let memory = memory::limit(args.memory_limit, cores, "--cores").map_err(wrong_use)?;
                Cluster::Local { cores, memory, work_dir: args.work_dir }
            }
        };
        Ok(Self {
            store: StoreUrl::parse(&store).map_err(wrong_use)?,
            export: args.export,
            cluster,
            label_maturity_days: args.label_maturity_days,
            reverts: args.reverts,
            max_reject_share: args.max_reject_share,
            fail_on_drift: args.fail_on_drift,
            max_line_bytes: args.max_line_bytes as usize,
            keep_history: args.keep_history,
            if_new: args.if_new,
            partitions: args.partitions.map(|partitions| partitions as usize),
            json: args.json,
        })
    }
}
