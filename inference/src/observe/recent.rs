//! The last answers, for people who look at the page.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use prowl_proto::{json::Json, v1};
use serde::{Serialize, Serializer};

use super::at_hand;
use crate::engine::Answer;

/// Answers that are kept.
const KEPT: usize = 50;

/// Between two that are kept: nobody reads more of them, and under load keeping each would cost more than it tells.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(super) struct Recent {
    answers: Mutex<Answers>,
}

#[derive(Default)]
struct Answers {
    list: VecDeque<Kept>,
    last: Option<Instant>,
}

#[derive(Clone, Serialize)]
struct Kept {
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(serialize_with = "as_json")]
    response: v1::ScoreResponse,
}

/// The answers, the newest first.
#[derive(Serialize)]
pub(crate) struct Told {
    answers: Vec<Kept>,
}

impl Recent {
    /// Keeps an answer, unless another was kept a moment ago or somebody looks at the list.
    pub(super) fn keep(&self, answer: &Answer) {
        let Some(mut answers) = at_hand(&self.answers) else { return };
        let now = Instant::now();
        if answers.last.is_some_and(|last| now - last < PAUSE) {
            return;
        }
        answers.last = Some(now);
        if answers.list.len() == KEPT {
            answers.list.pop_back();
        }
        let kept = Kept { at: Timestamp::now(), title: answer.title.clone(), response: answer.response.clone() };
        answers.list.push_front(kept);
    }

    pub(super) fn tell(&self) -> Told {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        Told { answers: answers.list.iter().cloned().collect() }
    }
}

fn as_json<S: Serializer>(response: &v1::ScoreResponse, serializer: S) -> Result<S::Ok, S::Error> {
    Json(response).serialize(serializer)
}
