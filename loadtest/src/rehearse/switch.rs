//! A TCP switch of our own before blue and green, as a service of Kubernetes is before the pods of a rollout.
//!
//! ```text
//!                     ┌──> blue
//! clients ──> switch ─┤     only new connections are switched
//!                     └──> green
//! ```
//!
//! A connection that is open stays with the server that it was opened to: HTTP/2 keeps state on both ends, so that no proxy
//! of TCP can hand one over, and none can say GOAWAY for a server. That is why no call is lost in this order, and in no other:
//!
//! 1. [`Switch::switch_to`]: connections from now on go to the new side; the old ones are served as before.
//! 2. After a while, since what was connected last may still be in the old server's queue, it gets SIGTERM. It says GOAWAY on
//!    each connection and answers what was begun; clients connect anew, which leads to the new side.
//! 3. [`Switch::drained`]: when the last answer is out, the old server closes, and so does the switch.
//!
//! [`Switch::close_rest`] is for what is left after that: a client that keeps a connection open whatever it is told. A call that
//! it makes in that very moment is lost, which is why nothing here closes a connection by itself.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

use super::{
    carry::{exchange, part},
    color::{Color, Counts},
};

/// Most connections at one time; more wait to be accepted. Each takes two file descriptors.
const MOST: usize = 4_096;

/// How long a side may take to accept; on one machine that takes no time.
const CONNECT: Duration = Duration::from_secs(1);

/// Between two tries to accept where the system has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// How often it is looked whether a side is drained.
const LOOK: Duration = Duration::from_millis(5);

/// A switch that runs. When it goes, so do its connections.
#[derive(Debug)]
pub(super) struct Switch {
    address: SocketAddr,
    shared: Arc<Shared>,
    connections: TaskTracker,
    /// No more connections are taken.
    stop: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// All connections end.
    cut: CancellationToken,
}

#[derive(Debug)]
struct State {
    active: Color,
    /// Where the sides are, by their place.
    at: [Option<SocketAddr>; 2],
    counts: [Counts; 2],
    open: HashMap<u64, Arc<Connection>>,
    /// Number of the next connection.
    next: u64,
}

#[derive(Debug)]
struct Connection {
    color: Color,
    close: CancellationToken,
}

impl Switch {
    /// Listens, and leads what comes to `active`, once it is said [where](Self::point) that is.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub(super) async fn start(listen: SocketAddr, active: Color) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let state = State { active, at: [None; 2], counts: [Counts::default(); 2], open: HashMap::new(), next: 0 };
        let shared = Arc::new(Shared { state: Mutex::new(state), cut: CancellationToken::new() });
        let (connections, stop) = (TaskTracker::new(), CancellationToken::new());
        tokio::spawn(accept(listener, Arc::clone(&shared), connections.clone(), stop.clone()));
        Ok(Self { address, shared, connections, stop })
    }

    /// Where clients find it.
    pub(super) fn url(&self) -> Url {
        url_of(self.address)
    }

    /// The side that new connections go to.
    pub(super) fn active(&self) -> Color {
        self.shared.state().active
    }

    /// Says where a side is from now on.
    pub(super) fn point(&self, color: Color, at: SocketAddr) {
        self.shared.state().at[color.place()] = Some(at);
    }

    /// Leads new connections to this side.
    pub(super) fn switch_to(&self, color: Color) {
        self.shared.state().active = color;
    }

    /// What became of the connections to a side.
    pub(super) fn counts(&self, color: Color) -> Counts {
        self.shared.state().counts[color.place()]
    }

    /// How many connections to a side are open.
    pub(super) fn open(&self, color: Color) -> usize {
        self.shared.state().open.values().filter(|connection| connection.color == color).count()
    }

    /// Waits until no connection to a side is open; tells whether that came.
    pub(super) async fn drained(&self, color: Color, patience: Duration) -> bool {
        let wait = async {
            while self.open(color) > 0 {
                sleep(LOOK).await;
            }
        };
        timeout(patience, wait).await.is_ok()
    }

    /// Closes the connections to a side that are still open; tells how many these are. Both ends are told that it was all,
    /// but a call that is made just then is lost: see above.
    pub(super) fn close_rest(&self, color: Color) -> u64 {
        let mut state = self.shared.state();
        let State { open, counts, .. } = &mut *state;
        let rest = |connection: &&Arc<Connection>| connection.color == color && !connection.close.is_cancelled();
        let closed = open.values().filter(rest).inspect(|connection| connection.close.cancel()).count() as u64;
        counts[color.place()].closed += closed;
        closed
    }

    /// Takes no more connections, and waits for those that are open; what is left after `patience` is cut. Tells whether all
    /// have ended by themselves.
    pub(super) async fn close(&self, patience: Duration) -> bool {
        self.stop.cancel();
        self.connections.close();
        let ended = timeout(patience, self.connections.wait()).await.is_ok();
        self.shared.cut.cancel();
        ended
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.stop.cancel();
        self.shared.cut.cancel();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, color: Color, count: impl FnOnce(&mut Counts)) {
        count(&mut self.state().counts[color.place()]);
    }
}

/// A connection that is counted as open until it goes.
struct Open<'a> {
    shared: &'a Shared,
    number: u64,
    connection: Arc<Connection>,
}

impl<'a> Open<'a> {
    fn new(shared: &'a Shared, color: Color) -> Self {
        let connection = Arc::new(Connection { color, close: CancellationToken::new() });
        let mut state = shared.state();
        let number = state.next;
        state.next += 1;
        state.open.insert(number, Arc::clone(&connection));
        state.counts[color.place()].opened += 1;
        Self { shared, number, connection }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.shared.state().open.remove(&self.number);
    }
}

pub(super) fn url_of(address: SocketAddr) -> Url {
    Url::parse(&format!("http://{address}")).expect("an address and a port make a URL")
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, connections: TaskTracker, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
            listener.accept().await.map(|(client, _)| (client, place))
        };
        let accepted = tokio::select! {
            accepted = accepted => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((client, place)) => {
                connections.spawn(lead(client, Arc::clone(&shared), place));
            }
            Err(error) => {
                tracing::warn!(%error, "the switch cannot accept, trying again; of too many open files, raise `ulimit -n`");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Leads one connection to the side that is active now.
async fn lead(mut client: TcpStream, shared: Arc<Shared>, _place: OwnedSemaphorePermit) {
    let (color, at) = {
        let state = shared.state();
        (state.active, state.at[state.active.place()])
    };
    let connected = async { TcpStream::connect(at?).await.ok() };
    let Ok(Some(mut server)) = timeout(CONNECT, connected).await else {
        shared.count(color, |counts| counts.refused += 1);
        // With a reset the client knows at once, as where nobody listens; if it cannot be had, an end says the same.
        let _ = client.set_zero_linger();
        return;
    };
    for stream in [&client, &server] {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection delays small packets");
        }
    }
    let open = Open::new(&shared, color);
    tokio::select! {
        whole = exchange(&mut client, &mut server) => if !whole {
            shared.count(color, |counts| counts.broken += 1);
        },
        () = open.connection.close.cancelled() => part(&mut client, &mut server).await,
        () = shared.cut.cancelled() => {}
    }
}

#[cfg(test)]
mod tests;
