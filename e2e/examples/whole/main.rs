//! `make e2e`: the whole chain with real servers, without Kubernetes, as a person watches it; at its end one page tells what each step
//! took, what it wrote, and which checks held.
//!
//! Argument: the folder for the page and for what the programs say. Exit codes: 0 all holds, 1 something does not, 130 after Ctrl-C,
//! and the like after other signals. Whatever it ends with, nothing else of it is left.

#![allow(clippy::unwrap_used, reason = "a step that cannot go on ends the run, and the page says at which one")]

mod chain;
mod checks;
mod learning;
mod page;
mod parts;
mod reviewing;
mod serving;

use std::fs;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;

use page::Page;
use prowl_e2e::{heed_signals, keep_words_in, signal_that_came};

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("error: name a folder for the page and the logs; what is in it is removed");
        return ExitCode::from(2);
    };
    heed_signals();
    // Another run's page would be taken for this one's.
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => panic!("{}: {error}", folder.display()),
        _ => fs::create_dir_all(&folder).unwrap(),
    }
    keep_words_in(&folder);
    let mut page = Page::begin();
    let ended = catch_unwind(AssertUnwindSafe(|| chain::play(&mut page, &folder)));
    if let Some(signal) = signal_that_came() {
        eprintln!(
            "stopped by {}: all that was started has ended, and what it kept is gone; logs are in {}",
            signal.name,
            folder.display()
        );
        return ExitCode::from(signal.exit_code());
    }
    let text = page.text();
    fs::write(folder.join("page.md"), &text).unwrap();
    print!("{text}");
    eprintln!("this page is {}, beside it lie the logs", folder.join("page.md").display());
    if ended.is_ok() && page.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
