//! Scores what is asked in turns: a few of the requests that wait go through the model together, and what has arrived meanwhile is
//! let in, or refused, before the next few.
//!
//! So a full house refuses at once and answers soon whom it has let in, a large request keeps nobody waiting, and several
//! requests take less time than one after the other. What nobody waits for any more is not done.

use std::{
    future::poll_fn,
    iter, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Poll,
};

use prowl_proto::v1::{self, score_batch_result::Outcome};
use tokio::{
    runtime::Handle,
    sync::{Mutex, mpsc, oneshot},
};
use tracing::Instrument;

use crate::{
    engine::{Answer, Asked, Engine},
    error::Error,
    observe::Observer,
};

/// Pull requests of a turn. They go through the model together.
const ITEMS: usize = 16;

/// Cheap to clone; every clone hands its work to the same workers.
#[derive(Clone)]
pub(crate) struct Scorer {
    jobs: mpsc::UnboundedSender<Job>,
    observer: Observer,
}

/// What one request wants done in one turn. Of each request that was let in there is one at most, which bounds how many wait.
struct Job {
    engine: Arc<Engine>,
    asked: Vec<Asked>,
    /// How many are asked for.
    count: usize,
    answers: oneshot::Sender<Vec<Result<Answer, Error>>>,
}

impl Scorer {
    /// Begins to work, on all threads of the runtime.
    pub(crate) fn start(observer: Observer) -> Self {
        let (jobs, waiting) = mpsc::unbounded_channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..Handle::current().metrics().num_workers() {
            tokio::spawn(work(Arc::clone(&waiting)));
        }
        Self { jobs, observer }
    }

    /// The score of one pull request, which the observer is told of.
    ///
    /// # Errors
    /// Those of [`Engine::answer_all`].
    pub(crate) async fn score(&self, engine: &Arc<Engine>, asked: Asked) -> Result<v1::ScoreResponse, Error> {
        let mut scores = self.score_all(engine, vec![asked]).await;
        scores.pop().expect("what is asked for once is answered once")
    }

    /// The scores of several, in their order, each by itself.
    pub(crate) async fn score_all(
        &self,
        engine: &Arc<Engine>,
        asked: Vec<Asked>,
    ) -> Vec<Result<v1::ScoreResponse, Error>> {
        let in_turns = async {
            let mut scores = Vec::with_capacity(asked.len());
            let mut asked = asked.into_iter();
            while asked.len() > 0 {
                let answers = self.turn(engine, asked.by_ref().take(ITEMS).collect()).await.into_iter();
                scores.extend(answers.map(|answer| Ok(self.observer.answered(engine, answer?))));
            }
            scores
        };
        in_turns.instrument(tracing::info_span!("score")).await
    }

    /// The same, as both protocols tell of many.
    pub(crate) async fn score_batch(&self, engine: &Arc<Engine>, asked: Vec<Asked>) -> v1::ScoreBatchResponse {
        let result = |score: Result<_, Error>| {
            let outcome = score.map_or_else(|error| Outcome::Error(error.into()), Outcome::Response);
            v1::ScoreBatchResult { outcome: Some(outcome) }
        };
        v1::ScoreBatchResponse { results: self.score_all(engine, asked).await.into_iter().map(result).collect() }
    }

    async fn turn(&self, engine: &Arc<Engine>, asked: Vec<Asked>) -> Vec<Result<Answer, Error>> {
        let (count, (answers, done)) = (asked.len(), oneshot::channel());
        // Where nobody takes it, the end of `answers` tells.
        let _ = self.jobs.send(Job { engine: Arc::clone(engine), asked, count, answers });
        let failed = || Err(Error::Model("it broke off, as the log tells".to_owned()));
        done.await.unwrap_or_else(|_| iter::repeat_with(failed).take(count).collect())
    }
}

/// Works as long as there may be something to do.
async fn work(waiting: Arc<Mutex<mpsc::UnboundedReceiver<Job>>>) {
    loop {
        let Some(job) = waiting.lock().await.recv().await else { return };
        // Those that have arrived take their places, or are refused, before anything is worked on: else they would wait where
        // nobody counts them.
        let_others_go_first().await;
        let mut items = job.count;
        let mut turn = vec![job];
        // Where another worker holds the line, it stands at its end.
        if let Ok(mut waiting) = waiting.try_lock() {
            while items < ITEMS
                && let Ok(job) = waiting.try_recv()
            {
                items += job.count;
                turn.push(job);
            }
        }
        // Of a panic the log tells, and to those who wait the end of their job does. The next ones are worked on.
        let _ = catch_unwind(AssertUnwindSafe(|| answer(turn)));
    }
}

/// Comes back once all tasks that are ready now have had their turn. Not `tokio::task::yield_now`: the runtime takes up what that
/// puts off right after its next look for what has arrived, before those others.
async fn let_others_go_first() {
    let mut gone = false;
    poll_fn(|cx| {
        if mem::replace(&mut gone, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Answers all jobs of a turn, those of one engine together.
fn answer(mut turn: Vec<Job>) {
    turn.retain(|job| !job.answers.is_closed());
    let mut answers = Vec::with_capacity(turn.iter().map(|job| job.count).sum());
    for jobs in turn.chunk_by_mut(|a, b| Arc::ptr_eq(&a.engine, &b.engine)) {
        let asked = jobs.iter_mut().flat_map(|job| job.asked.drain(..)).collect();
        answers.extend(jobs[0].engine.answer_all(asked));
    }
    let mut answers = answers.into_iter();
    for job in turn {
        // Its request may have been given up meanwhile.
        let _ = job.answers.send(answers.by_ref().take(job.count).collect());
    }
}
