//! A call of GitHub's API: sent, its answer read up to a limit, and understood.

use std::{sync::OnceLock, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::{
    Method, StatusCode, Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use super::{
    refusal::{Again, Failure, Kind, refusal},
    tries::Tries,
};
use crate::{innermost, whole_body};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one try of [`Client::ask`] may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer is not larger. A page of files comes with their patches.
const LARGEST_ANSWER: usize = 16 << 20;

const API_VERSION: HeaderName = HeaderName::from_static("x-github-api-version");

/// Calls one GitHub.
#[derive(Debug)]
pub struct Client {
    api: Url,
    agent: &'static str,
    /// Made when it is first used: it reads the certificates that the system trusts.
    http: OnceLock<Result<reqwest::Client, Failure>>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// What is to be done.
    pub method: Method,
    /// Of what.
    pub target: Target<'a>,
    /// What follows the `?`; a token never does.
    pub query: &'a [(&'a str, &'a str)],
    /// Of an answer that is known: one that is still the same comes as 304, without a body and for no points.
    pub etag: Option<&'a str>,
    /// JSON.
    pub body: Option<Bytes>,
}

/// What a request is about.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A path of the REST API in parts, of which none can leave its place.
    Path(&'a [&'a str]),
    /// The one address of the GraphQL API.
    GraphQl,
}

/// What GitHub answers when it does what is asked (2xx), or when nothing has changed (304).
#[derive(Debug)]
pub struct Answer {
    /// 2xx or 304.
    pub status: StatusCode,
    /// Among them `etag`, `link` and `x-ratelimit-…`.
    pub headers: HeaderMap,
    /// Empty with 304.
    pub body: Bytes,
}

/// Where the API of GitHub is; an address that would show the token to others is refused.
///
/// # Errors
/// What to write.
pub fn api_url(text: &str) -> Result<Url, String> {
    let hint = || "write https://HOST, or https://HOST/api/v3 for GitHub Enterprise Server".to_owned();
    let url = Url::parse(text).map_err(|_| hint())?;
    let on_this_machine = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    let spoken = url.scheme() == "https" || (url.scheme() == "http" && on_this_machine);
    let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if spoken && bare { Ok(url) } else { Err(hint()) }
}

impl<'a> Request<'a> {
    /// A GET of a path.
    pub fn get(path: &'a [&'a str], query: &'a [(&'a str, &'a str)]) -> Self {
        Self { method: Method::GET, target: Target::Path(path), query, etag: None, body: None }
    }
}

impl Answer {
    /// What the body says.
    ///
    /// # Errors
    /// It is not what was expected.
    pub fn json<A: DeserializeOwned>(&self) -> Result<A, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::lasting(format!("an answer of GitHub cannot be understood: {error}")))
    }
}

impl Client {
    /// Of the API at an address that [`api_url`] has taken. The `agent` is the name of the program, which GitHub wants to know.
    pub fn new(api: Url, agent: &'static str) -> Self {
        Self { api, agent, http: OnceLock::new() }
    }

    /// Where the REST API is.
    pub fn api(&self) -> &Url {
        &self.api
    }

    /// Where the GraphQL API is: `https://api.github.com/graphql`, and at GitHub Enterprise Server, whose REST API is
    /// at `https://HOST/api/v3`, `https://HOST/api/graphql`.
    fn graphql_url(&self) -> Url {
        let mut url = self.api.clone();
        let enterprise = url.path().trim_end_matches('/').ends_with("/api/v3");
        let mut path = url.path_segments_mut().expect("an http address has a path");
        path.pop_if_empty();
        if enterprise {
            path.pop();
        }
        path.push("graphql");
        drop(path);
        url
    }

    /// Asks until there is an answer, another try would not help, or the time is over. What is asked must be something that may
    /// be done twice.
    ///
    /// # Errors
    /// Those of the last try.
    pub async fn ask<A: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        token: &SecretString,
        until: Instant,
    ) -> Result<A, Failure> {
        let mut tries = Tries::new(until);
        loop {
            match self.ask_once(request, token, until).await {
                Err(failure) => tries.after(failure).await?,
                answer => return answer,
            }
        }
    }

    /// Asks once, for ten seconds at most.
    ///
    /// # Errors
    /// Those of [`Client::send`], and of an answer that is not what was expected.
    pub async fn ask_once<A: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        token: &SecretString,
        until: Instant,
    ) -> Result<A, Failure> {
        let left = until.saturating_duration_since(Instant::now());
        self.send(request, token, TIMEOUT.min(left)).await?.json()
    }

    /// Asks once, and takes an answer that is whole within `limit`.
    ///
    /// # Errors
    /// There is none, it is larger than 16 MiB, or it is a refusal: anything but 2xx and 304. Redirects are refusals, too.
    pub async fn send(&self, request: &Request<'_>, token: &SecretString, limit: Duration) -> Result<Answer, Failure> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret().trim())).map_err(|_| {
            Failure::lasting("the token for GitHub holds what no header can: correct the secret that it is from")
        })?;
        bearer.set_sensitive(true);
        let mut sent = self
            .http()?
            .request(request.method.clone(), self.url(request))
            .header(header::AUTHORIZATION, bearer)
            .header(header::ACCEPT, "application/vnd.github+json")
            .header(API_VERSION, "2022-11-28");
        if let Some(etag) = request.etag {
            sent = sent.header(header::IF_NONE_MATCH, etag);
        }
        if let Some(body) = &request.body {
            sent = sent.header(header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        let answered = timeout(limit, async {
            let mut response = sent.send().await?;
            let body = whole_body(&mut response, LARGEST_ANSWER).await?;
            Ok::<_, reqwest::Error>(body.map(|body| (response.status(), response.headers().clone(), body)))
        });
        let failed = |kind, again, error: String| Err(Failure { error, again, kind });
        match answered.await {
            Err(_) => failed(Kind::Timeout, Again::Soon, "GitHub does not answer in time".to_owned()),
            Ok(Err(error)) => {
                let error = format!("GitHub cannot be reached: {}", innermost(&error));
                failed(Kind::Connection, Again::Soon, error)
            }
            Ok(Ok(None)) => failed(Kind::TooLarge, Again::Never, "an answer of GitHub has no end".to_owned()),
            Ok(Ok(Some((status, headers, body)))) if status.is_success() || status == StatusCode::NOT_MODIFIED => {
                Ok(Answer { status, headers, body })
            }
            Ok(Ok(Some((status, headers, body)))) => {
                let mut failure = refusal(status, &headers, &body, Timestamp::now());
                failure.error = failure.error.replace(token.expose_secret().trim(), "…");
                Err(failure)
            }
        }
    }

    fn http(&self) -> Result<&reqwest::Client, Failure> {
        let made = self.http.get_or_init(|| {
            let made = reqwest::Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                // It would go where an answer says, and a POST would arrive as a GET.
                .redirect(redirect::Policy::none())
                .user_agent(format!("{}/{}", self.agent, env!("CARGO_PKG_VERSION")))
                .build();
            made.map_err(|error| {
                let hint = "correct the file that SSL_CERT_FILE names, or the certificates of the system";
                let error =
                    format!("no certificate that this machine trusts can be used: {}; {hint}", innermost(&error));
                Failure { kind: Kind::NoTrust, ..Failure::lasting(error) }
            })
        });
        made.as_ref().map_err(Clone::clone)
    }

    fn url(&self, request: &Request<'_>) -> Url {
        let mut url = match request.target {
            Target::GraphQl => self.graphql_url(),
            Target::Path(path) => {
                let mut url = self.api.clone();
                url.path_segments_mut().expect("an http address has a path").pop_if_empty().extend(path);
                url
            }
        };
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(request.query);
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(api: &str) -> Client {
        Client::new(api_url(api).unwrap(), "test")
    }

    #[test]
    fn a_path_cannot_leave_its_place() {
        for (api, begin) in [("https://api.example", ""), ("https://git.example/api/v3/", "/api/v3")] {
            let path = ["repos", "a/../b", "n?x#y", "..", "pulls"];
            let url = client(api).url(&Request::get(&path, &[("page", "1&x=2")]));
            assert_eq!(url.path(), format!("{begin}/repos/a%2F..%2Fb/n%3Fx%23y/pulls"));
            assert_eq!(url.query(), Some("page=1%26x%3D2"));
        }
    }

    #[test]
    fn graphql_has_an_address_of_its_own() {
        for (api, graphql) in [
            ("https://api.github.com", "https://api.github.com/graphql"),
            ("https://api.tenant.ghe.com/", "https://api.tenant.ghe.com/graphql"),
            ("https://git.example/api/v3", "https://git.example/api/graphql"),
            ("https://git.example/api/v3/", "https://git.example/api/graphql"),
            ("http://127.0.0.1:8080/below/api/v3", "http://127.0.0.1:8080/below/api/graphql"),
        ] {
            assert_eq!(client(api).graphql_url().as_str(), graphql);
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
}
