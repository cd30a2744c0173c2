//! How Prowl's programs end.

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

use serde::Serialize;

/// The program did what it was asked to.
const DONE: u8 = 0;
/// It could not; the reason is on stderr.
const FAILED: u8 = 1;

/// The end of a program that did its work, or of one that could not and says why.
pub fn after<E: Display>(ended: Result<(), E>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::from(DONE),
        Err(error) => {
            say(&format_args!("error: {error:#}"));
            ExitCode::from(FAILED)
        }
    }
}

/// Tells the person at the terminal, on stderr. That nobody reads it any more changes nothing of what was done.
pub fn say(text: &impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Hands a result to the next program: a line of JSON on stdout.
///
/// # Errors
/// Nobody takes it.
pub fn answer(result: &impl Serialize) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    serde_json::to_writer(&mut stdout, result)?;
    writeln!(stdout)
}
