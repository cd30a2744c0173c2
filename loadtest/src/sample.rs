//! What came of the calls of one side, each timed from the moment at which it was due.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::Serialize;

/// What came of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Outcome {
    /// An answer that holds what it has to.
    Answered,
    /// No answer but a reason: a code of gRPC, which go up to 16, or a status of HTTP, which begin at 100.
    Refused(u16),
    /// Nothing until the deadline.
    Silent,
    /// No connection, or one that broke.
    Unreachable,
    /// An answer that is not as it has to be.
    Wrong(Fault),
}

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Fault {
    /// It is of another version or digest.
    Model,
    /// A figure is NaN or infinite.
    NotFinite,
    /// A figure is outside of its range.
    OutOfRange,
    /// A part is missing.
    Incomplete,
}

/// Names of the codes of gRPC, from 0.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered => f.write_str("answered"),
            Self::Refused(code) => match CODES.get(usize::from(*code)) {
                Some(name) => write!(f, "refused with {name}"),
                None => write!(f, "refused with HTTP {code}"),
            },
            Self::Silent => f.write_str("no answer in time"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Wrong(fault) => write!(f, "{}: {fault}", Self::WRONG),
        }
    }
}

impl Outcome {
    /// What the words of a wrong answer begin with.
    const WRONG: &str = "wrong answer";

    /// Whether these words are of a wrong answer: one of them is one too many.
    pub(crate) fn is_wrong(words: &str) -> bool {
        words.starts_with(Self::WRONG)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Model => "of another model",
            Self::NotFinite => "not finite",
            Self::OutOfRange => "out of range",
            Self::Incomplete => "incomplete",
        })
    }
}

/// One call. Its times begin at the moment at which it was due and not at the one at which it was sent, so that a stall counts
/// for all who would have called during it.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When it was due, since the run began.
    pub due: Duration,
    /// How much later it was sent: what the generator itself adds.
    pub lag: Duration,
    /// How much later it was done.
    pub took: Duration,
    /// What came of it.
    pub outcome: Outcome,
}

impl Sample {
    /// From the moment at which it was sent: what the server and the way to it add. A stall of the server is in it for
    /// all who were due, too, since nobody waits for an answer before the next call; a pause of the generator is not.
    pub(crate) fn served(&self) -> Duration {
        self.took.saturating_sub(self.lag)
    }
}

/// All samples of one side, in the order in which they were due. Their number is bounded by rate and time, both of which are
/// configured.
#[derive(Debug, Default, Clone)]
pub struct Samples(pub Vec<Sample>);

impl Samples {
    /// Milliseconds of each call that was answered, in the order in which they were due. A call that was not has no time of
    /// its own: it counts among the [failures](Self::failures).
    pub(crate) fn answered_ms(&self) -> Vec<f64> {
        self.answered().map(|sample| sample.took.as_secs_f64() * 1e3).collect()
    }

    /// The same [from when they were sent](Sample::served).
    pub(crate) fn served_ms(&self) -> Vec<f64> {
        self.answered().map(|sample| sample.served().as_secs_f64() * 1e3).collect()
    }

    /// Those that were answered.
    pub(crate) fn answered(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(|sample| sample.outcome == Outcome::Answered)
    }

    /// How many calls were not answered, by what came of them instead.
    pub(crate) fn failures(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::<Outcome, u64>::new();
        for sample in self.0.iter().filter(|sample| sample.outcome != Outcome::Answered) {
            *counts.entry(sample.outcome).or_default() += 1;
        }
        counts.into_iter().map(|(outcome, count)| (outcome.to_string(), count)).collect()
    }

    /// How many calls there were.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there were none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn samples(outcomes: &[Outcome]) -> Samples {
        let sample = |(place, &outcome): (u64, &Outcome)| Sample {
            due: Duration::from_secs(place),
            lag: Duration::from_micros(20),
            took: Duration::from_millis(500 + 1_000 * place),
            outcome,
        };
        Samples((0..).zip(outcomes).map(sample).collect())
    }

    const ALL: [Outcome; 10] = [
        Outcome::Answered,
        Outcome::Refused(14),
        Outcome::Refused(503),
        Outcome::Refused(8),
        Outcome::Silent,
        Outcome::Unreachable,
        Outcome::Wrong(Fault::Model),
        Outcome::Wrong(Fault::NotFinite),
        Outcome::Wrong(Fault::OutOfRange),
        Outcome::Wrong(Fault::Incomplete),
    ];

    #[test]
    fn only_what_was_answered_has_a_time() {
        assert_eq!(samples(&ALL).answered_ms(), [500.0]);
        let told = samples(&[Outcome::Silent, Outcome::Answered, Outcome::Refused(14), Outcome::Answered]);
        assert_eq!(told.answered_ms(), [1_500.0, 3_500.0]);
        assert_eq!(samples(&ALL[1..]).answered_ms(), [0.0; 0]);
    }

    #[test]
    fn what_the_generator_adds_is_not_the_servers() {
        let of = samples(&ALL).served_ms();
        assert!((of[0] - 499.98).abs() < 1e-9 && of.len() == 1, "{of:?}");
    }

    #[test]
    fn failures_are_counted_by_name() {
        let (refused, stalled) = (Outcome::Refused(14), Outcome::Silent);
        let told = samples(&[refused, Outcome::Answered, stalled, refused, Outcome::Refused(503)]).failures();
        let expected = [("no answer in time", 1), ("refused with HTTP 503", 1), ("refused with UNAVAILABLE", 2)];
        assert_eq!(told, BTreeMap::from(expected.map(|(name, count)| (name.to_owned(), count))));
        assert!(samples(&ALL[..1]).failures().is_empty());
        assert_eq!(samples(&ALL).failures().values().sum::<u64>(), 9);
    }

    #[test]
    fn each_outcome_has_a_name_of_its_own() {
        let names: BTreeSet<String> = ALL.iter().map(Outcome::to_string).collect();
        assert_eq!(names.len(), ALL.len(), "{names:?}");
        let name = |code| Outcome::Refused(code).to_string();
        assert_eq!([name(3), name(16)], ["refused with INVALID_ARGUMENT", "refused with UNAUTHENTICATED"]);
        assert_eq!([name(17), name(429)], ["refused with HTTP 17", "refused with HTTP 429"]);
        assert_eq!(Outcome::Wrong(Fault::Model).to_string(), "wrong answer: of another model");
    }

    #[test]
    fn codes_are_called_as_grpc_calls_them() {
        for (code, name) in (0..).zip(CODES) {
            // `DeadlineExceeded` of DEADLINE_EXCEEDED.
            let tonic = format!("{:?}", tonic::Code::from_i32(code));
            assert_eq!(name.replace('_', "").to_lowercase(), tonic.to_lowercase());
        }
    }

    #[test]
    fn nothing_called_is_nothing_answered() {
        let none = Samples::default();
        assert_eq!((none.len(), none.is_empty()), (0, true));
        assert!(none.answered_ms().is_empty() && none.failures().is_empty());
    }
}
