//! What the servers tell of themselves in `/metrics`: which process it is, what it holds, and what calls have cost it.

use std::time::Duration;

use tokio::time::timeout;

use crate::{target::Target, verdict::Memory};

/// The names of the Prometheus client libraries.
const RESIDENT: &str = "process_resident_memory_bytes";
const STARTED: &str = "process_start_time_seconds";
const CPU: &str = "process_cpu_seconds_total";
/// What a server counts of its calls, over gRPC and over HTTP. Of the latter what is looked at by machines is no call.
const OVER_GRPC: &str = "grpc_server_handled_total";
const OVER_HTTP: &str = "http_requests_total";
const OF_CALLS: &str = "route=\"/v1/";
const PATIENCE: Duration = Duration::from_secs(5);
/// What a counter of the processor's time counts in: ticks, where a part of a second shows, else whole seconds.
const TICK: f64 = 0.01;

/// So many calls of others are none: those of the steps before that a server has not ended yet.
const STRAY: f64 = 20.0;
const STRAY_SHARE: f64 = 0.05;
/// Share of the calls that a server has answered which it has to count at once to be known by them.
const COUNTED: f64 = 0.9;

/// One look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Look {
    /// When the process began, in whole seconds, which tells it from others behind the same address.
    started: f64,
    /// Resident bytes.
    resident: Option<f64>,
    /// Seconds that the processor has worked for it.
    cpu: Option<f64>,
    /// Calls that it has answered, of whoever asked.
    calls: f64,
}

/// What preview and active tell of themselves at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looks {
    pub(super) preview: Option<Look>,
    pub(super) active: Option<Look>,
}

/// What calls have cost a server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cost {
    /// Of the processor, between two looks.
    pub(super) seconds: f64,
    /// By how much that may be too much or too little.
    pub(super) off: f64,
    /// Calls that it answered meanwhile.
    pub(super) calls: f64,
}

/// Looks, where an HTTP port was named that tells. What does not say when it began is no server of ours.
pub(super) async fn look(target: &Target) -> Option<Look> {
    let asked = async {
        let answer = target.http(reqwest::Method::GET, "/metrics").ok()?.send().await.ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    };
    Look::of(&timeout(PATIENCE, asked).await.ok()??)
}

impl Look {
    fn of(text: &str) -> Option<Self> {
        let gauge = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        let sum = |name: &str, label: &str| -> f64 {
            let counts = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} "));
            counts.filter(|(labels, _)| labels.contains(label)).filter_map(|(_, count)| count.parse::<f64>().ok()).sum()
        };
        Some(Self {
            started: gauge(STARTED)?,
            resident: gauge(RESIDENT),
            cpu: gauge(CPU),
            calls: sum(OVER_GRPC, "") + sum(OVER_HTTP, OF_CALLS),
        })
    }

    /// Whether both are at one process, as far as is known.
    fn is_of(&self, other: &Self) -> bool {
        self.started == other.started
    }

    /// How many calls were answered until a later look; nothing where that is of another process.
    pub(super) fn answered(&self, later: &Self) -> Option<f64> {
        self.is_of(later).then_some(later.calls - self.calls)
    }

    /// The growth until a later look with so many calls between them; nothing where that is of another process.
    pub(super) fn growth(&self, later: &Self, calls: u64) -> Option<Memory> {
        let (first, last) = self.resident.zip(later.resident).filter(|_| self.is_of(later))?;
        Some(Memory {
            first_mb: first / 1e6,
            last_mb: last / 1e6,
            per_thousand_calls_kb: (last - first) / 1e3 / (calls.max(1) as f64 / 1e3),
        })
    }

    /// What the calls until a later look have cost; nothing where that is of another process, or there were none.
    pub(super) fn cost(&self, later: &Self) -> Option<Cost> {
        let (first, last) = self.cpu.zip(later.cpu).filter(|_| self.is_of(later))?;
        let off = if first.fract() == 0.0 && last.fract() == 0.0 { 1.0 } else { TICK };
        let cost = Cost { seconds: last - first, off, calls: self.answered(later)? };
        (cost.calls > 0.0).then_some(cost)
    }

    /// Whether the server that another look was at seems to be this one, which has been asked so often since `before`:
    /// two that began in the same second are told apart by what they count.
    pub(super) fn is_same_server(&self, other: &Self, before: &Self, asked: u64) -> bool {
        let began = [self, before].iter().all(|look| look.is_of(other));
        began && asked > 0 && other.calls - before.calls >= COUNTED * asked as f64
    }
}

impl Looks {
    /// What calls have cost until a later time, of preview and of active; nothing where either does not tell.
    pub(super) fn cost(&self, later: &Self) -> Option<[Cost; 2]> {
        let cost = |first: Option<Look>, last: Option<Look>| first?.cost(&last?);
        Some([cost(self.preview, later.preview)?, cost(self.active, later.active)?])
    }
}

/// How many of the calls that a server answered while it was asked so often are of somebody else; nothing where they
/// may be strays.
pub(super) fn of_others(answered: f64, asked: u64) -> Option<f64> {
    let others = answered - asked as f64;
    (others > STRAY_SHARE * asked as f64 + STRAY).then_some(others)
}

impl Cost {
    /// Milliseconds of the processor a call.
    pub(super) fn each_ms(&self) -> f64 {
        self.seconds / self.calls * 1e3
    }

    /// How many times the other's it is at least, whatever the counters leave out.
    pub(super) fn at_least(&self, other: &Self) -> f64 {
        ((self.seconds - self.off) / self.calls) / ((other.seconds + other.off) / other.calls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(resident: f64, started: f64, cpu: f64, calls: f64) -> Look {
        Look { started, resident: Some(resident), cpu: Some(cpu), calls }
    }

    #[test]
    fn figures_are_read_off_the_metrics() {
        let text = "# HELP process_resident_memory_bytes x\nprocess_resident_memory_bytes 3.5e7\nother 1\n\
                    process_start_time_seconds 1700000000\nprocess_cpu_seconds_total 3\n\
                    grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"Score\"} 40\n\
                    grpc_server_handled_total{grpc_code=\"InvalidArgument\",grpc_method=\"Score\"} 2\n\
                    grpc_server_handled_totals{x=\"y\"} 1000\n\
                    http_requests_total{route=\"/v1/score\",status=\"200\"} 5\n\
                    http_requests_total{route=\"/metrics\",status=\"200\"} 900\n";
        let expected = Look { started: 1.7e9, resident: Some(3.5e7), cpu: Some(3.0), calls: 47.0 };
        assert_eq!(Look::of(text), Some(expected));
        let little = Look { started: 1.7e9, resident: None, cpu: None, calls: 0.0 };
        assert_eq!(Look::of("process_start_time_seconds 1.7e9\nprocess_resident_memory_bytes_max 1"), Some(little));
        assert_eq!(Look::of("<html>another server</html>"), None);
    }

    #[test]
    fn what_grew_is_one_process_that_tells_when_it_began() {
        let first = look(30e6, 7.0, 0.0, 0.0);
        let grown = first.growth(&look(31e6, 7.0, 0.0, 0.0), 2_000).unwrap();
        assert_eq!(grown.per_thousand_calls_kb, 500.0);
        assert_eq!(first.growth(&look(31e6, 8.0, 0.0, 0.0), 2_000), None);
    }

    #[test]
    fn a_cost_is_no_surer_than_its_counters() {
        let cost = |cpu: [f64; 2], calls: f64| {
            look(0.0, 7.0, cpu[0], 100.0).cost(&look(0.0, 7.0, cpu[1], 100.0 + calls)).unwrap()
        };
        let (whole, ticks) = (cost([1.0, 5.0], 2_000.0), cost([1.25, 5.25], 2_000.0));
        assert_eq!((whole.each_ms(), whole.off, ticks.off), (2.0, 1.0, 0.01));
        let half = cost([1.0, 3.0], 2_000.0);
        // Of 4 and 2 seconds, it may be 3 and 3.
        assert!((whole.at_least(&half) - 1.0).abs() < 1e-9 && ticks.at_least(&cost([1.5, 3.25], 2_000.0)) > 2.2);
        let first = look(0.0, 7.0, 1.0, 100.0);
        assert_eq!(first.cost(&look(0.0, 8.0, 2.0, 200.0)), None);
        assert_eq!(first.cost(&look(0.0, 7.0, 2.0, 100.0)), None);
    }

    #[test]
    fn each_side_has_the_cost_of_its_own_looks() {
        let looks = |ours: (f64, f64), theirs: (f64, f64)| Looks {
            preview: Some(look(0.0, 7.0, ours.0, ours.1)),
            active: Some(look(0.0, 5.0, theirs.0, theirs.1)),
        };
        let (before, after) = (looks((1.5, 10.0), (9.25, 700.0)), looks((5.5, 2_010.0), (10.25, 1_700.0)));
        let told = before.cost(&after).unwrap().map(|cost| (cost.seconds, cost.calls));
        assert_eq!(told, [(4.0, 2_000.0), (1.0, 1_000.0)]);
        assert_eq!(before.cost(&Looks { active: None, ..after }), None);
    }

    #[test]
    fn a_few_calls_more_are_strays_and_many_are_of_others() {
        let (before, after) = (look(0.0, 7.0, 0.0, 100.0), look(0.0, 7.0, 0.0, 6_419.0));
        assert_eq!(before.answered(&after), Some(6_319.0));
        assert_eq!(before.answered(&look(0.0, 8.0, 0.0, 6_419.0)), None);
        assert_eq!(
            [6_319.0, 6_321.0, 12_000.0].map(|calls| of_others(calls, 6_000)),
            [None, Some(321.0), Some(6_000.0)]
        );
        assert_eq!(of_others(3_000.0, 6_000), None, "it answered less than it was asked");
    }

    #[test]
    fn one_server_behind_two_addresses_counts_the_calls_of_the_other() {
        let (before, asked) = (look(0.0, 7.0, 0.0, 100.0), look(0.0, 7.0, 0.0, 600.0));
        assert!(asked.is_same_server(&asked, &before, 500));
        // It may not have counted the last ones yet.
        assert!(asked.is_same_server(&look(0.0, 7.0, 0.0, 597.0), &before, 500));
        // Another one that began in the same second, and which nobody asked.
        assert!(!asked.is_same_server(&before, &before, 500));
        let later = look(0.0, 8.0, 0.0, 100.0);
        assert!(!asked.is_same_server(&look(0.0, 8.0, 0.0, 900.0), &later, 500));
    }
}
