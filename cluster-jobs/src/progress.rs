//! How far the job is, told to whoever waits: on a terminal all the time, elsewhere as a line of the log now and then.

use std::cell::Cell;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar};

use crate::session::Standing;

/// How often a log gets a line.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Tells how far a job is.
pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
    logged: Cell<Instant>,
}

impl Progress {
    /// Begins with a job over `files` files.
    pub(crate) fn start(files: usize) -> Self {
        let bar = ProgressBar::new_spinner();
        let files = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
        bar.set_message(format!("preprocessing {files} of the export"));
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, started: Instant::now(), logged: Cell::new(Instant::now()) }
    }

    /// Tells where the job stands.
    pub(crate) fn show(&self, standing: Standing) {
        let rows_per_second = (standing.rows as f64 / self.started.elapsed().as_secs_f64()) as u64;
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("{standing}, {} rows/s", HumanCount(rows_per_second)));
        } else if self.logged.get().elapsed() >= LOG_EVERY {
            self.logged.set(Instant::now());
            let Standing { stages, stages_done, tasks, tasks_done, rows } = standing;
            tracing::info!(stages, stages_done, tasks, tasks_done, rows, rows_per_second, "preprocessing");
        }
    }

    /// Lets `say` write to the terminal in between.
    pub(crate) fn suspend(&self, say: impl FnOnce()) {
        self.bar.suspend(say);
    }

    /// Ends it without a trace on the terminal.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
