//! How far a run is: by repository and in total on a terminal, now and then a line of the log elsewhere.

use std::{
    collections::HashMap,
    io::{IsTerminal, stderr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use indicatif::{HumanCount, HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::{mongo::Written, progress::LOGGED_EVERY};

/// What was counted so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) fetched: AtomicU64,
    pub(super) inserted: AtomicU64,
    pub(super) changed: AtomicU64,
    pub(super) refreshed: AtomicU64,
    pub(super) unchanged: AtomicU64,
    pub(super) missed: AtomicU64,
    /// Repositories that are to be visited, and that were.
    pub(super) found: AtomicU64,
    pub(super) done: AtomicU64,
    /// Repositories that another collector has, and that are waited for.
    pub(super) busy: AtomicU64,
}

impl Counts {
    /// What became of the pull requests that were fetched.
    pub(super) fn written(&self) -> Written {
        Written {
            inserted: self.inserted.load(Relaxed),
            changed: self.changed.load(Relaxed),
            refreshed: self.refreshed.load(Relaxed),
            unchanged: self.unchanged.load(Relaxed),
        }
    }
}

/// A run that is under way.
pub(super) struct Progress {
    pub(super) counts: Counts,
    begun: Instant,
    lines: MultiProgress,
    total: ProgressBar,
    /// How much of each repository that is being visited is done.
    shares: Mutex<HashMap<String, f64>>,
    logged: Mutex<Instant>,
    on_terminal: bool,
}

/// A repository that is being visited. Its line goes when it is dropped.
pub(super) struct Line {
    progress: Arc<Progress>,
    name: String,
    bar: ProgressBar,
    fetched: AtomicU64,
}

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Self::on(stderr().is_terminal())
    }

    #[cfg(test)]
    pub(super) fn hidden() -> Arc<Self> {
        Self::on(false)
    }

    fn on(on_terminal: bool) -> Arc<Self> {
        let target = if on_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let lines = MultiProgress::with_draw_target(target);
        let style = ProgressStyle::with_template("{spinner} {wide_msg}").expect("the template is fixed and valid");
        let total = lines.add(ProgressBar::new_spinner().with_style(style));
        let now = Instant::now();
        Arc::new(Self {
            counts: Counts::default(),
            begun: now,
            lines,
            total,
            shares: Mutex::default(),
            logged: Mutex::new(now),
            on_terminal,
        })
    }

    /// A line for a repository, above the one of the total.
    pub(super) fn line(self: &Arc<Self>, name: &str) -> Line {
        let style = ProgressStyle::with_template("  {wide_msg}").expect("the template is fixed and valid");
        let bar = ProgressBar::new_spinner().with_style(style).with_message(name.to_owned());
        let bar = self.lines.insert_before(&self.total, bar);
        self.shares().insert(name.to_owned(), 0.0);
        Line { progress: Arc::clone(self), name: name.to_owned(), bar, fetched: AtomicU64::new(0) }
    }

    /// Tells how far all of it is.
    pub(super) fn tell(&self, points_left: Option<u64>, paused: Option<Duration>) {
        let text = self.text(points_left, paused);
        if self.on_terminal {
            self.total.set_message(text);
            self.total.tick();
            return;
        }
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.elapsed() >= LOGGED_EVERY {
            *logged = Instant::now();
            tracing::info!("{text}");
        }
    }

    /// Takes all lines away.
    pub(super) fn end(&self) {
        self.total.finish_and_clear();
        let _ = self.lines.clear();
    }

    fn text(&self, points_left: Option<u64>, paused: Option<Duration>) -> String {
        let counts = &self.counts;
        let count = |counter: &AtomicU64| HumanCount(counter.load(Relaxed));
        let left = points_left.map(|left| format!("; {} points left", HumanCount(left)));
        let rest = match (paused, self.left()) {
            (Some(paused), _) => format!("; GitHub said to wait for {}", HumanDuration(paused)),
            (None, Some(left)) => format!("; about {} to go", HumanDuration(left)),
            (None, None) => String::new(),
        };
        let busy = counts.busy.load(Relaxed);
        let busy = if busy > 0 { format!("; waiting for {busy} that another collector has") } else { String::new() };
        // What a narrow terminal cuts off comes last.
        format!(
            "{} of {} repositories{busy}{rest}{}; {} pull requests: {}",
            count(&counts.done),
            count(&counts.found),
            left.unwrap_or_default(),
            count(&counts.fetched),
            counts.written(),
        )
    }

    /// How long it takes yet, if it goes on as it went.
    fn left(&self) -> Option<Duration> {
        let found = self.counts.found.load(Relaxed) as f64;
        let done = self.counts.done.load(Relaxed) as f64 + self.shares().values().sum::<f64>();
        let share = (done / found.max(1.0)).min(1.0);
        // Of less than that, nothing can be told.
        let elapsed = Some(self.begun.elapsed()).filter(|elapsed| share > 0.01 && elapsed.as_secs() > 2)?;
        Duration::try_from_secs_f64(elapsed.as_secs_f64() * (1.0 - share) / share).ok()
    }

    fn shares(&self) -> MutexGuard<'_, HashMap<String, f64>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// So many were fetched, and what became of them.
    pub(super) fn stored(&self, fetched: u64, written: Written) {
        let counts = &self.progress.counts;
        counts.fetched.fetch_add(fetched, Relaxed);
        counts.inserted.fetch_add(written.inserted, Relaxed);
        counts.changed.fetch_add(written.changed, Relaxed);
        counts.refreshed.fetch_add(written.refreshed, Relaxed);
        counts.unchanged.fetch_add(written.unchanged, Relaxed);
        let of_it = self.fetched.fetch_add(fetched, Relaxed) + fetched;
        self.bar.set_message(format!("{}: {} pull requests", self.name, HumanCount(of_it)));
    }

    /// So many could not be had.
    pub(super) fn missed(&self, missed: u64) {
        self.progress.counts.missed.fetch_add(missed, Relaxed);
    }

    /// How much of the walk is done.
    pub(super) fn reached(&self, share: f64) {
        self.progress.shares().insert(self.name.clone(), share);
    }

    /// What was fetched of it.
    pub(super) fn fetched(&self) -> u64 {
        self.fetched.load(Relaxed)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.progress.shares().remove(&self.name);
        self.bar.finish_and_clear();
        self.progress.lines.remove(&self.bar);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_end_is_foretold_by_what_was_done() {
        let progress = Progress::hidden();
        progress.counts.found.store(4, Relaxed);
        assert_eq!(progress.left(), None);
        progress.counts.done.store(1, Relaxed);
        let line = progress.line("o/r");
        line.stored(7, Written { inserted: 5, changed: 2, ..Written::default() });
        line.reached(0.5);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(progress.left(), Some(Duration::from_secs(100)));
        let text = progress.text(Some(4_321), None);
        assert_eq!(
            text,
            "1 of 4 repositories; about 2 minutes to go; 4,321 points left; 7 pull requests: 5 new, 2 changed, \
             0 refreshed, 0 unchanged"
        );
        drop(line);
        assert_eq!(progress.left(), Some(Duration::from_mins(3)));
        progress.counts.busy.store(2, Relaxed);
        let text = progress.text(None, Some(Duration::from_secs(90)));
        let expected =
            "1 of 4 repositories; waiting for 2 that another collector has; GitHub said to wait for 2 minutes; 7 ";
        assert!(text.starts_with(expected), "{text}");
    }
}
