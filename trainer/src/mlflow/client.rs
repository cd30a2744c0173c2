//! One call of MLflow: sent, tried again while that may help and there is time, and understood.

use std::error::Error as StdError;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use prowl_platform::{Backoff, innermost, whole_body};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, StatusCode, redirect};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::MlflowError;
use super::address::Address;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one try of a small call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How far apart tries are.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
/// How long a server is waited for that has never answered: its address is probably wrong.
const FIRST_CONTACT: Duration = Duration::from_secs(10);
/// An answer is not larger.
const LARGEST_ANSWER: usize = 1 << 20;
/// How much of what the server says is repeated, in characters.
const REPEATED: usize = 300;

/// Calls one server.
pub(super) struct Client {
    address: Address,
    http: reqwest::Client,
    has_answered: AtomicBool,
    /// Whether the last try failed.
    troubled: AtomicBool,
    /// When trying again has to end; not before somebody says so.
    deadline: watch::Sender<Option<Instant>>,
}

/// Why a try failed, and whether another one may succeed.
pub(super) struct Failure {
    error: MlflowError,
    passing: bool,
    /// What MLflow calls it.
    code: String,
}

impl Failure {
    fn passing(error: MlflowError) -> Self {
        Self { error, passing: true, code: String::new() }
    }

    /// Whether MLflow says no with this code.
    pub(super) fn says(&self, code: &str) -> bool {
        self.code == code
    }
}

impl From<Failure> for MlflowError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl From<MlflowError> for Failure {
    fn from(error: MlflowError) -> Self {
        Self { error, passing: false, code: String::new() }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("host", &self.address.host()).finish_non_exhaustive()
    }
}

impl Client {
    /// Of the server at `address`; nothing is sent yet.
    ///
    /// # Errors
    /// None of the system's certificates can be used.
    pub(super) fn new(address: Address) -> Result<Self, MlflowError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // A redirected POST would arrive as a GET.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("prowl-trainer/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| MlflowError::Certificates {
                host: address.host(),
                cause: innermost(&error).to_string(),
            })?;
        let (has_answered, troubled) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { address, http, has_answered, troubled, deadline: watch::Sender::new(None) })
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Lets calls be tried again for so long from now on; not as long, where it never answered.
    pub(super) fn end_within(&self, patience: Duration) {
        let patience = if self.has_answered() { patience } else { patience.min(FIRST_CONTACT) };
        self.deadline.send_replace(Some(Instant::now() + patience));
    }

    /// Lets calls be tried again without an end.
    pub(super) fn end_never(&self) {
        self.deadline.send_replace(None);
    }

    pub(super) fn has_answered(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed)
    }

    /// Waits for so long, or until it is said when trying has to end.
    pub(super) async fn pause(&self, time: Duration) {
        let mut said = self.deadline.subscribe();
        tokio::select! {
            () = sleep(time) => {}
            _ = said.changed() => {}
        }
    }

    /// Asks for what is at `path`, with a query; again and again, as [`Tries`] does.
    pub(super) async fn get<A: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<A, Failure> {
        let mut tries = self.tries();
        loop {
            let mut url = self.api(path);
            url.query_pairs_mut().extend_pairs(query);
            match self.json(what, Request::new(Method::GET, url)).await {
                Err(failure) => tries.after(failure).await?,
                answer => return answer,
            }
        }
    }

    /// Sends `body` to `path`; again and again, as [`Tries`] does, so it must be something that may be done twice.
    pub(super) async fn post<A: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, Failure> {
        let mut tries = self.tries();
        loop {
            match self.post_once(what, path, body).await {
                Err(failure) => tries.after(failure).await?,
                answer => return answer,
            }
        }
    }

    /// Sends `body` to `path`, once.
    pub(super) async fn post_once<A: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, Failure> {
        let mut request = Request::new(Method::POST, self.api(path));
        let body = serde_json::to_vec(body).expect("what is sent has text keys and finite numbers");
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(body.into());
        self.json(what, request).await
    }

    fn api(&self, path: &str) -> reqwest::Url {
        self.address.below(["api", "2.0", "mlflow"].into_iter().chain(path.split('/')))
    }

    async fn json<A: DeserializeOwned>(&self, what: &'static str, request: Request) -> Result<A, Failure> {
        let answer = self.send(what, request, CALL_TIMEOUT).await?;
        serde_json::from_slice(&answer)
            .map_err(|error| self.no_mlflow(&format!("its answer cannot be understood: {error}")).into())
    }

    /// Sends a request once, and gives the body of the answer. It may take `time`, and no longer than there is.
    pub(super) async fn send(&self, what: &'static str, request: Request, time: Duration) -> Result<Bytes, Failure> {
        let url = request.url().clone();
        let builder = reqwest::RequestBuilder::from_parts(self.http.clone(), request);
        let request = self.address.authorize(builder)?;
        let answered = self.until(Instant::now() + time, async {
            let mut response = request.send().await?;
            let body = whole_body(&mut response, LARGEST_ANSWER).await?;
            Ok::<_, reqwest::Error>(body.map(|body| (response.status(), body)))
        });
        let failure = match answered.await {
            None => Failure::passing(MlflowError::Late { host: self.address.host(), what }),
            Some(Err(error)) => self.unanswered(&error),
            Some(Ok(None)) => self.no_mlflow("its answer has no end").into(),
            Some(Ok(Some((status, body)))) => {
                self.has_answered.store(true, Ordering::Relaxed);
                if status.is_success() {
                    if self.troubled.swap(false, Ordering::Relaxed) {
                        tracing::info!("MLflow at {} answers again", self.address.host());
                    }
                    return Ok(body);
                }
                self.refusal(what, status, &body)
            }
        };
        tracing::debug!(path = url.path(), error = %failure.error, "a call of MLflow failed");
        Err(failure)
    }

    /// What comes of it before `end`, and before the deadline, which may move meanwhile.
    async fn until<T>(&self, end: Instant, work: impl Future<Output = T>) -> Option<T> {
        let mut said = self.deadline.subscribe();
        let mut work = std::pin::pin!(work);
        loop {
            let end = said.borrow_and_update().map_or(end, |deadline| end.min(deadline));
            tokio::select! {
                done = timeout_at(end, &mut work) => return done.ok(),
                _ = said.changed() => {}
            }
        }
    }

    fn unanswered(&self, error: &reqwest::Error) -> Failure {
        let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref() {
                return MlflowError::unreadable(error).into();
            }
            cause = error.source();
        }
        let cause = innermost(error).to_string();
        Failure::passing(MlflowError::Unreachable { host: self.address.host(), cause })
    }

    fn refusal(&self, what: &'static str, status: StatusCode, body: &[u8]) -> Failure {
        let host = self.address.host();
        let text = String::from_utf8_lossy(body);
        let said = serde_json::from_slice::<Said>(body).ok();
        let reason = said.as_ref().map(|said| self.told(said));
        let with_status = match &reason {
            Some(reason) => format!("{}, {reason}", status.as_u16()),
            None => status.to_string(),
        };
        let error = match status.as_u16() {
            403 if text.starts_with("Invalid Host header") => MlflowError::Host { host },
            401 | 403 => MlflowError::Refused { host, what, said: with_status },
            408 | 425 | 429 | 500.. => {
                return Failure::passing(MlflowError::Failing { host, what, said: with_status });
            }
            _ => match reason {
                Some(said) => MlflowError::Rejected { host, what, said },
                None => self.no_mlflow(&with_status),
            },
        };
        Failure { error, passing: false, code: said.map(|said| said.error_code).unwrap_or_default() }
    }

    /// What MLflow says, in one line that holds no secret.
    fn told(&self, said: &Said) -> String {
        let first = said.message.lines().next().unwrap_or_default();
        let text: String = format!("{first} ({})", said.error_code).chars().take(REPEATED).collect();
        self.address.without_secrets(&text)
    }

    fn no_mlflow(&self, said: &str) -> MlflowError {
        MlflowError::NoMlflow { host: self.address.host(), said: said.to_owned() }
    }

    /// Begins to try something.
    pub(super) fn tries(&self) -> Tries<'_> {
        Tries { client: self, backoff: BACKOFF }
    }
}

/// The tries of one call, which is made again while another one may help and there is time for it.
pub(super) struct Tries<'a> {
    client: &'a Client,
    backoff: Backoff,
}

impl Tries<'_> {
    /// Waits until it is time for the next try.
    ///
    /// # Errors
    /// The failure, where there is to be no other try.
    pub(super) async fn after(&mut self, failure: Failure) -> Result<(), Failure> {
        let client = self.client;
        let pause = self.backoff.pause();
        let too_late = client.deadline.borrow().is_some_and(|deadline| deadline <= Instant::now() + pause);
        if !failure.passing || too_late {
            return Err(failure);
        }
        if !client.troubled.swap(true, Ordering::Relaxed) {
            tracing::info!("{}; trying again", failure.error);
        }
        client.pause(pause).await;
        Ok(())
    }
}

/// What MLflow says when it says no.
#[derive(Deserialize)]
struct Said {
    error_code: String,
    #[serde(default)]
    message: String,
}
