//! Connections that can be cut in the middle of an answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Listens for them.
pub(super) struct Lines(pub(super) TcpListener);

/// One of them.
pub(super) struct Line {
    stream: TcpStream,
    scissors: Scissors,
}

/// Cuts one of them.
#[derive(Clone, Debug)]
pub(super) struct Scissors {
    /// Bytes that may still be written; less than none of them: all.
    left: Arc<AtomicI64>,
}

impl Scissors {
    fn new() -> Self {
        Self { left: Arc::new(AtomicI64::new(-1)) }
    }

    /// Cuts it after so many bytes of the next answer.
    pub(super) fn cut_after(&self, bytes: usize) {
        self.left.store(bytes as i64, Ordering::Relaxed);
    }
}

impl Listener for Lines {
    type Io = Line;
    type Addr = Scissors;

    async fn accept(&mut self) -> (Line, Scissors) {
        let (stream, _) = Listener::accept(&mut self.0).await;
        // Else a short answer may wait for a confirmation of its head.
        let _ = stream.set_nodelay(true);
        let scissors = Scissors::new();
        (Line { stream, scissors: scissors.clone() }, scissors)
    }

    fn local_addr(&self) -> io::Result<Scissors> {
        Ok(Scissors::new())
    }
}

impl Connected<IncomingStream<'_, Lines>> for Scissors {
    fn connect_info(line: IncomingStream<'_, Lines>) -> Self {
        line.remote_addr().clone()
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let left = self.scissors.left.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let most = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(context, &bytes[..most]))?;
        if left > 0 {
            self.scissors.left.store(left - written as i64, Ordering::Relaxed);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
