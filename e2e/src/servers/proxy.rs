//! Stands between a program and an HTTP server, sees what is asked for, and decides what becomes of it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A request: its first lines. Names of headers are in small letters.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Such as `POST /path`.
    pub what: String,
    /// Its headers, a line each.
    pub headers: Vec<String>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server answers it.
    Pass,
    /// It does not reach the server, and the connection breaks.
    Cut,
    /// It reaches the server, and the connection breaks before the answer.
    LoseAnswer,
    /// Nothing at all happens, for longer than anybody waits.
    Hang,
    /// This status and body answer it.
    Answer(u16, &'static str),
}

/// A proxy of its own thread, which goes on until the tests end.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Proxy {
    /// One before the server at `server`, by `rule`. The rule sees all requests so far, this one last.
    pub fn start(server: &str, rule: impl Fn(&[Asked]) -> Verdict + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (seen, server, rule) = (Arc::clone(&asked), server.to_owned(), Arc::new(rule));
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (seen, server, rule) = (Arc::clone(&seen), server.clone(), Arc::clone(&rule));
                std::thread::spawn(move || serve(connection, &server, &seen, &*rule));
            }
        });
        Self { address, asked }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What was asked for so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }

    /// How many requests were for a path that holds `path`.
    pub fn count(&self, path: &str) -> usize {
        lock(&self.asked).iter().filter(|asked| asked.what.contains(path)).count()
    }
}

fn lock(asked: &Mutex<Vec<Asked>>) -> std::sync::MutexGuard<'_, Vec<Asked>> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves one request; nothing, where either side breaks off. Each has a connection of its own.
fn serve(
    mut client: TcpStream,
    server: &str,
    seen: &Mutex<Vec<Asked>>,
    rule: &dyn Fn(&[Asked]) -> Verdict,
) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.trim_end().split("\r\n");
    let first = lines.next()?;
    let what = first.rsplit_once(' ')?.0.to_owned();
    let headers: Vec<String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| format!("{}:{value}", name.to_ascii_lowercase()))
        .collect();
    let length = headers.iter().find_map(|header| header.strip_prefix("content-length:")).map_or("0", str::trim);
    let mut body = vec![0; length.parse().ok()?];
    client.read_exact(&mut body).ok()?;

    let verdict = {
        let mut seen = lock(seen);
        seen.push(Asked { what, headers: headers.clone() });
        rule(&seen)
    };
    match verdict {
        Verdict::Cut => return None,
        Verdict::Hang => std::thread::sleep(Duration::from_hours(1)),
        Verdict::Answer(status, body) => {
            let length = body.len();
            let answer = format!("HTTP/1.1 {status} -\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
            client.write_all(answer.as_bytes()).ok()?;
        }
        Verdict::Pass | Verdict::LoseAnswer => {
            let mut upstream = TcpStream::connect(server).ok()?;
            // The server knows itself by its own name only.
            let mut lines = vec![first.to_owned(), format!("host: {server}"), "connection: close".to_owned()];
            let replaced = |header: &&String| header.starts_with("host:") || header.starts_with("connection:");
            lines.extend(headers.iter().filter(|header| !replaced(header)).cloned());
            let request = lines.join("\r\n") + "\r\n\r\n";
            upstream.write_all(request.as_bytes()).ok()?;
            upstream.write_all(&body).ok()?;
            let mut answer = Vec::new();
            upstream.read_to_end(&mut answer).ok()?;
            if verdict == Verdict::Pass {
                client.write_all(&answer).ok()?;
            }
        }
    }
    Some(())
}
