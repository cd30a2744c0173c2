//! The wish to end: SIGTERM from a supervisor, SIGINT (Ctrl-C) from a person.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal as listen};

/// Ends at the first SIGTERM or SIGINT, and says which it was. Must be called within a Tokio runtime; signals count
/// from the call on, not from the first poll, so call it before the work begins.
pub fn signal() -> impl Future<Output = &'static str> + Send + 'static {
    let signals = [(SignalKind::terminate(), "SIGTERM"), (SignalKind::interrupt(), "SIGINT")];
    let listeners = signals.map(|(kind, name)| wait(listen(kind), name));
    let [terminate, interrupt] = listeners;
    async {
        tokio::select! {
            name = terminate => name,
            name = interrupt => name,
        }
    }
}

async fn wait(listener: io::Result<Signal>, name: &'static str) -> &'static str {
    match listener {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(error) => {
            // The program still works; the signal then ends it the hard way.
            tracing::warn!(%error, signal = name, "cannot listen for the signal: no graceful end");
            std::future::pending::<()>().await;
        }
    }
    name
}
