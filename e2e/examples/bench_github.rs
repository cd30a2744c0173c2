//! The GitHub of `make bench-fetch`: the local one of the tests, with answers that take a given time and a given budget of points.
//!
//! Arguments: repositories, pull requests, most files of each, milliseconds an answer takes, points of a window, seconds of a
//! window. It prints a line of JSON with its address and a token. For each line on standard input it prints what was asked
//! since the last one: requests, points, and seconds from the first request to the last answer. It ends with its input.

#![allow(clippy::unwrap_used, reason = "a race that cannot go on ends here")]

use std::io::{Write, stdin, stdout};
use std::time::Duration;

use prowl_e2e::servers::github::{Asked, GitHub, Size, TOKEN, World};
use serde_json::{Value, json};

fn main() {
    let given: Vec<u64> = std::env::args().skip(1).map(|argument| argument.parse().unwrap()).collect();
    let [repositories, pull_requests, files, latency, points, window] = given[..] else {
        panic!("give repositories, pull requests, files, milliseconds, points and seconds")
    };
    let size = Size {
        repositories: repositories as usize,
        pull_requests: pull_requests as usize,
        files: files as usize,
        large: false,
        ..Size::default()
    };
    let github = GitHub::start(World::seeded(1, &size));
    github.latency(Duration::from_millis(latency));
    github.limit(points, window);
    say(&json!({ "url": github.url(), "token": TOKEN }));
    for _ in stdin().lines() {
        say(&found(&github.asked()));
        github.forget();
        // The next run has a budget of its own.
        github.limit(points, window);
    }
}

fn say(value: &Value) {
    println!("{value}");
    stdout().flush().unwrap();
}

fn found(asked: &[Asked]) -> Value {
    let first = asked.iter().map(|asked| asked.at).min();
    let last = asked.iter().map(|asked| asked.at + asked.took).max();
    let seconds = first.zip(last).map_or(0.0, |(first, last)| (last - first).as_secs_f64());
    json!({
        "requests": asked.len(),
        "points": asked.iter().map(|asked| asked.points).filter(|points| *points > 0).sum::<u64>(),
        "refused": asked.iter().filter(|asked| asked.too_early).count(),
        "seconds": seconds,
    })
}
