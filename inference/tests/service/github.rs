//! What stands for GitHub, which is out of reach here: a server that gives files, keeps check runs, and has the moods of the
//! real one.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime, time::sleep};

const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct GitHub {
    pub(crate) url: String,
    state: Arc<Shared>,
    _runtime: Runtime,
}

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    files: Vec<Value>,
    moods: Vec<Mood>,
    seen: Vec<Seen>,
    runs: Vec<Value>,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    /// Method, path and query.
    pub(crate) line: String,
    pub(crate) token: String,
    pub(crate) body: Value,
}

/// How requests whose line holds a text are answered in another way, so many times.
pub(crate) struct Mood {
    pub(crate) of: &'static str,
    pub(crate) times: usize,
    pub(crate) does: Does,
}

#[derive(Clone)]
pub(crate) enum Does {
    Refuse(u16, Vec<(&'static str, &'static str)>, &'static str),
    /// It does what is asked, and answers as if it had failed.
    Lose(u16),
    Sleep(Duration),
}

impl GitHub {
    /// One whose pull requests all have these files.
    pub(crate) fn with_files(files: Vec<Value>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let state = Arc::new(Shared::default());
        state.inner.lock().unwrap().files = files;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/api/v3", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { url, state, _runtime: runtime }
    }

    pub(crate) fn mood(&self, of: &'static str, times: usize, does: Does) {
        self.state.inner.lock().unwrap().moods.push(Mood { of, times, does });
    }

    /// The requests so far whose line holds a text.
    pub(crate) fn seen(&self, of: &str) -> Vec<Seen> {
        self.state.inner.lock().unwrap().seen.iter().filter(|seen| seen.line.contains(of)).cloned().collect()
    }

    /// The same, as soon as there are so many.
    pub(crate) fn wait_for(&self, count: usize, of: &str) -> Vec<Seen> {
        let until = Instant::now() + PATIENCE;
        let mut inner = self.state.inner.lock().unwrap();
        while inner.seen.iter().filter(|seen| seen.line.contains(of)).count() < count {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not {count} of {of:?}: {:#?}", inner.seen);
            inner = self.state.changed.wait_timeout(inner, left).unwrap().0;
        }
        drop(inner);
        self.seen(of)
    }

    /// The check runs as they are.
    pub(crate) fn runs(&self) -> Vec<Value> {
        self.state.inner.lock().unwrap().runs.clone()
    }
}

async fn answer(
    State(state): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let of = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let line = format!("{method} {uri}");
    let seen = Seen {
        at: Instant::now(),
        line: line.clone(),
        token: of("authorization"),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    assert!(of("user-agent").starts_with("prowl-inference/") && of("accept").contains("github"));
    let does = {
        let mut inner = state.inner.lock().unwrap();
        inner.seen.push(seen.clone());
        let mood = inner.moods.iter_mut().find(|mood| mood.times > 0 && line.contains(mood.of));
        mood.map(|mood| {
            mood.times -= 1;
            mood.does.clone()
        })
    };
    state.changed.notify_all();
    match does {
        Some(Does::Refuse(status, headers, body)) => {
            let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Some(Does::Lose(status)) => {
            state.does(&method, &uri, seen.body);
            StatusCode::from_u16(status).unwrap().into_response()
        }
        Some(Does::Sleep(time)) => {
            sleep(time).await;
            state.does(&method, &uri, seen.body)
        }
        None => state.does(&method, &uri, seen.body),
    }
}

impl Shared {
    fn does(&self, method: &Method, uri: &Uri, mut body: Value) -> Response {
        let mut inner = self.inner.lock().unwrap();
        let path = uri.path().strip_prefix("/api/v3/").unwrap();
        let parts: Vec<&str> = path.split('/').collect();
        let query = |name: &str| -> Option<String> {
            let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next()
        };
        match (method.as_str(), &parts[..]) {
            ("GET", ["repos", _, _, "pulls", _, "files"]) => {
                let of = |name: &str| query(name).unwrap().parse::<usize>().unwrap();
                let (size, page) = (of("per_page"), of("page"));
                let files: Vec<_> = inner.files.iter().skip((page - 1) * size).take(size).collect();
                axum::Json(json!(files)).into_response()
            }
            ("GET", ["repos", _, _, "commits", sha, "check-runs"]) => {
                let of_it = |run: &&Value| run["head_sha"] == *sha && run["name"] == query("check_name").unwrap();
                let runs: Vec<_> = inner.runs.iter().filter(of_it).collect();
                axum::Json(json!({"total_count": runs.len(), "check_runs": runs})).into_response()
            }
            ("POST", ["repos", _, _, "check-runs"]) => {
                body["id"] = json!(inner.runs.len() + 1);
                inner.runs.push(body.clone());
                (StatusCode::CREATED, axum::Json(body)).into_response()
            }
            ("PATCH", ["repos", _, _, "check-runs", id]) => {
                let run = &mut inner.runs[id.parse::<usize>().unwrap() - 1];
                for (key, value) in body.as_object().unwrap() {
                    run[key] = value.clone();
                }
                axum::Json(run.clone()).into_response()
            }
            ("POST", ["app", "installations", id, "access_tokens"]) => {
                let token =
                    json!({"token": format!("the-token-of-installation-{id}"), "expires_at": "2099-01-01T00:00:00Z"});
                (StatusCode::CREATED, axum::Json(token)).into_response()
            }
            _ => (StatusCode::NOT_FOUND, r#"{"message": "Not Found"}"#).into_response(),
        }
    }
}
