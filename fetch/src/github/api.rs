//! Asking GitHub: with the right token, at the pace that its budget allows, as often as it takes and no longer than
//! patience goes.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use prowl_platform::{
    Secrets,
    github::{Answer, Client, Credentials, Kind, Request, Target, date, wait},
};
use reqwest::{Method, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    accounts::Accounts,
    answer::{Flaw, Refusal, understand},
    failure::{between, no_token, refusal, used_up},
    pace::{Budget, Seen},
    patience::Patience,
    queries::Query,
    spent::Spent,
    trouble::Trouble,
};
use crate::{Error, mongo::Mongo};

/// So long without an answer is told.
const SILENCE: Duration = Duration::from_secs(10);

/// How long an answer may take; GitHub itself gives up after ten seconds.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What GitHub asks to wait at least where it names no time.
const SHORTEST_PAUSE: Duration = Duration::from_mins(1);

/// Limits in a row, without an answer in between, after which something else must be wrong.
const LIMITS: u32 = 8;

/// One GitHub, and what may be asked of it.
pub(super) struct GitHub {
    client: Client,
    credentials: Credentials,
    secrets: Secrets,
    accounts: Accounts,
    /// Requests that may be under way.
    permits: Semaphore,
    patience: Duration,
    spent: Spent,
    /// Whether it was told that GitHub answers nothing.
    silent: AtomicBool,
    stop: CancellationToken,
}

/// Data, and what it lacks.
#[derive(Debug)]
pub(super) struct Answered<D> {
    pub(super) data: D,
    pub(super) flaws: Vec<Flaw>,
    /// When it was given, by GitHub's clock.
    pub(super) at: Timestamp,
    /// Points that it cost.
    pub(super) cost: u64,
}

/// Why there is no answer, in as far as whoever asked has to do something else.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// Ask for less, or once more.
    TooMuch(String),
    /// The position is none.
    BadCursor(String),
    /// It is not there.
    Gone,
    /// Nothing helps.
    Failed(Error),
}

impl From<Error> for Unanswered {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Whether a list changed since its `ETag` was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Changed {
    No,
    /// With the new one, where there is one.
    Yes(Option<String>),
}

impl GitHub {
    /// Only one that `remembers` writes down the limits that GitHub sets.
    pub(super) fn new(
        api: Url,
        secrets: Secrets,
        concurrency: usize,
        patience: Duration,
        mongo: Mongo,
        remembers: bool,
    ) -> Self {
        let credentials = Credentials::new(secrets.clone());
        Self {
            accounts: Accounts::new(&api, credentials.app_id().is_some(), mongo, remembers),
            client: Client::new(api, "prowl-fetch"),
            credentials,
            secrets,
            permits: Semaphore::new(concurrency),
            patience,
            spent: Spent::new(),
            silent: AtomicBool::new(false),
            stop: CancellationToken::new(),
        }
    }

    /// Its name, for ids and for people.
    pub(super) fn host(&self) -> &str {
        self.accounts.host()
    }

    /// The id of a repository's state. That of `owner/` is what the ids of all of an owner's begin with, and that of nothing
    /// what all do.
    pub(super) fn id(&self, name: &str) -> String {
        format!("github:{}:{}", self.host(), name.to_lowercase())
    }

    pub(super) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    pub(super) fn spent(&self) -> &Spent {
        &self.spent
    }

    /// The patience of one who asks.
    pub(super) fn patience(&self) -> Patience {
        Patience::new(self.patience)
    }

    /// Lets nobody ask any more, nor wait for an answer.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Asks about an owner, or a repository `owner/name`, until there is an answer or whoever asks has to decide.
    pub(super) async fn ask<Q: Query>(
        &self,
        about: &str,
        variables: Q::Variables,
        patience: &mut Patience,
    ) -> Result<Answered<Q::ResponseData>, Unanswered> {
        let answered = self.stop.run_until_cancelled(self.ask_on::<Q>(about, variables, patience)).await;
        answered.unwrap_or_else(|| Err(Error::Interrupted("a signal").into()))
    }

    async fn ask_on<Q: Query>(
        &self,
        about: &str,
        variables: Q::Variables,
        patience: &mut Patience,
    ) -> Result<Answered<Q::ResponseData>, Unanswered> {
        let owner = about.split('/').next().unwrap_or(about);
        let budget = self.accounts.budget(owner).await?;
        let body = serde_json::to_vec(&Q::build_query(variables)).expect("variables are texts and numbers");
        let body = Bytes::from(body);
        let (mut limits, mut refreshed) = (0, false);
        loop {
            let waited = budget.take().await;
            let (more, turn) = self.turn(&budget).await;
            patience.excuse(waited + more);
            self.spent.wait(waited + more);
            let refusal = match self.once::<Q>(owner, &budget, &body, turn).await {
                Ok(answered) => {
                    patience.succeeded();
                    if self.silent.swap(false, Relaxed) {
                        tracing::info!("{} answers again", self.host());
                    }
                    return Ok(answered);
                }
                Err(refusal) => refusal,
            };
            self.notice_silence(&refusal);
            tracing::debug!(about, ?refusal, "GitHub did not answer");
            match refusal {
                Refusal::Limited { says, wait } => {
                    self.spent.limited.fetch_add(1, Relaxed);
                    limits += 1;
                    if limits > LIMITS {
                        return Err(self.gives_up(says, patience).into());
                    }
                    let wait = wait.unwrap_or_else(|| SHORTEST_PAUSE * 2_u32.pow(limits - 1));
                    self.accounts.pause(owner, wait, &says).await?;
                }
                Refusal::Passing { says, wait } => {
                    self.spent.passing.fetch_add(1, Relaxed);
                    if !patience.wait(wait).await {
                        return Err(self.gives_up(says, patience).into());
                    }
                }
                // A token may have been renewed in Vault since.
                Refusal::Token(_) if !refreshed => {
                    refreshed = true;
                    if let Err(error) = self.secrets.refresh().await {
                        tracing::warn!(%error, "GitHub does not take the token, and there is no look at a new one");
                    }
                }
                Refusal::Token(says) => return Err(Trouble::Token { says }.into()),
                Refusal::NoToken(trouble) => return Err(trouble.into()),
                Refusal::Denied { says, hint } => {
                    return Err(Trouble::Denied { what: about.to_owned(), says, hint }.into());
                }
                Refusal::Wrong(says) => return Err(Trouble::Query { host: self.host().to_owned(), says }.into()),
                Refusal::TooMuch(says) => {
                    self.spent.too_much.fetch_add(1, Relaxed);
                    return Err(Unanswered::TooMuch(says));
                }
                Refusal::BadCursor(says) => return Err(Unanswered::BadCursor(says)),
                Refusal::Gone => return Err(Unanswered::Gone),
            }
        }
    }

    /// Tells once that nobody has had an answer for a while.
    fn notice_silence(&self, refusal: &Refusal) {
        let (Refusal::Passing { says, .. } | Refusal::TooMuch(says)) = refusal else { return };
        if self.spent.answered_at().elapsed() > SILENCE && !self.silent.swap(true, Relaxed) {
            tracing::warn!(says, "{} answers nothing; trying again with growing pauses", self.host());
        }
    }

    /// The same, about something that cannot be asked for in smaller pieces.
    pub(super) async fn ask_whole<Q: Query<Variables: Clone>>(
        &self,
        about: &str,
        variables: Q::Variables,
        patience: &mut Patience,
    ) -> Result<Answered<Q::ResponseData>, Unanswered> {
        loop {
            match self.ask::<Q>(about, variables.clone(), patience).await {
                Err(Unanswered::TooMuch(says)) => {
                    if !patience.wait(Duration::ZERO).await {
                        return Err(self.gives_up(says, patience).into());
                    }
                }
                answered => return answered,
            }
        }
    }

    /// Whether a repository's list of pull requests changed since its `ETag` was given. Costs no points, and goes by the
    /// REST API, since GraphQL has no such thing. Where it cannot be told, it counts as changed.
    pub(super) async fn changed(&self, repository: &str, etag: Option<&str>) -> Result<Changed, Error> {
        let changed = self.stop.run_until_cancelled(self.changed_since(repository, etag)).await;
        changed.unwrap_or(Err(Error::Interrupted("a signal")))
    }

    async fn changed_since(&self, repository: &str, etag: Option<&str>) -> Result<Changed, Error> {
        let Some((owner, name)) = repository.split_once('/') else { return Ok(Changed::Yes(None)) };
        let budget = self.accounts.budget(owner).await?;
        let (waited, turn) = self.turn(&budget).await;
        self.spent.wait(waited);
        let path = ["repos", owner, name, "pulls"];
        let query = [("state", "all"), ("sort", "updated"), ("direction", "desc"), ("per_page", "1")];
        let request = Request { etag, ..Request::get(&path, &query) };
        let sent = self.send(owner, &request, turn).await;
        if sent.is_ok() {
            self.spent.answer(0);
        }
        match sent {
            Ok((answer, _)) if answer.status == StatusCode::NOT_MODIFIED && etag.is_some() => Ok(Changed::No),
            Ok((answer, _)) => {
                let etag = answer.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok());
                Ok(Changed::Yes(etag.map(str::to_owned)))
            }
            Err(refusal) => {
                tracing::debug!(repository, ?refusal, "whether anything changed is not known");
                if let Refusal::Limited { says, wait } = refusal {
                    self.accounts.pause(owner, wait.unwrap_or(SHORTEST_PAUSE), &says).await?;
                }
                Ok(Changed::Yes(None))
            }
        }
    }

    async fn once<Q: Query>(
        &self,
        owner: &str,
        budget: &Budget,
        body: &Bytes,
        turn: SemaphorePermit<'_>,
    ) -> Result<Answered<Q::ResponseData>, Refusal> {
        let request =
            Request { method: Method::POST, target: Target::GraphQl, query: &[], etag: None, body: Some(body.clone()) };
        let (answer, token) = self.send(owner, &request, turn).await?;
        let at = date(&answer.headers).unwrap_or_else(Timestamp::now);
        let (data, flaws) =
            understand::<Q>(&answer.body, token.expose_secret().trim()).map_err(|refusal| match refusal {
                Refusal::Limited { says, wait: None } => {
                    let wait = wait(&answer.headers, at).or_else(|| used_up(budget));
                    Refusal::Limited { says, wait }
                }
                refusal => {
                    // A no is an answer, too.
                    if matches!(refusal, Refusal::Gone | Refusal::Denied { .. } | Refusal::BadCursor(_)) {
                        self.spent.answer(0);
                    }
                    refusal
                }
            })?;
        let rate = Q::rate_limit(&data);
        budget.settle(rate.map(|rate| Seen {
            cost: rate.cost,
            limit: rate.limit,
            remaining: rate.remaining,
            until_reset: between(at, rate.reset_at),
        }));
        let cost = rate.map_or(0, |rate| rate.cost);
        self.spent.answer(cost);
        Ok(Answered { data, flaws, at, cost })
    }

    /// Waits for a place among the requests under way, while GitHub has not told to wait. Tells how long it had.
    async fn turn(&self, budget: &Budget) -> (Duration, SemaphorePermit<'_>) {
        let mut waited = budget.wait().await;
        loop {
            let turn = self.permits.acquire().await.expect("the semaphore is never closed");
            // It may have done so before there was a place.
            if budget.paused().is_none() {
                return (waited, turn);
            }
            drop(turn);
            waited += budget.wait().await;
        }
    }

    /// Sends a request once, and gives the token with which it was answered.
    async fn send(
        &self,
        owner: &str,
        request: &Request<'_>,
        turn: SemaphorePermit<'_>,
    ) -> Result<(Answer, SecretString), Refusal> {
        let until = Instant::now() + self.patience;
        let token = self.credentials.token_for_owner(&self.client, owner, until).await.map_err(no_token)?;
        let sent = if matches!(request.target, Target::GraphQl) { &self.spent.graphql } else { &self.spent.rest };
        sent.fetch_add(1, Relaxed);
        let answer = self.client.send(request, &token, TIMEOUT).await;
        drop(turn);
        match answer {
            Ok(answer) => Ok((answer, token)),
            Err(failure) => {
                if failure.kind == Kind::Unauthorized {
                    self.credentials.forget(&token);
                }
                Err(refusal(failure))
            }
        }
    }

    /// What to say when patience is at its end: whether others were answered since it began.
    pub(super) fn gives_up(&self, says: String, patience: &Patience) -> Error {
        let host = self.host().to_owned();
        let tried = patience.since().map_or(self.patience, |since| since.elapsed());
        let silent = patience.since().is_some_and(|since| self.spent.answered_at() <= since);
        if silent {
            Trouble::Silence { host, tried, says }.into()
        } else {
            Trouble::Patience { host, tried, says }.into()
        }
    }
}

impl From<Trouble> for Unanswered {
    fn from(trouble: Trouble) -> Self {
        Self::Failed(trouble.into())
    }
}
