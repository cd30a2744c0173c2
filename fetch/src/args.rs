//! What the user typed, and the validated configuration that it becomes.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand};
use prowl_platform::{StoreUrl, arguments::wrong_use};

use crate::{export::PartSize, git, synth};

/// Collects pull requests and publishes them as an export below the store.
#[derive(Debug, Parser)]
#[command(version, after_help = "Environment: PROWL_LOG=debug for more words, PROWL_LOG_FORMAT=text|json.")]
pub struct Args {
    /// Where from.
    #[command(subcommand)]
    pub source: Source,
}

/// The sources.
#[derive(Debug, Subcommand)]
pub enum Source {
    /// Read the merged pull requests of a repository from the history of a clone
    #[command(
        after_help = "Needs the `git` program and no network. Finds squash commits whose subject ends in ` (#123)`, and merge \
                      commits named `Merge pull request #123 from owner/branch`, `Merge owner/name#123: title` or \
                      `Merge #123: title`, on the first-parent history of the branch.\n\n\
                      Git knows names and GitHub logins: the login is read off GitHub's own noreply addresses, also for \
                      commits with another address under the same name. An author without any keeps the name in place of \
                      the login, and looks new to a model that is asked about GitHub's documents.\n\nExample:\n  \
                      prowl-fetch git --path ~/src/tokio --repo tokio-rs/tokio --store file://$PWD/store"
    )]
    Git(GitArgs),
    /// Generate realistic pull requests with a few planted oddities; the same seed gives the same bytes
    #[command(after_help = "Examples:\n  prowl-fetch synth --count 5000 --seed 7 --store file://$PWD/store\n  \
                            prowl-fetch synth --count 1000000 --seed 1 --repositories 200 --store file:///data/store")]
    Synth(SynthArgs),
}

/// What both sources take.
#[derive(Debug, Clone, Group)]
pub struct Output {
    /// Where to publish, as a URL such as `file:///absolute/directory` or `s3://bucket/prefix`
    #[arg(long, value_name = "URL", env = "PROWL_STORE")]
    pub store: String,
    /// Begin a new part file after this much JSON (64MiB) or this many documents (10000)
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = part_size)]
    pub part_size: PartSize,
    /// Print the summary as JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// `prowl-fetch git`
#[derive(Debug, Group)]
pub struct GitArgs {
    /// Folder of the clone
    #[arg(long, value_name = "CLONE")]
    pub path: PathBuf,
    /// The repository's name at GitHub
    #[arg(long, value_name = "OWNER/NAME", value_parser = repository)]
    pub repo: String,
    /// Branch whose history is read [default: the remote's default branch, else the current one]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// Only pull requests merged on or after this day or moment (2024-05-01, 2024-05-01T12:00:00Z)
    #[arg(long, value_name = "DATE", value_parser = since)]
    pub since: Option<jiff::Timestamp>,
    /// Where to.
    #[command(flatten)]
    pub output: Output,
}

/// `prowl-fetch synth`
#[derive(Debug, Group)]
pub struct SynthArgs {
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
    /// Where to.
    #[command(flatten)]
    pub output: Output,
}

/// An export that can be made.
#[derive(Debug)]
pub struct Config {
    /// Where it goes.
    pub store: StoreUrl,
    /// When its next part begins.
    pub part_size: PartSize,
    /// Whether to print the summary as JSON.
    pub json: bool,
    /// Where its documents come from.
    pub source: SourceConfig,
}

/// A source that can be read.
#[derive(Debug)]
pub enum SourceConfig {
    /// A clone.
    Git(git::Config),
    /// The generator.
    Synth(synth::Config),
}

impl TryFrom<Args> for Config {
    type Error = clap::Error;

    fn try_from(args: Args) -> Result<Self, clap::Error> {
        let (output, source) = match args.source {
            Source::Git(args) => (args.output.clone(), SourceConfig::Git(args.into())),
            Source::Synth(args) => (args.output.clone(), SourceConfig::Synth(args.try_into()?)),
        };
        Ok(Self {
            store: StoreUrl::parse(&output.store).map_err(wrong_use)?,
            part_size: output.part_size,
            json: output.json,
            source,
        })
    }
}

fn repository(text: &str) -> Result<String, String> {
    let part = |part: &str| {
        !matches!(part, "" | "." | "..") && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    match text.split_once('/') {
        Some((owner, name)) if part(owner) && part(name) => Ok(text.to_owned()),
        _ => Err("write it as owner/name, for example tokio-rs/tokio".to_owned()),
    }
}

fn since(text: &str) -> Result<jiff::Timestamp, String> {
    let moment = text.parse::<jiff::Timestamp>();
    moment
        .or_else(|_| format!("{text}T00:00:00Z").parse())
        .map_err(|_| "write 2024-05-01 or 2024-05-01T12:00:00Z".to_owned())
}

fn part_size(text: &str) -> Result<PartSize, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit.trim() {
        "" => None,
        "B" => Some(1),
        "kB" | "KB" => Some(1_000),
        "MB" => Some(1_000_000),
        "GB" => Some(1_000_000_000),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => return Err("write bytes with a unit (64MiB, 10MB), or a plain number of documents".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "begin with a whole number: 64MiB, or 10000 documents".to_owned())?;
    let size = scale.map_or(Some(number), |scale| number.checked_mul(scale));
    match (size, scale) {
        (None, _) => Err("that is more than any file holds".to_owned()),
        (Some(0), _) => Err("a part holds at least one document".to_owned()),
        (Some(size), None) => Ok(PartSize::Documents(size)),
        (Some(size), Some(_)) => Ok(PartSize::Bytes(size)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_part_is_measured_in_documents_or_bytes() {
        assert_eq!(part_size("10000"), Ok(PartSize::Documents(10_000)));
        assert_eq!(part_size("64MiB"), Ok(PartSize::Bytes(64 << 20)));
        assert_eq!(part_size("5 kB"), Ok(PartSize::Bytes(5_000)));
        for wrong in ["", "0", "0MB", "MB", "-1", "1TB", "99999999999GiB", "1.5MB"] {
            assert!(part_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_repository_has_an_owner_and_a_name() {
        assert!(repository("bitcoin-core/secp256k1").is_ok());
        for wrong in ["", "tokio", "/tokio", "tokio/", "a/b/c", "a b/c", "https://github.com/a/b", "../x"] {
            assert!(repository(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_day_is_its_first_moment_in_utc() {
        assert_eq!(since("2024-05-01"), since("2024-05-01T00:00:00Z"));
        assert_ne!(since("2024-05-01").unwrap(), since("2024-05-01T02:00:00+01:00").unwrap());
        for wrong in ["", "yesterday", "2024-13-01", "01.05.2024"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}
