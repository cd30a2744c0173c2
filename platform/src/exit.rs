//! How Prowl's programs end.

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

/// The program did what it was asked to.
const DONE: u8 = 0;
/// It could not; the reason is on stderr.
const FAILED: u8 = 1;
/// It was called with arguments that do not fit together. `clap` ends with the same code.
pub const WRONG_USE: u8 = 2;

/// The end of a program that did its work, or of one that could not and says why.
pub fn after<E: Display>(ended: Result<(), E>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::from(DONE),
        Err(error) => fail(FAILED, &error),
    }
}

/// Says why on stderr, for a program that ends with `code`.
pub fn fail(code: u8, error: &impl Display) -> ExitCode {
    say(&format_args!("error: {error:#}"));
    ExitCode::from(code)
}

/// Tells the person at the terminal, on stderr. That nobody reads it any more changes nothing of what was done.
pub fn say(text: &impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Hands a result to the next program, on stdout.
///
/// # Errors
/// Nobody takes it.
pub fn answer(text: &impl Display) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}
