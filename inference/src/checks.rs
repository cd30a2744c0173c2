//! What may be wrong with a request of the protocol, gathered field by field.

use prost_types::Timestamp;
use prowl_features::{EARLIEST, LATEST, Quartiles};
use prowl_proto::v1;

use crate::error::{Error, Violation};

/// Gathers what is wrong, so that a caller sees all of it at once.
#[derive(Default)]
pub(crate) struct Checks(Vec<Violation>);

impl Checks {
    /// Most violations that are told one by one, and most bytes of them. A gRPC status travels in headers, of which
    /// clients take a few kilobytes only; it holds each text twice, encoded.
    const MOST: usize = 20;
    const MOST_BYTES: usize = 700;

    /// Adds what is wrong with a field.
    pub(crate) fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation::new(field, description));
    }

    /// The value that was checked, or any where it is wrong.
    pub(crate) fn ok<T: Default>(&mut self, field: &str, checked: Result<T, String>) -> T {
        checked.unwrap_or_else(|wrong| {
            self.add(field, wrong);
            T::default()
        })
    }

    /// Milliseconds of a time, rounded down.
    pub(crate) fn time(&mut self, field: &str, time: Option<Timestamp>) -> Option<i64> {
        let Timestamp { seconds, nanos } = time?;
        if !(EARLIEST / 1_000..=LATEST / 1_000).contains(&seconds) || !(0..=999_999_999).contains(&nanos) {
            self.add(field, "out of range, seconds go from year 1 to 9999 and nanos from 0 to 999,999,999");
            return None;
        }
        Some(seconds * 1_000 + i64::from(nanos) / 1_000_000)
    }

    /// A time of the history of a pull request that was opened at `created_at`.
    pub(crate) fn past(&mut self, field: &str, time: Option<Timestamp>, created_at: i64) -> Option<i64> {
        let at = self.time(field, time)?;
        if at >= created_at {
            self.add(field, "is not before the created_at of the pull request, so it was not known then");
        }
        Some(at)
    }

    /// Counts below `parent`, each of a part of `whole`.
    pub(crate) fn parts(&mut self, parent: &str, counts: &[(&str, u32)], (name, whole): (&str, u32)) {
        for (field, count) in counts.iter().filter(|(_, count)| *count > whole) {
            self.add(format!("{parent}.{field}"), format!("{count} is more than {name} ({whole})"));
        }
    }

    pub(crate) fn quartiles(&mut self, field: &str, quartiles: Option<v1::Quartiles>) -> Option<Quartiles> {
        let v1::Quartiles { lower, median, upper } = quartiles?;
        if !(0.0 <= lower && lower <= median && median <= upper && upper <= 64.0) {
            self.add(field, "quartiles of log2(1 + x) lie between 0 and 64, and lower <= median <= upper");
        }
        Some(Quartiles { lower, median, upper })
    }

    /// A ratio's logarithm to base 2.
    pub(crate) fn doublings(&mut self, field: &str, value: Option<f32>) -> Option<f32> {
        if value.is_some_and(|value| !(-64.0..=64.0).contains(&value)) {
            self.add(field, "the logarithm to base 2 of a ratio lies between -64 and 64");
        }
        value
    }

    pub(crate) fn length(&mut self, field: &str, found: usize, what: &str, expected: usize) {
        if found != expected {
            self.add(field, format!("{found} entries, but the pull request touches {expected} {what}: one for each"));
        }
    }

    /// `value`, if nothing is wrong.
    pub(crate) fn done<T>(mut self, value: T) -> Result<T, Error> {
        if self.0.is_empty() {
            return Ok(value);
        }
        let mut bytes = 0;
        let fits = |violation: &&Violation| {
            bytes += violation.field.len() + violation.description.len();
            bytes <= Self::MOST_BYTES
        };
        let told = self.0.iter().take(Self::MOST).take_while(fits).count().max(1);
        let more = self.0.len() - told;
        if more > 0 {
            self.0.truncate(told);
            self.add("", format!("{more} more fields are wrong"));
        }
        Err(Error::Invalid(self.0))
    }
}
