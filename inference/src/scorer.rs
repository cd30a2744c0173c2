//! Scores what is asked in turns: some of the requests that wait go through the model together, and what has arrived meanwhile is
//! let in, or refused, before the next ones.
//!
//! So a full house answers soon whom it has let in, a large request keeps nobody waiting, and several requests take less time
//! than one after the other. What nobody waits for any more is not done.

use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use prowl_proto::v1::{self, score_batch_result::Outcome};
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    task::yield_now,
};
use tracing::Instrument;

use crate::{
    engine::{Answer, Asked, Engine, Question},
    error::Error,
    observe::Observer,
};

/// With so many pull requests a turn is whole; the last request of it may bring as many again.
const ITEMS: usize = 16;

/// Cheap to clone; every clone hands its work to the same workers.
#[derive(Clone)]
pub(crate) struct Scorer {
    waiting: Arc<Waiting>,
    observer: Observer,
}

/// What waits for its turn, the oldest first.
#[derive(Default)]
struct Waiting {
    jobs: Mutex<VecDeque<Job>>,
    some: Notify,
}

/// What one request wants done in one turn. Of each request that was let in there is one at most, which bounds how many wait.
struct Job {
    engine: Arc<Engine>,
    questions: Vec<Question>,
    answers: oneshot::Sender<Vec<Result<Answer, Error>>>,
}

impl Scorer {
    /// Begins to work, on all threads of the runtime that this is called within.
    pub(crate) fn start(observer: Observer) -> Self {
        let waiting = Arc::<Waiting>::default();
        for _ in 0..Handle::current().metrics().num_workers() {
            tokio::spawn(work(Arc::clone(&waiting)));
        }
        Self { waiting, observer }
    }

    /// The score of one pull request, which the observer is told of.
    ///
    /// # Errors
    /// Those of [`Engine::question`] and [`Engine::answer_all`].
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
                let mut questions = Vec::with_capacity(ITEMS.min(asked.len()));
                let ask = |asked| engine.question(asked).map(|question| questions.push(question));
                let sound: Vec<Result<(), Error>> = asked.by_ref().take(ITEMS).map(ask).collect();
                let mut answers = self.turn(engine, questions).await.into_iter();
                scores.extend(sound.into_iter().map(|sound| {
                    sound?;
                    let answer = answers.next().expect("each question has an answer")?;
                    Ok(self.observer.answered(engine, answer))
                }));
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

    async fn turn(&self, engine: &Arc<Engine>, questions: Vec<Question>) -> Vec<Result<Answer, Error>> {
        if questions.is_empty() {
            return Vec::new();
        }
        let (count, (answers, done)) = (questions.len(), oneshot::channel());
        self.waiting.push(Job { engine: Arc::clone(engine), questions, answers });
        let broke_off = |_| Err(Error::Model("it broke off, as the log tells".to_owned()));
        done.await.unwrap_or_else(|_| (0..count).map(broke_off).collect())
    }
}

impl Waiting {
    fn jobs(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) {
        self.jobs().push_back(job);
        self.some.notify_one();
    }

    /// The jobs of one turn; where others are left, another worker is told.
    fn turn(&self) -> Vec<Job> {
        let (mut turn, mut items) = (Vec::new(), 0);
        let mut jobs = self.jobs();
        while items < ITEMS
            && let Some(job) = jobs.pop_front()
        {
            // A request that was given up takes nothing of the turn.
            if !job.answers.is_closed() {
                items += job.questions.len();
                turn.push(job);
            }
        }
        if !jobs.is_empty() {
            self.some.notify_one();
        }
        turn
    }
}

/// Works for as long as the runtime lives.
async fn work(waiting: Arc<Waiting>) {
    loop {
        waiting.some.notified().await;
        let_others_go_first().await;
        let turn = waiting.turn();
        if catch_unwind(AssertUnwindSafe(|| answer(turn))).is_err() {
            tracing::error!(
                "the work on some requests broke off, which is a fault of this program: they have no score"
            );
        }
    }
}

/// Comes back once it was looked for what has arrived, and all that is ready on this thread had its turn: requests take their
/// places, or are refused, before anything is worked on, else they would wait where nobody counts them.
async fn let_others_go_first() {
    // Makes sure of the look; but what it puts off goes on right after that, before what was found.
    yield_now().await;
    let mut behind = false;
    poll_fn(|cx| {
        if mem::replace(&mut behind, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Answers all jobs of a turn, those of one engine together.
fn answer(mut turn: Vec<Job>) {
    let counts: Vec<usize> = turn.iter().map(|job| job.questions.len()).collect();
    let mut answers = Vec::with_capacity(counts.iter().sum());
    for jobs in turn.chunk_by_mut(|a, b| Arc::ptr_eq(&a.engine, &b.engine)) {
        let questions = jobs.iter_mut().flat_map(|job| mem::take(&mut job.questions)).collect();
        answers.extend(jobs[0].engine.answer_all(questions));
    }
    let mut answers = answers.into_iter();
    for (job, count) in turn.into_iter().zip(counts) {
        // Its request may have been given up meanwhile.
        let _ = job.answers.send(answers.by_ref().take(count).collect());
    }
}
