//! The sources that are read once, from their beginning to their end.

use std::path::PathBuf;

use clap::Args as Group;
use prowl_platform::arguments::wrong_use;

use super::{
    common::{Common, DestinationArgs, Keep},
    values,
};
use crate::{events, git, synth};

/// What becomes of what a source gives.
#[derive(Debug, Clone, Group)]
pub(super) struct Output {
    /// Where to.
    #[command(flatten)]
    pub to: DestinationArgs,
    /// What is kept.
    #[command(flatten)]
    pub keep: Keep,
    /// What is told.
    #[command(flatten)]
    pub common: Common,
}

/// `prowl-fetch git`
#[derive(Debug, Group)]
pub(super) struct GitArgs {
    /// Folder of the clone
    #[arg(long, value_name = "CLONE")]
    pub path: PathBuf,
    /// The repository's name as GitHub spells it, upper and lower case too
    #[arg(long, value_name = "OWNER/NAME", value_parser = values::repository)]
    pub repo: String,
    /// Branch whose history is read [default: the remote's default branch, else the current one]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// Only pull requests merged on or after this day or moment (2024-05-01, 2024-05-01T12:00:00Z)
    #[arg(long, value_name = "DATE", value_parser = values::moment)]
    pub since: Option<jiff::Timestamp>,
    /// What becomes of it.
    #[command(flatten)]
    pub output: Output,
}

impl From<GitArgs> for git::Config {
    fn from(args: GitArgs) -> Self {
        Self { path: args.path, repository: args.repo, branch: args.branch, since: args.since }
    }
}

/// `prowl-fetch synth`
#[derive(Debug, Group)]
pub(super) struct SynthArgs {
    /// Number of pull requests; about 2% appear in an older version, too
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub count: u64,
    /// The same seed gives the same documents
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Number of repositories [default: one for 600 pull requests, at least 3, at most 200]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub repositories: Option<u32>,
    /// Number of regular authors [default: one for 45 pull requests, at least 6 a repository, at most 20000]
    #[arg(long, value_name = "A", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub authors: Option<u32>,
    /// Number of planted oddities, listed in planted.json [default: one for 200 pull requests, at least 5 from 100 on]
    #[arg(long, value_name = "K")]
    pub oddities: Option<u64>,
    /// What becomes of it.
    #[command(flatten)]
    pub output: Output,
}

impl TryFrom<SynthArgs> for synth::Config {
    type Error = clap::Error;

    fn try_from(args: SynthArgs) -> Result<Self, clap::Error> {
        let count = args.count;
        let repositories = args.repositories.map_or_else(|| (count / 600).clamp(3, 200) as usize, |r| r as usize);
        let enough =
            |repositories: usize| ((count / 45) as usize).clamp(6 * repositories, 20_000.max(6 * repositories));
        let authors = args.authors.map_or_else(|| enough(repositories), |a| a as usize);
        let mut config = Self { count, seed: args.seed, repositories, authors, oddities: 0 };
        let room = count - config.oddities_from();
        config.oddities = args.oddities.unwrap_or_else(|| (count / 200).max(5).min(count / 20));
        if config.oddities > room {
            let oddities = config.oddities;
            return Err(wrong_use(format!(
                "--oddities {oddities} does not fit: {count} pull requests have room for {room}"
            )));
        }
        if config.authors < repositories {
            return Err(wrong_use(format!(
                "--authors {authors} does not fit: {repositories} repositories need at least one each"
            )));
        }
        Ok(config)
    }
}

/// `prowl-fetch webhook` and `prowl-fetch gharchive`
#[derive(Debug, Group)]
pub(super) struct EventsArgs {
    /// Files, folders of such, or - for stdin
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Only pull requests of these repositories
    #[arg(long, value_name = "OWNER/NAME", num_args = 1.., value_parser = values::repository)]
    pub repo: Vec<String>,
    /// Only pull requests of all repositories of these owners
    #[arg(long, value_name = "OWNER", num_args = 1.., value_parser = values::owner)]
    pub org: Vec<String>,
    /// What becomes of it.
    #[command(flatten)]
    pub output: Output,
}

impl From<EventsArgs> for events::Config {
    fn from(args: EventsArgs) -> Self {
        Self { files: args.files, repositories: args.repo, owners: args.org }
    }
}
