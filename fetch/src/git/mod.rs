//! The merged pull requests of a repository, as far as the history of a clone tells.
//!
//! Two readings: the first finds the commits that stand for pull requests and what later commits take back
//! (`main_line`), and at the same time what was on the merged branches (`graph`); the second (`changes`) reads the file
//! changes of just these commits, oldest first, one document each, on all cores (`slices`).

mod author;
mod changes;
mod command;
mod graph;
mod id;
mod main_line;
mod message;
mod slices;

use std::{collections::BTreeMap, path::PathBuf, thread};

use jiff::Timestamp;
use prowl_platform::Input;
use serde_json::json;

use self::{
    command::Git,
    graph::Graph,
    main_line::{MainLine, Merge},
};
use crate::{
    Error,
    outlet::{Origin, Outlet},
    progress,
};

/// What to read.
#[derive(Debug)]
pub struct Config {
    /// Folder of the clone.
    pub path: PathBuf,
    /// `owner/name`
    pub repository: String,
    /// Branch whose history is read; the remote's default branch unless named.
    pub branch: Option<String>,
    /// Only pull requests merged from then on.
    pub since: Option<Timestamp>,
}

/// Where the history begins that is read.
struct Head {
    /// A branch without its remote, or what else leads to a commit.
    name: String,
    is_branch: bool,
    commit: String,
}

/// Reads the clone and puts one document for each merged pull request, by the time of their merge.
///
/// # Errors
/// `git` is missing, the path is no repository, the branch is unknown or empty, there is no pull request, or `git`
/// fails half-way.
pub(crate) fn read(config: &Config, outlet: &mut Outlet) -> Result<Origin, Error> {
    let git = Git::new(&config.path);
    let head = find_head(&git, config)?;
    let mut notes = Vec::new();
    let shallow = git.ask("rev-parse", &["--is-shallow-repository"])?.is_some_and(|answer| answer == "true");
    if shallow {
        notes.push("the clone is shallow: pull requests at its edge and before are missing".to_owned());
    }

    let spinner = progress::spinner("reading the history");
    let taking: &Outlet = outlet;
    let (line, graph) = thread::scope(|scope| {
        let graph = scope.spawn(|| Graph::read(&git, &head.commit, taking));
        let line = MainLine::read(&git, &head.commit, &config.repository, taking);
        (line, graph.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let (mut line, graph) = (line?, graph?);
    if shallow {
        line.cut_edge();
    }
    spinner.finish_and_clear();

    let since = config.since.map_or(i64::MIN, Timestamp::as_second);
    let mut merges: Vec<(u64, Merge)> =
        std::mem::take(&mut line.merges).into_iter().filter(|(_, merge)| merge.merged_at >= since).collect();
    merges.sort_unstable_by_key(|(number, merge)| (merge.merged_at, *number));
    if merges.is_empty() {
        return Err(Error::NoPullRequests {
            path: config.path.clone(),
            branch: head.name,
            commits: line.commits,
            repository: config.repository.clone(),
            since: config.since.map(|since| format!(" merged since {since}")).unwrap_or_default(),
        });
    }

    let branch = head.is_branch.then_some(head.name.as_str());
    let context =
        changes::Context { repository: &config.repository, branch, reverted_at: &line.reverted_at, graph: &graph };
    let bar = progress::bar(merges.len() as u64, "reading changes");
    let authors_by_name = slices::read(&git, &context, &merges, |document| {
        outlet.put(document)?;
        outlet.check()?;
        bar.inc(1);
        Ok(())
    })?;
    bar.finish_and_clear();

    let reverted = merges.iter().filter(|(number, _)| line.reverted_at.contains_key(number)).count() as u64;
    notes.insert(0, format!("{} commits on {}; pull requests reverted: {reverted}", line.commits, head.name));
    if authors_by_name > 0 {
        notes.push(format!("pull requests of an author known by name only, not by login: {authors_by_name}"));
    }
    let lost_reverts = line.lost_reverts(&graph);
    if lost_reverts > 0 {
        notes.push(format!(
            "reverts of a commit that this history does not have: {lost_reverts}; prowl-preprocess --reverts tells of \
             them otherwise"
        ));
    }
    if line.foreign > 0 {
        notes.push(format!("{} merges of other repositories' pull requests are left out", line.foreign));
    }
    Ok(Origin {
        input: Input { kind: "git".to_owned(), name: config.repository.clone(), digest: Some(head.commit) },
        details: json!({
            "source": "git",
            "branch": head.name,
            "since": config.since.map(|since| since.to_string()),
        }),
        counts: BTreeMap::from([
            ("pull_requests".to_owned(), merges.len() as u64),
            ("reverted".to_owned(), reverted),
            ("authors_by_name".to_owned(), authors_by_name),
            ("foreign_merges".to_owned(), line.foreign),
            ("lost_reverts".to_owned(), lost_reverts),
        ]),
        side_file: None,
        notes,
    })
}

fn find_head(git: &Git, config: &Config) -> Result<Head, Error> {
    let no_repository = |reason: String| Error::NoRepository { path: config.path.clone(), reason };
    if !config.path.is_dir() {
        return Err(no_repository("there is no such folder".to_owned()));
    }
    match git.ask("rev-parse", &["--show-prefix"]) {
        // Otherwise a wrong path inside of some other checkout would quietly give that one's history.
        Ok(Some(inside)) if !inside.is_empty() => {
            return Err(no_repository(format!("it is the folder {inside} inside of one")));
        }
        Ok(_) => {}
        Err(Error::Git { reason, .. }) if reason.contains("not a git repository") => return Err(no_repository(reason)),
        // `git` refuses a repository for other reasons, too, and then says itself what to do.
        Err(error) => return Err(error),
    }

    let mut candidates = Vec::new();
    if let Some(branch) = &config.branch {
        candidates
            .extend(["refs/heads/", "refs/remotes/origin/", "refs/remotes/", ""].map(|at| format!("{at}{branch}")));
    } else {
        for symbol in ["refs/remotes/origin/HEAD", "HEAD"] {
            candidates.extend(git.ask("symbolic-ref", &["--quiet", symbol])?);
        }
        candidates.push("HEAD".to_owned());
    }
    for reference in &candidates {
        let revision = format!("{reference}^{{commit}}");
        if let Some(commit) = git.ask("rev-parse", &["--verify", "--quiet", "--end-of-options", &revision])? {
            // Old versions of git print the option itself first.
            let commit = commit.lines().last().unwrap_or_default().to_owned();
            let branch = branch(reference);
            return Ok(Head { name: branch.unwrap_or(reference).to_owned(), is_branch: branch.is_some(), commit });
        }
    }
    let wanted = candidates.first().map_or("HEAD", |reference| branch(reference).unwrap_or(reference));
    Err(Error::NoCommits { path: config.path.clone(), branch: wanted.to_owned() })
}

/// The name of a branch as its own repository has it: `main` of `refs/heads/main` and `refs/remotes/upstream/main`.
fn branch(reference: &str) -> Option<&str> {
    let remote = || reference.strip_prefix("refs/remotes/")?.split_once('/').map(|(_, branch)| branch);
    reference.strip_prefix("refs/heads/").or_else(remote)
}
