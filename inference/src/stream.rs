//! `ScoreStream`: requests are scored as they come, and answered in their order.
//!
//! A stream lives as long as its caller likes, so it has no place in the house by itself: each of its requests takes one while it
//! is scored. It is read before it has one, so that the memory is bounded by the number of streams as well. Answers that are not
//! taken keep the stream from reading on.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::Stream;
use prowl_proto::v1::{ScoreStreamRequest, ScoreStreamResponse, score_stream_response::Outcome};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::{
    admission::Gate,
    config::Limits,
    connection::Cut,
    error::{Error, wrong},
    readiness::Readiness,
    scorer::Scorer,
};

/// Answers of one stream that wait to be taken.
const AHEAD: usize = 16;

/// All streams that are open.
#[derive(Clone)]
pub(crate) struct Streams {
    readiness: Readiness,
    scorer: Scorer,
    gate: Gate,
    places: Arc<Semaphore>,
    limit: usize,
    /// How long an answer may wait to be taken.
    patience: Duration,
    stop: CancellationToken,
}

impl Streams {
    pub(crate) fn new(
        readiness: Readiness,
        scorer: Scorer,
        gate: Gate,
        limits: &Limits,
        stop: CancellationToken,
    ) -> Self {
        let places = Arc::new(Semaphore::new(limits.streams));
        Self { readiness, scorer, gate, places, limit: limits.streams, patience: limits.request_time, stop }
    }

    /// Begins to answer what comes.
    ///
    /// # Errors
    /// [`Error::StreamsFull`] with as many streams open as may be.
    pub(crate) fn begin(&self, requests: Streaming<ScoreStreamRequest>, cut: Cut) -> Result<Answers, Error> {
        let full = |_| Error::StreamsFull { limit: self.limit };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(full)?;
        let (sender, answers) = mpsc::channel(AHEAD);
        let end = Arc::new(OnceLock::new());
        let stream = Open { streams: self.clone(), requests, sender, cut, _place: place };
        let ended = Arc::clone(&end);
        tokio::spawn(async move {
            if let Err(error) = stream.run().await {
                // It is set here only.
                let _ = ended.set(error);
            }
        });
        Ok(Answers { ready: answers, end, told: false })
    }
}

/// One stream.
struct Open {
    streams: Streams,
    requests: Streaming<ScoreStreamRequest>,
    sender: mpsc::Sender<ScoreStreamResponse>,
    cut: Cut,
    _place: OwnedSemaphorePermit,
}

impl Open {
    /// Answers until the caller ends the stream; the error is what else ends it.
    async fn run(mut self) -> Result<(), Status> {
        loop {
            let request = tokio::select! {
                // What has come is answered before the end is told.
                biased;
                request = self.requests.message() => request?,
                () = self.streams.stop.cancelled() => return Err(Error::Ending.into()),
                () = self.sender.closed() => return Ok(()),
            };
            let Some(ScoreStreamRequest { request }) = request else { return Ok(()) };
            // Others on the connection, which take no answers, do not end a stream that does.
            self.cut.not_before(Instant::now() + self.streams.patience);
            let place = self.streams.gate.place_of_stream().await;
            let outcome = match request {
                None => Err(wrong("request", "missing")),
                Some(request) => {
                    let engine = self.streams.readiness.engine()?;
                    self.streams.scorer.score(&engine, request.into()).await
                }
            };
            drop(place);
            let outcome = match outcome {
                Ok(response) => Outcome::Response(response),
                Err(error) => Outcome::Error(error.within("request").into()),
            };
            let answer = ScoreStreamResponse { outcome: Some(outcome) };
            match timeout(self.streams.patience, self.sender.send(answer)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ok(()),
                Err(_) => return Err(Error::TooSlow { limit: self.streams.patience }.into()),
            }
        }
    }
}

/// The answers of one stream, and then what ended it, where that was not its caller.
pub(crate) struct Answers {
    ready: mpsc::Receiver<ScoreStreamResponse>,
    end: Arc<OnceLock<Status>>,
    told: bool,
}

impl Stream for Answers {
    type Item = Result<ScoreStreamResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(answer) = ready!(self.ready.poll_recv(cx)) {
            return Poll::Ready(Some(Ok(answer)));
        }
        let end = if self.told { None } else { self.end.get().cloned() };
        self.told = true;
        Poll::Ready(end.map(Err))
    }
}
