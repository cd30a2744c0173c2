//! The signals that ask a program to end.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{process::Command, time::Duration};

use prowl_platform::shutdown;

async fn raised(name: &str) -> &'static str {
    let signal = shutdown::signal();
    // The future was not polled yet: the signal must not end the process all the same.
    let killed = Command::new("kill").args([format!("-{name}"), std::process::id().to_string()]).status().unwrap();
    assert!(killed.success());
    tokio::time::timeout(Duration::from_secs(5), signal).await.unwrap()
}

#[tokio::test]
async fn both_signals_are_heard_and_named() {
    assert_eq!(raised("TERM").await, "SIGTERM");
    assert_eq!(raised("INT").await, "SIGINT");

    let quiet = tokio::time::timeout(Duration::from_millis(50), shutdown::signal()).await;
    assert!(quiet.is_err(), "without a signal it does not end");
}
