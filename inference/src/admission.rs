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
    time::{Instant, interval, timeout_at},
};

use crate::{config::Limits, connection::Cut, error::Error, line::Line};

/// Strangers may fill one of so many parts of the house, and no more.
const SHARE: usize = 4;

/// Between two looks at which answers have had their time.
const LOOK: Duration = Duration::from_millis(100);

/// Between two lines of the log that tell how many were refused.
const SAID_AGAIN: Duration = Duration::from_secs(10);

/// The bound, shared by both ports. A request takes a place when its head arrives and leaves it when its answer is
/// sent, so the bodies in memory are bounded too. Before a full house a burst waits for a moment; the rest is refused. Health and
/// readiness are not behind it: a full server is not a dead one.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    /// Of these, those that may be of whoever is not known yet.
    strangers: Arc<Semaphore>,
    /// And those that may be of streams, which come in without being refused.
    streams: Arc<Semaphore>,
    line: Arc<Line>,
    refused: Arc<Refused>,
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
        let places = |count: usize| Arc::new(Semaphore::new(count.max(1)));
        Self {
            places: places(limits.in_flight),
            strangers: places(limits.in_flight / SHARE),
            streams: places(limits.in_flight / 2),
            line: Arc::new(Line::before(limits.in_flight)),
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

    /// How many wait before it.
    pub(crate) fn waiting(&self) -> usize {
        self.line.waiting()
    }

    /// How many there may be.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// A place for one request of a stream, as soon as there is one. Streams have half of the house at most, or many of them would
    /// leave no place to the calls beside them.
    pub(crate) async fn place_of_stream(&self) -> [OwnedSemaphorePermit; 2] {
        [acquire(&self.streams).await, acquire(&self.places).await]
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
        let Ok(share) = Arc::clone(&self.strangers).try_acquire_owned() else {
            self.refused.strangers.fetch_add(1, Relaxed);
            return Err(Error::Crowded);
        };
        self.answer(request, next, Some(share)).await
    }

    /// A place, if there is one, or will be soon.
    async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        self.line.wait(acquire(&self.places)).await
    }

    /// The answer holds the place, and what is the stranger's share, until it is sent.
    async fn answer(
        &self,
        request: Request,
        next: Next,
        share: Option<OwnedSemaphorePermit>,
    ) -> Result<Response, Error> {
        let cut = request.extensions().get::<Cut>().cloned().unwrap_or_default();
        let until = Instant::now() + self.request_time;
        cut.not_before(until);
        let too_slow = |_| Error::TooSlow { limit: self.request_time };
        let Some(place) = timeout_at(until, self.enter()).await.map_err(too_slow)? else {
            self.refused.known.fetch_add(1, Relaxed);
            return Err(Error::Busy { limit: self.limit });
        };
        let response = timeout_at(until, next.run(request)).await.map_err(too_slow)?;
        let (head, body) = response.into_parts();
        let answer = Arc::new(Mutex::new(Some(Answer { body, rest: Bytes::new(), _places: (place, share) })));
        let watched = Watched { answer: Arc::downgrade(&answer), until, cut };
        let key = held(&self.unsent).insert(watched);
        Ok(Response::from_parts(head, Body::new(Unsent { answer, watch: Arc::clone(&self.unsent), key })))
    }
}

async fn acquire(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(places).acquire_owned().await.expect("it is never closed")
}

/// How many were refused. The log tells of them together, since a line of each would cost more than refusing does, and let whoever
/// is refused fill it.
#[derive(Debug, Default)]
struct Refused {
    known: AtomicU64,
    strangers: AtomicU64,
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
async fn tell_of_refused(refused: Weak<Refused>, limit: usize) {
    let mut looks = interval(SAID_AGAIN);
    loop {
        looks.tick().await;
        let Some(refused) = refused.upgrade() else { return };
        let [known, strangers] = [&refused.known, &refused.strangers].map(|count| count.swap(0, Relaxed));
        if known > 0 {
            let hint = "start more replicas, or give --max-in-flight more";
            tracing::warn!(refused = known, limit, "refused requests for which there was no place: {hint}");
        }
        if strangers > 0 {
            tracing::warn!(
                refused = strangers,
                limit = limit / SHARE,
                "refused webhooks beyond the places for strangers"
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

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn gate(in_flight: usize) -> Gate {
        let time = Duration::from_secs(30);
        Gate::new(&Limits {
            in_flight,
            request_bytes: 1 << 20,
            batch: 1,
            streams: 1,
            request_time: time,
            connections: 1,
            idle_time: time,
            reasons: 1,
        })
    }

    #[tokio::test]
    async fn who_comes_to_a_full_house_waits_for_a_place() {
        let gate = gate(2);
        let inside = [gate.enter().await.unwrap(), gate.enter().await.unwrap()];
        let mut waits = Box::pin(gate.enter());
        assert!((&mut waits).now_or_never().is_none());
        assert_eq!((gate.in_flight(), gate.waiting()), (2, 1));
        drop(inside);
        assert!(waits.await.is_some());
        assert_eq!(gate.waiting(), 0);
    }

    #[tokio::test]
    async fn streams_leave_half_of_the_house() {
        let gate = gate(4);
        let _streams = [gate.place_of_stream().await, gate.place_of_stream().await];
        assert!(gate.place_of_stream().now_or_never().is_none());
        assert_eq!(gate.in_flight(), 2);
        assert!(gate.enter().now_or_never().is_some_and(|place| place.is_some()));
    }
}
