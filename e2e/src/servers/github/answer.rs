//! The way of a request: noted, allowed, decided on, answered, and paid for.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use arrow::temporal_conversions::timestamp_s_to_datetime;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::access::Grant;
use super::asked::Asked;
use super::budget::{Limit, Silence};
use super::fault::Fault;
use super::graphql::{self, Checked};
use super::line::Scissors;
use super::objects::Rate;
use super::rest::{self, Rest};
use super::{Settings, Shared};

/// The resources that are counted apart.
const GRAPHQL: &str = "graphql";
const CORE: &str = "core";

/// An answer that is yet to be sent.
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    points: u64,
}

impl Answer {
    fn new(status: u16, body: &Value) -> Self {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Self { status, headers: Vec::new(), body, points: 0 }
    }

    fn refused(status: u16, message: &str) -> Self {
        Self::new(status, &json!({ "message": message, "documentation_url": "https://docs.github.com/rest" }))
    }

    fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// What a request brings.
struct Request<'a> {
    method: &'a Method,
    path: String,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    body: Value,
}

impl Request<'_> {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn is_graphql(&self) -> bool {
        self.path == "/graphql"
    }
}

pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let begun = Instant::now();
    let settings = *shared.settings.lock().unwrap();
    // An Enterprise Server has the same below other paths.
    let path = uri
        .path()
        .strip_prefix("/api/v3")
        .or_else(|| uri.path().strip_prefix("/api").filter(|rest| *rest == "/graphql"));
    let path = path.unwrap_or(uri.path()).to_owned();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let request = Request { method: &method, path, uri: &uri, headers: &headers, body };

    let (index, fault, answer) = shared.respond(&request, settings, begun);
    sleep(settings.latency).await;
    if let Some(Fault::Slow(more)) = fault {
        sleep(more).await;
    }
    shared.tell(index, fault.as_ref(), request.is_graphql());
    shared.finish(index, &answer, begun.elapsed());
    if let Some(Fault::Cut(bytes)) = fault {
        scissors.cut_after(bytes);
    }
    let now = shared.world.read().unwrap().now();
    let date = timestamp_s_to_datetime(now).unwrap().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let status = StatusCode::from_u16(answer.status).unwrap();
    let kind = if answer.body.starts_with('<') { "text/html" } else { "application/json; charset=utf-8" };
    let head = [(header::DATE, date), (header::CONTENT_TYPE, kind.to_owned())];
    let mut response = (status, head, answer.body).into_response();
    for (name, value) in answer.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

impl Shared {
    /// Notes the request and decides on the answer.
    fn respond(&self, request: &Request<'_>, settings: Settings, at: Instant) -> (usize, Option<Fault>, Answer) {
        let now = self.world.read().unwrap().now();
        let token = request.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        let grant = self.access.lock().unwrap().grant(token, now);
        self.look_at(request, token);

        let checked = request.is_graphql().then(|| graphql::check(&self.queries, &request.body));
        let right = checked.as_ref().and_then(|checked| checked.as_ref().ok());
        let asked = Asked {
            at,
            index: 0,
            line: format!("{} {}", request.method, request.uri),
            account: grant.as_ref().map(|grant| grant.account.clone()),
            query: right.and_then(|checked| checked.query.name.clone()),
            variables: request.body["variables"].clone(),
            page: right.map_or(0, |checked| checked.price.page),
            too_early: false,
            fault: None,
            status: 0,
            points: 0,
            took: Duration::ZERO,
        };
        let index = {
            let mut record = self.record.lock().unwrap();
            let index = record.asked.len();
            record.asked.push(Asked { index, ..asked });
            index
        };
        let Some(grant) = grant else {
            return (index, None, self.without_grant(request, token, now));
        };
        if let Some(answer) = self.silenced(index, &grant, request, settings, at, now) {
            return (index, None, answer);
        }
        let asked = self.record.lock().unwrap().asked[index].clone();
        let rule = Arc::clone(&self.rule.read().unwrap());
        let fault = rule(&asked);
        self.record.lock().unwrap().asked[index].fault.clone_from(&fault);
        let answer = match &fault {
            Some(Fault::PrimaryLimit(seconds)) => {
                let (resource, limit) = settings.of(request.is_graphql());
                let mut record = self.record.lock().unwrap();
                let budget = record.budgets.entry((grant.account.clone(), resource)).or_default();
                budget.exhaust(limit, now, *seconds);
                exhausted(request.is_graphql(), index)
            }
            Some(Fault::SecondaryLimit(status, seconds)) => limited(*status, *seconds),
            Some(Fault::Status(status)) => {
                Answer { status: *status, headers: Vec::new(), body: "<html>Unicorn!</html>".to_owned(), points: 0 }
            }
            Some(Fault::Garbage) => {
                Answer { status: 200, headers: Vec::new(), body: "<html>{\"data\":".to_owned(), points: 0 }
            }
            other => match checked {
                Some(checked) => self.graphql(checked, &grant, settings, now, other.as_ref()),
                None => self.rest(request, &grant),
            },
        };
        let answer = self.charge(&grant, request.is_graphql(), settings, answer);
        (index, fault, answer)
    }

    /// What is wrong with a request whoever sends it.
    fn look_at(&self, request: &Request<'_>, token: &str) {
        if request.header("user-agent").is_empty() {
            self.complain("GitHub refuses requests without a user agent".to_owned());
        }
        let shown = request.uri.to_string();
        if (!token.is_empty() && shown.contains(token)) || shown.contains("token=") {
            self.complain(format!("a token rides in {shown}"));
        }
        if request.is_graphql() && request.method != Method::POST {
            self.complain(format!("GraphQL is asked by {}", request.method));
        }
    }

    fn complain(&self, complaint: String) {
        // A test that failed meanwhile poisons it, and is told of by itself.
        self.record.lock().unwrap_or_else(PoisonError::into_inner).complaints.push(complaint);
    }

    /// The token is no known one: an App asks, or nobody.
    fn without_grant(&self, request: &Request<'_>, token: &str, now: i64) -> Answer {
        let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        let of_app = matches!(parts[..], ["app", ..] | ["orgs" | "users", _, "installation"]);
        if !of_app {
            return Answer::refused(401, "Bad credentials");
        }
        match self.access.lock().unwrap().ask_as_app(&parts, token, now) {
            Ok((status, body)) => Answer::new(status, &body),
            Err((status, message)) => Answer::refused(status, &message),
        }
    }

    /// The answer to an account that has to wait.
    fn silenced(
        &self,
        index: usize,
        grant: &Grant,
        request: &Request<'_>,
        settings: Settings,
        at: Instant,
        now: i64,
    ) -> Option<Answer> {
        let mut record = self.record.lock().unwrap();
        if let Some(silence) = record.silences.get(&grant.account).filter(|silence| at < silence.until).copied() {
            record.asked[index].too_early = true;
            return Some(limited(silence.status, silence.until.saturating_duration_since(at).as_secs() + 1));
        }
        let (resource, limit) = settings.of(request.is_graphql());
        let budget = record.budgets.entry((grant.account.clone(), resource)).or_default();
        budget.turn(limit, now);
        if budget.remaining(limit) > 0 {
            return None;
        }
        let too_early = budget.told.is_some_and(|told| told < at);
        budget.told.get_or_insert(at);
        record.asked[index].too_early = too_early;
        drop(record);
        Some(self.charge(grant, request.is_graphql(), settings, exhausted(request.is_graphql(), index)))
    }

    fn graphql(
        &self,
        checked: Result<Checked, Value>,
        grant: &Grant,
        settings: Settings,
        now: i64,
        fault: Option<&Fault>,
    ) -> Answer {
        let checked = match checked {
            Ok(checked) => checked,
            Err(refusal) => {
                self.complain(refusal.to_string());
                return Answer::new(200, &refusal);
            }
        };
        if !grant.scopes {
            let message = "Your token has not been granted the required scopes to execute this query. The 'name' field requires \
                           one of the following scopes: ['repo'], but your token has only been granted the: [''] scopes.";
            return Answer::new(200, &graphql::error(Some("INSUFFICIENT_SCOPES"), message));
        }
        let cost = checked.price.points();
        let rate = {
            let mut record = self.record.lock().unwrap();
            let budget = record.budgets.entry((grant.account.clone(), GRAPHQL)).or_default();
            budget.turn(settings.graphql, now);
            let used = budget.used + cost;
            let Limit { points: limit, .. } = settings.graphql;
            Rate {
                cost,
                limit,
                used,
                remaining: limit.saturating_sub(used),
                reset: budget.reset,
                nodes: checked.price.nodes,
            }
        };
        match graphql::answer(&checked, &self.world.read().unwrap(), grant, rate, fault) {
            Ok(Some(answer)) => Answer { points: cost, ..Answer::new(200, &answer) },
            Ok(None) => Answer { points: cost, ..Answer::refused(502, "Bad Gateway") },
            Err(wrong) => {
                self.complain(wrong.clone());
                Answer::new(200, &graphql::error(None, wrong))
            }
        }
    }

    fn rest(&self, request: &Request<'_>, grant: &Grant) -> Answer {
        let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        let (&Method::GET, &["repos", owner, name, "pulls"]) = (request.method, &parts[..]) else {
            self.complain(format!("{} {} is not modelled", request.method, request.path));
            return Answer::refused(404, "Not Found");
        };
        let query = request.uri.query().unwrap_or_default();
        match rest::pulls(&self.world.read().unwrap(), grant, &format!("{owner}/{name}"), query) {
            Rest::List { etag, .. } if request.header("if-none-match") == etag => {
                Answer::new(304, &Value::Null).with("etag", etag)
            }
            Rest::List { body, etag } => Answer { points: 1, ..Answer::new(200, &body).with("etag", etag) },
            Rest::Moved(body) => {
                let to = body["url"].as_str().unwrap_or_default().to_owned();
                Answer { points: 1, ..Answer::new(301, &body).with("location", to) }
            }
            Rest::Refused(422, message) => {
                self.complain(message.to_owned());
                Answer::refused(422, message)
            }
            Rest::Refused(status, message) => Answer { points: 1, ..Answer::refused(status, message) },
        }
    }

    /// Takes the points of an answer, and says in it what is left.
    fn charge(&self, grant: &Grant, graphql: bool, settings: Settings, answer: Answer) -> Answer {
        let (resource, limit) = settings.of(graphql);
        let mut record = self.record.lock().unwrap();
        let budget = record.budgets.entry((grant.account.clone(), resource)).or_default();
        budget.used += answer.points;
        let (used, remaining, reset) = (budget.used, budget.remaining(limit), budget.reset);
        drop(record);
        answer
            .with("x-ratelimit-limit", limit.points)
            .with("x-ratelimit-used", used)
            .with("x-ratelimit-remaining", remaining)
            .with("x-ratelimit-reset", reset)
            .with("x-ratelimit-resource", resource)
    }

    /// The account is about to hear that it has to wait; before that it cannot know.
    fn tell(&self, index: usize, fault: Option<&Fault>, graphql: bool) {
        let now = Instant::now();
        let mut record = self.record.lock().unwrap();
        let Some(account) = record.asked.get(index).and_then(|asked| asked.account.clone()) else { return };
        match fault {
            Some(Fault::SecondaryLimit(status, seconds)) => {
                let until = now + Duration::from_secs(*seconds);
                record.silences.insert(account, Silence { until, status: *status });
            }
            Some(Fault::PrimaryLimit(_)) => {
                let resource = if graphql { GRAPHQL } else { CORE };
                record.budgets.entry((account, resource)).or_default().told = Some(now);
            }
            _ => {}
        }
    }

    fn finish(&self, index: usize, answer: &Answer, took: Duration) {
        // It may have been forgotten meanwhile.
        if let Some(asked) = self.record.lock().unwrap().asked.get_mut(index) {
            (asked.status, asked.points, asked.took) = (answer.status, answer.points, took);
        }
    }
}

impl Settings {
    fn of(&self, graphql: bool) -> (&'static str, Limit) {
        if graphql { (GRAPHQL, self.graphql) } else { (CORE, self.rest) }
    }
}

/// The points are used up. GitHub has said so in two ways over the years.
fn exhausted(graphql: bool, index: usize) -> Answer {
    if !graphql {
        return Answer::refused(403, "API rate limit exceeded for user ID 1.");
    }
    let error = if index.is_multiple_of(2) {
        json!({ "type": "RATE_LIMITED", "message": "API rate limit exceeded for user ID 1." })
    } else {
        let message = "API rate limit already exceeded for user ID 1.";
        json!({ "type": "RATE_LIMIT", "code": "graphql_rate_limit", "message": message })
    };
    Answer::new(200, &json!({ "errors": [error] }))
}

fn limited(status: u16, seconds: u64) -> Answer {
    let message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    Answer::refused(status, message).with("retry-after", seconds)
}
