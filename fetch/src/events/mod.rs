//! Pull requests from events that GitHub has sent, as files: payloads of webhooks, and hours of GH Archive. No token is
//! needed, and nothing is asked of GitHub.
//!
//! ```text
//! files, stdin ──> input ──> reader ──batches of lines──> webhook | archive ──> rest ──> Outlet
//!                  unpacks   in a thread of its own       what a line says      its document
//! ```
//!
//! Each event is a version of its pull request as it was then; the newest one wins wherever they are read. What an event
//! does not hold stays unknown, above all the files: no event has them.

mod archive;
mod input;
mod reader;
mod rest;
mod tally;
mod webhook;

use std::{collections::HashSet, path::PathBuf};

use prowl_platform::Input;
use serde_json::json;

use self::{reader::Reader, rest::Unusable, tally::Tally};
use crate::{
    Error,
    document::Document,
    outlet::{Origin, Outlet},
    progress,
};

/// What to read.
#[derive(Debug, Default)]
pub struct Config {
    /// Files, folders of files, or `-` for standard input; plain, gzip or zstd.
    pub files: Vec<PathBuf>,
    /// Repositories to take, `owner/name`; with `owners` none, all are taken.
    pub repositories: Vec<String>,
    /// Owners whose repositories are taken.
    pub owners: Vec<String>,
}

/// A kind of event files.
struct Format {
    /// As the manifest names it.
    name: &'static str,
    /// What was looked for, for who finds none of it.
    wanted: &'static str,
    tell: fn(&[u8]) -> Told,
}

/// What a line says.
enum Told {
    PullRequest(Box<Document>),
    /// An event of another kind.
    Other,
    /// One of a pull request, of which it says too little.
    Incomplete,
    /// Nothing that is understood, and why.
    Malformed(String),
}

impl From<Result<Document, Unusable>> for Told {
    fn from(document: Result<Document, Unusable>) -> Self {
        match document {
            Ok(document) => Self::PullRequest(Box::new(document)),
            Err(Unusable::Incomplete) => Self::Incomplete,
            Err(Unusable::Malformed(reason)) => Self::Malformed(reason),
        }
    }
}

impl From<serde_json::Error> for Told {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Reads payloads of GitHub's `pull_request` webhooks, one a line, and puts a document for each.
///
/// # Errors
/// A file cannot be read, holds no pull request, or too many lines are malformed.
pub(crate) fn webhook(config: &Config, outlet: &mut Outlet) -> Result<Origin, Error> {
    read(&webhook::FORMAT, config, outlet)
}

/// Reads hours of GH Archive (<https://www.gharchive.org>), and puts a document for each event of a pull request.
///
/// # Errors
/// A file cannot be read, holds no pull request, or too many lines are malformed.
pub(crate) fn gharchive(config: &Config, outlet: &mut Outlet) -> Result<Origin, Error> {
    read(&archive::FORMAT, config, outlet)
}

fn read(format: &Format, config: &Config, outlet: &mut Outlet) -> Result<Origin, Error> {
    let inputs = input::find(&config.files)?;
    let name = match &inputs[..] {
        [input] => input.name(),
        inputs => format!("{} files", inputs.len()),
    };
    let filter = Filter::of(config);
    let mut tally = Tally::default();
    let spinner = progress::spinner("reading events");
    let reader = Reader::start(inputs);
    while let Some(batch) = reader.next(|| outlet.check())? {
        for (number, line) in batch.lines() {
            let mut malformed = |reason: &str| {
                if let Some(told) = tally.malformed.add(&batch.file, number, reason) {
                    spinner.suspend(|| tracing::warn!("{told}"));
                }
            };
            match line.map(format.tell) {
                None => malformed(&format!("longer than {} MiB", reader::LONGEST_LINE >> 20)),
                Some(Told::Malformed(reason)) => malformed(&reason),
                Some(Told::Other) => tally.other += 1,
                Some(Told::Incomplete) => tally.incomplete += 1,
                Some(Told::PullRequest(document)) if !filter.takes(&document) => tally.filtered += 1,
                Some(Told::PullRequest(document)) => {
                    outlet.put(*document)?;
                    tally.taken += 1;
                }
            }
        }
        spinner.set_message(format!("reading events of {}: {} pull requests", batch.file, tally.taken));
        outlet.check()?;
    }
    let digest = reader.end()?;
    spinner.finish_and_clear();
    tally.judge(format, &name)?;
    Ok(Origin {
        input: Input { kind: format.name.to_owned(), name, digest: Some(digest) },
        details: json!({
            "source": format.name,
            "repositories": config.repositories,
            "owners": config.owners,
        }),
        counts: tally.counts(),
        side_file: None,
        notes: tally.notes(),
    })
}

/// Which documents are taken.
struct Filter {
    /// In lower case, as GitHub compares names.
    repositories: HashSet<String>,
    owners: HashSet<String>,
}

impl Filter {
    fn of(config: &Config) -> Self {
        let lower = |names: &[String]| names.iter().map(|name| name.to_lowercase()).collect();
        Self { repositories: lower(&config.repositories), owners: lower(&config.owners) }
    }

    fn takes(&self, document: &Document) -> bool {
        if self.repositories.is_empty() && self.owners.is_empty() {
            return true;
        }
        let name = document.base.repo.full_name.to_lowercase();
        let owner = name.split('/').next().unwrap_or_default();
        self.owners.contains(owner) || self.repositories.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(repository: &str) -> Document {
        let payload = json!({"action": "opened", "pull_request": {
            "number": 1, "created_at": "2024-05-01T00:00:00Z", "base": {"repo": {"full_name": repository}},
        }});
        match (webhook::FORMAT.tell)(payload.to_string().as_bytes()) {
            Told::PullRequest(document) => *document,
            _ => panic!("{payload} is a pull request"),
        }
    }

    #[test]
    fn the_filter_takes_repositories_and_owners() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let takes = |config: &Config, repository| Filter::of(config).takes(&document(repository));
        assert!(takes(&Config::default(), "a/b"));
        let some = Config { repositories: names(&["A/b"]), owners: names(&["Tide"]), ..Config::default() };
        assert_eq!(["a/B", "tide/x", "a/bc", "tides/x"].map(|name| takes(&some, name)), [true, true, false, false]);
    }
}
