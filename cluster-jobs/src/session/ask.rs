//! What a scheduler answers over HTTP, on the port that also carries its gRPC.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::args::Scheduler;

/// How long a scheduler has to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer that is read.
const LONGEST: u64 = 16 << 20;

/// The status and the body that a GET of `path` answers with.
///
/// # Errors
/// No scheduler answers, or not in time.
pub(super) async fn get(scheduler: &Scheduler, path: &str) -> io::Result<(u16, Vec<u8>)> {
    let asked = async {
        let mut stream = TcpStream::connect((scheduler.host.trim_matches(['[', ']']), scheduler.port)).await?;
        // An answer to HTTP/1.0 comes in one piece and ends with the connection.
        stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: scheduler\r\n\r\n").as_bytes()).await?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        let other = || io::Error::other("what answers is no scheduler");
        let code = std::str::from_utf8(&status).ok().filter(|text| text.starts_with("HTTP/1."));
        let code = code.and_then(|text| text[9..].parse().ok()).ok_or_else(other)?;
        let mut rest = Vec::new();
        stream.take(LONGEST).read_to_end(&mut rest).await?;
        let end_of_head = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n").ok_or_else(other)?;
        Ok((code, rest.split_off(end_of_head + 4)))
    };
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", PATIENCE.as_secs()));
    timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(late()))
}

/// What a scheduler says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// It takes jobs, and there are executors for them.
    Ready,
    /// There are too few executors.
    MissesExecutors,
    /// It was told to stop.
    Stopping,
}

impl Readiness {
    /// What its probe for Kubernetes answers when it is not ready.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Ready => "ready\n",
            Self::MissesExecutors => "not ready: too few executors\n",
            Self::Stopping => "not ready: the scheduler is stopping\n",
        }
    }
}

/// Asks that probe. An error is that no scheduler answers.
pub(super) async fn readiness(scheduler: &Scheduler) -> io::Result<Readiness> {
    match get(scheduler, "/readyz").await? {
        (200, _) => Ok(Readiness::Ready),
        (503, text) if text == Readiness::Stopping.text().as_bytes() => Ok(Readiness::Stopping),
        (503, _) => Ok(Readiness::MissesExecutors),
        _ => Err(io::Error::other("what answers is no scheduler")),
    }
}
