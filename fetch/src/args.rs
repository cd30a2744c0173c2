//! What the user typed, and the validated configuration that it becomes, once.

mod collection;
mod common;
mod sources;
mod values;
mod visit;

use clap::{Parser, Subcommand};
use prowl_platform::{StoreUrl, arguments::wrong_use};

pub use self::common::{Collection, Destination, Keep};
use self::{
    collection::{ExportArgs, ImportArgs},
    common::DestinationArgs,
    sources::{EventsArgs, GitArgs, Output, SynthArgs},
    visit::GithubArgs,
};
use crate::{events, export, git, github, import, metrics, synth};

/// Collects pull requests, into MongoDB or straight into an export below the store.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Environment: PROWL_STORE, PROWL_LOG=debug for more words, PROWL_LOG_FORMAT=text|json; secrets from Vault \
                      (VAULT_ADDR) or from GITHUB_TOKEN, GITHUB_APP_ID, GITHUB_APP_KEY, MONGO_URI, LOGIN_HASH_KEY and those of \
                      S3.\n\nExit codes: 0 done, 1 failed, 2 wrong use."
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

/// The commands: sources of pull requests, and the two ways between a collection and an export.
#[derive(Debug, Subcommand)]
enum Command {
    /// Bring the collection up to date with GitHub: only what changed since the last run
    #[command(
        after_help = "The first run reads everything, newest first; a later one reads what changed since. Stopped or \
                      killed at any moment, the next run goes on where it was. The token is the secret github_token, or \
                      a GitHub App's github_app_id and github_app_key.\n\nExamples:\n  \
                      prowl-fetch github --repo tokio-rs/tokio --dry-run\n  \
                      prowl-fetch github --org my-team --metrics-push http://pushgateway:9091\n  \
                      prowl-fetch github --repos-file repos.txt --api-url https://git.example.com/api/v3"
    )]
    Github(GithubArgs),
    /// Read the merged pull requests of a repository from the history of a clone
    #[command(
        after_help = "Needs the `git` program and no network. Finds squash commits whose subject ends in ` (#123)`, and merge \
                      commits named `Merge pull request #123 from owner/branch`, `Merge owner/name#123: title` or \
                      `Merge #123: title`, on the first-parent history of the branch.\n\n\
                      Git knows names and GitHub logins: the login is read off GitHub's own noreply addresses, also for \
                      commits with another address under the same name. An author without any keeps the name in place of \
                      the login, and looks new to a model that is asked about GitHub's documents.\n\n\
                      A squash commit tells no time of opening: its hour and weekday are those of the merge. Of a \
                      merge commit it is the time of the first commit on its branch.\n\nExamples:\n  \
                      prowl-fetch git --path ~/src/tokio --repo tokio-rs/tokio --store file://$PWD/store\n  \
                      prowl-fetch git --path ~/src/tokio --repo tokio-rs/tokio --mongo mongodb://localhost"
    )]
    Git(GitArgs),
    /// Generate realistic pull requests with a few planted oddities; the same seed gives the same bytes
    #[command(after_help = "Examples:\n  prowl-fetch synth --count 5000 --seed 7 --store file://$PWD/store\n  \
                            prowl-fetch synth --count 1000000 --seed 1 --repositories 200 --store file:///data/store")]
    Synth(SynthArgs),
    /// Read payloads of GitHub's `pull_request` webhook from files
    #[command(
        after_help = "A payload a line, or a delivery that holds one; plain, gzip or zstd. Events of other kinds are passed \
                      over. No payload has the files of its pull request: they stay unknown.\n\nExamples:\n  \
                      prowl-fetch webhook deliveries/ --store file://$PWD/store\n  \
                      cat payloads.ndjson | prowl-fetch webhook - --mongo mongodb://localhost"
    )]
    Webhook(EventsArgs),
    /// Read hours of GH Archive from files: public history without a token
    #[command(
        after_help = "An hour of https://www.gharchive.org holds the events of all public repositories: name yours by --repo \
                      or --org. From 2015 to October 2025 an event has all of its pull request but the files; later ones say \
                      little more than that it was opened.\n\nExamples:\n  \
                      prowl-fetch gharchive hours/2024-03-*.json.gz --org my-team --mongo mongodb://localhost\n  \
                      prowl-fetch gharchive hours/ --repo tokio-rs/tokio --store file://$PWD/store"
    )]
    Gharchive(EventsArgs),
    /// Publish the collection as an export below the store, as `mongoexport` would write it
    #[command(
        after_help = "The export is a snapshot: each pull request once, in the version of one moment of the server where \
                      it has snapshots.\n\nExamples:\n  \
                      prowl-fetch export --store file:///data/prowl\n  \
                      prowl-fetch export --store s3://prowl/prod --since 2026-11-01 --compression zst\n  \
                      prowl-fetch export --store file:///data/prowl --query '{\"state\": \"closed\"}'"
    )]
    Export(ExportArgs),
    /// Load exports into the collection; a newer version that is there stays
    #[command(
        after_help = "Takes published exports by name (`latest` is the newest of the store), and files and folders of \
                      extended JSON such as mongoexport's, plain, gzip or zstd.\n\nExamples:\n  \
                      prowl-fetch import latest --store s3://prowl/prod --mongo mongodb://localhost\n  \
                      prowl-fetch import dump.ndjson.gz more/ --mongo mongodb://localhost"
    )]
    Import(ImportArgs),
}

/// Something that can be done.
#[derive(Debug)]
pub struct Config {
    /// Its name on the command line.
    pub command: &'static str,
    /// Whether to print the summary as JSON.
    pub json: bool,
    /// Where figures of the run go.
    pub metrics: metrics::Target,
    /// What is to be done.
    pub task: Task,
}

/// What is to be done.
#[derive(Debug)]
pub enum Task {
    /// Bring a collection up to date with GitHub.
    Github {
        /// What to collect.
        config: github::Config,
        /// Whether it is only to say what it would cost.
        dry_run: bool,
        /// What is kept.
        keep: Keep,
        /// Where it goes.
        collection: Collection,
    },
    /// Read a source from its beginning to its end.
    Read {
        /// Where the documents come from.
        source: Source,
        /// What of them is kept.
        keep: Keep,
        /// Where they go.
        to: Destination,
    },
    /// Publish a collection.
    Export {
        /// What of it, and how.
        config: export::Config,
        /// The collection.
        collection: Collection,
        /// Where it is published.
        store: StoreUrl,
    },
    /// Load exports into a collection.
    Import {
        /// Which exports.
        config: import::Config,
        /// The collection.
        collection: Collection,
        /// Where those are published that are given by name.
        store: Option<StoreUrl>,
    },
}

/// A source that is read from its beginning to its end.
#[derive(Debug)]
pub enum Source {
    /// A clone.
    Git(git::Config),
    /// The generator.
    Synth(synth::Config),
    /// Payloads of a webhook.
    Webhook(events::Config),
    /// Hours of GH Archive.
    GhArchive(events::Config),
}

impl TryFrom<Args> for Config {
    type Error = clap::Error;

    fn try_from(Args { command }: Args) -> Result<Self, clap::Error> {
        let store = |url: String| StoreUrl::parse(&url).map_err(wrong_use);
        let read = |source, Output { to, keep, common }| {
            Ok::<_, clap::Error>((common, Task::Read { source, keep, to: DestinationArgs::try_into(to)? }))
        };
        let (command, (common, task)) = match command {
            Command::Github(args) => {
                let (common, keep, dry_run) = (args.common.clone(), args.keep, args.dry_run);
                let collection = args.collection.clone().waiting(args.waiting);
                ("github", (common, Task::Github { config: args.config()?, dry_run, keep, collection }))
            }
            Command::Git(args) => {
                let output = args.output.clone();
                ("git", read(Source::Git(args.into()), output)?)
            }
            Command::Synth(args) => {
                let output = args.output.clone();
                ("synth", read(Source::Synth(args.try_into()?), output)?)
            }
            Command::Webhook(args) => {
                let output = args.output.clone();
                ("webhook", read(Source::Webhook(args.into()), output)?)
            }
            Command::Gharchive(args) => {
                let output = args.output.clone();
                ("gharchive", read(Source::GhArchive(args.into()), output)?)
            }
            Command::Export(args) => {
                let (common, collection) = (args.common.clone(), args.collection.clone().once());
                let store = store(args.store.clone())?;
                ("export", (common, Task::Export { config: args.into(), collection, store }))
            }
            Command::Import(args) => {
                let (common, collection) = (args.common.clone(), args.collection.clone().waiting(args.waiting));
                let store = args.store.clone().map(store).transpose()?;
                ("import", (common, Task::Import { config: args.into(), collection, store }))
            }
        };
        let json = common.json;
        // What only looks has brought nothing up to date.
        let looks = matches!(task, Task::Github { dry_run: true, .. });
        let metrics = if looks { metrics::Target::default() } else { common.into() };
        Ok(Self { command, json, metrics, task })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> Result<Config, clap::Error> {
        let arguments = ["prowl-fetch"].iter().chain(arguments);
        Args::try_parse_from(arguments).and_then(Config::try_from)
    }

    #[test]
    fn the_arguments_are_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn documents_go_to_one_place() {
        let git = ["git", "--path", ".", "--repo", "o/r"];
        let to = |arguments: &[&str]| match config(&[&git, arguments].concat()).unwrap().task {
            Task::Read { to, .. } => to,
            task => panic!("{task:?}"),
        };
        assert!(matches!(to(&["--store", "file:///s"]), Destination::Store { .. }));
        assert!(matches!(to(&["--mongo"]), Destination::Mongo(_)));
        assert!(matches!(to(&["--mongo", "mongodb://localhost/x"]), Destination::Mongo(_)));
        let both = config(&[&git[..], &["--store", "file:///s", "--mongo"]].concat()).unwrap_err().to_string();
        assert!(both.contains("one of them"), "{both}");
        assert!(config(&git).unwrap_err().to_string().contains("--store URL or --mongo"));
    }

    #[test]
    fn a_password_is_no_argument() {
        for command in [&["export", "--store", "file:///s"][..], &["github", "--repo", "o/r"], &["import", "latest"]] {
            let refused = config(&[command, &["--mongo", "mongodb://me:planted@localhost"]].concat()).unwrap_err();
            let refused = refused.to_string();
            assert!(refused.contains("MONGO_URI"), "{refused}");
            assert!(config(&[command, &["--mongo", "mongodb://me@localhost"]].concat()).is_ok());
        }
    }

    #[test]
    fn something_has_to_be_collected() {
        assert!(config(&["github"]).unwrap_err().to_string().contains("--repo"));
        let Task::Github { config, .. } = config(&["github", "--repo", "a/b", "c/d", "--org", "e"]).unwrap().task
        else {
            panic!("another task")
        };
        assert_eq!(config.targets.len(), 3);
    }
}
