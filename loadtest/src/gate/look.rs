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

/// One look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Look {
    /// When the process began, in whole seconds, which tells it from others behind the same address.
    started: Option<f64>,
    /// Resident bytes.
    resident: Option<f64>,
    /// Seconds that the processor has worked for it.
    cpu: Option<f64>,
    /// Calls that it has answered, of whoever asked.
    calls: f64,
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

/// Looks, where an HTTP port was named that tells.
pub(super) async fn look(target: &Target) -> Option<Look> {
    let asked = async {
        let answer = target.http(reqwest::Method::GET, "/metrics").ok()?.send().await.ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    };
    Some(Look::of(&timeout(PATIENCE, asked).await.ok()??))
}

impl Look {
    fn of(text: &str) -> Self {
        let gauge = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        let sum = |name: &str, label: &str| -> f64 {
            let counts = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} "));
            counts.filter(|(labels, _)| labels.contains(label)).filter_map(|(_, count)| count.parse::<f64>().ok()).sum()
        };
        Self {
            started: gauge(STARTED),
            resident: gauge(RESIDENT),
            cpu: gauge(CPU),
            calls: sum(OVER_GRPC, "") + sum(OVER_HTTP, OF_CALLS),
        }
    }

    /// Whether both are at one process, as far as is known: one that does not tell when it began may be any.
    fn is_of(&self, other: &Self) -> bool {
        self.started.is_some() && self.started == other.started
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
        let cost = Cost { seconds: last - first, off, calls: later.calls - self.calls };
        (cost.calls > 0.0).then_some(cost)
    }

    /// Whether the server that another look was at seems to be this one, which has been asked so often since `before`:
    /// two that began in the same second are told apart by what they count.
    pub(super) fn is_same_server(&self, other: &Self, before: &Self, asked: u64) -> bool {
        let began = [self, before].iter().all(|look| look.started == other.started);
        began && asked > 0 && other.calls - before.calls >= asked as f64
    }
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

    fn look(resident: f64, started: Option<f64>, cpu: f64, calls: f64) -> Look {
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
        let expected = Look { started: Some(1.7e9), resident: Some(3.5e7), cpu: Some(3.0), calls: 47.0 };
        assert_eq!(Look::of(text), expected);
        let nothing = Look { started: None, resident: None, cpu: None, calls: 0.0 };
        assert_eq!(Look::of("process_resident_memory_bytes_max 1"), nothing);
    }

    #[test]
    fn what_grew_is_one_process_that_tells_when_it_began() {
        let first = look(30e6, Some(7.0), 0.0, 0.0);
        let grown = first.growth(&look(31e6, Some(7.0), 0.0, 0.0), 2_000).unwrap();
        assert_eq!(grown.per_thousand_calls_kb, 500.0);
        assert_eq!(first.growth(&look(31e6, Some(8.0), 0.0, 0.0), 2_000), None);
        assert_eq!(look(30e6, None, 0.0, 0.0).growth(&look(31e6, None, 0.0, 0.0), 2_000), None);
    }

    #[test]
    fn a_cost_is_no_surer_than_its_counters() {
        let cost = |cpu: [f64; 2], calls: f64| {
            look(0.0, Some(7.0), cpu[0], 100.0).cost(&look(0.0, Some(7.0), cpu[1], 100.0 + calls)).unwrap()
        };
        let (whole, ticks) = (cost([1.0, 5.0], 2_000.0), cost([1.25, 5.25], 2_000.0));
        assert_eq!((whole.each_ms(), whole.off, ticks.off), (2.0, 1.0, 0.01));
        let half = cost([1.0, 3.0], 2_000.0);
        // Of 4 and 2 seconds, it may be 3 and 3.
        assert!((whole.at_least(&half) - 1.0).abs() < 1e-9 && ticks.at_least(&cost([1.5, 3.25], 2_000.0)) > 2.2);
        let first = look(0.0, Some(7.0), 1.0, 100.0);
        assert_eq!(first.cost(&look(0.0, Some(8.0), 2.0, 200.0)), None);
        assert_eq!(first.cost(&look(0.0, Some(7.0), 2.0, 100.0)), None);
    }

    #[test]
    fn one_server_behind_two_addresses_counts_the_calls_of_the_other() {
        let (before, asked) = (look(0.0, Some(7.0), 0.0, 100.0), look(0.0, Some(7.0), 0.0, 600.0));
        assert!(asked.is_same_server(&asked, &before, 500));
        // Another one that began in the same second, and which nobody asked.
        assert!(!asked.is_same_server(&before, &before, 500));
        let later = look(0.0, Some(8.0), 0.0, 100.0);
        assert!(!asked.is_same_server(&look(0.0, Some(8.0), 0.0, 900.0), &later, 500));
        let untold = |calls| look(0.0, None, 0.0, calls);
        assert!(untold(600.0).is_same_server(&untold(600.0), &untold(0.0), 500), "nothing says that it is another");
    }
}
