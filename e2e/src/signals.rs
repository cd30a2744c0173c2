//! Signals: those that are sent to what was started, and, for a program of this kit that is no test, those that come to it. They end
//! every wait, so that whatever was started is ended on the way out.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, mpsc};
use std::{panic, thread};

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// The end of a terminal, Ctrl-C, and a supervisor who wants an end.
const SIGNALS: [Signal; 3] = [
    Signal { name: "SIGHUP", number: 1 },
    Signal { name: "SIGINT", number: 2 },
    Signal { name: "SIGTERM", number: 15 },
];

static HEEDED: AtomicBool = AtomicBool::new(false);
static CAME: OnceLock<Signal> = OnceLock::new();

/// A signal that wants an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Such as `SIGINT`.
    pub name: &'static str,
    number: u8,
}

impl Signal {
    /// What a program ends with that it has ended, as shells count: 130 after Ctrl-C.
    pub fn exit_code(self) -> u8 {
        128 + self.number
    }
}

/// From now on a signal ends the next wait of each thread, which unwinds without a word: who catches that, says it. What is started
/// from now on hears nothing of a Ctrl-C: it ends when it is dropped, in the order that this asks for.
pub fn heed_signals() {
    HEEDED.store(true, Ordering::Relaxed);
    let (ready, is_ready) = mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let came = runtime.block_on(async move {
            let [mut hangup, mut interrupt, mut terminate] =
                SIGNALS.map(|known| signal(SignalKind::from_raw(known.number.into())).unwrap());
            ready.send(()).unwrap();
            tokio::select! {
                _ = hangup.recv() => SIGNALS[0],
                _ = interrupt.recv() => SIGNALS[1],
                _ = terminate.recv() => SIGNALS[2],
            }
        });
        CAME.get_or_init(|| came);
    });
    is_ready.recv().unwrap();
    // What breaks since the end was asked for is no news.
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |broken| {
        if signal_that_came().is_none() {
            tell(broken);
        }
    }));
}

/// The signal that came, if one did.
pub fn signal_that_came() -> Option<Signal> {
    CAME.get().copied()
}

/// Sends a signal, such as `TERM`, to a process, and tells how that went.
///
/// # Errors
/// There is no `kill`.
pub fn send(name: &str, id: u32) -> io::Result<ExitStatus> {
    Command::new("kill").args([format!("-{name}"), id.to_string()]).stderr(Stdio::null()).status()
}

/// Unwinds if a signal came, unless this thread does so already.
pub(crate) fn look() {
    if let Some(signal) = signal_that_came().filter(|_| !thread::panicking()) {
        panic::resume_unwind(Box::new(signal));
    }
}

/// Keeps a Ctrl-C of the terminal from a program that is to be started, where this one takes care of it.
pub(crate) fn shield(command: &mut Command) {
    if HEEDED.load(Ordering::Relaxed) {
        command.process_group(0);
    }
}
