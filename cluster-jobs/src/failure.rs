//! Failures that a person can act on, told across a cluster.
//!
//! An error of an executor reaches the client as text, wrapped in the `Debug` form of every layer on its way. Ours are
//! put between marks, so that the client can find them in it and tell nothing else.

use datafusion::common::DataFusionError;

const OPEN: &str = "<<prowl: ";
const CLOSE: &str = " :prowl>>";

/// A failure with a message for the person who started the job.
pub(crate) fn failure(message: &impl std::fmt::Display) -> DataFusionError {
    DataFusionError::Execution(format!("{OPEN}{message}{CLOSE}"))
}

/// What the engine's own failures say somewhere in their text, and what it means for the person who started the job.
const KNOWN: [(&str, &str); 4] = [
    (
        "ResourcesExhausted",
        "sorting needs more memory; raise --memory-limit, or on a cluster --memory-pool-size of prowl-executor",
    ),
    (
        "StorageFull",
        "the disk for shuffle files and spills is full; free it, or give another folder with --work-dir \
         (on a cluster to prowl-executor)",
    ),
    ("Timeout expired", "the scheduler does not answer; is prowl-scheduler what listens there, and is it well?"),
    ("all executors were lost", "the cluster has lost its last executor; start prowl-executor and run it again"),
];

/// The message of the [`failure`] that `error` carries, else what it means, else what it says by itself.
pub(crate) fn retell(error: &DataFusionError) -> anyhow::Error {
    let text = error.to_string();
    if let Some((message, _)) = text.split_once(OPEN).and_then(|(_, rest)| rest.split_once(CLOSE)) {
        // Quotation marks were escaped once for each layer that printed it as `Debug`.
        return anyhow::anyhow!("{}", message.replace('\\', ""));
    }
    match KNOWN.iter().find(|(sign, _)| text.contains(sign)) {
        Some((_, meaning)) => anyhow::anyhow!("{meaning}"),
        None => anyhow::anyhow!("the cluster could not finish the job: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_says_is_told_with_its_way_out() {
        for (engine, way_out) in [
            (DataFusionError::ResourcesExhausted("Failed to allocate 5 B for ExternalSorter".into()), "--memory-limit"),
            (DataFusionError::Execution("Shared(IoError(Os { code: 28, kind: StorageFull }))".into()), "--work-dir"),
            (
                DataFusionError::Execution("Status { code: Cancelled, message: \"Timeout expired\" }".into()),
                "scheduler",
            ),
            (DataFusionError::Execution("Job failed: all executors were lost".into()), "start prowl-executor"),
        ] {
            let text = format!("task failed: {engine:?}");
            let told = retell(&DataFusionError::Execution(text.clone())).to_string();
            assert!(told.contains(way_out) && !told.contains("task failed"), "{text}: {told}");
        }
    }

    #[test]
    fn a_message_survives_its_wrapping() {
        let first = format!("{:?}", failure(&"cannot read \"a b\": no such file"));
        let wrapped = DataFusionError::Execution(format!("task failed: {:?}", format!("Shared({first:?})")));
        assert_eq!(retell(&wrapped).to_string(), "cannot read \"a b\": no such file");
        let other = retell(&DataFusionError::Execution("other".into())).to_string();
        assert!(other.ends_with("job: Execution error: other"), "{other}");
    }
}
