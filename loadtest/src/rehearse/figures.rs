//! The HTTP port of a stand-in: the figures of the real server in `/metrics`, with the memory of both, and that it lives.

use std::time::Duration;

use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use url::Url;

use super::memory;

/// The longest head of a request.
const HEAD: u64 = 8 << 10;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The name that Prometheus' own process collector gives it.
const RESIDENT: &str = "process_resident_memory_bytes";

/// Answers for as long as it is waited for. `behind` is the `/metrics` of the real server; without it the stand-in tells of
/// itself alone.
pub(super) async fn serve(listener: TcpListener, behind: Option<Url>) {
    let client = reqwest::Client::builder().no_proxy().build().ok();
    let behind = client.zip(behind);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(timeout(PATIENCE, answer(stream, behind.clone())))),
            Err(error) => {
                tracing::warn!(%error, "cannot accept, trying again");
                sleep(PATIENCE / 50).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, behind: Option<(reqwest::Client, Url)>) -> io::Result<()> {
    let mut head = Vec::with_capacity(512);
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD as usize {
        let rest = HEAD - head.len() as u64;
        if (&mut stream).take(rest).read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let mut words = head.split(|byte| *byte == b' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, body) = match (method, path) {
        (b"GET", b"/metrics") => match metrics(behind).await {
            Some(metrics) => ("200 OK", metrics),
            None => ("502 Bad Gateway", "the real server does not tell its figures\n".to_owned()),
        },
        (b"GET", b"/healthz" | b"/readyz") => ("200 OK", "ok\n".to_owned()),
        _ => ("404 Not Found", "a stand-in has /metrics, /healthz and /readyz\n".to_owned()),
    };
    let length = body.len();
    let kind = "content-type: text/plain; version=0.0.4";
    let answer = format!("HTTP/1.1 {status}\r\n{kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// In the format of Prometheus.
async fn metrics(behind: Option<(reqwest::Client, Url)>) -> Option<String> {
    let own = memory::resident_bytes("self").unwrap_or(0);
    let Some((client, url)) = behind else {
        return Some(format!(
            "# HELP {RESIDENT} Resident memory size in bytes.\n# TYPE {RESIDENT} gauge\n{RESIDENT} {own}\n"
        ));
    };
    let told = client.get(url).send().await.ok()?.error_for_status().ok()?.text().await.ok()?;
    Some(with(&told, own))
}

/// The figures of the real server, with so many bytes more: what leaks may leak on either side.
fn with(told: &str, own: u64) -> String {
    let line = |line: &str| match line.strip_prefix(RESIDENT).and_then(|value| value.trim().parse::<f64>().ok()) {
        Some(resident) => format!("{RESIDENT} {}\n", resident + own as f64),
        None => format!("{line}\n"),
    };
    told.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn serving(behind: Option<Url>) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, behind));
        address
    }

    async fn get(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // In two pieces, as a network may bring it.
        stream.write_all(format!("GET {path} HTTP/1.1\r\nho").as_bytes()).await.unwrap();
        stream.write_all(b"st: x\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn resident(answer: &str) -> f64 {
        let value = answer.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes ")).unwrap();
        value.parse().unwrap()
    }

    #[tokio::test]
    async fn memory_and_health_are_told() {
        let alone = serving(None).await;
        let metrics = get(alone, "/metrics").await;
        let (head, body) = metrics.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains(&format!("length: {}", body.len())), "{head}");
        if cfg!(target_os = "linux") {
            assert!(resident(&metrics) > 1e6, "{metrics}");
        }
        assert!(get(alone, "/readyz").await.ends_with("\r\n\r\nok\n"));
        assert!(get(alone, "/v1/score").await.starts_with("HTTP/1.1 404"));
    }

    #[tokio::test]
    async fn the_memory_of_the_server_behind_is_added() {
        // More than any machine has, so that ours is what is above it.
        let body = "process_resident_memory_bytes 1e15\n";
        let real = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = super::super::switch::url_of(real.local_addr().unwrap()).join("/metrics").unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = real.accept().await.unwrap();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            // Until the client goes.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let front = serving(Some(url)).await;
        let both = resident(&get(front, "/metrics").await);
        let least = if cfg!(target_os = "linux") { 1e6 } else { 0.0 };
        assert!((1e15 + least..2e15).contains(&both), "{both}");
        let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let front = serving(Some(super::super::switch::url_of(nowhere))).await;
        assert!(get(front, "/metrics").await.starts_with("HTTP/1.1 502"));
    }

    #[test]
    fn other_figures_stay_as_they_are() {
        let told =
            "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes 3.5e7\nprocess_threads 4\n";
        let expected =
            "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes 36000000\nprocess_threads 4\n";
        assert_eq!(with(told, 1_000_000), expected);
    }
}
