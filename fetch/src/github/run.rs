//! The run over all targets: twice as many repositories at once as requests may be under way, what fails told at the
//! end, and an end at any moment that leaves the state whole.

use std::{
    collections::HashSet,
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use prowl_platform::{Secrets, shutdown};
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep, timeout},
};

use super::{
    Config,
    api::GitHub,
    leases::Leases,
    progress::Progress,
    report::Report,
    targets::{Job, Target, once},
    trouble::Trouble,
    visit::{Visited, Visitor},
    walk::Manner,
};
use crate::{
    Error,
    mongo::{FAREWELL, Mongo, Settings, Status},
    privacy::Privacy,
};

/// Visits under way for each request that may be: while one stores what came, another one asks.
const VISITS: usize = 2;

/// How often progress is told.
const TICK: Duration = Duration::from_secs(1);

/// A lease that its holder does not renew is over after one time of its own; this is for what comes on top.
const GRACE: Duration = Duration::from_secs(5);

/// Brings the pull requests of all targets up to date, without what is not to be stored of them.
///
/// The indexes and settings of the collection are made first. A repository that cannot be read is told in the report and
/// costs no other. When a signal comes, the run ends as soon as what is being written is, and the report says so.
///
/// # Errors
/// What no repository could do without: the collection, or a token that GitHub takes.
pub(crate) async fn collect(
    config: Config,
    privacy: Privacy,
    mongo: &Mongo,
    secrets: Secrets,
) -> Result<Report, Error> {
    let mut stop = pin!(shutdown::signal());
    let begun = Instant::now();
    let prepare = async {
        mongo.settings(&Settings::from(&privacy)).await?;
        mongo.prepare(config.validator).await
    };
    tokio::select! {
        prepared = prepare => prepared?,
        signal = &mut stop => {
            let seconds = begun.elapsed().as_secs_f64();
            return Ok(Report { stopped: Some(signal), seconds, ..Report::default() });
        }
    }
    let Config { api, targets, concurrency, overlap, patience, since, lease, .. } = config;
    let github = GitHub::new(api, secrets, concurrency, patience, mongo.clone(), true);
    let states = mongo.repositories(&github.id("")).await?;
    let visitor = Arc::new(Visitor {
        known: states.into_iter().filter_map(|state| Some((state.node_id?, state.id))).collect(),
        github,
        mongo: mongo.clone(),
        privacy,
        manner: Manner { overlap, since, patience },
        leases: Leases::new(mongo.clone(), lease),
        progress: Progress::new(),
    });
    let mut run = Run {
        visitor: Arc::clone(&visitor),
        concurrency,
        lease,
        crew: JoinSet::new(),
        busy: Vec::new(),
        report: Report::default(),
    };

    let ended = tokio::select! {
        ended = run.all(once(targets)) => ended.map(|()| None),
        signal = &mut stop => Ok(Some(signal)),
        lost = visitor.leases.keep() => lost.map(|never| match never {}),
        () = tell(&visitor) => Ok(None),
    };
    if !matches!(ended, Ok(None)) {
        run.wind_up().await;
    }
    run.crew.shutdown().await;
    visitor.leases.give_all_back().await;
    visitor.progress.end();
    let mut report = run.report;
    report.stopped = ended?;
    report.count(&visitor.github, &visitor.progress.counts);
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

/// Tells progress for ever.
async fn tell(visitor: &Visitor) {
    let mut ticks = interval(TICK);
    loop {
        ticks.tick().await;
        visitor.progress.tell(visitor.github.accounts().points_left(), visitor.github.accounts().paused());
    }
}

/// A run that is under way.
struct Run {
    visitor: Arc<Visitor>,
    concurrency: usize,
    lease: Duration,
    /// The visits that are under way.
    crew: JoinSet<(Job, Result<Visited, Error>)>,
    /// What somebody else has.
    busy: Vec<Job>,
    report: Report,
}

impl Run {
    async fn all(&mut self, targets: Vec<Target>) -> Result<(), Error> {
        let mut listed = Vec::new();
        for target in targets {
            match target {
                Target::Repository(name) => self.send(Job { name, node_id: None, named: true }).await?,
                Target::Owner(login) => listed.extend(self.send_all_of(login).await?),
            }
        }
        self.wait().await?;
        self.try_the_busy_again().await?;
        for (login, ids) in listed {
            self.look_for_the_vanished(&login, &ids).await?;
        }
        Ok(())
    }

    /// Has all repositories of an owner visited, and gives the ids of their states.
    async fn send_all_of(&mut self, login: String) -> Result<Option<(String, HashSet<String>)>, Error> {
        let visitor = Arc::clone(&self.visitor);
        let mut patience = visitor.github.patience();
        let (mut ids, mut after) = (HashSet::new(), None);
        loop {
            let owned = match visitor.github.owned(&login, after, &mut patience).await {
                Ok(owned) => owned,
                Err(error) => {
                    self.failed(&login, error)?;
                    return Ok(None);
                }
            };
            for job in owned.jobs {
                if ids.insert(visitor.github.id(&job.name)) {
                    self.send(job).await?;
                }
            }
            match owned.next {
                Some(next) => after = Some(next),
                None => return Ok(Some((login, ids))),
            }
        }
    }

    /// Begins a visit, once there is room.
    async fn send(&mut self, job: Job) -> Result<(), Error> {
        self.visitor.progress.counts.found.fetch_add(1, Relaxed);
        self.begin(job).await
    }

    async fn begin(&mut self, job: Job) -> Result<(), Error> {
        while self.crew.len() >= VISITS * self.concurrency {
            self.next().await?;
        }
        let visitor = Arc::clone(&self.visitor);
        self.crew.spawn(async move {
            let visited = visitor.visit(&job).await;
            (job, visited)
        });
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), Error> {
        while !self.crew.is_empty() {
            self.next().await?;
        }
        Ok(())
    }

    /// Lets nobody ask GitHub any more, and what came already be stored.
    async fn wind_up(&mut self) {
        self.visitor.github.stop();
        let ended = async { while self.crew.join_next().await.is_some() {} };
        if timeout(FAREWELL, ended).await.is_err() {
            tracing::warn!("what is being written is cut off; the next run writes it again");
        }
    }

    /// Waits for the end of a visit.
    async fn next(&mut self) -> Result<(), Error> {
        let Some(ended) = self.crew.join_next().await else { return Ok(()) };
        let (job, visited) = ended.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
        let repositories = &mut self.report.repositories;
        match visited {
            Ok(Visited::Walked) => repositories.walked += 1,
            Ok(Visited::Unchanged) => repositories.unchanged += 1,
            Ok(Visited::Busy) => {
                repositories.busy += 1;
                self.busy.push(job);
                return Ok(());
            }
            Ok(Visited::Missing) => {
                repositories.missing += 1;
                if job.named {
                    let host = self.visitor.github.host().to_owned();
                    let missing = Trouble::NoRepository { name: job.name.clone(), host };
                    self.report.problem(&job.name, &missing.into());
                }
            }
            Ok(Visited::Already) => {
                self.visitor.progress.counts.found.fetch_sub(1, Relaxed);
                return Ok(());
            }
            Err(error) => {
                repositories.failed += 1;
                self.failed(&job.name, error)?;
            }
        }
        self.visitor.progress.counts.done.fetch_add(1, Relaxed);
        Ok(())
    }

    /// A repository or an owner could not be read; perhaps none can.
    fn failed(&mut self, about: &str, error: Error) -> Result<(), Error> {
        match &error {
            Error::GitHub(trouble) if !trouble.is_of_all() => {
                self.report.problem(about, &error);
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Visits what was somebody else's: a collector that was killed leaves its leases behind.
    async fn try_the_busy_again(&mut self) -> Result<(), Error> {
        let until = Instant::now() + 2 * self.lease + GRACE;
        if !self.busy.is_empty() {
            tracing::info!(repositories = self.busy.len(), "waiting for what another collector has, or one that died");
        }
        while !self.busy.is_empty() && Instant::now() < until {
            self.visitor.progress.counts.busy.store(self.busy.len() as u64, Relaxed);
            sleep((self.lease / 3).clamp(Duration::from_millis(200), GRACE)).await;
            for job in std::mem::take(&mut self.busy) {
                self.report.repositories.busy -= 1;
                self.begin(job).await?;
            }
            self.wait().await?;
        }
        self.visitor.progress.counts.busy.store(0, Relaxed);
        Ok(())
    }

    /// Sees what became of repositories that an owner has no more.
    async fn look_for_the_vanished(&mut self, login: &str, listed: &HashSet<String>) -> Result<(), Error> {
        let states = self.visitor.mongo.repositories(&self.visitor.github.id(&format!("{login}/"))).await?;
        for state in states {
            if listed.contains(&state.id) || state.status == Status::Missing || state.node_id.is_none() {
                continue;
            }
            let visitor = Arc::clone(&self.visitor);
            if let Err(error) = visitor.vanished(&state.id).await {
                self.failed(&state.full_name, error)?;
            }
        }
        Ok(())
    }
}
