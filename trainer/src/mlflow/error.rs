//! What keeps a training out of MLflow, in words for the person who has to do something about it.

/// Why MLflow does not have a run, or not all of it. No secret is part of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MlflowError {
    /// A secret holds something that cannot be used.
    #[error("the secret {name} cannot be used: {reason}")]
    Secret {
        /// Its name.
        name: &'static str,
        /// What is wrong with it, without telling it.
        reason: &'static str,
    },
    /// The certificates by which it would be known are of no use.
    #[error(
        "MLflow at {host} cannot be called with the certificates of this system ({cause}): mend them, or name others by \
         SSL_CERT_FILE"
    )]
    Certificates {
        /// Where it should be.
        host: String,
        /// What is wrong with them.
        cause: String,
    },
    /// Nobody answers.
    #[error(
        "MLflow at {host} does not answer ({cause}): see that it runs there, and that the secret mlflow_uri is right"
    )]
    Unreachable {
        /// Where it should be.
        host: String,
        /// What the connection says.
        cause: String,
    },
    /// It did not come to an end in the time that it has.
    #[error(
        "MLflow at {host} was too slow to {what}: see what keeps it, or let it have more time with --mlflow-timeout"
    )]
    Late {
        /// Where it is.
        host: String,
        /// What was asked for.
        what: &'static str,
    },
    /// The server, or what stands before it, does not let this program in.
    #[error(
        "MLflow at {host} does not allow this program to {what} ({said}): correct the secret mlflow_token, or its rights there"
    )]
    Refused {
        /// Where it is.
        host: String,
        /// What was asked for.
        what: &'static str,
        /// Status and reason.
        said: String,
    },
    /// The server takes no request that names it by this host.
    #[error("MLflow refuses to be called {host}: start it with --allowed-hosts {host}")]
    Host {
        /// What it is called in the secret `mlflow_uri`.
        host: String,
    },
    /// The server does not take what was sent.
    #[error("MLflow at {host} does not {what}: {said}")]
    Rejected {
        /// Where it is.
        host: String,
        /// What was asked for.
        what: &'static str,
        /// Code and reason.
        said: String,
    },
    /// The server is not well.
    #[error("MLflow at {host} fails to {what} ({said}): its log says why; see that it is well")]
    Failing {
        /// Where it is.
        host: String,
        /// What was asked for.
        what: &'static str,
        /// Status and reason.
        said: String,
    },
    /// Something else than MLflow answers.
    #[error(
        "what answers at {host} is no MLflow ({said}): correct the secret mlflow_uri; where MLflow lies below a path, that belongs to it"
    )]
    NoMlflow {
        /// Where it should be.
        host: String,
        /// What the answer is instead.
        said: String,
    },
    /// The artifacts of the experiment lie where only their owner can write.
    #[error(
        "the artifacts of experiment {experiment:?} do not go through MLflow at {host} (they lie at {scheme}:): choose one \
         that was made while the server ran with --serve-artifacts, or a new one, with --mlflow-experiment"
    )]
    Artifacts {
        /// Where MLflow is.
        host: String,
        /// The experiment.
        experiment: String,
        /// How the place of the artifacts begins.
        scheme: String,
    },
    /// What was published cannot be read again.
    #[error("the published model cannot be read again for MLflow: {reason}")]
    File {
        /// Why not.
        reason: String,
    },
    /// The program was told to end.
    #[error("the program was stopped before MLflow at {host} had all of it")]
    Stopped {
        /// Where MLflow is.
        host: String,
    },
}

impl MlflowError {
    /// What was published cannot be read again.
    pub(super) fn unreadable(error: &prowl_platform::Error) -> Self {
        Self::File { reason: prowl_platform::told_in_full(error) }
    }
}
