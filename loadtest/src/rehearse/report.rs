//! What a rehearsal comes to: for a program as JSON, for a person in ten lines.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Break, Color, Counts, load::Counted};
use crate::verdict::{Decision, Verdict};

/// A rehearsal. Times of calls are in milliseconds, all others in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// What was planted in green.
    pub fault: Option<Break>,
    /// Calls a second.
    pub rate: f64,
    /// How long the load was held.
    pub seconds: f64,
    /// The switches, in their order; none where the gate did not let green pass, or a fault was planted.
    pub switches: Vec<Turn>,
    /// Calls through the switch that were due.
    pub calls: u64,
    /// How often one was made again, since no server had begun it: as clients of gRPC do without a word, and tonic does not.
    pub again: u64,
    /// Those that were not answered as they have to be.
    pub failed: u64,
    /// The same, by what came of them instead.
    pub failures: BTreeMap<String, u64>,
    /// Answers that name a model that is neither blue's nor green's, or none.
    pub unknown_digests: u64,
    /// The longest time in which answers of both came; nothing where both serve the same model.
    pub mixed_seconds: Option<f64>,
    /// 99% quantile before green was there.
    pub p99_before: Option<f64>,
    /// The same of calls that were due between a switch and the end of the old server.
    pub p99_through: Option<f64>,
    /// Connections through the switch to blue.
    pub to_blue: Counts,
    /// And to green.
    pub to_green: Counts,
    /// What the gate said.
    pub gate: Option<Verdict>,
    /// Why it has said nothing, which is never a go.
    pub gate_failed: Option<String>,
}

/// One switch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// The side that became active.
    pub to: Color,
    /// When, since the load began.
    pub second: f64,
    /// How long after that the last connection to the old server was closed.
    pub drained_after: f64,
    /// How long after SIGTERM the old server had ended.
    pub ended_after: f64,
    /// What it ended with: 0 says that it has answered all; nothing where a signal ended it.
    pub exit_code: Option<i32>,
    /// Connections that outlived it and were closed by the switch.
    pub cut: u64,
    /// How long it took until it was ready again.
    pub ready_after: f64,
    /// Answers of the old server after the switch.
    pub old_answers: Option<u64>,
    /// Answers of the new one, up to the next switch.
    pub new_answers: Option<u64>,
    /// From the first of these to the last of those.
    pub mixed_seconds: Option<f64>,
    /// Calls that were due after it, up to the next, and failed.
    pub failed: u64,
    /// 99% quantile of the calls that were due until the old server had ended.
    pub p99: Option<f64>,
}

/// What is known beside the counts.
pub(super) struct Circumstances {
    pub(super) fault: Option<Break>,
    pub(super) rate: f64,
    pub(super) length: Duration,
    pub(super) connections: [Counts; 2],
    pub(super) gate: Result<Verdict, String>,
}

impl Rehearsal {
    pub(super) fn new(counted: Counted, circumstances: Circumstances) -> Self {
        let Counted { calls, again, failures, unknown_digests, p99_before, p99_through, turns } = counted;
        let Circumstances { fault, rate, length, connections: [to_blue, to_green], gate } = circumstances;
        let mixed = turns.iter().filter_map(|turn| turn.mixed_seconds).max_by(f64::total_cmp);
        let (gate, gate_failed) = match gate {
            Ok(verdict) => (Some(verdict), None),
            Err(reason) => (None, Some(reason)),
        };
        Self {
            fault,
            rate,
            seconds: length.as_secs_f64(),
            switches: turns,
            calls,
            again,
            failed: failures.values().sum(),
            failures,
            unknown_digests,
            mixed_seconds: mixed,
            p99_before,
            p99_through,
            to_blue,
            to_green,
            gate,
            gate_failed,
        }
    }

    /// What the gate decided. Where it failed it could not tell.
    fn decision(&self) -> Decision {
        self.gate.as_ref().map_or(Decision::Unknown, |verdict| verdict.decision)
    }

    /// Whether all is as it has to be: a planted fault was caught, by a check that is there for it; or, without one, green passed,
    /// no call failed, no stranger answered, and each old server ended by itself when it had answered all.
    pub fn holds(&self) -> bool {
        if let Some(fault) = self.fault {
            let checks = self.gate.iter().flat_map(|verdict| &verdict.checks);
            let mut failed = checks.filter(|check| check.holds == Some(false));
            return failed.any(|check| fault.caught_by().contains(&check.name.as_str()));
        }
        let passed = self.decision() == Decision::Go;
        let drained = self.switches.iter().all(|turn| turn.exit_code == Some(0) && turn.cut == 0);
        passed && drained && self.calls > 0 && self.failed == 0 && self.unknown_digests == 0
    }
}

/// A few lines for a person.
impl fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decided = self.decision().words();
        match self.fault {
            None => writeln!(f, "rehearsal: {}", if self.holds() { "holds" } else { "does not hold" })?,
            Some(fault) => {
                writeln!(f, "rehearsal with {}: {}", fault.name(), if self.holds() { "caught" } else { "NOT CAUGHT" })?;
            }
        }
        match (&self.gate, &self.gate_failed) {
            (Some(verdict), _) => writeln!(f, "  gate: {decided}, in {:.0} s", verdict.seconds)?,
            (None, Some(reason)) => writeln!(f, "  gate: {decided}: {reason}")?,
            (None, None) => writeln!(f, "  gate: {decided}")?,
        }
        for check in self.gate.iter().flat_map(|verdict| &verdict.checks).filter(|check| check.holds != Some(true)) {
            let line = format!("    {}: {} (limit: {}) {}", check.name, check.observed, check.limit, check.why);
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(
            f,
            "  load: {} calls in {:.0} s at {} a second, {} failed, {} answers of an unknown model",
            self.calls, self.seconds, self.rate, self.failed, self.unknown_digests
        )?;
        for (failure, count) in &self.failures {
            writeln!(f, "    {count} {failure}")?;
        }
        if self.again > 0 {
            writeln!(
                f,
                "    {} times one that no server had begun was made again, as clients of gRPC do; tonic would have failed",
                self.again
            )?;
        }
        if self.switches.is_empty() {
            return write!(f, "  switches: none");
        }
        let drained = self.switches.iter().map(|turn| turn.drained_after).fold(0.0, f64::max);
        let mixed = match self.mixed_seconds {
            Some(seconds) => format!("answers of both for {seconds:.2} s at most"),
            None => "both serve the same model".to_owned(),
        };
        writeln!(f, "  switches: {}, drained within {drained:.2} s; {mixed}", self.switches.len())?;
        let unclean = |turn: &&Turn| turn.exit_code != Some(0) || turn.cut > 0 || turn.failed > 0;
        for turn in self.switches.iter().filter(unclean) {
            let (at, to, from) = (turn.second, turn.to, turn.to.other());
            let code = turn.exit_code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
            let (failed, cut) = (turn.failed, turn.cut);
            writeln!(
                f,
                "    at {at:.1} s to {to}: {failed} failed, {from} ended by {code}, {cut} connections were cut"
            )?;
        }
        write!(f, "  p99: {} ms before, {} ms through the switches", figure(self.p99_before), figure(self.p99_through))
    }
}

fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "?".to_owned(), |value| format!("{value:.2}"))
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::{
        rehearse::load::tests::{KNOWN, carried, switched},
        sample::Outcome,
    };

    fn rehearsal(fault: Option<Break>, gate: Result<Verdict, String>, failing: Option<u64>) -> Rehearsal {
        let begun = Instant::now();
        let turns = [switched(begun, Color::Green, 900, 1_600), switched(begun, Color::Blue, 2_000, 2_900)];
        let change = |call, sample: &mut crate::sample::Sample, _: &mut _| {
            if Some(call) == failing {
                sample.outcome = Outcome::Unreachable;
            }
        };
        let calm = (begun, begun + Duration::from_millis(500));
        let counted = carried(begun, change).count(KNOWN, calm, &turns);
        let length = Duration::from_secs(3);
        let connections = [Counts::default(); 2];
        Rehearsal::new(counted, Circumstances { fault, rate: 1_000.0, length, connections, gate })
    }

    #[test]
    fn one_that_holds_says_so_in_few_lines() {
        let rehearsal = rehearsal(None, Ok(Verdict::example()), None);
        assert!(rehearsal.holds());
        let text = rehearsal.to_string();
        assert!(text.starts_with("rehearsal: holds\n  gate: go, in 97 s\n"), "{text}");
        assert!(text.contains("3000 calls in 3 s at 1000 a second, 0 failed, 0 answers of an unknown model"), "{text}");
        assert!(text.contains("switches: 2, drained within 0.90 s; answers of both for 0.50 s at most"), "{text}");
        assert!(text.ends_with("p99: 1.00 ms before, 1.00 ms through the switches"), "{text}");
        assert!(text.lines().count() <= 10 && !text.contains("made again"));
        let again = Rehearsal { again: 3, ..rehearsal };
        assert!(again.holds() && again.to_string().contains("    3 times one that no server had begun was made again"));
    }

    #[test]
    fn a_call_that_fails_a_stranger_and_an_end_by_force_are_told() {
        let failed = rehearsal(None, Ok(Verdict::example()), Some(950));
        let text = failed.to_string();
        assert!(!failed.holds() && text.contains("does not hold") && text.contains("1 unreachable"), "{text}");
        assert!(text.contains("at 0.9 s to green: 1 failed, blue ended by 0, 0 connections were cut"), "{text}");
        let good = || rehearsal(None, Ok(Verdict::example()), None);
        assert!(good().holds());
        let strange = Rehearsal { unknown_digests: 1, ..good() };
        let idle = Rehearsal { calls: 0, ..good() };
        let (mut forced, mut cut) = (good(), good());
        forced.switches[1].exit_code = None;
        cut.switches[0].cut = 2;
        assert!(forced.to_string().contains("to blue: 0 failed, green ended by a signal"), "{forced}");
        for bad in [strange, idle, forced, cut] {
            assert!(!bad.holds(), "{bad}");
        }
    }

    #[test]
    fn a_planted_fault_is_caught_by_what_is_there_for_it() {
        let no_go = rehearsal(Some(Break::Slow), Ok(Verdict::example_no_go()), Some(3));
        assert!(no_go.holds(), "what fails then is green's");
        let text = no_go.to_string();
        assert!(text.starts_with("rehearsal with slow: caught\n  gate: no go") && text.contains("answered:"), "{text}");
        let failed = rehearsal(Some(Break::Crash), Err("preview is gone".to_owned()), None);
        assert!(!failed.holds() && failed.to_string().contains("gate: could not tell: preview is gone"));
        let by_luck = rehearsal(Some(Break::Leak), Ok(Verdict::example_no_go()), None);
        assert!(!by_luck.holds(), "nothing that fails is about memory");
        let missed = rehearsal(Some(Break::WrongModel), Ok(Verdict::example()), None);
        assert!(!missed.holds() && missed.to_string().contains("rehearsal with wrong-model: NOT CAUGHT"));
        assert!(!rehearsal(None, Err("preview is gone".to_owned()), None).holds());
    }

    #[test]
    fn it_is_read_back_from_json() {
        let rehearsal = rehearsal(Some(Break::Drifted), Ok(Verdict::example()), Some(5));
        let json = serde_json::to_value(&rehearsal).unwrap();
        assert_eq!(json["fault"], "drifted");
        assert_eq!(json["switches"][0]["to"], "green");
        assert_eq!(json["gate"]["decision"], "go");
        let read: Rehearsal = serde_json::from_value(json).unwrap();
        assert_eq!((read.fault, read.calls, &read.failures), (rehearsal.fault, rehearsal.calls, &rehearsal.failures));
        assert_eq!(read.to_string(), rehearsal.to_string());
    }
}
