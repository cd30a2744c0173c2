//! One call, as bytes: over HTTP/2 as gRPC frames it, or over HTTP/1.1.

use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use bytes::{Buf, Bytes};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, TE};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::Code;

/// How a call travels.
pub(crate) enum Protocol {
    /// As a gRPC call of this method, `/package.Service/Method`.
    Grpc { method: String },
    /// As a POST of JSON.
    Http,
}

impl Protocol {
    /// The body that carries a message.
    pub(crate) fn framed(&self, message: Vec<u8>) -> Bytes {
        match self {
            Self::Grpc { .. } => {
                let length = u32::try_from(message.len()).expect("a message of a race has less than 4 GiB");
                [&[0], length.to_be_bytes().as_slice(), &message].concat().into()
            }
            Self::Http => message.into(),
        }
    }
}

/// Open connections to one server.
pub(crate) struct Wire {
    address: String,
    uri: Uri,
    connections: Connections,
}

enum Connections {
    /// Each carries many calls.
    Grpc(Vec<http2::SendRequest<Full<Bytes>>>),
    /// Those that carry none now.
    Http(Mutex<Vec<http1::SendRequest<Full<Bytes>>>>),
}

/// What came back.
pub(crate) struct Answer(Vec<Bytes>);

impl Answer {
    /// The message of a gRPC call; empty where there is none.
    pub(crate) fn message(&self) -> Vec<u8> {
        self.0.concat().get(5..).unwrap_or_default().to_vec()
    }
}

impl Wire {
    /// Opens `count` connections.
    pub(crate) async fn open(protocol: Protocol, url: &Uri, count: usize) -> anyhow::Result<Self> {
        let host = url.authority().context("the URL names no host")?;
        let address = host.to_string();
        let mut open = Vec::new();
        let connections = match &protocol {
            Protocol::Grpc { .. } => {
                for _ in 0..count {
                    let stream = connect(&address).await?;
                    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
                    tokio::spawn(connection);
                    open.push(sender);
                }
                Connections::Grpc(open)
            }
            Protocol::Http => Connections::Http(Mutex::default()),
        };
        let uri = match protocol {
            Protocol::Grpc { method } => format!("http://{host}{method}").parse()?,
            Protocol::Http => url.path_and_query().map_or("/", |path| path.as_str()).parse()?,
        };
        Ok(Self { address, uri, connections })
    }

    /// Makes call number `turn`. What is not answered well has the name of its code.
    pub(crate) async fn call(&self, turn: usize, body: Bytes) -> Result<Answer, String> {
        let lost = |error: &dyn std::fmt::Display| format!("connection: {error}");
        match &self.connections {
            Connections::Grpc(open) => {
                let mut request = Request::new(Full::new(body));
                *request.method_mut() = Method::POST;
                *request.uri_mut() = self.uri.clone();
                request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
                let mut sender = open[turn % open.len()].clone();
                let response = sender.send_request(request).await.map_err(|error| lost(&error))?;
                let mut status = status(response.headers());
                let (mut body, mut parts) = (response.into_body(), Vec::new());
                while let Some(frame) = body.frame().await {
                    match frame.map_err(|error| lost(&error))?.into_data() {
                        Ok(data) => parts.push(data),
                        Err(frame) => status = frame.trailers_ref().and_then(self::status),
                    }
                }
                match status {
                    Some(Code::Ok) => Ok(Answer(parts)),
                    Some(code) => Err(format!("{code:?}")),
                    None => Err("no grpc-status".to_owned()),
                }
            }
            Connections::Http(idle) => {
                let mut request = Request::new(Full::new(body));
                *request.method_mut() = Method::POST;
                *request.uri_mut() = self.uri.clone();
                request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                let host = HeaderValue::from_str(&self.address).map_err(|error| lost(&error))?;
                request.headers_mut().insert(HOST, host);
                let free =
                    idle.lock().unwrap_or_else(PoisonError::into_inner).pop().filter(|sender| !sender.is_closed());
                let mut sender = match free {
                    Some(sender) => sender,
                    None => {
                        let stream = connect(&self.address).await.map_err(|error| lost(&error))?;
                        let (sender, connection) = http1::handshake(stream).await.map_err(|error| lost(&error))?;
                        tokio::spawn(connection);
                        sender
                    }
                };
                sender.ready().await.map_err(|error| lost(&error))?;
                let response = sender.send_request(request).await.map_err(|error| lost(&error))?;
                let status = response.status();
                let mut body = response.into_body().collect().await.map_err(|error| lost(&error))?.aggregate();
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
                match status {
                    StatusCode::OK => Ok(Answer(vec![body.copy_to_bytes(body.remaining())])),
                    status => Err(status.as_str().to_owned()),
                }
            }
        }
    }
}

fn status(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()))
}

async fn connect(address: &str) -> anyhow::Result<TokioIo<TcpStream>> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}
