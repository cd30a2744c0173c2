//! What became of the calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::wire::Answer;

/// Why the lock of a tally can be taken.
pub(crate) const WHOLE: &str = "nobody panics while counting";
const LONGEST: Duration = Duration::from_secs(120);

/// Counts the calls of a time.
#[derive(Clone)]
pub(crate) struct Tally {
    from: Instant,
    until: Instant,
    /// When the last of them ended.
    last: Instant,
    answered: Histogram<u64>,
    refused: Histogram<u64>,
    codes: BTreeMap<String, u64>,
    /// Calls that were due while the others were still in flight, and that were given up at the end.
    pub(crate) unsent: u64,
}

impl Tally {
    /// Nothing yet.
    pub(crate) fn shared(from: Instant, until: Instant) -> Arc<Mutex<Self>> {
        let empty = || Histogram::new_with_bounds(1, LONGEST.as_micros() as u64, 3).expect("bounds that it can have");
        let (answered, refused) = (empty(), empty());
        Arc::new(Mutex::new(Self { from, until, last: until, answered, refused, codes: BTreeMap::new(), unsent: 0 }))
    }

    /// What was counted up to now.
    pub(crate) fn of(shared: &Mutex<Self>) -> Self {
        shared.lock().expect(WHOLE).clone()
    }

    /// A call that was due at this moment has ended now.
    pub(crate) fn count_due(&mut self, due: Instant, outcome: &Result<Answer, String>) {
        if due >= self.from {
            self.last = self.last.max(Instant::now());
            self.count(due.elapsed(), outcome);
        }
    }

    /// A call that was sent at this moment, as soon as it could be, has ended now.
    pub(crate) fn count_done(&mut self, sent: Instant, outcome: &Result<Answer, String>) {
        if (self.from..self.until).contains(&Instant::now()) {
            self.count(sent.elapsed(), outcome);
        }
    }

    fn count(&mut self, took: Duration, outcome: &Result<Answer, String>) {
        let (times, code) = match outcome {
            Ok(_) => (&mut self.answered, "Ok"),
            Err(code) => (&mut self.refused, code.as_str()),
        };
        times.saturating_record(took.as_micros() as u64);
        match self.codes.get_mut(code) {
            Some(count) => *count += 1,
            None => *self.codes.entry(code.to_owned()).or_default() += 1,
        }
    }

    /// Calls a second, milliseconds of those that were answered, and counts by code.
    pub(crate) fn json(&self, asked: Option<f64>) -> Value {
        let seconds = (self.last - self.from).as_secs_f64();
        let milliseconds = |times: &Histogram<u64>, share: f64| times.value_at_quantile(share) as f64 / 1e3;
        json!({
            "asked": asked,
            "rate": self.answered.len() as f64 / seconds,
            "p50": milliseconds(&self.answered, 0.5),
            "p90": milliseconds(&self.answered, 0.9),
            "p99": milliseconds(&self.answered, 0.99),
            "p99.9": milliseconds(&self.answered, 0.999),
            "max": self.answered.max() as f64 / 1e3,
            "refused_p99": milliseconds(&self.refused, 0.99),
            "codes": self.codes,
            "unsent": self.unsent,
        })
    }
}
