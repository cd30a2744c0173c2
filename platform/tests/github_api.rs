//! Calls of GitHub's API, against a server that says what it is told to.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use prowl_platform::{
    Secrets,
    github::{Again, Client, Credentials, Failure, Kind, Request, SECRETS, Target, api_url},
};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

const TOKEN: &str = "the-token-for-github";

/// A key that was made for tests and opens nothing.
const APP_KEY: &str = include_str!("github_api/app_key.pem");

/// Answers requests in the order of its script, and keeps what it was asked.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn answering(script: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, script) = (Arc::clone(&seen), script.iter().map(ToString::to_string).collect::<Vec<_>>());
        tokio::spawn(async move {
            for answer in script {
                let mut stream = listener.accept().await.unwrap().0;
                let request = read(&mut stream).await;
                kept.lock().unwrap().push(request);
                stream.write_all(answer.as_bytes()).await.unwrap();
                if answer.is_empty() {
                    // Nothing comes, and the connection stays.
                    std::mem::forget(stream);
                }
            }
        });
        Self { url, seen }
    }

    fn client(&self) -> Client {
        Client::new(api_url(&self.url).unwrap(), "prowl-test")
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// A request to the end of its body.
async fn read(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8(request.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse().unwrap() {
                return text;
            }
        }
        let read = stream.read_buf(&mut request).await.unwrap();
        assert!(read > 0, "the request has no end: {text}");
    }
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

async fn send(server: &Server, request: &Request<'_>) -> Result<prowl_platform::github::Answer, Failure> {
    server.client().send(request, &TOKEN.into(), Duration::from_secs(5)).await
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

#[tokio::test]
async fn what_is_unchanged_is_an_answer_and_what_moved_is_not_followed() {
    let unchanged = "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\nconnection: close\r\n\r\n";
    let moved = answer("301 Moved Permanently\r\nlocation: http://127.0.0.1:1/elsewhere", "{}");
    let server = Server::answering(&[unchanged, &moved, &answer("200 OK\r\netag: \"b\"", "[1]")]).await;
    let path = ["repos", "o", "r", "pulls"];
    let request = Request { etag: Some("\"a\""), ..Request::get(&path, &[("per_page", "1")]) };
    let same = send(&server, &request).await.unwrap();
    assert_eq!(
        (same.status, same.body.len(), &same.headers["etag"]),
        (StatusCode::NOT_MODIFIED, 0, &"\"a\"".parse().unwrap())
    );
    let refused = send(&server, &request).await.unwrap_err();
    assert_eq!((refused.kind, refused.again, &*refused.error), (Kind::Other, Again::Never, "GitHub says 301"));
    assert_eq!(send(&server, &request).await.unwrap().json::<Vec<u8>>().unwrap(), [1]);

    let asked = server.seen().remove(0);
    assert!(asked.starts_with("GET /repos/o/r/pulls?per_page=1 HTTP/1.1\r\n"), "{asked}");
    for line in ["if-none-match: \"a\"", "accept: application/vnd.github+json", "x-github-api-version: 2022-11-28"] {
        assert!(asked.contains(line), "{asked}");
    }
    assert!(asked.contains("user-agent: prowl-test/") && asked.contains("authorization: Bearer the-token"), "{asked}");
}

#[tokio::test]
async fn a_query_is_posted() {
    let server = Server::answering(&[&answer("200 OK", r#"{"data":{}}"#)]).await;
    let body = Some(r#"{"query":"{viewer{login}}"}"#.into());
    let request = Request { method: Method::POST, target: Target::GraphQl, query: &[], etag: None, body };
    send(&server, &request).await.unwrap();
    let asked = server.seen().remove(0);
    assert!(
        asked.starts_with("POST /graphql HTTP/1.1\r\n") && asked.ends_with("\r\n\r\n{\"query\":\"{viewer{login}}\"}")
    );
    assert!(asked.contains("content-type: application/json"), "{asked}");
}

#[tokio::test]
async fn a_failure_says_of_what_kind_it_is() {
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat((16 << 20) + 1));
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n123";
    let repeated = answer("422 Unprocessable Entity", &format!("{{\"message\": \"what is {TOKEN}?\\u001b\"}}"));
    let server = Server::answering(&[&endless, cut, "", &repeated]).await;
    let request = Request::get(&["user"], &[]);
    assert_eq!(send(&server, &request).await.unwrap_err().kind, Kind::TooLarge);
    let failure = send(&server, &request).await.unwrap_err();
    assert_eq!((failure.kind, failure.again), (Kind::Connection, Again::Soon), "{failure}");
    let late = server.client().send(&request, &TOKEN.into(), Duration::from_millis(200)).await.unwrap_err();
    assert_eq!((late.kind, late.again), (Kind::Timeout, Again::Soon), "{late}");
    assert_eq!(send(&server, &request).await.unwrap_err().error, "GitHub says 422: what is …? ");

    let nobody = Client::new(api_url("http://127.0.0.1:1").unwrap(), "prowl-test");
    let failure = nobody.send(&request, &TOKEN.into(), Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Connection, "{failure}");
    let failure = nobody.send(&request, &"two\nlines".into(), Duration::from_secs(5)).await.unwrap_err();
    assert!(failure.error.contains("no header can") && !failure.error.contains("lines"), "{failure}");
}

fn secrets(values: &[(usize, &str)]) -> Secrets {
    let of = |(name, value): &(usize, &str)| (SECRETS[*name].to_owned(), SecretString::from(*value));
    Secrets::fixed(values.iter().map(of).collect::<BTreeMap<_, _>>())
}

#[tokio::test]
async fn without_an_app_the_token_is_the_one_that_is_given() {
    let nobody = Client::new(api_url("http://127.0.0.1:1").unwrap(), "prowl-test");
    let given = Credentials::new(secrets(&[(2, TOKEN)]));
    assert_eq!(given.token_for_owner(&nobody, "o", soon()).await.unwrap().expose_secret(), TOKEN);
    assert_eq!(given.token(&nobody, Some(7), soon()).await.unwrap().unwrap().expose_secret(), TOKEN);
    assert_eq!(format!("{given:?}").find(TOKEN), None);
    let none = Credentials::new(secrets(&[]));
    assert!(none.token(&nobody, None, soon()).await.unwrap().is_none());
    assert!(none.token_for_owner(&nobody, "o", soon()).await.unwrap_err().error.contains("github_token"));
    let half = Credentials::new(secrets(&[(0, "7"), (2, TOKEN)]));
    assert!(half.token_for_owner(&nobody, "o", soon()).await.unwrap_err().error.contains("without the other"));
}

#[tokio::test]
async fn of_many_who_need_a_token_at_once_one_asks_for_it() {
    let (installed, given) = (answer("200 OK", r#"{"id": 99}"#), answer("201 Created", r#"{"token": "first"}"#));
    let server = Server::answering(&[&installed, &given]).await;
    let (client, app) = (server.client(), Credentials::new(secrets(&[(0, "4711"), (1, APP_KEY)])));
    let token = async || app.token_for_owner(&client, "o", soon()).await.unwrap();
    let (one, two, three) = tokio::join!(token(), token(), token());
    for token in [one, two, three] {
        assert_eq!(token.expose_secret(), "first");
    }
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn an_app_has_a_token_for_each_owner() {
    let missing = answer("404 Not Found", r#"{"message": "Not Found"}"#);
    let installed = answer("200 OK", r#"{"id": 99}"#);
    let token = |name: &str| answer("201 Created", &format!(r#"{{"token": "{name}"}}"#));
    let (first, second) = (token("first"), token("second"));
    let script = [&missing, &installed, &first, &second, &missing, &missing, &missing];
    let server = Server::answering(&script.map(String::as_str)).await;
    let client = server.client();
    let app = Credentials::new(secrets(&[(0, " 4711\n"), (1, APP_KEY), (2, TOKEN)]));
    assert_eq!(app.app_id().as_deref(), Some("4711"));

    // Of a person, looked for once; the token is kept until it is refused.
    for owner in ["Ada", "ada"] {
        assert_eq!(app.token_for_owner(&client, owner, soon()).await.unwrap().expose_secret(), "first");
    }
    app.forget(&"another".into());
    app.forget(&"first".into());
    assert_eq!(app.token_for_owner(&client, "ada", soon()).await.unwrap().expose_secret(), "second");
    app.forget(&"second".into());
    // The App is taken away.
    assert_eq!(app.token_for_owner(&client, "ada", soon()).await.unwrap_err().kind, Kind::NotFound);
    let gone = app.token_for_owner(&client, "ada", soon()).await.unwrap_err();
    assert!(gone.kind == Kind::NotFound && gone.error.contains("not installed at ada"), "{gone}");

    let lines: Vec<String> = server.seen().iter().map(|asked| asked.lines().next().unwrap().to_owned()).collect();
    let expected = [
        "GET /orgs/Ada/installation",
        "GET /users/Ada/installation",
        "POST /app/installations/99/access_tokens",
        "POST /app/installations/99/access_tokens",
        "POST /app/installations/99/access_tokens",
        "GET /orgs/ada/installation",
        "GET /users/ada/installation",
    ];
    assert_eq!(lines, expected.map(|line| format!("{line} HTTP/1.1")));
    assert!(server.seen().iter().all(|asked| asked.contains("authorization: Bearer ey") && !asked.contains(TOKEN)));
}
