//! Bytes between two connections, both ways, with bounded memory: nothing is read that was not passed on.
//!
//! tokio's `copy_bidirectional` gives up both ways as soon as one fails. Here they are apart: a server that has said GOAWAY and
//! closed may be told something more by its client (an acknowledgement, a window), which then fails, while its last answers
//! are still on their way back.

use std::{pin::pin, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    time::timeout,
};

/// What is on its way in one direction at most, beside what the system holds.
const BUFFER: usize = 16 << 10;

/// Once one way has failed, the other has so long to end.
const LINGER: Duration = Duration::from_secs(2);

/// Carries bytes until both have said that it was all, each when it likes. Tells whether neither broke off.
pub(super) async fn exchange(client: &mut TcpStream, server: &mut TcpStream) -> bool {
    let (mut from_client, to_client) = client.split();
    let (mut from_server, to_server) = server.split();
    let mut there = pin!(async {
        let whole = carry(&mut from_client, to_server).await;
        if !whole {
            // The server takes nothing more: what a client says still is read, since leaving it would reset the connection, on
            // which the last answers are on their way.
            let _ = timeout(LINGER, discard(from_client)).await;
        }
        whole
    });
    let mut back = pin!(carry(&mut from_server, to_client));
    tokio::select! {
        whole = &mut there => rest(whole, back.as_mut()).await,
        whole = &mut back => rest(whole, there.as_mut()).await,
    }
}

/// Tells both that it was all, and gives them a moment to say so, too: what is closed before all of it was read is reset,
/// and a reset takes away what was sent last.
pub(super) async fn part(client: &mut TcpStream, server: &mut TcpStream) {
    // Who is gone need not be told.
    let _ = (client.shutdown().await, server.shutdown().await);
    let read = async { tokio::join!(discard(client), discard(server)) };
    let _ = timeout(LINGER, read).await;
}

async fn rest(whole: bool, other: impl Future<Output = bool>) -> bool {
    if whole {
        return other.await;
    }
    let _ = timeout(LINGER, other).await;
    false
}

/// Carries bytes one way until their source says that it was all. Tells whether nothing broke.
async fn carry(from: &mut ReadHalf<'_>, mut to: WriteHalf<'_>) -> bool {
    let mut buffer = vec![0; BUFFER];
    let whole = loop {
        let Ok(read) = from.read(&mut buffer).await else { break false };
        if read == 0 {
            break true;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return false;
        }
    };
    // Who is gone need not be told.
    let _ = to.shutdown().await;
    whole
}

async fn discard(mut from: impl AsyncRead + Unpin) {
    let mut buffer = vec![0; BUFFER];
    while from.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}
