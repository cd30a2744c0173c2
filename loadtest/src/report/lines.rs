//! The ten lines that a terminal or the log of a job shows.

use prowl_page::{count, counted, number, percent, plain};

use super::escape::cut;
use super::number::{milliseconds, ratio};
use super::words;
use crate::verdict::{Race, Side, Verdict};

/// Lines that are printed, whatever was measured.
const LINES: usize = 10;

/// Characters of a line.
const LONGEST: usize = 400;

/// The lines.
pub(super) fn lines(verdict: &Verdict) -> [String; LINES] {
    let lines = [
        ("decision", decision(verdict)),
        ("because", words::because(verdict, plain)),
        ("preview", side(&verdict.preview)),
        ("active", verdict.active.as_ref().map_or_else(|| words::alone(verdict).to_owned(), side)),
        ("checks", checks(verdict)),
        ("latency", verdict.race.as_ref().map_or_else(missing, latency)),
        ("against", verdict.race.as_ref().map_or_else(missing, against)),
        ("capacity", verdict.knee.as_deref().map_or_else(missing, words::capacity)),
        ("answers", verdict.answers.as_ref().map_or_else(missing, words::answers)),
        ("machine", machine(verdict)),
    ];
    lines.map(|(name, text)| format!("{name:<9} {}", cut(&plain(&text), LONGEST)))
}

fn missing() -> String {
    "not measured".to_owned()
}

fn decision(verdict: &Verdict) -> String {
    format!("{} for {}, exit code {}", verdict.decision.words(), verdict.expected, verdict.decision.exit_code())
}

fn side(side: &Side) -> String {
    if side.version.is_empty() {
        return format!("at {}", side.url);
    }
    format!("{} ({:.12}) at {}, ready after {} s", side.version, side.digest, side.url, number(side.ready_seconds))
}

fn checks(verdict: &Verdict) -> String {
    let of = |holds: Option<bool>| verdict.checks.iter().filter(|check| check.holds == holds).count();
    let memory = verdict.memory.as_ref().map_or(String::new(), |memory| {
        format!("; memory {} kB for 1,000 calls", words::signed(memory.per_thousand_calls_kb))
    });
    format!("{} hold, {} fail, {} unknown{memory}", of(Some(true)), of(Some(false)), of(None))
}

fn latency(race: &Race) -> String {
    let [p50, _, p99, p999, _] = words::quantiles(&race.preview);
    format!(
        "p50 {p50}, p99 {p99}, p99.9 {p999} of {} at {} a second; failed: {}",
        counted(race.preview.calls, "call", "calls"),
        number(race.rate),
        words::failed(&race.preview)
    )
}

fn against(race: &Race) -> String {
    let Some(active) = &race.active else { return "nothing".to_owned() };
    let [median, tail] = [&race.p50_ratio, &race.p99_ratio].map(|of| ratio(of.as_ref()));
    let (p50, p99) = (milliseconds(active.p50), milliseconds(active.p99));
    format!("{median} times its p50 of {p50}, {tail} times its p99 of {p99}")
}

fn machine(verdict: &Verdict) -> String {
    let machine = &verdict.machine;
    let limited = if machine.generator_limited { "; the load generator was the limit" } else { "" };
    format!(
        "{} at load {}, noise {}, {} s{limited}",
        counted(machine.cores as u64, "core", "cores"),
        number(machine.load),
        percent(machine.noise),
        count(verdict.seconds.max(0.0).round() as u64)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_lines_tell_it_all() {
        let lines = lines(&Verdict::example_no_go());
        assert_eq!(lines[0], "decision  no go for 20261130T001500Z, exit code 3");
        assert!(lines[1].starts_with("because   2 of 11 checks fail: answered (250 of 30000 failed; "), "{lines:?}");
        assert_eq!(lines[4], "checks    8 hold, 2 fail, 1 unknown; memory +0.4 kB for 1,000 calls");
        assert!(lines[5].contains(" of 30\u{202f}000 calls at 500 a second; failed: 250 (0.8%)"), "{lines:?}");
        assert_eq!(lines[9], "machine   8 cores at load 1.2, noise 3.1%, 97 s");
    }

    #[test]
    fn what_was_not_measured_is_told() {
        let alone = lines(&Verdict::example_alone());
        assert_eq!(alone[3], "active    No active version was named: preview was judged alone.");
        assert_eq!((&*alone[6], &*alone[8]), ("against   nothing", "answers   not measured"));
        let mut verdict = Verdict::example();
        (verdict.race, verdict.knee, verdict.seconds) = (None, None, f64::NAN);
        assert!(lines(&verdict).iter().all(|line| !line.contains("NaN")));
    }

    #[test]
    fn a_terminal_is_not_commanded() {
        let mut verdict = Verdict::example_no_go();
        let evil = "\u{1b}[2J\nno go\r";
        (verdict.preview.url, verdict.expected, verdict.checks[3].why) = (evil.into(), evil.into(), evil.repeat(999));
        for line in lines(&verdict) {
            assert!(!line.contains(char::is_control) && line.chars().count() <= LONGEST + 11, "{line}");
        }
    }
}
