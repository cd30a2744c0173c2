//! A call of GitHub's API: sent, tried again while that may help and there is time, and understood.

use std::{
    fmt,
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use bytes::{Bytes, BytesMut};
use prowl_platform::innermost;
use reqwest::{Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Tries are about so far apart, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What GitHub asks to wait at least, where it says that too much was asked of it and not when that is over.
const RATE_PAUSE: Duration = Duration::from_mins(1);

/// An answer is not larger. A page of files comes with their patches.
const LARGEST_ANSWER: usize = 16 << 20;

/// How much of what GitHub says is repeated, in characters.
const REPEATED: usize = 200;

const API_VERSION: HeaderName = HeaderName::from_static("x-github-api-version");

/// Calls one GitHub.
pub(super) struct Client {
    api: Url,
    /// Made when it is first used: it reads the certificates that the system trusts.
    http: LazyLock<reqwest::Client>,
}

/// What is asked for. A path is given in parts, of which none can leave its place.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) path: &'a [&'a str],
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) body: Option<Value>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Failure {
    error: String,
    again: Again,
    /// Whether the token is not known, or may not do this.
    pub(super) refused: bool,
}

/// Whether another try may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    Never,
    Soon,
    After(Duration),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

impl Failure {
    /// One that stays.
    pub(super) fn lasting(error: impl Into<String>) -> Self {
        Self { error: error.into(), again: Again::Never, refused: false }
    }

    fn passing(error: impl Into<String>) -> Self {
        Self { error: error.into(), again: Again::Soon, refused: false }
    }
}

/// Where the API of GitHub is; an address that would show the token to others is refused.
///
/// # Errors
/// What to write.
pub(crate) fn api_url(text: &str) -> Result<Url, String> {
    let hint = || "write https://HOST, or https://HOST/api/v3 for GitHub Enterprise Server".to_owned();
    let url = Url::parse(text).map_err(|_| hint())?;
    let on_this_machine = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    let spoken = url.scheme() == "https" || (url.scheme() == "http" && on_this_machine);
    let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if spoken && bare { Ok(url) } else { Err(hint()) }
}

impl Client {
    pub(super) fn new(api: Url) -> Self {
        let http = || {
            reqwest::Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                // It would go where an answer says, and a POST would arrive as a GET.
                .redirect(redirect::Policy::none())
                .user_agent(concat!("prowl-inference/", env!("CARGO_PKG_VERSION")))
                .build()
                .expect("a client without files of its own can be built")
        };
        Self { api, http: LazyLock::new(http) }
    }

    /// Asks until there is an answer, another try would not help, or the time is over. What is asked must be something that may
    /// be done twice.
    pub(super) async fn ask<A: DeserializeOwned>(
        &self,
        ask: &Ask<'_>,
        token: &SecretString,
        until: Instant,
    ) -> Result<A, Failure> {
        let mut tries = Tries::new(until);
        loop {
            match self.ask_once(ask, token, until).await {
                Err(failure) => tries.after(failure).await?,
                answer => return answer,
            }
        }
    }

    /// Asks once.
    pub(super) async fn ask_once<A: DeserializeOwned>(
        &self,
        ask: &Ask<'_>,
        token: &SecretString,
        until: Instant,
    ) -> Result<A, Failure> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret().trim()))
            .map_err(|_| Failure::lasting("the token for GitHub holds what no header can"))?;
        bearer.set_sensitive(true);
        let mut request = self
            .http
            .request(ask.method.clone(), self.url(ask))
            .header(header::AUTHORIZATION, bearer)
            .header(header::ACCEPT, "application/vnd.github+json")
            .header(API_VERSION, "2022-11-28");
        if let Some(body) = &ask.body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let answered = timeout_at(until.min(Instant::now() + TIMEOUT), async {
            let mut response = request.send().await?;
            let mut body = BytesMut::new();
            while let Some(piece) = response.chunk().await? {
                if body.len() + piece.len() > LARGEST_ANSWER {
                    return Ok(None);
                }
                body.extend_from_slice(&piece);
            }
            Ok::<_, reqwest::Error>(Some((response.status(), response.headers().clone(), body.freeze())))
        });
        match answered.await {
            Err(_) => Err(Failure::passing("GitHub does not answer in time")),
            Ok(Err(error)) => Err(Failure::passing(format!("GitHub cannot be reached: {}", innermost(&error)))),
            Ok(Ok(None)) => Err(Failure::lasting("an answer of GitHub has no end")),
            Ok(Ok(Some((status, headers, body)))) if !status.is_success() => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let mut failure = refusal(status, &headers, &body, now);
                failure.error = failure.error.replace(token.expose_secret().trim(), "…");
                Err(failure)
            }
            Ok(Ok(Some((_, _, body)))) => serde_json::from_slice(&body)
                .map_err(|error| Failure::lasting(format!("an answer of GitHub cannot be understood: {error}"))),
        }
    }

    fn url(&self, ask: &Ask<'_>) -> Url {
        let mut url = self.api.clone();
        url.path_segments_mut().expect("an http address has a path").pop_if_empty().extend(ask.path);
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(ask.query);
        }
        url
    }
}

/// What GitHub's no means, `now` after 1970.
fn refusal(status: StatusCode, headers: &HeaderMap, body: &Bytes, now: Duration) -> Failure {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Said {
        message: String,
    }
    let said: Said = serde_json::from_slice(body).unwrap_or_default();
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let message: String = said.message.chars().map(visible).take(REPEATED).collect();
    let seconds = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok().map(Duration::from_secs);
    let asked = seconds("retry-after");
    let used_up = headers.get("x-ratelimit-remaining").is_some_and(|left| left == "0");
    let limited = || {
        let reset = seconds("x-ratelimit-reset").filter(|_| used_up).map(|reset| reset.saturating_sub(now));
        Again::After(asked.or(reset).unwrap_or(RATE_PAUSE))
    };
    let too_much = asked.is_some() || used_up || message.contains("rate limit");
    let again = match status.as_u16() {
        429 => limited(),
        403 if too_much => limited(),
        408 | 500.. => asked.map_or(Again::Soon, Again::After),
        _ => Again::Never,
    };
    let hint = match status.as_u16() {
        401 => " (it does not know the token)",
        403 if !too_much => " (checks need the token of a GitHub App that may write them)",
        404 => " (or the token may not see it)",
        _ => "",
    };
    let colon = if message.is_empty() { "" } else { ": " };
    let refused = matches!(status.as_u16(), 401 | 403) && !too_much;
    Failure { error: format!("GitHub says {}{hint}{colon}{message}", status.as_u16()), again, refused }
}

/// The tries of one thing, until a moment.
pub(super) struct Tries {
    pause: Duration,
    until: Instant,
}

impl Tries {
    pub(super) fn new(until: Instant) -> Self {
        Self { pause: FIRST_PAUSE, until }
    }

    /// Waits until it is time for the next try.
    ///
    /// # Errors
    /// The failure, where there is to be no other try.
    pub(super) async fn after(&mut self, failure: Failure) -> Result<(), Failure> {
        let left = self.until.saturating_duration_since(Instant::now());
        sleep(self.pause_of(failure, left)?).await;
        Ok(())
    }

    fn pause_of(&mut self, failure: Failure, left: Duration) -> Result<Duration, Failure> {
        // Those that were refused at the same time shall not come again at the same time.
        let own = self.pause.mul_f64(rand::random_range(0.5..1.0));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let pause = match failure.again {
            Again::Never => return Err(failure),
            Again::Soon => own,
            Again::After(asked) => asked.saturating_add(own),
        };
        if pause < left {
            return Ok(pause);
        }
        let error = format!("{}; there is no time to try again in {pause:.0?}", failure.error);
        Err(Failure::lasting(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_its_place() {
        for (api, begin) in [("https://api.example", ""), ("https://git.example/api/v3/", "/api/v3")] {
            let client = Client::new(api_url(api).unwrap());
            let path = ["repos", "a/../b", "n?x#y", "..", "pulls"];
            let ask = Ask { method: Method::GET, path: &path, query: &[("page", "1&x=2")], body: None };
            let url = client.url(&ask);
            assert_eq!(url.path(), format!("{begin}/repos/a%2F..%2Fb/n%3Fx%23y/pulls"));
            assert_eq!(url.query(), Some("page=1%26x%3D2"));
        }
    }

    #[test]
    fn an_address_shows_the_token_to_nobody_else() {
        for good in ["https://api.github.com", "http://127.0.0.1:8080", "http://localhost/api/v3", "http://[::1]:1/"] {
            api_url(good).unwrap();
        }
        for bad in ["api.github.com", "http://api.github.com", "https://user:word@x", "https://x?y", "file:///x", ""] {
            assert!(api_url(bad).unwrap_err().contains("https://HOST"), "{bad}");
        }
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        let of = |status: u16, headers: &[(&'static str, &str)], body: &'static str| {
            let pair = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
            let headers = headers.iter().map(pair).collect();
            refusal(
                StatusCode::from_u16(status).unwrap(),
                &headers,
                &Bytes::from_static(body.as_bytes()),
                Duration::from_secs(1_000),
            )
        };
        let after = |seconds| Again::After(Duration::from_secs(seconds));
        for (status, headers, body, again) in [
            (403, &[("retry-after", "7")][..], "", after(7)),
            (429, &[("retry-after", "7"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1060")], "", after(7)),
            (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1060")], "", after(60)),
            (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "900")], "", after(0)),
            (403, &[("x-ratelimit-remaining", "9"), ("x-ratelimit-reset", "1060")], "", Again::Never),
            (403, &[], r#"{"message": "You have exceeded a secondary rate limit"}"#, after(60)),
            (403, &[], r#"{"message": "Resource not accessible by integration"}"#, Again::Never),
            (429, &[("retry-after", "soon")], "", after(60)),
            (503, &[("retry-after", "2")], "", after(2)),
            (500, &[], "<html>", Again::Soon),
            (422, &[("retry-after", "2")], r#"{"message": "Invalid\nrequest"}"#, Again::Never),
            (301, &[], "", Again::Never),
        ] {
            assert_eq!(of(status, headers, body).again, again, "{status} {headers:?} {body}");
        }
        assert_eq!(of(422, &[], r#"{"message": "Invalid\nrequest"}"#).to_string(), "GitHub says 422: Invalid request");
        assert!(of(404, &[], "[]").to_string().starts_with("GitHub says 404 ("));
    }

    #[test]
    fn it_is_tried_while_there_is_time() {
        let tries = || Tries::new(Instant::now());
        let minute = Duration::from_mins(1);
        let (mut each, mut count, mut left) = (tries(), 0, minute);
        while let Ok(pause) = each.pause_of(Failure::passing("busy"), left) {
            (left, count) = (left.saturating_sub(pause), count + 1);
        }
        assert!((6..=9).contains(&count), "{count}");
        let asked = |seconds| Failure { again: Again::After(Duration::from_secs(seconds)), ..Failure::passing("busy") };
        let pause = tries().pause_of(asked(20), minute).unwrap();
        assert!((Duration::from_secs(20)..Duration::from_secs(21)).contains(&pause), "{pause:?}");
        assert!(tries().pause_of(asked(3_000), minute).unwrap_err().to_string().starts_with("busy; "));
        assert!(tries().pause_of(asked(u64::MAX), minute).is_err());
        assert!(tries().pause_of(Failure::lasting("no"), minute).is_err());
    }
}
