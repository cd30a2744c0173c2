//! What the server holds, as its metrics tell: whether each call leaves something behind.

use std::time::Duration;

use tokio::time::timeout;

use crate::{target::Target, verdict::Memory};

/// The gauges of the Prometheus client libraries.
const RESIDENT: &str = "process_resident_memory_bytes";
const STARTED: &str = "process_start_time_seconds";
const PATIENCE: Duration = Duration::from_secs(5);

/// One look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Look {
    /// Resident bytes.
    resident: f64,
    /// When the process began, which tells it from others behind the same address.
    started: Option<f64>,
}

/// Looks, where the server tells.
pub(super) async fn look(target: &Target) -> Option<Look> {
    let asked = async {
        let answer = target.http(reqwest::Method::GET, "/metrics").ok()?.send().await.ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    };
    let text = timeout(PATIENCE, asked).await.ok()??;
    Some(Look { resident: gauge(&text, RESIDENT)?, started: gauge(&text, STARTED) })
}

fn gauge(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// The growth between two looks with so many calls between them; nothing where they were at two processes.
pub(super) fn growth(first: Look, last: Look, calls: u64) -> Option<Memory> {
    (first.started == last.started).then(|| Memory {
        first_mb: first.resident / 1e6,
        last_mb: last.resident / 1e6,
        per_thousand_calls_kb: (last.resident - first.resident) / 1e3 / (calls.max(1) as f64 / 1e3),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gauge_is_read_off_the_metrics() {
        let text = "# HELP process_resident_memory_bytes x\nprocess_resident_memory_bytes 3.5e7\nother 1\n";
        assert_eq!(gauge(text, RESIDENT), Some(3.5e7));
        assert_eq!(gauge("process_resident_memory_bytes_max 1", RESIDENT), None);
    }

    #[test]
    fn what_grew_is_one_process() {
        let look = |resident, started| Look { resident, started: Some(started) };
        let grown = growth(look(30e6, 7.0), look(31e6, 7.0), 2_000).unwrap();
        assert_eq!(grown.per_thousand_calls_kb, 500.0);
        assert_eq!(growth(look(30e6, 7.0), look(31e6, 8.0), 2_000), None);
    }
}
