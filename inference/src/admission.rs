//! Who may come in: a bound on the requests that are in the house at one time, over both ports.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    middleware::Next,
    response::Response,
};
use http_body::{Body as HttpBody, Frame, SizeHint};
use slab::Slab;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, interval, timeout, timeout_at},
};

use crate::{config::Limits, connection::Cut, error::Error};

/// Strangers may fill one of so many parts of the house, and no more.
const SHARE: usize = 4;

/// For each place of the house so many requests may wait before the door.
const LINE: usize = 4;

/// A house is as good as empty with one of so many parts of it taken.
const EMPTY: usize = 16;

/// How long a house that is full may have others wait, and each of them at most. What is over by then was a burst; a house that stays
/// full would only make all of them late (Nichols and Jacobson, "Controlling queue delay", 2012).
const BURST: Duration = Duration::from_millis(500);

/// Between two looks at which answers have had their time.
const LOOK: Duration = Duration::from_millis(100);

/// Between two lines of the log that tell how many were refused.
const SAID_AGAIN: Duration = Duration::from_secs(10);

/// The bound, shared by both ports. A request takes a place when its head arrives and leaves it when its answer is
/// sent, so the bodies in memory are bounded too. Of a full house a burst may wait before the door for a moment; more are refused. Health and readiness are not behind it: a full server is not a dead
/// one.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    /// Of these, those that may be of whoever is not known yet.
    strangers: Arc<Semaphore>,
    /// Who waits before the door.
    line: Arc<Line>,
    /// How many were refused.
    refused: Arc<AtomicU64>,
    unsent: Arc<Mutex<Slab<Watched>>>,
    limit: usize,
    request_time: Duration,
}

impl Gate {
    /// A gate with all of its places free. Within a runtime.
    pub(crate) fn new(limits: &Limits) -> Self {
        let (unsent, refused) = (Arc::default(), Arc::default());
        tokio::spawn(give_up_late(Arc::downgrade(&unsent)));
        tokio::spawn(tell_of_refused(Arc::downgrade(&refused), limits.in_flight));
        Self {
            places: Arc::new(Semaphore::new(limits.in_flight)),
            strangers: Arc::new(Semaphore::new((limits.in_flight / SHARE).max(1))),
            line: Arc::new(Line { places: Semaphore::new(LINE * limits.in_flight), full_since: Mutex::default() }),
            refused,
            unsent,
            limit: limits.in_flight,
            request_time: limits.request_time,
        }
    }

    /// How many requests are in the house.
    pub(crate) fn in_flight(&self) -> usize {
        self.limit - self.places.available_permits()
    }

    /// How many there may be.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// A place for one request of a stream, as soon as there is one.
    pub(crate) async fn place(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.places).acquire_owned().await.expect("it is never closed")
    }

    /// Answers the request of somebody who is known.
    ///
    /// # Errors
    /// [`Error::Busy`] and [`Error::TooSlow`].
    pub(crate) async fn pass(&self, request: Request, next: Next) -> Result<Response, Error> {
        self.answer(request, next, None).await
    }

    /// Answers the request of somebody who may be a stranger.
    ///
    /// # Errors
    /// [`Error::Crowded`], and those of [`Gate::pass`].
    pub(crate) async fn pass_stranger(&self, request: Request, next: Next) -> Result<Response, Error> {
        let share = Arc::clone(&self.strangers).try_acquire_owned().map_err(|_| self.refusal(Error::Crowded))?;
        self.answer(request, next, Some(share)).await
    }

    /// A place, if there is one, or will be soon.
    async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        if self.in_flight() <= self.limit / EMPTY {
            *held(&self.line.full_since) = None;
        }
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        let full_since = *held(&self.line.full_since).get_or_insert_with(Instant::now);
        if full_since.elapsed() > BURST {
            return None;
        }
        let _in_line = self.line.places.try_acquire().ok()?;
        timeout(BURST, self.place()).await.ok()
    }

    /// Counts a refusal. The log tells how many there were, since a line of each would cost more than refusing does.
    fn refusal(&self, error: Error) -> Error {
        self.refused.fetch_add(1, Relaxed);
        error
    }

    /// The answer holds the place, and what is the stranger's share, until it is sent.
    async fn answer(
        &self,
        request: Request,
        next: Next,
        share: Option<OwnedSemaphorePermit>,
    ) -> Result<Response, Error> {
        let place = self.enter().await.ok_or_else(|| self.refusal(Error::Busy { limit: self.limit }))?;
        let cut = request.extensions().get::<Cut>().cloned().unwrap_or_default();
        let until = Instant::now() + self.request_time;
        cut.not_before(until);
        let response =
            timeout_at(until, next.run(request)).await.map_err(|_| Error::TooSlow { limit: self.request_time })?;
        let (head, body) = response.into_parts();
        let answer = Arc::new(Mutex::new(Some(Answer { body, rest: Bytes::new(), _places: (place, share) })));
        let watched = Watched { answer: Arc::downgrade(&answer), until, cut };
        let key = held(&self.unsent).insert(watched);
        Ok(Response::from_parts(head, Body::new(Unsent { answer, watch: Arc::clone(&self.unsent), key })))
    }
}

/// Who waits before the door of a full house.
#[derive(Debug)]
struct Line {
    places: Semaphore,
    /// When the house became full, if it has not been as good as empty since.
    full_since: Mutex<Option<Instant>>,
}

/// The body of an answer, until it is sent or its time is over. It is handed on in pieces, as the reader takes them: the
/// transport would take a large one at once, and keep it where nothing bounds it.
struct Unsent {
    answer: Arc<Mutex<Option<Answer>>>,
    watch: Arc<Mutex<Slab<Watched>>>,
    key: usize,
}

impl Drop for Unsent {
    fn drop(&mut self) {
        held(&self.watch).try_remove(self.key);
    }
}

/// What is held for an answer that is not sent.
struct Answer {
    body: Body,
    /// What is left of the data that the body gave.
    rest: Bytes,
    _places: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
}

/// An answer that is not sent, and until when it may be.
#[derive(Clone, Debug)]
struct Watched {
    answer: Weak<Mutex<Option<Answer>>>,
    until: Instant,
    cut: Cut,
}

/// Gives up the answers that have had their time, for as long as there is a gate. Nobody asks the body of an answer for more
/// while its reader takes none, so the end of its time must come from beside it.
async fn give_up_late(unsent: Weak<Mutex<Slab<Watched>>>) {
    let mut looks = interval(LOOK);
    loop {
        looks.tick().await;
        let Some(unsent) = unsent.upgrade() else { return };
        let now = Instant::now();
        // Let go without the list being held, since what holds an answer takes it off the list.
        let watched = held(&unsent);
        let late = watched.iter().map(|(_, watched)| watched).filter(|watched| watched.until <= now);
        let late: Vec<Watched> = late.cloned().collect();
        drop(watched);
        for Watched { answer, cut, .. } in late {
            if answer.upgrade().is_some_and(|answer| held(&answer).take().is_some()) {
                tracing::info!("an answer is not read in the time of its request: it is given up");
            }
            cut.if_due(now);
        }
    }
}

/// Tells of those that found no place, for as long as there is a gate.
async fn tell_of_refused(refused: Weak<AtomicU64>, limit: usize) {
    let mut looks = interval(SAID_AGAIN);
    loop {
        looks.tick().await;
        let Some(refused) = refused.upgrade().map(|refused| refused.swap(0, Relaxed)) else { return };
        if refused > 0 {
            tracing::warn!(
                refused,
                limit,
                "refused requests for which there was no place: start more replicas, or give --max-in-flight more"
            );
        }
    }
}

fn held<T>(guarded: &Mutex<T>) -> MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Answer {
    /// As much as a frame of HTTP/2 holds.
    const PIECE: usize = 1 << 14;

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                ended => return Poll::Ready(ended),
            }
        }
        let length = self.rest.len().min(Self::PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }
}

impl HttpBody for Unsent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match held(&self.answer).as_mut() {
            Some(answer) => answer.poll_piece(cx),
            None => Poll::Ready(Some(Err(axum::Error::new(io::Error::from(io::ErrorKind::TimedOut))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        held(&self.answer).as_ref().is_some_and(|answer| answer.rest.is_empty() && answer.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        // Asked before the first piece is.
        held(&self.answer).as_ref().map_or_else(SizeHint::default, |answer| answer.body.size_hint())
    }
}
