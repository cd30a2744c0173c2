//! What no client sends: wrong tokens, messages and heads without end, nonsense. It is answered or cut, costs no other caller an
//! answer, and leaves nothing behind in the memory or in the log.

use std::{pin::Pin, time::Duration};

use axum::http::{Request, header};
use bytes::Bytes;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    fixture::document,
    siege::{Siege, TOKEN, Wire, framed},
};

/// A token that is of nobody.
const WRONG: &str = "a-token-of-the-besiegeD";

/// How long an attacker waits for a server that neither answers nor cuts.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends these bytes, and reads until the server closes or is silent.
async fn send(siege: &Siege, port: (&str, &str), bytes: &[u8]) -> String {
    let Some(mut stream) = siege.connect(port).await else { return String::new() };
    let mut answer = Vec::new();
    let talk = async {
        // It may close before it has read all of it.
        let _ = stream.write_all(bytes).await;
        let _ = stream.flush().await;
        let _ = stream.read_to_end(&mut answer).await;
    };
    let _ = timeout(Duration::from_secs(2), talk).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn head(path: &str, more: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{more}\r\n")
}

/// The status of a call with these headers and this body, as its head or its trailers tell it; nothing where it was cut.
async fn call(siege: &Siege, path: &str, headers: &[(&str, Bytes)], body: Bytes) -> Option<String> {
    let stream = siege.connect(siege.ports()[0]).await?;
    let talk = async {
        let (sender, connection) = h2::client::handshake(stream).await.ok()?;
        let connection = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
        let mut request = Request::post(format!("http://test{path}"));
        request = request.header(header::CONTENT_TYPE, "application/grpc").header(header::TE, "trailers");
        for (name, value) in headers {
            request = request.header(*name, value.as_ref());
        }
        let (answer, mut sending) = sender.ready().await.ok()?.send_request(request.body(()).unwrap(), false).ok()?;
        let _ = sending.send_data(body, true);
        let mut answer = answer.await.ok()?;
        let status = |headers: &axum::http::HeaderMap| {
            headers.get("grpc-status").map(|status| status.to_str().unwrap().to_owned())
        };
        if let Some(status) = status(answer.headers()) {
            return Some(status);
        }
        while let Some(data) = answer.body_mut().data().await {
            let length = data.ok()?.len();
            let _ = answer.body_mut().flow_control().release_capacity(length);
        }
        let trailers = answer.body_mut().trailers().await.ok()??;
        drop(connection);
        status(&trailers)
    };
    timeout(PATIENCE, talk).await.expect("it neither answers nor cuts")
}

fn bearer(token: &str) -> (&'static str, Bytes) {
    ("authorization", Bytes::from(format!("Bearer {token}")))
}

const UNAUTHENTICATED: &str = "16";

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_by_a_token_that_is_not_known() {
    for tls in [false, true] {
        let siege = Siege::lay(tls, &["--access-log", "all"]);
        let long = "x".repeat(8_000);
        let values: Vec<Vec<u8>> = [
            "",
            "Bearer",
            "Bearer ",
            "Bearer  ",
            "Basic b3duZXI6eA==",
            TOKEN,
            WRONG,
            "owner",
            "Bearer owner",
            &format!("Bearer owner:{TOKEN}"),
            &format!("Bearer {TOKEN} "),
            &format!("Bearer {WRONG}"),
            &format!("Bearer {}", &TOKEN[..TOKEN.len() - 1]),
            &format!("Bearer {long}"),
        ]
        .iter()
        .map(|value| value.as_bytes().to_vec())
        .chain([b"Bearer \xff\xfe\x80".to_vec(), [b"Bearer ", TOKEN.as_bytes(), b"\xff"].concat()])
        .collect();
        let attack = async || {
            for value in &values {
                let headers = [("authorization", Bytes::from(value.clone()))];
                let path = "/prowl.v1.Scoring/Score";
                let status = call(&siege, path, &headers, framed(b"")).await;
                // Blanks around a value are no part of it.
                let right = value.trim_ascii() == format!("Bearer {TOKEN}").as_bytes();
                if !right {
                    assert_eq!(status.as_deref(), Some(UNAUTHENTICATED), "{}", String::from_utf8_lossy(value));
                }
                let line = [b"authorization: ", &value[..], b"\r\ncontent-length: 0\r\n"].concat();
                let request =
                    [b"POST /v1/score HTTP/1.1\r\nhost: x\r\nconnection: close\r\n", &line[..], b"\r\n"].concat();
                let answer = send(&siege, siege.ports()[1], &request).await;
                assert!(right || answer.starts_with("HTTP/1.1 401 "), "{} {answer}", String::from_utf8_lossy(value));
            }
            // Of two it is the first that counts.
            let both = [bearer(WRONG), bearer(TOKEN)];
            assert_eq!(call(&siege, "/prowl.v1.Scoring/GetModel", &both, framed(b"")).await.as_deref(), Some("16"));
            assert_eq!(call(&siege, "/prowl.v1.Scoring/GetModel", &[], framed(b"")).await.as_deref(), Some("16"));
            assert_eq!(
                call(&siege, "/prowl.v1.Scoring/GetModel", &[bearer(TOKEN)], framed(b"")).await.as_deref(),
                Some("0")
            );
        };
        siege.survives(attack).await;
        for secret in [WRONG, &long, "b3duZXI6eA"] {
            assert_eq!(siege.server.count(secret), 0, "what was tried shows in the log");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_spoken_on_the_wrong_port_is_cut() {
    let (plain, siege) = (Siege::lay(false, &[]), Siege::lay(true, &[]));
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 506]].concat();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let request = head("/v1/score", &format!("authorization: Bearer {TOKEN}\r\ncontent-length: 0\r\n"));
    let said: [&[u8]; 3] = [&hello, preface, request.as_bytes()];
    siege
        .survives(async || {
            for (address, _) in siege.ports() {
                for said in said {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    let mut answer = Vec::new();
                    let _ = stream.write_all(said).await;
                    let _ = stream.shutdown().await;
                    let ended = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
                    ended.expect("the connection stays open").ok();
                    // At most an alert of TLS.
                    assert!(answer.len() < 16 && !answer.starts_with(b"HTTP"), "{answer:?}");
                }
            }
        })
        .await;
    plain
        .survives(async || {
            for port in plain.ports() {
                for said in said {
                    let answer = send(&plain, port, said).await;
                    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
                }
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_end_is_not_waited_for() {
    for tls in [false, true] {
        let siege = Siege::lay(tls, &["--max-request-bytes", "65536"]);
        let bearer_line = format!("authorization: Bearer {TOKEN}\r\n");
        let (large, many) = ("x".repeat(1 << 20), "x-a: b\r\n".repeat(20_000));
        let chunk = format!("10000\r\n{}\r\n", "[".repeat(1 << 16)).repeat(40);
        let attack = async || {
            let grpc = async |headers: &[(&str, Bytes)], body: Bytes| {
                let headers = [&[bearer(TOKEN)], headers].concat();
                call(&siege, "/prowl.v1.Scoring/Score", &headers, body).await
            };
            // As long as a message can say that it is, and no more of it.
            assert_eq!(grpc(&[], Bytes::from_static(b"\0\xff\xff\xff\xffshort")).await.as_deref(), Some("11"));
            assert_ne!(grpc(&[], Bytes::from_static(b"\0\0\0\x20\0short")).await.as_deref(), Some("0"));
            assert_eq!(grpc(&[], framed(&vec![b'['; 100_000])).await.as_deref(), Some("11"));
            // Compressed, by a word that nobody knows, or not said how.
            for encoding in ["gzip", "deflate", "nonsense"] {
                let headers = [("grpc-encoding", Bytes::from_static(encoding.as_bytes()))];
                let status = grpc(&headers, [&[1], &framed(b"nonsense")[1..]].concat().into()).await;
                assert!(!matches!(status.as_deref(), Some("0")), "{encoding}");
            }
            // Heads: larger than may be, in one value or in many.
            let header = Bytes::from(large.clone().into_bytes());
            assert_ne!(grpc(&[("x-large", header)], framed(b"")).await.as_deref(), Some("0"));
            let some = vec![("x-many", Bytes::from_static(&[b'y'; 64])); 5_000];
            assert_ne!(grpc(&some, framed(b"")).await.as_deref(), Some("0"));

            let http = siege.ports()[1];
            for (said, status) in [
                (head("/v1/score", &format!("{bearer_line}content-length: 1099511627776\r\n")), ["413"].as_slice()),
                (
                    head("/v1/score", &format!("{bearer_line}content-length: 99999999999999999999999\r\n")),
                    ["400"].as_slice(),
                ),
                (
                    head("/v1/score", &format!("{bearer_line}content-length: 5\r\ncontent-length: 6\r\n")),
                    ["400"].as_slice(),
                ),
                (
                    head("/v1/score", &format!("{bearer_line}transfer-encoding: chunked\r\n")) + &chunk,
                    ["413"].as_slice(),
                ),
                (head("/v1/score", &format!("{bearer_line}x-large: {large}\r\n")), ["431"].as_slice()),
                (head("/v1/score", &format!("{bearer_line}{many}")), ["431"].as_slice()),
                (head(&format!("/{large}"), &bearer_line), &["414", "431"]),
            ] {
                let answer = send(&siege, http, said.as_bytes()).await;
                // One that is cut while it still sends may not see why.
                let told =
                    answer.is_empty() || status.iter().any(|status| answer.starts_with(&format!("HTTP/1.1 {status} ")));
                assert!(told, "{:.80} is answered by {answer:.200}, not by {status:?}", said.replace(TOKEN, "…"));
            }
        };
        siege.survives(attack).await;
    }
}

/// Documents that are deeply nested, or that chance has written.
fn odd_json(dice: &mut StdRng) -> Vec<u8> {
    let deep = 1 + dice.random_range(0..20_000);
    match dice.random_range(0..7) {
        0 => "[".repeat(deep).into(),
        1 => "{\"pull_request\":".repeat(deep / 4).into(),
        2 => "{\"base\":{\"repo\":".repeat(deep / 4).into(),
        3 => ("[".repeat(deep) + &"]".repeat(deep)).into(),
        4 => {
            let mut nested = document(3);
            nested["title"] = serde_json::from_str(&("[".repeat(100) + &"]".repeat(100))).unwrap();
            nested.to_string().into()
        }
        5 => {
            let words: [&[u8]; 14] = [
                b"{",
                b"}",
                b"[",
                b"]",
                b":",
                b",",
                b"\"number\"",
                b"\"base\"",
                b"\"files\"",
                b"null",
                b"1e999",
                b"-0",
                b"\"\\ud800\"",
                b"\xff",
            ];
            (0..dice.random_range(0..400)).flat_map(|_| words[dice.random_range(0..words.len())].to_vec()).collect()
        }
        _ => {
            let mut text = document(3).to_string().into_bytes();
            for _ in 0..dice.random_range(1..20) {
                let at = dice.random_range(0..text.len());
                text[at] = dice.random();
            }
            text
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_answered_as_such() {
    for tls in [false, true] {
        let siege = Siege::lay(tls, &[]);
        let attack = async || {
            let mut dice = StdRng::seed_from_u64(7);
            for _ in 0..60 {
                let odd = odd_json(&mut dice);
                let of_json = [&[0x12][..], &varint(odd.len()), &odd].concat();
                for message in [of_json, odd.clone()] {
                    let status = call(&siege, "/prowl.v1.Scoring/Score", &[bearer(TOKEN)], framed(&message)).await;
                    assert!(matches!(status.as_deref(), Some("0" | "3" | "13")), "{status:?}");
                }
                let lines = format!("authorization: Bearer {TOKEN}\r\ncontent-length: {}\r\n", odd.len());
                let answer =
                    send(&siege, siege.ports()[1], &[head("/v1/score", &lines).as_bytes(), &odd].concat()).await;
                let status = answer.split(' ').nth(1).unwrap_or_default();
                assert!(matches!(status, "200" | "400" | "422"), "{answer}");
            }
        };
        siege.survives(attack).await;
    }
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 127 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_by_chance_are_no_request() {
    for tls in [false, true] {
        let siege = Siege::lay(tls, &[]);
        let attack = async || {
            let mut dice = StdRng::seed_from_u64(11);
            let begins: [&[u8]; 4] =
                [b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"POST /v1/score HTTP/1.1\r\n", b"\x16\x03\x01"];
            for _ in 0..60 {
                for (address, protocol) in siege.ports() {
                    let mut bytes = begins[dice.random_range(0..begins.len())].to_vec();
                    let length = dice.random_range(0..20_000);
                    bytes.extend((0..length).map(|_| dice.random::<u8>()));
                    // Below TLS, where that is spoken, or within it.
                    let stream: Option<Pin<Box<dyn Wire>>> = if dice.random() {
                        Some(Box::pin(TcpStream::connect(address).await.unwrap()))
                    } else {
                        siege.connect((address, protocol)).await
                    };
                    let (mut stream, mut answer) = (stream.unwrap(), Vec::new());
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.shutdown().await;
                    let ended = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
                    ended.expect("the connection stays open").ok();
                    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{answer:?}");
                }
            }
        };
        siege.survives(attack).await;
    }
}
