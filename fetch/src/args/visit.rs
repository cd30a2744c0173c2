//! A visit to GitHub.

use std::{fmt::Display, io::Read, path::PathBuf, time::Duration};

use clap::Args as Group;
use prowl_platform::{
    arguments::{within, wrong_use},
    github::api_url,
};
use url::Url;

use super::{
    common::{CollectionArgs, Common, Keep, Waiting},
    values,
};
use crate::github::{Config, Target};

/// `prowl-fetch github`
#[derive(Debug, Group)]
pub(super) struct GithubArgs {
    /// What to collect.
    #[command(flatten)]
    pub targets: TargetArgs,
    /// The API: `https://api.github.com`, or `https://HOST/api/v3` of a GitHub Enterprise Server
    #[arg(long, value_name = "URL", default_value = "https://api.github.com", value_parser = api_url)]
    pub api_url: Url,
    /// Most requests at once; twice as many repositories are under way
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = within(1, 100))]
    pub concurrency: u64,
    /// How far behind its watermark a repository is read again
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = values::duration)]
    pub overlap: Duration,
    /// How long a repository is tried again while nothing of it comes; waiting for a limit's end does not count
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = values::duration)]
    pub patience: Duration,
    /// How long a repository stays taken by a collector that was killed; a living one renews it
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = values::lease)]
    pub lease: Duration,
    /// On the first visit of a repository, go back to this day or moment only (2024-05-01, 2024-05-01T12:00:00Z)
    #[arg(long, value_name = "DATE", value_parser = values::moment)]
    pub since: Option<jiff::Timestamp>,
    /// Give the collection a validator, which refuses what is no pull request; needs the role dbAdmin
    #[arg(long)]
    pub validator: bool,
    /// Only say what it would cost: nothing is written
    #[arg(long)]
    pub dry_run: bool,
    /// The collection.
    #[command(flatten)]
    pub collection: CollectionArgs,
    /// How long it is waited for.
    #[command(flatten)]
    pub waiting: Waiting,
    /// What is kept.
    #[command(flatten)]
    pub keep: Keep,
    /// What is told.
    #[command(flatten)]
    pub common: Common,
}

/// What to collect.
#[derive(Debug, Group)]
#[group(required = true, multiple = true)]
pub(super) struct TargetArgs {
    /// These repositories
    #[arg(long, value_name = "OWNER/NAME", num_args = 1.., value_parser = values::repository)]
    pub repo: Vec<String>,
    /// All repositories of these organisations or users that the token may see
    #[arg(long, value_name = "OWNER", num_args = 1.., value_parser = values::owner)]
    pub org: Vec<String>,
    /// Those in a file, or on stdin (-): an owner/name or an owner a line; # begins a comment
    #[arg(long, value_name = "FILE")]
    pub repos_file: Option<PathBuf>,
}

impl TargetArgs {
    fn read(self) -> Result<Vec<Target>, clap::Error> {
        let repositories = self.repo.into_iter().map(Target::Repository);
        let mut targets: Vec<Target> = repositories.chain(self.org.into_iter().map(Target::Owner)).collect();
        if let Some(path) = self.repos_file {
            let wrong = |why: &dyn Display| wrong_use(format!("--repos-file {}: {why}", path.display()));
            let text = if path.as_os_str() == "-" {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).map(|_| text)
            } else {
                std::fs::read_to_string(&path)
            };
            targets.extend(lines(&text.map_err(|error| wrong(&error))?).map_err(|why| wrong(&why))?);
        }
        if targets.is_empty() {
            return Err(wrong_use("--repos-file names no repository and no owner"));
        }
        Ok(targets)
    }
}

fn lines(text: &str) -> Result<Vec<Target>, String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty());
    lines
        .map(|(index, line)| {
            let target = if line.contains('/') {
                values::repository(line).map(Target::Repository)
            } else {
                values::owner(line).map(Target::Owner)
            };
            target.map_err(|why| format!("line {}, {line:?}: {why}", index + 1))
        })
        .collect()
}

impl GithubArgs {
    /// What to collect.
    pub(super) fn config(self) -> Result<Config, clap::Error> {
        Ok(Config {
            api: self.api_url,
            targets: self.targets.read()?,
            concurrency: self.concurrency as usize,
            overlap: self.overlap,
            patience: self.patience,
            lease: self.lease,
            since: self.since,
            validator: self.validator,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_repositories_and_owners() {
        let found = lines("# ours\n\n tokio-rs/tokio # the runtime\nhyperium\r\n").unwrap();
        assert!(
            matches!(&found[..], [Target::Repository(one), Target::Owner(all)] if one == "tokio-rs/tokio" && all == "hyperium"),
            "{found:?}"
        );
        assert!(lines("a/b\nhttps://github.com/a/b").unwrap_err().starts_with("line 2, \"https://github.com/a/b\": "));
        assert!(lines("# nothing\n").unwrap().is_empty());
    }
}
