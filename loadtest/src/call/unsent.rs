//! Whether a call that failed ever reached a server.
//!
//! A server that drains says GOAWAY, and what a client sent later than the last call that it names was not begun there; one of
//! those that it cannot take it turns away with `REFUSED_STREAM`, which means the same (RFC 9113, 8.7). gRPC has clients make
//! such a call again without a word (gRPC A6, "transparent retries"), and grpc-go, grpc-java and grpcio do. tonic does not: it gives
//! CANCELLED to whoever had a call in the queue of that connection, and connects anew for the next one. A load that is to fail
//! only where a client of others would has to do here what they do, and to say how often it did.

use std::error::Error;

use tonic::Status;

/// Whether no server has begun this call, so that it can be made again, also where it changes something. A status that a server
/// sent is never such.
pub(crate) fn never_begun(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            let reason = error.reason();
            let turned_away = error.is_go_away() && reason == Some(h2::Reason::NO_ERROR);
            let refused = error.is_reset() && reason == Some(h2::Reason::REFUSED_STREAM);
            return error.is_remote() && (turned_away || refused);
        }
        // It lay in the queue of a connection that was closed before it was sent.
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            return true;
        }
        cause = error.source();
    }
    false
}
