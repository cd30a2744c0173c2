//! Whether the load generator, and not the server, was the limit: how late its calls went out, and how busy its cores were.

use std::{
    fs,
    num::NonZero,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use serde::Serialize;

/// A call that goes out so much later than it was due tells of the generator.
pub(crate) const LATE: Duration = Duration::from_millis(5);
/// Share of late calls from which on their 99th percentile is that of the generator.
const MANY: f64 = 0.01;
/// Share of its cores from which on a generator has no time left for more.
const BUSY: f64 = 0.9;
/// In which `/proc` counts: Linux has this number of them a second for programs on every architecture in use.
const TICKS_A_SECOND: f64 = 100.0;

/// Watches a load generator from its begin, for a whole run or a part of one: the time of the processor and the counts are those
/// since then.
#[derive(Debug)]
pub(crate) struct Watch {
    begun: Instant,
    spent: Option<f64>,
    /// Calls that were made, those of them that have ended, those that went out late, and those that were not made.
    sent: AtomicU64,
    ended: AtomicU64,
    late: AtomicU64,
    shed: AtomicU64,
    /// Microseconds from the begin to the first call, and to the end of the last one.
    first: AtomicU64,
    last: AtomicU64,
}

/// What the load was, and what it cost to make it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Generator {
    /// From the first call to the end of the last one.
    pub seconds: f64,
    /// Calls a second in them.
    pub rate: f64,
    /// Calls of an open loop that were due and not made, since as many as may be were in flight.
    pub shed: u64,
    /// Cores that were busy with it on average, of this process alone; nothing where the system does not tell.
    pub busy_cores: Option<f64>,
    /// Cores that it may use.
    pub cores: usize,
    /// Share of the calls of an open loop that went out more than five milliseconds late.
    pub late: f64,
    /// Whether the figures tell of the generator, and not of the server.
    pub is_limit: bool,
}

impl Watch {
    pub(crate) fn begin() -> Self {
        let [sent, ended, late, shed, last] = [const { AtomicU64::new(0) }; 5];
        Self { begun: Instant::now(), spent: spent(), sent, ended, late, shed, first: AtomicU64::new(u64::MAX), last }
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }

    /// A call went out, so long after it was due.
    pub(crate) fn sent(&self, lag: Duration) {
        self.first.fetch_min(self.now(), Relaxed);
        self.sent.fetch_add(1, Relaxed);
        if lag > LATE {
            self.late.fetch_add(1, Relaxed);
        }
    }

    /// A call has ended.
    pub(crate) fn ended(&self) {
        self.ended.fetch_add(1, Relaxed);
        self.last.fetch_max(self.now(), Relaxed);
    }

    /// Calls that went out and have not ended: once all are over, those that ended by a panic.
    pub(crate) fn open(&self) -> u64 {
        self.sent.load(Relaxed).saturating_sub(self.ended.load(Relaxed))
    }

    /// A call was due, and not made.
    pub(crate) fn shed(&self) {
        self.shed.fetch_add(1, Relaxed);
    }

    /// What it was until now.
    pub(crate) fn end(&self) -> Generator {
        let all = self.begun.elapsed().as_secs_f64();
        let busy_cores = self.spent.zip(spent()).map(|(before, now)| (now - before) / all);
        let [sent, late, shed, first, last] =
            [&self.sent, &self.late, &self.shed, &self.first, &self.last].map(|figure| figure.load(Relaxed));
        let seconds = last.saturating_sub(first) as f64 / 1e6;
        let rate = if seconds > 0.0 { sent as f64 / seconds } else { 0.0 };
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let late = late as f64 / sent.max(1) as f64;
        Generator { seconds, rate, shed, busy_cores, cores, late, is_limit: is_limit(busy_cores, cores, late) }
    }
}

impl Generator {
    /// A line for a person.
    pub fn text(&self) -> String {
        let busy = self.busy_cores.map_or("an unknown part".to_owned(), |busy| format!("{busy:.2}"));
        let shed = match self.shed {
            0 => String::new(),
            shed => format!("; {shed} were not made, since as many as may be were waiting for an answer"),
        };
        let late = 100.0 * self.late;
        let line = format!("the load took {busy} of {} cores, {late:.2}% of it went out late{shed}", self.cores);
        if self.is_limit {
            format!("{line}: it, and not the server, is the limit here; give it more cores, or a lower rate")
        } else {
            line
        }
    }
}

fn is_limit(busy_cores: Option<f64>, cores: usize, late: f64) -> bool {
    late > MANY || busy_cores.is_some_and(|busy| busy >= BUSY * cores as f64)
}

/// Seconds that the processor has worked for this process.
fn spent() -> Option<f64> {
    of_stat(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// The same of its text (proc(5)): user and system time are the fields 14 and 15. The second one is a name, which may hold anything.
fn of_stat(text: &str) -> Option<f64> {
    let mut rest = text.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let (user, system) = (rest.next()?.parse::<f64>().ok()?, rest.next()?.parse::<f64>().ok()?);
    Some((user + system) / TICKS_A_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_processor_is_read_off_the_system() {
        let text = "7 (a b) c) R 1 2 3 4 5 6 7 8 9 10 150 50 13 14";
        assert_eq!(of_stat(text), Some(2.0));
        assert_eq!(of_stat("7 (x) R 1"), None);
        let watch = Watch::begin();
        while spent().unwrap() - watch.spent.unwrap() < 0.05 {}
        assert!(watch.end().busy_cores.unwrap() > 0.0);
    }

    #[test]
    fn a_generator_is_the_limit_where_it_is_late_or_has_no_time_left() {
        assert!(!is_limit(Some(1.5), 2, 0.005) && !is_limit(None, 1, 0.0));
        assert!(is_limit(Some(0.95), 1, 0.0) && is_limit(None, 1, 0.02));
        let watch = Watch::begin();
        for lag in [0, 0, 6] {
            watch.sent(Duration::from_millis(lag));
        }
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(watch.open(), 3);
        watch.ended();
        watch.shed();
        assert_eq!(watch.open(), 2);
        let end = watch.end();
        assert!(end.seconds >= 0.02 && (1.0..=150.0).contains(&end.rate) && end.shed == 1, "{end:?}");
        assert!(end.text().contains("; 1 were not made, since"));
        assert!(end.is_limit && (0.33..0.34).contains(&end.late), "{end:?}");
        assert!(end.text().contains("is the limit"));
    }
}
