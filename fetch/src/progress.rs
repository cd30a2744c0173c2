//! What a person is told: progress on a terminal, and how many there are of a thing.

use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

/// How often a log says how far it is, where there is no terminal.
pub(crate) const LOGGED_EVERY: Duration = Duration::from_secs(30);

/// A bar for work whose length is known. Hidden when stderr is no terminal.
pub(crate) fn bar(length: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}")
        .expect("the template is fixed and valid");
    ProgressBar::new(length).with_style(style).with_message(what)
}

/// A spinner for work whose length is unknown.
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// A number with what it counts.
pub(crate) fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", HumanCount(count), if count == 1 { one } else { many })
}
