//! Why there is no answer, and whether another try may bring one.

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimeParser};
use reqwest::{
    StatusCode,
    header::{self, HeaderMap},
};
use serde::Deserialize;

/// What GitHub asks to wait at least, where it says that too much was asked of it and not when that is over.
const RATE_PAUSE: Duration = Duration::from_mins(1);

/// The header that says how many seconds to wait.
const RETRY_AFTER: &str = "retry-after";

/// How much of what GitHub says is repeated, in characters.
const REPEATED: usize = 200;

/// Clocks that differ by less are not to blame.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Failure {
    /// For people.
    pub error: String,
    /// Whether another try may succeed.
    pub again: Again,
    /// For programs.
    pub kind: Kind,
}

/// Whether another try may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// The answer would be the same.
    Never,
    /// After a pause.
    Soon,
    /// After so long at least: GitHub has asked for it.
    After(Duration),
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 401: the token is not known, or not any more.
    Unauthorized,
    /// 403: the token may not do this.
    Forbidden,
    /// 404: it is not there, or the token may not see it.
    NotFound,
    /// 429, or 403 with a limit: too much was asked for.
    Limited,
    /// 5xx, or 408.
    Server,
    /// There was no whole answer in time.
    Timeout,
    /// There was no connection, or it was cut.
    Connection,
    /// The answer is larger than any that is expected.
    TooLarge,
    /// Nobody can be asked: no certificate that this machine trusts can be used.
    NoTrust,
    /// Anything else, among it an answer that is not understood.
    Other,
}

impl Failure {
    /// One that stays.
    pub fn lasting(error: impl Into<String>) -> Self {
        Self { error: error.into(), again: Again::Never, kind: Kind::Other }
    }
}

/// What GitHub's no means.
pub(super) fn refusal(status: StatusCode, headers: &HeaderMap, body: &Bytes, now: Timestamp) -> Failure {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Said {
        message: String,
    }
    let said: Said = serde_json::from_slice(body).unwrap_or_default();
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let message: String = said.message.chars().map(visible).take(REPEATED).collect();
    let asked = number(headers, RETRY_AFTER).map(Duration::from_secs);
    let theirs = date(headers);
    let limited = || Again::After(wait(headers, theirs.unwrap_or(now)).unwrap_or(RATE_PAUSE));
    let too_much = asked.is_some() || is_used_up(headers) || message.contains("rate limit");
    let (kind, again, hint) = match status.as_u16() {
        401 => {
            let clock = theirs.and_then(|theirs| clock(&message, theirs, now));
            (Kind::Unauthorized, Again::Never, clock.unwrap_or_else(|| " (it does not know the token)".to_owned()))
        }
        429 => (Kind::Limited, limited(), String::new()),
        403 if too_much => (Kind::Limited, limited(), String::new()),
        403 => (Kind::Forbidden, Again::Never, " (the token may not do this)".to_owned()),
        404 => (Kind::NotFound, Again::Never, " (or the token may not see it)".to_owned()),
        408 | 500.. => (Kind::Server, asked.map_or(Again::Soon, Again::After), String::new()),
        _ => (Kind::Other, Again::Never, String::new()),
    };
    let colon = if message.is_empty() { "" } else { ": " };
    Failure { error: format!("GitHub says {}{hint}{colon}{message}", status.as_u16()), again, kind }
}

/// When GitHub has answered, by its own clock.
pub fn date(headers: &HeaderMap) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(headers.get(header::DATE)?.to_str().ok()?).ok()
}

/// How long an answer asks to wait that was given `at` a moment, by GitHub's clock.
pub fn wait(headers: &HeaderMap, at: Timestamp) -> Option<Duration> {
    let at = u64::try_from(at.as_second()).unwrap_or_default();
    let reset = number(headers, "x-ratelimit-reset").filter(|_| is_used_up(headers));
    number(headers, RETRY_AFTER).or(reset.map(|reset| reset.saturating_sub(at))).map(Duration::from_secs)
}

fn is_used_up(headers: &HeaderMap) -> bool {
    number(headers, "x-ratelimit-remaining") == Some(0)
}

/// A number that is no larger than a time to wait may be.
fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse::<u32>().ok().map(u64::from)
}

/// What to say where GitHub complains of the times in the token of an App, and its clock is another than ours.
fn clock(message: &str, theirs: Timestamp, ours: Timestamp) -> Option<String> {
    if !["'exp'", "'iat'"].iter().any(|claim| message.contains(claim)) {
        return None;
    }
    let ahead = ours.duration_since(theirs);
    if ahead.abs() < SKEW {
        return None;
    }
    let side = if ahead.is_negative() { "behind" } else { "ahead of" };
    Some(format!(" (the clock of this machine is {:#} {side} GitHub's: set it right)", ahead.abs()))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderName;

    use super::*;

    fn of(status: u16, headers: &[(&'static str, &str)], body: &'static str) -> Failure {
        let pair = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        let headers = headers.iter().map(pair).collect();
        let body = Bytes::from_static(body.as_bytes());
        refusal(StatusCode::from_u16(status).unwrap(), &headers, &body, Timestamp::from_second(1_000).unwrap())
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        let after = |seconds| Again::After(Duration::from_secs(seconds));
        let both = [("retry-after", "7"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1060")];
        for (status, headers, body, again, kind) in [
            (403, &[("retry-after", "7")][..], "", after(7), Kind::Limited),
            (429, &both, "", after(7), Kind::Limited),
            (403, &both[1..], "", after(60), Kind::Limited),
            (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "900")], "", after(0), Kind::Limited),
            // By its own clock, which says 1030.
            (403, &[both[1], both[2], ("date", "Thu, 01 Jan 1970 00:17:10 GMT")], "", after(30), Kind::Limited),
            (403, &[("x-ratelimit-remaining", "9"), both[2]], "", Again::Never, Kind::Forbidden),
            (403, &[], r#"{"message": "You have exceeded a secondary rate limit"}"#, after(60), Kind::Limited),
            (403, &[], r#"{"message": "Resource not accessible by integration"}"#, Again::Never, Kind::Forbidden),
            (429, &[("retry-after", "soon")], "", after(60), Kind::Limited),
            (429, &[("retry-after", "18446744073709551615")], "", after(60), Kind::Limited),
            (503, &[("retry-after", "2")], "", after(2), Kind::Server),
            (500, &[], "<html>", Again::Soon, Kind::Server),
            (408, &[], "", Again::Soon, Kind::Server),
            (401, &[("retry-after", "2")], "", Again::Never, Kind::Unauthorized),
            (404, &[], "", Again::Never, Kind::NotFound),
            (422, &[("retry-after", "2")], r#"{"message": "Invalid\nrequest"}"#, Again::Never, Kind::Other),
            (301, &[], "", Again::Never, Kind::Other),
        ] {
            let failure = of(status, headers, body);
            assert_eq!((failure.again, failure.kind), (again, kind), "{status} {headers:?} {body}");
        }
        assert_eq!(of(422, &[], r#"{"message": "Invalid\nrequest"}"#).to_string(), "GitHub says 422: Invalid request");
        assert!(of(404, &[], "[]").to_string().starts_with("GitHub says 404 ("));
    }

    #[test]
    fn a_clock_that_is_wrong_is_told() {
        let told = |date: &str, body: &'static str| of(401, &[("date", date)], body).to_string();
        let early = r#"{"message": "'Expiration time' claim ('exp') is too far in the future"}"#;
        let late = r#"{"message": "'Issued at' claim ('iat') must be an Integer"}"#;
        // Ours says 00:16:40.
        let ahead = told("Thu, 01 Jan 1970 00:06:30 GMT", early);
        assert!(ahead.contains("is 10m 10s ahead of GitHub's") && ahead.contains("too far"), "{ahead}");
        let behind = told("Thu, 01 Jan 1970 01:16:40 GMT", late);
        assert!(behind.contains("is 1h behind GitHub's"), "{behind}");
        for (date, body) in [
            ("Thu, 01 Jan 1970 00:16:00 GMT", early),
            ("yesterday", early),
            ("Thu, 01 Jan 1970 01:16:40 GMT", r#"{"message": "Bad credentials"}"#),
        ] {
            assert!(told(date, body).contains("does not know the token"), "{date} {body}");
        }
    }
}
