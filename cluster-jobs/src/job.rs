//! The job from beginning to end: find the export, run the plan, check the counts, publish.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use futures::FutureExt;
use futures::future::{LocalBoxFuture, lazy};
use prowl_features::{FEATURE_COUNT, Maturity, digest};
use prowl_platform::{Draft, Folder, Input, Kind, Secrets, Store, shutdown};
use serde_json::{Value, json};

use crate::args::{Preprocess, Scheduler};
use crate::export::Export;
use crate::failure::retell;
use crate::parts::RunFolder;
use crate::plan;
use crate::progress::Progress;
use crate::publish::Publication;
use crate::report::Report;
use crate::reverts::{List, Reverts};
use crate::scan::Scan;
use crate::session;
use crate::statistics::{self, Drift, Previous};
use crate::summary::{COLUMNS_NAMED, Done, Listed, Summary, and_more, most_frequent};

/// Reasons for rejects that the manifest names.
const REASONS_KEPT: usize = 20;

/// How long a write may take that a task has already begun when its job is given up.
const LAST_WRITES: Duration = Duration::from_secs(1);

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// Runs the job, or gives it up when `stop` comes first. Boxed, so that the engine's futures are compiled into this
/// library and not again into each program.
///
/// # Errors
/// The store, the export or the cluster cannot be used; no line or too few can be; the counts do not add up. Nothing
/// is published then.
pub fn run_until<'a>(
    ask: &'a Preprocess,
    stop: LocalBoxFuture<'a, &'static str>,
) -> LocalBoxFuture<'a, anyhow::Result<Done>> {
    run(ask, stop).boxed_local()
}

#[tracing::instrument(name = "preprocess", skip_all)]
async fn run(ask: &Preprocess, mut stop: LocalBoxFuture<'_, &'static str>) -> anyhow::Result<Done> {
    let started = Instant::now();
    let prepared = tokio::select! {
        prepared = prepare(ask) => prepared?,
        signal = &mut stop => return Err(stopped(signal)),
    };
    let Prepared { secrets, store, export, list, previous } = match prepared {
        Ok(prepared) => prepared,
        Err(nothing) => return Ok(nothing),
    };
    let mut draft = store.draft(Kind::Features).await?;
    let progress = Progress::start(export.files.len());
    let reverts = list.as_ref().map(|list| list.reverts.clone()).unwrap_or_default();
    // Listens from when it is first waited for: what ends this at once is a signal after the one that stops it.
    let again = lazy(|_| shutdown::signal()).flatten().shared();
    let ran = run_into(ask, &secrets, &export, reverts, &store, &draft, &progress, &mut stop, again.clone()).await;
    progress.finish();
    let examined = match ran {
        Ok(report) => examine(ask, report, previous.as_ref(), &mut draft).await,
        Err(error) => Err(error),
    };
    let (report, drift) = match examined {
        Ok(examined) => examined,
        Err(error) => {
            tokio::select! {
                () = give_up(draft) => {}
                signal = again => tracing::warn!(signal, "ends at once, as it is told again"),
            }
            return Err(error);
        }
    };
    let folder = publish(draft, &export, list.as_ref(), &report, drift.as_ref(), terms(ask)).await?;
    let (reasons, more_reasons) = most_frequent(&report, 5);
    let listed =
        |List { reverts, input }: List| Listed { file: input.name, named: reverts.len(), found: report.listed };
    Ok(Done::Published(Box::new(Summary {
        run: folder.name().to_owned(),
        url: folder.url().to_string(),
        read: report.read,
        kept: report.kept,
        superseded: report.superseded,
        rejected: report.rejected,
        repositories: report.repositories,
        features: FEATURE_COUNT,
        reasons,
        more_reasons,
        reverts: list.map(listed),
        later: report.later,
        drift,
        seconds: started.elapsed().as_secs_f64(),
        store: store.url().to_string(),
    })))
}

/// All that is needed before anything is written, or why there is nothing to be done.
async fn prepare(ask: &Preprocess) -> anyhow::Result<Result<Prepared, Done>> {
    let secrets = Secrets::open(&Store::SECRETS).await?;
    let store = Store::open(&ask.store, &secrets)?;
    let export = match Export::resolve(&store, &ask.export).await {
        // A clock starts this before the first export is there, and a failure each hour would be a false alarm.
        Err(error) if ask.if_new && ask.export == ["latest"] && is_nothing_yet(&error) => {
            return Ok(Err(Done::NothingYet { store: store.url().to_string() }));
        }
        resolved => resolved?,
    };
    let list = ask.reverts.as_deref().map(List::read).transpose()?;
    if ask.if_new
        && let Some(same) = same(ask, &store, &export, list.as_ref()).await?
    {
        return Ok(Err(Done::NothingNew { run: same.name().to_owned(), url: same.url().to_string() }));
    }
    let previous = previous(ask, &store).await?;
    Ok(Ok(Prepared { secrets, store, export, list, previous }))
}

fn is_nothing_yet(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(prowl_platform::Error::is_nothing_yet)
}

/// The newest run that was made of the same, on the same terms.
async fn same(ask: &Preprocess, store: &Store, export: &Export, list: Option<&List>) -> anyhow::Result<Option<Folder>> {
    let Some(snapshot) = &export.snapshot else {
        bail!("--if-new is for exports of the store, since of files it is not known what they hold: leave it out");
    };
    let inputs: Vec<&Input> = [snapshot].into_iter().chain(list.map(|list| &list.input)).collect();
    let terms = terms(ask);
    let is_same = |run: &Folder| {
        let manifest = run.manifest();
        manifest.inputs.iter().eq(inputs.iter().copied()) && manifest.says(&terms)
    };
    Ok(store.newest(Kind::Features, is_same).await?)
}

/// What, beside its inputs, decides what a run holds, as its manifest tells it.
fn terms(ask: &Preprocess) -> serde_json::Map<String, Value> {
    let terms = [
        ("features_digest", json!(digest())),
        ("label_maturity_days", json!(ask.label_maturity_days)),
        ("max_line_bytes", json!(ask.max_line_bytes)),
        ("keep_history", json!(ask.keep_history)),
    ];
    terms.map(|(name, term)| (name.to_owned(), term)).into_iter().collect()
}

struct Prepared {
    secrets: Secrets,
    store: Store,
    export: Export,
    list: Option<List>,
    previous: Option<Previous>,
}

fn stopped(signal: &str) -> anyhow::Error {
    anyhow::anyhow!("stopped by {signal}: nothing was published")
}

/// The run to compare with, before any work is done.
async fn previous(ask: &Preprocess, store: &Store) -> anyhow::Result<Option<Previous>> {
    match Previous::find(store).await {
        Err(error) if ask.fail_on_drift.is_none() => {
            tracing::warn!("the run before cannot be compared with: {error:#}");
            Ok(None)
        }
        found => found.context(
            "there is nothing to measure drift from: remove the run that is named, or leave --fail-on-drift out",
        ),
    }
}

/// Writes the column statistics, and says how far they are from those of the run before.
async fn examine(
    ask: &Preprocess,
    mut report: Report,
    previous: Option<&Previous>,
    draft: &mut Draft,
) -> anyhow::Result<(Report, Option<Drift>)> {
    let found = std::mem::take(&mut report.statistics).finish();
    if found.rows != report.kept {
        bail!("{} rows of features were made, but {} were written: run it again", report.kept, found.rows);
    }
    let drift = previous.map(|previous| previous.drift(&found));
    if let (Some(most), Some(drift)) = (ask.fail_on_drift, &drift) {
        check_drift(most, drift)?;
    }
    draft.put(statistics::FILE, serde_json::to_vec(&found)?.into()).await?;
    Ok((report, drift))
}

fn check_drift(most: f64, drift: &Drift) -> anyhow::Result<()> {
    let beyond = drift.beyond(most);
    if beyond.is_empty() {
        return Ok(());
    }
    let mut named: Vec<_> = beyond
        .iter()
        .take(COLUMNS_NAMED)
        .map(|column| format!("{} by {:.2} ({column})", column.column, column.psi))
        .collect();
    named.extend((beyond.len() > COLUMNS_NAMED).then(|| format!("and {} more", beyond.len() - COLUMNS_NAMED)));
    bail!(
        "nothing was published, {} of {} columns have drifted from the run {} by more than {most}: {}; look for the cause in \
         the export, and if it is meant, run it again with a greater --fail-on-drift or without",
        beyond.len(),
        drift.columns.len(),
        drift.against,
        named.join("; ")
    )
}

/// Removes the folder for good: without its marker no task begins to write into it any more.
async fn give_up(draft: Draft) {
    // If that fails, so will the rest of the clean-up, which says so.
    let _ = draft.close().await;
    tokio::time::sleep(LAST_WRITES).await;
    draft.discard().await;
}

#[allow(clippy::too_many_arguments, reason = "all that a job is made of")]
async fn run_into(
    ask: &Preprocess,
    secrets: &Secrets,
    export: &Export,
    reverts: Reverts,
    store: &Store,
    draft: &Draft,
    progress: &Progress,
    stop: &mut LocalBoxFuture<'_, &'static str>,
    again: impl Future<Output = &'static str>,
) -> anyhow::Result<Report> {
    let partitions = ask.partitions(export.files.iter().map(|file| file.bytes).sum());
    let session = tokio::select! {
        session = session::connect(&ask.cluster, partitions, secrets) => session?,
        signal = &mut *stop => return Err(stopped(signal)),
    };
    let scan = Scan { files: export.files.clone(), max_line_bytes: ask.max_line_bytes };
    let now = now()?;
    let publication = Publication { folder: draft.url().to_string(), keep_history: ask.keep_history, now };
    let maturity = Maturity { window: i64::from(ask.label_maturity_days) * DAY, now };
    let mut submission = session.submit(plan::job(scan, maturity, reverts, publication)?).await?;
    let name = submission.name();
    tokio::select! {
        done = submission.done() => done.map_err(|error| retell(&error, session.scheduler()))?,
        signal = stop => {
            let cancelled = tokio::select! {
                cancelled = submission.cancel() => cancelled,
                signal = again => Err(anyhow::anyhow!("told again by {signal}")),
            };
            if let Err(error) = cancelled {
                tracing::warn!("the job may still be running on the cluster, it could not be cancelled: {error:#}");
            }
            return Err(stopped(signal));
        }
        never = session.miss_executors(|scheduler| progress.suspend(|| missing_executor(scheduler))) => match never {},
        never = session.follow(name, |standing| progress.show(standing)) => match never {},
    }
    // A task of an executor that was taken for lost may still be at it, and has nothing more to say.
    draft.close().await.context("cannot close the run")?;
    let folder = RunFolder::new(store.object_store(), &draft.url())?;
    let report = folder.take_reports().await.context("cannot read what the tasks report of the run")?;
    check(ask, &report)?;
    if report.later.count > 0 {
        tracing::warn!("{}", report.later);
    }
    Ok(report)
}

/// Milliseconds since 1970 UTC.
fn now() -> anyhow::Result<i64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Ok(since.context("the clock of this machine stands before 1970: set it")?.as_millis() as i64)
}

fn missing_executor(scheduler: &Scheduler) {
    tracing::warn!(
        "waiting for an executor, the scheduler {scheduler} has none: start one with \
         prowl-executor --scheduler-host {} --scheduler-port {}",
        scheduler.host,
        scheduler.port
    );
}

fn check(ask: &Preprocess, report: &Report) -> anyhow::Result<()> {
    let Report { read, kept, superseded, rejected, .. } = report;
    if *read != kept + superseded + rejected {
        bail!(
            "{read} documents were read, but {kept} kept + {superseded} superseded + {rejected} rejected is not as many: run it again"
        );
    }
    if *read == 0 {
        bail!("the export {} holds no document: write one with prowl-fetch or mongoexport", ask.export.join(" "));
    }
    let share = *rejected as f64 / *read as f64;
    let most = ask.max_reject_share;
    if kept + superseded > 0 && share <= most {
        return Ok(());
    }
    let (reasons, more) = most_frequent(report, 3);
    let mut named: Vec<_> = reasons.iter().map(ToString::to_string).collect();
    named.extend((more > 0).then(|| and_more(more)));
    let named = named.join("; ");
    if kept + superseded == 0 {
        bail!(
            "none of {read} lines can be used: {named}; give pull requests as prowl-fetch or mongoexport writes them"
        );
    }
    bail!(
        "{rejected} of {read} lines cannot be used, {:.2}%, of which {}% may: {named}; mend the export, or have the rest \
         published, with each of these in rejects/, by --max-reject-share",
        100.0 * share,
        // As it was typed: 0.07 is 7%, and not the 7.000000000000001% of its last bits.
        (100.0 * most) as f32,
    )
}

async fn publish(
    mut draft: Draft,
    export: &Export,
    list: Option<&List>,
    report: &Report,
    drift: Option<&Drift>,
    terms: serde_json::Map<String, Value>,
) -> anyhow::Result<Folder> {
    for file in &report.files {
        draft.add(file.clone());
    }
    let mut inputs = if let Some(snapshot) = &export.snapshot {
        vec![snapshot.clone()]
    } else {
        let mut sources = report.sources.clone();
        sources.sort();
        let of_file = |(url, digest): (String, String)| Input {
            kind: "file".into(),
            name: url,
            digest: Some(format!("blake3:{digest}")),
        };
        sources.into_iter().map(of_file).collect()
    };
    inputs.extend(list.map(|list| list.input.clone()));
    let counts = BTreeMap::from([
        ("read".to_owned(), report.read),
        ("kept".to_owned(), report.kept),
        ("superseded".to_owned(), report.superseded),
        ("rejected".to_owned(), report.rejected),
        ("repositories".to_owned(), report.repositories),
    ]);
    let mut details = terms;
    let found = [
        ("as_of", json!(report.as_of)),
        ("rejects", json!(most_frequent(report, REASONS_KEPT).0)),
        ("drift", json!(drift)),
    ];
    details.extend(found.map(|(name, value)| (name.to_owned(), value)));
    draft.publish(inputs, counts, details.into()).await.context("cannot publish the run")
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use prowl_platform::{MARKER, StoreUrl};

    use super::*;
    use crate::args::{Ask, CommandLine};

    #[test]
    fn counts_that_do_not_add_up_are_refused() {
        let args = ["prowl-preprocess", "--store", "file:///s", "--export", "latest", "--max-reject-share", "0.5"];
        let Ok(Ask::Run(ask)) = Ask::try_from(CommandLine::parse_from(args)) else { panic!("{args:?} make a run") };
        let all = Report { read: 9, kept: 6, superseded: 2, rejected: 1, ..Report::default() };
        check(&ask, &all).unwrap();
        for wrong in [
            Report { read: 10, ..all.clone() },
            Report { kept: 7, ..all.clone() },
            Report { superseded: 1, ..all.clone() },
            Report { rejected: 0, ..all.clone() },
            Report { read: 0, ..all },
        ] {
            let said = check(&ask, &wrong).unwrap_err().to_string();
            assert!(said.contains("documents were read, but"), "{said}");
        }
    }

    #[test]
    fn the_share_that_may_be_rejected_is_told_as_it_was_typed() {
        for (typed, told) in [("0.07", "7%"), ("0.00001", "0.001%"), ("0.333", "33.3%")] {
            let args = ["prowl-preprocess", "--store", "file:///s", "--export", "latest", "--max-reject-share", typed];
            let Ok(Ask::Run(ask)) = Ask::try_from(CommandLine::parse_from(args)) else { panic!("{args:?} make a run") };
            let half = Report { read: 2, kept: 1, rejected: 1, ..Report::default() };
            let said = check(&ask, &half).unwrap_err().to_string();
            assert!(said.contains(&format!("50.00%, of which {told} may")), "{said}");
        }
    }

    #[tokio::test]
    async fn a_folder_that_is_given_up_takes_no_new_file_while_the_last_ones_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}", folder.path().canonicalize().unwrap().display());
        let store = Store::open(&StoreUrl::parse(&url).unwrap(), &Secrets::fixed([].into())).unwrap();
        let mut draft = store.draft(Kind::Features).await.unwrap();
        draft.put("part", "written".into()).await.unwrap();
        let draft_folder = folder.path().join("features").join(draft.name());
        let (marker, part) = (draft_folder.join(MARKER), draft_folder.join("part"));
        assert!(marker.exists() && part.exists());
        let part_outlives_marker = async {
            while marker.exists() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(LAST_WRITES / 2).await;
            part.exists()
        };
        let (outlived, ()) = tokio::join!(part_outlives_marker, give_up(draft));
        assert!(outlived, "tasks could begin to write until the folder was removed");
        assert!(!draft_folder.exists());
    }
}
