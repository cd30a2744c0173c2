//! What is held on the switch while the sides change: who makes the calls is handed in, what came of them is counted here.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{report::Turn, stage::Switched};
use crate::{
    sample::{Outcome, Sample, Samples},
    stats,
};

/// What the load is asked for.
#[derive(Debug, Clone)]
pub struct Through {
    /// Where the switch listens, for gRPC.
    pub url: Url,
    /// Calls a second.
    pub rate: f64,
    /// When it has lasted long enough: calls in flight are still waited for.
    pub until: CancellationToken,
}

/// What the load came to.
#[derive(Debug, Clone)]
pub struct Carried {
    /// When it began: samples are due after that.
    pub begun: Instant,
    /// All calls, in the order in which they were due.
    pub samples: Samples,
    /// Of each of them, the digest of the model that its answer names.
    pub digests: Vec<Option<Arc<str>>>,
    /// Calls that were due and never made, for want of a place in flight.
    pub shed: u64,
    /// How often a call was made again, as clients do where no server has begun it.
    pub again: u64,
}

/// All that is counted.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) calls: u64,
    pub(super) again: u64,
    pub(super) failures: BTreeMap<String, u64>,
    pub(super) unknown_digests: u64,
    pub(super) p99_before: Option<f64>,
    pub(super) p99_through: Option<f64>,
    pub(super) turns: Vec<Turn>,
}

/// One call: its sample, and who answered it.
type Call<'a> = (&'a Sample, Option<&'a str>);

impl Carried {
    fn calls(&self) -> impl Iterator<Item = Call<'_>> {
        let digests = self.digests.iter().map(Option::as_deref).chain(std::iter::repeat(None));
        self.samples.0.iter().zip(digests)
    }

    fn since_begin(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.begun)
    }

    /// Counts what came of the calls. `known` are the digests of blue and green, `calm` is a time in which nothing changed.
    pub(super) fn count(&self, known: [&str; 2], calm: (Instant, Instant), switched: &[Switched]) -> Counted {
        let is_unknown = |(sample, digest): &Call<'_>| match digest {
            Some(digest) => !known.contains(digest),
            None => sample.outcome == Outcome::Answered,
        };
        let due = |from: Instant, to: Instant| {
            let within = self.since_begin(from)..self.since_begin(to);
            self.calls().filter(move |(sample, _)| within.contains(&sample.due))
        };
        let turns = switched.iter().enumerate().map(|(place, turn)| {
            let next = switched.get(place + 1).map(|next| next.at);
            self.turn(known, turn, next)
        });
        Counted {
            calls: self.samples.len() as u64 + self.shed,
            again: self.again,
            failures: self.failures(),
            unknown_digests: self.calls().filter(is_unknown).count() as u64,
            p99_before: p99(due(calm.0, calm.1)),
            p99_through: p99(switched.iter().flat_map(|turn| due(turn.at, turn.drained))),
            turns: turns.collect(),
        }
    }

    fn failures(&self) -> BTreeMap<String, u64> {
        let mut failures = self.samples.failures();
        if self.shed > 0 {
            failures.insert("not made: too many were in flight".to_owned(), self.shed);
        }
        failures
    }

    /// What one switch, up to the next, has cost.
    fn turn(&self, known: [&str; 2], switched: &Switched, next: Option<Instant>) -> Turn {
        let from = self.since_begin(switched.at);
        let to = next.map_or(Duration::MAX, |next| self.since_begin(next));
        let drained = self.since_begin(switched.drained);
        let (new, old) = (known[switched.to.place()], known[switched.to.other().place()]);
        // Of an answer it counts when it came, of a failure when the call was due.
        let of = |digest: &str| {
            let came = self.calls().filter(move |(_, found)| *found == Some(digest));
            let came = came.map(|(sample, _)| sample.due + sample.took);
            came.filter(|at| (from..to).contains(at)).collect::<Vec<_>>()
        };
        let answers = (old != new).then(|| [of(old), of(new)]);
        let due: Vec<_> = self.calls().filter(|(sample, _)| (from..to).contains(&sample.due)).collect();
        let through = due.iter().filter(|(sample, _)| sample.due < drained);
        Turn {
            to: switched.to,
            second: from.as_secs_f64(),
            drained_after: (switched.drained - switched.at).as_secs_f64(),
            ended_after: switched.stopped.after.as_secs_f64(),
            exit_code: switched.stopped.code,
            cut: switched.cut,
            ready_after: switched.ready_after.as_secs_f64(),
            old_answers: answers.as_ref().map(|[old, _]| old.len() as u64),
            new_answers: answers.as_ref().map(|[_, new]| new.len() as u64),
            mixed_seconds: answers.as_ref().map(|[old, new]| mixed(old, new)),
            failed: due.iter().filter(|(sample, _)| sample.outcome != Outcome::Answered).count() as u64,
            p99: p99(through.copied()),
        }
    }
}

/// From the first answer of the new side to the last one of the old side.
fn mixed(old: &[Duration], new: &[Duration]) -> f64 {
    match (new.iter().min(), old.iter().max()) {
        (Some(first), Some(last)) => last.saturating_sub(*first).as_secs_f64(),
        _ => 0.0,
    }
}

/// In milliseconds, of what was answered.
fn p99<'a>(calls: impl Iterator<Item = Call<'a>>) -> Option<f64> {
    let answered = calls.filter(|(sample, _)| sample.outcome == Outcome::Answered);
    let mut times: Vec<f64> = answered.map(|(sample, _)| sample.took.as_secs_f64() * 1e3).collect();
    times.sort_unstable_by(f64::total_cmp);
    stats::quantile(&times, 0.99)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::rehearse::{Color, replica::Stopped};

    pub(in crate::rehearse) const KNOWN: [&str; 2] = ["blue's", "green's"];

    /// A call a millisecond, each done after one, but for those that `change` says otherwise of: blue until 1 s, and green
    /// from 1.5 s on, with both in turns between.
    pub(in crate::rehearse) fn carried(
        begun: Instant,
        mut change: impl FnMut(u64, &mut Sample, &mut Option<Arc<str>>),
    ) -> Carried {
        let mut carried = Carried { begun, samples: Samples::default(), digests: Vec::new(), shed: 0, again: 0 };
        for call in 0..3_000_u64 {
            let color = match call {
                0..1_000 => Color::Blue,
                1_000..1_500 if call.is_multiple_of(2) => Color::Blue,
                _ => Color::Green,
            };
            let millisecond = Duration::from_millis(1);
            let due = Duration::from_millis(call);
            let mut sample = Sample { due, lag: Duration::ZERO, took: millisecond, outcome: Outcome::Answered };
            let mut digest = Some(Arc::from(KNOWN[color.place()]));
            change(call, &mut sample, &mut digest);
            carried.samples.0.push(sample);
            carried.digests.push(digest);
        }
        carried
    }

    pub(in crate::rehearse) fn switched(begun: Instant, to: Color, at: u64, drained: u64) -> Switched {
        let moment = |at| begun + Duration::from_millis(at);
        Switched {
            to,
            at: moment(at),
            drained: moment(drained),
            stopped: Stopped { code: Some(0), after: Duration::from_millis(400) },
            cut: 0,
            ready_after: Duration::from_secs(1),
        }
    }

    fn calm(begun: Instant) -> (Instant, Instant) {
        (begun + Duration::from_millis(100), begun + Duration::from_millis(600))
    }

    #[test]
    fn a_switch_that_costs_nothing() {
        let begun = Instant::now();
        let turns = [switched(begun, Color::Green, 900, 1_600)];
        let counted = carried(begun, |_, _, _| {}).count(KNOWN, calm(begun), &turns);
        assert_eq!((counted.calls, counted.unknown_digests), (3_000, 0));
        assert!(counted.failures.is_empty());
        assert_eq!((counted.p99_before, counted.p99_through), (Some(1.0), Some(1.0)));
        let turn = &counted.turns[0];
        assert_eq!((turn.to, turn.second, turn.failed, turn.exit_code), (Color::Green, 0.9, 0, Some(0)));
        // Green is first heard at 1.002 s, blue last at 1.499 s.
        assert_eq!(turn.mixed_seconds, Some(0.497));
        // Blue's are those done from 0.900 s on.
        assert_eq!((turn.old_answers, turn.new_answers), (Some(101 + 250), Some(250 + 1_500)));
        assert!((turn.drained_after - 0.7).abs() < 1e-9 && turn.p99 == Some(1.0));
    }

    #[test]
    fn failures_and_strangers_are_counted_where_they_were() {
        let begun = Instant::now();
        let turns = [switched(begun, Color::Green, 900, 1_600), switched(begun, Color::Blue, 2_000, 2_500)];
        let change = |call, sample: &mut Sample, digest: &mut Option<Arc<str>>| match call {
            950 | 1_200 => (sample.outcome, *digest) = (Outcome::Refused(14), None),
            2_100 => (sample.outcome, *digest) = (Outcome::Silent, None),
            700 => *digest = Some(Arc::from("nobody's")),
            701 => *digest = None,
            300..400 => sample.took = Duration::from_millis(9),
            1_300..1_400 => sample.took = Duration::from_millis(30),
            _ => {}
        };
        let mut carried = carried(begun, change);
        (carried.shed, carried.again) = (7, 4);
        let counted = carried.count(KNOWN, calm(begun), &turns);
        assert_eq!((counted.calls, counted.again, counted.unknown_digests), (3_007, 4, 2));
        assert_eq!(counted.failures.values().sum::<u64>(), 10, "{:?}", counted.failures);
        assert_eq!((counted.turns[0].failed, counted.turns[1].failed), (2, 1));
        assert_eq!((counted.p99_before, counted.p99_through), (Some(9.0), Some(30.0)));
        assert_eq!((counted.turns[0].p99, counted.turns[1].p99), (Some(30.0), Some(1.0)));
    }

    #[test]
    fn the_same_model_on_both_sides_cannot_be_told_apart() {
        let begun = Instant::now();
        let same = |_, _: &mut Sample, digest: &mut Option<Arc<str>>| *digest = Some(Arc::from("one"));
        let turns = [switched(begun, Color::Green, 900, 1_600)];
        let counted = carried(begun, same).count(["one", "one"], calm(begun), &turns);
        let turn = &counted.turns[0];
        assert_eq!((turn.mixed_seconds, turn.old_answers, turn.new_answers), (None, None, None));
        assert_eq!(counted.unknown_digests, 0);
    }

    #[test]
    fn nothing_is_counted_as_nothing() {
        let begun = Instant::now();
        let nothing = Carried { begun, samples: Samples::default(), digests: Vec::new(), shed: 0, again: 0 };
        let counted = nothing.count(KNOWN, calm(begun), &[switched(begun, Color::Green, 1, 2)]);
        assert_eq!((counted.calls, counted.p99_before, counted.p99_through), (0, None, None));
        assert_eq!(counted.turns[0].mixed_seconds, Some(0.0));
        assert_eq!(mixed(&[Duration::from_secs(1)], &[Duration::from_secs(2)]), 0.0, "the old was silent before");
    }
}
