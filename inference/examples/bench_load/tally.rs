//! What became of the calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use prost::Message;
use prowl_proto::v1::ScoreResponse;
use serde_json::{Value, json};

use crate::wire::Answer;

/// Why the lock of a tally can be taken.
pub(crate) const WHOLE: &str = "nobody panics while counting";
const LONGEST: Duration = Duration::from_mins(2);

/// Counts the calls of a time.
#[derive(Clone)]
pub(crate) struct Tally {
    from: Instant,
    until: Instant,
    /// When the last of the calls that were due in that time ended, if that is later.
    last: Instant,
    /// Answers, in parts where only a part of the call lies in that time.
    answers: f64,
    answered: Histogram<u64>,
    refused: Histogram<u64>,
    codes: BTreeMap<String, u64>,
    /// Answers by the digest of their model, where that is asked for.
    models: Option<BTreeMap<String, u64>>,
    /// Calls that were due while the others were still in flight, and that were given up at the end.
    pub(crate) unsent: u64,
}

impl Tally {
    /// Nothing yet of a time of this length, which begins after a warm-up.
    pub(crate) fn begin(warm_up: Duration, length: Duration, models: bool) -> Arc<Mutex<Self>> {
        let from = Instant::now() + warm_up;
        let until = from + length;
        let empty = || Histogram::new_with_bounds(1, LONGEST.as_micros() as u64, 3).expect("bounds that it can have");
        let (answered, refused) = (empty(), empty());
        Arc::new(Mutex::new(Self {
            from,
            until,
            last: until,
            answers: 0.0,
            answered,
            refused,
            codes: BTreeMap::new(),
            models: models.then(BTreeMap::new),
            unsent: 0,
        }))
    }

    /// What was counted up to now.
    pub(crate) fn of(shared: &Mutex<Self>) -> Self {
        shared.lock().expect(WHOLE).clone()
    }

    /// When it begins and ends.
    pub(crate) fn time(&self) -> (Instant, Instant) {
        (self.from, self.until)
    }

    /// A call that was due at this moment has ended now.
    pub(crate) fn count_due(&mut self, due: Instant, outcome: &Result<Answer, String>) {
        if due >= self.from {
            self.last = self.last.max(Instant::now());
            self.count(due.elapsed(), 1.0, outcome);
        }
    }

    /// A call that was sent at this moment, as soon as it could be, has ended now. It counts by the share of it that lies in
    /// the time, or the few batches of a slow server would make the rate a matter of chance.
    pub(crate) fn count_done(&mut self, sent: Instant, outcome: &Result<Answer, String>) {
        let now = Instant::now();
        let within = now.min(self.until).saturating_duration_since(sent.max(self.from));
        if !within.is_zero() {
            self.count(now - sent, within.as_secs_f64() / (now - sent).as_secs_f64(), outcome);
        }
    }

    fn count(&mut self, took: Duration, share: f64, outcome: &Result<Answer, String>) {
        let (times, code) = match outcome {
            Ok(_) => {
                self.answers += share;
                (&mut self.answered, "Ok")
            }
            Err(code) => (&mut self.refused, code.as_str()),
        };
        times.saturating_record(took.as_micros() as u64);
        if let (Some(models), Ok(answer)) = (&mut self.models, outcome) {
            let answer = ScoreResponse::decode(answer.message().as_slice()).unwrap_or_default();
            *models.entry(answer.model.unwrap_or_default().digest).or_default() += 1;
        }
        match self.codes.get_mut(code) {
            Some(count) => *count += 1,
            None => *self.codes.entry(code.to_owned()).or_default() += 1,
        }
    }

    /// Calls a second, milliseconds of those that were answered, and counts by code.
    pub(crate) fn json(&self, asked: Option<f64>) -> Value {
        let milliseconds = |times: &Histogram<u64>, share: f64| times.value_at_quantile(share) as f64 / 1e3;
        json!({
            "asked": asked,
            "rate": self.answers / (self.last - self.from).as_secs_f64(),
            "p50": milliseconds(&self.answered, 0.5),
            "p90": milliseconds(&self.answered, 0.9),
            "p99": milliseconds(&self.answered, 0.99),
            "p99.9": milliseconds(&self.answered, 0.999),
            "max": self.answered.max() as f64 / 1e3,
            "refused_p99": milliseconds(&self.refused, 0.99),
            "codes": self.codes,
            "models": self.models,
            "unsent": self.unsent,
        })
    }
}
