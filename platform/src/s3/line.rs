//! The line to S3: says once that nobody answers, says when somebody does again, and gives a server that never answered up
//! early, since its address is probably wrong.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
    },
};

use crate::innermost;

/// How long a server is waited for that has not answered yet.
const FIRST_CONTACT: Duration = Duration::from_secs(10);

/// Makes lines.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Line { inner, state: Mutex::default() }))
    }
}

/// S3 could not be reached. Its address is told by the name of the secret that holds it.
#[derive(Debug, thiserror::Error)]
#[error("S3 does not answer ({cause}); see that it runs where the secret spaces_endpoint says")]
pub(crate) struct NoAnswer {
    cause: String,
}

#[derive(Debug)]
struct Line {
    inner: HttpClient,
    state: Mutex<State>,
}

/// What is known of the other end.
#[derive(Debug, Default)]
struct State {
    has_answered: bool,
    /// Since when it has not answered, or only that it cannot.
    away: Option<Instant>,
}

#[async_trait]
impl HttpService for Line {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        match self.inner.execute(request).await {
            Ok(response) if response.status().is_server_error() => {
                self.away(response.status().as_str(), true);
                Ok(response)
            }
            Ok(response) => {
                self.answered();
                Ok(response)
            }
            Err(error) => Err(self.silent(&error)),
        }
    }
}

impl Line {
    fn answered(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.has_answered = true;
        if let Some(since) = state.away.take() {
            tracing::info!("S3 answers again after {:.1} s", since.elapsed().as_secs_f64());
        }
    }

    /// Since when it is away, and whether it ever was there.
    fn away(&self, what: &str, answers: bool) -> (Instant, bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.has_answered |= answers;
        let has_answered = state.has_answered;
        let since = *state.away.get_or_insert_with(|| {
            let seconds = if has_answered { super::PATIENCE } else { FIRST_CONTACT }.as_secs();
            tracing::warn!("S3 does not answer ({what}); trying again for up to {seconds} s");
            Instant::now()
        });
        (since, has_answered)
    }

    fn silent(&self, error: &HttpError) -> HttpError {
        let cause = innermost(error).to_string();
        let (since, has_answered) = self.away(&cause, false);
        let give_up = !has_answered && since.elapsed() >= FIRST_CONTACT;
        // What is unknown is not tried again.
        let kind = if give_up { HttpErrorKind::Unknown } else { error.kind() };
        HttpError::new(kind, NoAnswer { cause })
    }
}
