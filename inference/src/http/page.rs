//! The page for people at `/`: a few files that are part of the program, and ask nothing of any other server.

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};

use super::Server;

/// The paths of the page. They hold no data, so that they are answered without a token.
pub(crate) const PATHS: [&str; 7] = ["/", "/page.css", "/page.js", "/about.js", "/answer.js", "/draw.js", "/words.js"];

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Their contents, in the same order.
const FILES: [(&str, &str); 7] = [
    (HTML, include_str!("page/index.html")),
    (CSS, include_str!("page/page.css")),
    (SCRIPT, include_str!("page/page.js")),
    (SCRIPT, include_str!("page/about.js")),
    (SCRIPT, include_str!("page/answer.js")),
    (SCRIPT, include_str!("page/draw.js")),
    (SCRIPT, include_str!("page/words.js")),
];

/// What the page may do: ask this server, and nothing else.
const POLICY: &str =
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn routes() -> Router<Server> {
    PATHS.into_iter().zip(FILES).fold(Router::new(), |router, (path, (kind, text))| {
        router.route(path, get(move || async move { file(kind, text) }))
    })
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // A newer program may bring a newer page.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}
