//! Failures that a person can act on, told across a cluster.
//!
//! An error of an executor reaches the client as text, wrapped in the `Debug` form of every layer on its way. Ours are
//! put between marks, so that the client can find them in it and tell nothing else.

use datafusion::common::DataFusionError;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::args::Scheduler;

const OPEN: &str = "<<prowl: ";
const CLOSE: &str = " :prowl>>";

/// What `Debug` would change once for each layer, and what the marks are made of. The rest stays legible in the log of
/// the executor.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'\\').add(b'"').add(b'%').add(b'<').add(b'>');

/// A failure with a message for the person who started the job.
pub(crate) fn failure(message: &impl std::fmt::Display) -> DataFusionError {
    let message = message.to_string();
    DataFusionError::Execution(format!("{OPEN}{}{CLOSE}", utf8_percent_encode(&message, ESCAPED)))
}

/// What a scheduler answers to new jobs when it was told to stop.
pub(crate) const STOPPING: &str = "the scheduler is stopping";

/// What the failures of executors say somewhere in their text, and what it means for the person who started the job.
const KNOWN: [(&str, &str); 5] = [
    ("ResourcesExhausted", "sorting needs more memory: raise --memory-limit, on a cluster that of prowl-executor"),
    (
        "StorageFull",
        "the disk for shuffle files and spills is full: free it, or give another folder with --work-dir \
         (on a cluster to prowl-executor)",
    ),
    (
        "Error connecting to Ballista scheduler or executor",
        "an executor cannot be reached at the address that it gives: let prowl-executor give one that this program and the \
         other executors can reach with --external-host, and open its port (--bind-port) to them",
    ),
    (
        " failed: Cancelled",
        "the scheduler gave the job up, as one that stops does, or one that is told to: run it again",
    ),
    ("all executors were lost", "the cluster has lost its last executor: start prowl-executor and run it again"),
];

/// The message of the [`failure`] that `error` carries, else what it means, else what it says by itself.
pub(crate) fn retell(error: &DataFusionError, scheduler: &Scheduler) -> anyhow::Error {
    let text = error.to_string();
    if let Some((message, _)) = text.split_once(OPEN).and_then(|(_, rest)| rest.split_once(CLOSE)) {
        return anyhow::anyhow!("{}", percent_decode_str(message).decode_utf8_lossy());
    }
    if text.contains(STOPPING) {
        return anyhow::anyhow!("the scheduler {scheduler} is stopping: run it again when it is back");
    }
    if is_without_answer(&text) {
        return anyhow::anyhow!(
            "the scheduler {scheduler} does not answer: see that prowl-scheduler listens there and is well, then run it again"
        );
    }
    match KNOWN.iter().find(|(sign, _)| text.contains(sign)) {
        Some((_, meaning)) => anyhow::anyhow!("{meaning}"),
        None => anyhow::anyhow!("the cluster could not finish the job: {text}"),
    }
}

/// Whether a call of the scheduler failed without an answer of its own. What happened to an executor is told behind the
/// name of the job instead.
fn is_without_answer(text: &str) -> bool {
    let of_transport = ["Unavailable", "Unknown", "Cancelled", "DeadlineExceeded"];
    let text = text.trim_start_matches("Execution error: ");
    text.starts_with("tonic::transport::Error(")
        || text
            .strip_prefix("Status { code: ")
            .is_some_and(|rest| of_transport.iter().any(|code| rest.starts_with(code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: &DataFusionError) -> String {
        retell(error, &Scheduler { host: "here".into(), port: 1 }).to_string()
    }

    #[test]
    fn what_the_engine_says_is_told_with_its_way_out() {
        for (engine, way_out) in [
            (DataFusionError::ResourcesExhausted("Failed to allocate 5 B for ExternalSorter".into()), "--memory-limit"),
            (DataFusionError::Execution("Shared(IoError(Os { code: 28, kind: StorageFull }))".into()), "--work-dir"),
            (
                DataFusionError::Execution(
                    "Error connecting to Ballista scheduler or executor at http://a:1: e".into(),
                ),
                "--external-host",
            ),
            (DataFusionError::Execution("Job a1 failed: Cancelled".into()), "run it again"),
            (DataFusionError::Execution("Job failed: all executors were lost".into()), "start prowl-executor"),
        ] {
            let text = format!("task failed: {engine:?}");
            let told = told(&DataFusionError::Execution(text.clone()));
            assert!(told.contains(way_out) && !told.contains("task failed"), "{text}: {told}");
        }
    }

    #[test]
    fn a_scheduler_without_an_answer_is_told_from_one_that_says_no() {
        let told = |text: &str| told(&DataFusionError::Execution(text.into()));
        for text in [
            r#"Status { code: Unavailable, message: "tcp connect error", source: None }"#,
            r#"Status { code: Unknown, message: "transport error", source: None }"#,
            r#"Status { code: Cancelled, message: "Timeout expired", source: None }"#,
            "tonic::transport::Error(Transport, ConnectError(ConnectionRefused))",
        ] {
            assert!(told(text).starts_with("the scheduler df://here:1 does not answer: "), "{}", told(text));
        }
        let stopping = told(&format!("{:?}", tonic::Status::unavailable(STOPPING)));
        assert_eq!(stopping, "the scheduler df://here:1 is stopping: run it again when it is back");
        for text in [
            r#"Status { code: Internal, message: "cannot plan it", source: None }"#,
            r#"Job a1 failed: FetchFailed(Status { code: Unavailable, message: "tcp connect error" })"#,
        ] {
            assert!(told(text).contains(text), "{}", told(text));
        }
    }

    #[test]
    fn a_message_survives_its_wrapping() {
        for message in [
            "cannot read \"a b\": no such file",
            r"cannot read a\b\\c\n.json, 100%",
            "<<prowl: \t \u{1f980} \u{301} \u{200b}\n :prowl>>",
        ] {
            let first = format!("{:?}", failure(&message));
            let wrapped = DataFusionError::Execution(format!("task failed: {:?}", format!("Shared({first:?})")));
            assert_eq!(told(&wrapped), message);
        }
        let other = told(&DataFusionError::Execution("other".into()));
        assert!(other.ends_with("job: Execution error: other"), "{other}");
    }
}
