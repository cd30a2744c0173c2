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

/// What the probe of the scheduler for Kubernetes says: ready with an executor, 503 without. An error is that no
/// scheduler answers.
pub(super) async fn has_executors(scheduler: &Scheduler) -> io::Result<bool> {
    match get(scheduler, "/readyz").await?.0 {
        200 => Ok(true),
        503 => Ok(false),
        _ => Err(io::Error::other("what answers is no scheduler")),
    }
}
