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

/// The message of the [`failure`] that `error` carries, else `error` as it is.
pub(crate) fn retell(error: anyhow::Error) -> anyhow::Error {
    let text = format!("{error:#}");
    let message = text.split_once(OPEN).and_then(|(_, rest)| rest.split_once(CLOSE)).map(|(message, _)| message);
    match message {
        // Quotation marks were escaped once for each layer that printed it as `Debug`.
        Some(message) => anyhow::anyhow!("{}", message.replace('\\', "")),
        None => error.context("the cluster could not finish the job"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_its_wrapping() {
        let first = format!("{:?}", failure(&"cannot read \"a b\": no such file"));
        let wrapped = anyhow::anyhow!("task failed: {:?}", format!("Shared({first:?})"));
        assert_eq!(retell(wrapped).to_string(), "cannot read \"a b\": no such file");
        assert!(format!("{:#}", retell(anyhow::anyhow!("other"))).ends_with("job: other"));
    }
}
