//! One server of its own process: started, waited for until it serves, ended by SIGTERM as Kubernetes does it, or killed.
//!
//! It takes free ports and says in its log which (the line `listening`), as `prowl-inference` and our own stand-in do.

use std::{
    fs::{self, File},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use prowl_platform::Secrets;
use prowl_proto::v1::ModelId;
use serde::Deserialize;
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep},
};
use tonic::transport::{Channel, Endpoint};
use url::Url;

use super::{Error, memory, switch::url_of};
use crate::target::{Address, Target};

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How long it may take to answer whether it is ready.
const ANSWER: Duration = Duration::from_secs(1);

/// What a last line of a log is cut to in a message.
const LINE: usize = 400;

/// What `prowl-inference` is to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The program.
    pub binary: PathBuf,
    /// URL of the store.
    pub store: String,
    /// A version, not `latest`: what is newest may change between two starts.
    pub model: String,
}

impl Served {
    /// How it is started: for this machine only, on free ports.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["--store", &self.store, "--model", &self.model, "--insecure"]);
        command.args(["--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"]);
        // It reads the store, with keys that Vault may have. The switch and what is behind it are on this machine: they
        // speak no TLS, ask for no token, and post nothing to GitHub.
        without_secrets(&mut command, |variable| variable.starts_with("SPACES_") || variable.starts_with("VAULT_"));
        command
    }
}

/// Takes the variables that may hold a secret out of what a program gets, but for those that it needs.
pub(super) fn without_secrets(command: &mut Command, needs: impl Fn(&str) -> bool) {
    for variable in Secrets::VARIABLES.iter().filter(|variable| !needs(variable)) {
        command.env_remove(variable);
    }
}

/// A server that runs. It is killed when it goes.
#[derive(Debug)]
pub(super) struct Replica {
    name: String,
    log: PathBuf,
    child: Child,
    ports: Ports,
    model: ModelId,
    ready_after: Duration,
}

/// How a server has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped {
    /// Its exit code; nothing where a signal ended it.
    pub(super) code: Option<i32>,
    /// How long after SIGTERM.
    pub(super) after: Duration,
}

/// Where it listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct Ports {
    grpc: SocketAddr,
    http: SocketAddr,
}

/// A process, and where it says what it does.
struct Starting<'a> {
    name: &'a str,
    log: &'a Path,
    child: &'a mut Child,
    begun: Instant,
    patience: Duration,
}

impl Replica {
    /// Starts a server, and waits until it is SERVING. What it writes goes to `log`.
    ///
    /// # Errors
    /// It cannot be started, ends, or is not ready after `patience`; then it is killed.
    pub(super) async fn start(
        name: String,
        mut command: Command,
        log: PathBuf,
        patience: Duration,
    ) -> Result<Self, Error> {
        let unwritable = |source| Error::Log { path: log.clone(), source };
        let output = File::create(&log).map_err(unwritable)?;
        command.stdin(Stdio::null()).stdout(output.try_clone().map_err(unwritable)?).stderr(output);
        // Without these the line with the ports may not be there, or be no JSON.
        command.env("PROWL_LOG", "info").env("PROWL_LOG_FORMAT", "json");
        let begun = Instant::now();
        let child = command.spawn().map_err(|source| Error::Start { program: command.get_program().into(), source })?;
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let ports = Ports { grpc: nowhere, http: nowhere };
        // From here on an error kills it, too.
        let mut replica = Self { name, log, child, ports, model: ModelId::default(), ready_after: Duration::ZERO };
        let (name, log, child) = (&replica.name, &replica.log, &mut replica.child);
        let mut starting = Starting { name, log, child, begun, patience };
        replica.ports = loop {
            match listening(&starting.log_text()) {
                Some(ports) => break ports,
                None => starting.look_again().await?,
            }
        };
        let url = url_of(replica.ports.grpc);
        let address = Address { name: "server", url, http: None, ca_file: None, token: None };
        let target = Target::new(&address, 1).expect("an address and a port make an endpoint");
        replica.model = loop {
            match target.ready(ANSWER).await {
                Ok((model, _)) => break model.model.unwrap_or_default(),
                Err(_) => starting.look_again().await?,
            }
        };
        replica.ready_after = begun.elapsed();
        Ok(replica)
    }

    /// Where its gRPC port is.
    pub(super) fn grpc(&self) -> SocketAddr {
        self.ports.grpc
    }

    /// Where its HTTP port is.
    pub(super) fn http(&self) -> SocketAddr {
        self.ports.http
    }

    /// What it serves.
    pub(super) fn model(&self) -> &ModelId {
        &self.model
    }

    /// How long it took until it was ready.
    pub(super) fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// The memory that it takes, in bytes.
    pub(super) fn resident_bytes(&self) -> Option<u64> {
        memory::resident_bytes(&self.child.id().to_string())
    }

    /// Sends SIGTERM and waits until it has drained.
    ///
    /// # Errors
    /// It runs on after `patience`; then it is killed.
    pub(super) async fn stop(mut self, patience: Duration) -> Result<Stopped, Error> {
        let (begun, id) = (Instant::now(), self.child.id().to_string());
        if let Some(status) = self.child.try_wait().ok().flatten() {
            return Ok(Stopped { code: status.code(), after: Duration::ZERO });
        }
        // It has not been waited for, so that nobody else can have its number.
        let kill =
            move || Command::new("kill").args(["-TERM", &id]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let sent = spawn_blocking(kill).await.unwrap_or_else(|failed| Err(io::Error::other(failed)));
        sent.map_err(|source| Error::Signal { name: self.name.clone(), source })?;
        loop {
            if let Some(status) = self.child.try_wait().ok().flatten() {
                return Ok(Stopped { code: status.code(), after: begun.elapsed() });
            }
            if begun.elapsed() >= patience {
                return Err(Error::NotDrained { name: self.name.clone(), patience, log: self.log.clone() });
            }
            sleep(LOOK).await;
        }
    }

    /// Ends it as a crash does: nothing is drained.
    pub(super) fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Starting<'_> {
    fn log_text(&self) -> String {
        fs::read(self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Waits a moment, unless there is nothing to wait for.
    async fn look_again(&mut self) -> Result<(), Error> {
        let (name, log) = (self.name.to_owned(), self.log.to_owned());
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(Error::Ended { name, status: in_words(status), last: last_line(&self.log_text()), log });
        }
        if self.begun.elapsed() >= self.patience {
            return Err(Error::NotReady { name, patience: self.patience, last: last_line(&self.log_text()), log });
        }
        sleep(LOOK).await;
        Ok(())
    }
}

fn in_words(status: ExitStatus) -> String {
    status.code().map_or_else(|| "by a signal".to_owned(), |code| format!("with {code}"))
}

/// The ports that a log names.
fn listening(log: &str) -> Option<Ports> {
    #[derive(Deserialize)]
    struct Line {
        message: String,
        #[serde(flatten)]
        ports: Ports,
    }
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines.into_iter().find(|line| line.message == "listening").map(|line| line.ports)
}

fn last_line(log: &str) -> String {
    let last = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it has said nothing");
    last.chars().take(LINE).collect()
}

/// Connects with the first call.
pub(super) fn channel(url: &Url) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(url.as_str().to_owned())?;
    Ok(endpoint.tcp_nodelay(true).connect_timeout(ANSWER).connect_lazy())
}

#[cfg(test)]
mod tests;
