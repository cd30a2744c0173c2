//! What a training looks like while it runs: a bar on a terminal, log lines elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::autoencoder::Epoch;
use crate::{Settings, Step};

/// How often a log gets a line.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Shows one bar for each fit, and one for each head and for the clusters.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    title: &'static str,
    epochs: u64,
    patience: usize,
    logged: Instant,
    /// Whether a log gets a line for each of them as well.
    each: bool,
}

impl Progress {
    /// Nothing has begun.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            bar: ProgressBar::hidden(),
            title: "",
            epochs: settings.epochs as u64,
            patience: settings.patience,
            logged: Instant::now(),
            each: false,
        }
    }

    /// The same for work of several parts: a log hears of each that begins.
    pub(crate) fn of_parts(settings: &Settings) -> Self {
        Self { each: true, ..Self::new(settings) }
    }

    /// Shows a step.
    pub(crate) fn show(&mut self, step: Step<'_>) {
        match step {
            Step::First(epoch) => self.epoch("fit 1 of 2", epoch),
            Step::Final(epoch) => self.epoch("fit 2 of 2", epoch),
            Step::Only(epoch) => self.epoch("fit", epoch),
            Step::Category => {
                self.tick("category head");
                tracing::debug!("a look at the examples of the category head");
            }
            Step::Clusters => self.tick("clusters"),
            Step::Risk => self.tick("risk head"),
        }
    }

    /// A step of work of which nobody knows how long it takes.
    pub(crate) fn tick(&mut self, title: &'static str) {
        let begins = self.turn_to(title, "{prefix} {spinner} {elapsed}");
        self.bar.tick();
        if self.logs(begins) {
            tracing::info!("{title}");
        }
    }

    fn epoch(&mut self, title: &'static str, epoch: &Epoch) {
        let begins = self.turn_to(title, "{prefix}, epoch {pos}/{len} {bar:20} {msg}, at most {eta} left");
        let Epoch { number, training_loss, validation_loss, best_loss, without_progress } = *epoch;
        self.bar.set_position(number as u64);
        let told = format!(
            "loss {training_loss:.4}, validation {validation_loss:.4}, best {best_loss:.4}, {without_progress} of {} epochs \
             without progress",
            self.patience
        );
        if self.logs(begins) {
            tracing::info!("{title}, epoch {number} of at most {}: {told}", self.epochs);
        }
        self.bar.set_message(told);
        tracing::debug!(
            fit = title,
            epoch = number,
            training_loss,
            validation_loss,
            best_loss,
            without_progress,
            "epoch"
        );
    }

    /// Whether it is time for a line of the log, where there is no terminal.
    fn logs(&mut self, begins: bool) -> bool {
        let due = self.bar.is_hidden() && (begins && self.each || self.logged.elapsed() >= LOG_EVERY);
        if due {
            self.logged = Instant::now();
        }
        due
    }

    /// Whether it was at something else before.
    fn turn_to(&mut self, title: &'static str, template: &str) -> bool {
        let begins = self.title != title;
        if begins {
            self.bar.finish_and_clear();
            let style = ProgressStyle::with_template(template).expect("the templates are fixed and valid");
            self.bar = ProgressBar::new(self.epochs).with_style(style).with_prefix(title);
            self.bar.enable_steady_tick(Duration::from_millis(250));
            self.title = title;
        }
        begins
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
