//! What reviewers say of answers, kept in the store for the next training.
//!
//! A verdict is answered once it lies there. An object store cannot append, so that verdicts which come within a moment go into one
//! file together.

use std::time::Duration;

use jiff::Timestamp;
use prowl_features::{Category, identity};
use prowl_platform::{Store, feedback::Verdict};
use prowl_proto::v1;
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

use crate::{checks::Checks, error::Error, observe::Observer, readiness::Readiness};

/// How long a verdict waits for others.
const GATHERING: Duration = Duration::from_millis(50);

/// Most verdicts that wait, and that go into one file.
const MOST: usize = 1_000;

/// Longest comment, in characters.
const LONGEST: usize = 2_000;

/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Keeps verdicts. Cheap to clone; what is on its way is kept before the last clone goes.
#[derive(Clone)]
pub(crate) struct Feedback {
    /// `None` keeps nothing.
    verdicts: Option<mpsc::Sender<Waiting>>,
    readiness: Readiness,
    observer: Observer,
}

#[derive(Debug)]
struct Waiting {
    verdict: Verdict,
    kept: oneshot::Sender<Result<String, String>>,
}

impl Feedback {
    /// Keeps verdicts in a store, if in any.
    pub(crate) fn start(store: Option<Store>, readiness: Readiness, observer: Observer) -> Self {
        let verdicts = store.map(|store| {
            let (sender, receiver) = mpsc::channel(MOST);
            tokio::spawn(write(store, receiver));
            sender
        });
        Self { verdicts, readiness, observer }
    }

    /// Keeps one.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Disabled`], [`Error::FeedbackFull`] where too many wait, [`Error::NotKept`].
    pub(crate) async fn keep(&self, request: v1::SendFeedbackRequest) -> Result<v1::SendFeedbackResponse, Error> {
        let Some(verdicts) = &self.verdicts else {
            return Err(Error::Disabled("this server keeps no feedback: start it with --feedback"));
        };
        let received_at = Timestamp::now();
        let (kept, answer) = oneshot::channel();
        let verdict = verdict(request, received_at)?;
        let warnings = self.unknown(&verdict.repository).into_iter().collect();
        let waiting = Waiting { verdict, kept };
        verdicts.try_send(waiting).map_err(|_| Error::FeedbackFull { limit: MOST })?;
        let file = answer.await.unwrap_or_else(|_| Err("the server shuts down".to_owned()));
        let file = file.map_err(|error| Error::NotKept(format!("the feedback is not kept: {error}; send it again")))?;
        self.observer.calls().feedback();
        Ok(v1::SendFeedbackResponse {
            file,
            warnings,
            received_at: Some(prost_types::Timestamp {
                seconds: received_at.as_second(),
                nanos: received_at.subsec_nanosecond(),
            }),
        })
    }

    /// What to say of a repository that the histories do not know: its name may be misspelt.
    fn unknown(&self, repository: &str) -> Option<String> {
        let engine = self.readiness.engine().ok()?;
        let profiles = &engine.past().profiles;
        let is_unknown = profiles.as_of().is_some() && profiles.ledger(repository).is_none();
        is_unknown.then(|| {
            format!(
                "nothing is known of {repository} (is the name right?): its feedback counts once its pull requests are in a \
                 features run"
            )
        })
    }
}

fn verdict(request: v1::SendFeedbackRequest, received_at: Timestamp) -> Result<Verdict, Error> {
    let v1::SendFeedbackRequest { repository, number, reverted, category, unusual, comment, model } = request;
    let mut checks = Checks::default();
    let repository = checks.ok("repository", identity::repository(Some(repository.into()))).into_owned();
    let number = checks.ok("number", identity::number(Some(number).filter(|number| *number != 0)));
    if let Some(name) = &category
        && Category::parse(name).is_none()
    {
        checks.add("category", format!("{name:?} is no category: {}", Category::ALL.map(Category::as_str).join(", ")));
    }
    if comment.as_ref().is_some_and(|comment| comment.chars().count() > LONGEST) {
        checks.add("comment", format!("longer than {LONGEST} characters"));
    }
    if reverted.is_none() && category.is_none() && unusual.is_none() {
        checks.add("", "says nothing: set reverted, category or unusual");
    }
    let model_digest = model.map(|model| model.digest).filter(|digest| !digest.is_empty());
    checks.done(Verdict { repository, number, received_at, reverted, category, unusual, comment, model_digest })
}

/// Writes what waits, until nobody can send any more.
async fn write(store: Store, mut receiver: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::new();
    while receiver.recv_many(&mut waiting, MOST).await > 0 {
        if waiting.len() < MOST {
            sleep(GATHERING).await;
            while waiting.len() < MOST
                && let Ok(more) = receiver.try_recv()
            {
                waiting.push(more);
            }
        }
        let (verdicts, waiters): (Vec<_>, Vec<_>) =
            waiting.drain(..).map(|Waiting { verdict, kept }| (verdict, kept)).unzip();
        let written = timeout(PATIENCE, store.add_feedback(&verdicts)).await;
        let written = match written {
            Ok(Ok(file)) => Ok(file),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("the store takes longer than {PATIENCE:?}")),
        };
        if let Err(error) = &written {
            tracing::error!(error, verdicts = verdicts.len(), "feedback is not kept");
        }
        for waiter in waiters {
            // One whose caller has gone needs no answer.
            let _ = waiter.send(written.clone());
        }
    }
}
