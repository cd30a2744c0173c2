//! The connections of one port: how many are open, how long one may be silent, and what is spoken below HTTP.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{Stream, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep},
};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use crate::{
    config::Limits,
    tls::{Spoken, Tls},
};

/// Between two tries to accept: what keeps the system from giving a connection, such as a want of descriptors, lasts.
const PAUSE: Duration = Duration::from_secs(1);

/// Longest time until TLS has begun.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Between two lines of the log that say the same of a busy port.
const SAID_AGAIN: Duration = Duration::from_mins(1);

/// The connections of `listener` as they come. With as many open as there may be, the oldest on which nobody who is known has
/// asked for anything gives its place to the next, so that whoever only takes places cannot keep them. Where there is none
/// such, the next waits until one is closed.
pub(crate) fn accept(
    listener: TcpListener,
    limits: &Limits,
    tls: Option<(Tls, Spoken)>,
    stop: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> + use<> {
    let (places, limit, idle_time) =
        (Arc::new(Semaphore::new(limits.connections)), limits.connections, limits.idle_time);
    let (said, strangers): (Option<Instant>, Strangers) = (None, Strangers::default());
    stream::unfold((listener, said, strangers), move |(listener, mut said, mut strangers)| {
        let (places, stop, tls) = (Arc::clone(&places), stop.clone(), tls.clone());
        async move {
            let stream = loop {
                match listener.accept().await {
                    Ok((stream, _)) => break stream,
                    Err(error) => {
                        tracing::error!(
                            %error,
                            "cannot accept a connection, trying again; of too many open files, raise `ulimit -n` or \
                             lower --max-connections"
                        );
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            };
            if places.available_permits() == 0 {
                if said.is_none_or(|at| at.elapsed() > SAID_AGAIN) {
                    said = Some(Instant::now());
                    let port = listener.local_addr().map_or(0, |address| address.port());
                    tracing::warn!(
                        port,
                        limit,
                        "as many connections are open as may be, more wait: raise --max-connections"
                    );
                }
                strangers.cut_oldest();
            }
            let place = places.acquire_owned().await.expect("it is never closed");
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection delays small packets");
            }
            let stream = match tls {
                None => Wire::Plain(stream),
                Some((tls, spoken)) => Wire::greeting(tls.acceptor(spoken).accept(stream)),
            };
            let connection = Connection::new(stream, idle_time, place, stop);
            strangers.add(&connection.cut, limit);
            Some((Ok(connection), (listener, said, strangers)))
        }
    })
}

/// The connections on which nobody who is known has asked yet, the oldest first, among others that are past that.
#[derive(Default)]
struct Strangers(VecDeque<Weak<Shared>>);

impl Strangers {
    /// One more of at most `limit` that are open.
    fn add(&mut self, cut: &Cut, limit: usize) {
        if self.0.len() > 2 * limit {
            self.0.retain(|cut| stranger(cut).is_some());
        }
        self.0.push_back(Arc::downgrade(&cut.shared));
    }

    fn cut_oldest(&mut self) {
        while let Some(oldest) = self.0.pop_front() {
            if let Some(cut) = stranger(&oldest) {
                return cut.now.cancel();
            }
        }
    }
}

/// The connection, if it is still open and nobody who is known has asked on it.
fn stranger(cut: &Weak<Shared>) -> Option<Arc<Shared>> {
    cut.upgrade().filter(|cut| !cut.known.load(Relaxed))
}

/// One connection. It breaks when nothing moves on it for too long, when the server stops before a first byte has come, and
/// when it is [cut](Cut): by one of its requests, or for another that wants its place.
pub(crate) struct Connection {
    stream: Wire,
    idle_time: Duration,
    idle: Pin<Box<Sleep>>,
    cut: Cut,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
    /// That the server stops; until the first byte has come.
    stop: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    _place: OwnedSemaphorePermit,
}

/// What bytes go over.
enum Wire {
    /// As they are.
    Plain(TcpStream),
    /// TLS that has not begun yet; it begins with the first read or write, beside those of other connections.
    Greeting(Box<tokio_rustls::Accept<TcpStream>>, Pin<Box<Sleep>>),
    /// Within TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    fn greeting(accept: tokio_rustls::Accept<TcpStream>) -> Self {
        Self::Greeting(Box::new(accept), Box::pin(tokio::time::sleep(HANDSHAKE)))
    }

    /// Reads or writes, once there is something to read from and write to.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        of: impl FnOnce(Pin<&mut (dyn Bytes + 'static)>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Self::Greeting(accept, end) = self {
            if end.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            *self = Self::Tls(Box::new(ready!(Pin::new(accept).poll(cx))?));
        }
        match self {
            Self::Plain(stream) => of(Pin::new(stream), cx),
            Self::Tls(stream) => of(Pin::new(stream.as_mut()), cx),
            Self::Greeting(..) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

/// Goes both ways.
trait Bytes: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Bytes for T {}

/// Breaks the connection that a request came on; in the extensions of the request. Behind a proxy the other requests on
/// it are of other clients, so that it waits until the newest has had its time too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cut {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    not_before: Mutex<Option<Instant>>,
    now: CancellationToken,
    known: AtomicBool,
}

impl Cut {
    /// Somebody who may has asked for something: the connection keeps its place.
    pub(crate) fn known(&self) {
        self.shared.known.store(true, Relaxed);
    }

    /// One more request, which has until then.
    pub(crate) fn not_before(&self, until: Instant) {
        *self.last() = Some(until);
    }

    /// Breaks the connection if all of its requests have had their time.
    pub(crate) fn if_due(&self, now: Instant) {
        if self.last().is_none_or(|until| until <= now) {
            self.shared.now.cancel();
        }
    }

    /// When the newest request has had its time.
    fn last(&self) -> MutexGuard<'_, Option<Instant>> {
        self.shared.not_before.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    fn new(stream: Wire, idle_time: Duration, place: OwnedSemaphorePermit, stop: CancellationToken) -> Self {
        let cut = Cut::default();
        Self {
            stream,
            idle_time,
            idle: Box::pin(tokio::time::sleep(idle_time)),
            end: Box::pin(cut.shared.now.clone().cancelled_owned()),
            cut,
            stop: Some(Box::pin(stop.cancelled_owned())),
            _place: place,
        }
    }

    /// What a read or a write came to, or that the connection is over.
    fn watch<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.idle.as_mut().reset(Instant::now() + self.idle_time);
        } else if self.idle.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let stops = self.stop.as_mut().is_some_and(|stop| stop.as_mut().poll(cx).is_ready());
        if stops || self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        polled
    }
}

impl Connected for Connection {
    type ConnectInfo = Cut;

    fn connect_info(&self) -> Cut {
        self.cut.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = self.stream.poll(cx, |stream, cx| stream.poll_read(cx, buffer));
        if polled.is_ready() {
            self.stop = None;
        }
        self.watch(cx, polled)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = self.stream.poll(cx, |stream, cx| stream.poll_write(cx, bytes));
        self.watch(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = self.stream.poll(cx, |stream, cx| stream.poll_write_vectored(cx, slices));
        self.watch(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        // Both kinds of wire take several pieces at once.
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll(cx, AsyncWrite::poll_shutdown)
    }
}
