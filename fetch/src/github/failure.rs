//! What it means that GitHub does not answer a request, and what the headers of an answer say of time.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use prowl_platform::github::{Again, Failure, Kind};
use reqwest::header::{self, HeaderMap};

use super::{
    answer::{Refusal, SINGLE_SIGN_ON},
    pace::Budget,
    trouble::Trouble,
};

/// How long until the points of a window are back that are used up.
pub(super) fn used_up(budget: &Budget) -> Option<Duration> {
    Some(budget.until_reset()).filter(|_| budget.left().is_some_and(|left| left == 0))
}

/// How long an answer asks to wait.
pub(super) fn wait(headers: &HeaderMap, at: Timestamp) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<u32>().ok();
    let reset = || {
        let used_up = number("x-ratelimit-remaining") == Some(0);
        let reset = Timestamp::from_second(number("x-ratelimit-reset").filter(|_| used_up)?.into()).ok()?;
        Some(between(at, reset))
    };
    number("retry-after").map(|seconds| Duration::from_secs(seconds.into())).or_else(reset)
}

pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    DateTimeParser::new().parse_timestamp(date).ok()
}

/// From one moment to a later one.
pub(super) fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

/// What it means that there is no token to ask with.
pub(super) fn no_token(failure: Failure) -> Refusal {
    let says = failure.error;
    match failure.kind {
        Kind::Unauthorized | Kind::Forbidden => Refusal::Token(says),
        Kind::NotFound => Refusal::NoToken(Trouble::NotInstalled { says }),
        Kind::Other => Refusal::NoToken(Trouble::NoToken { says }),
        Kind::Limited | Kind::Server | Kind::Timeout | Kind::Connection | Kind::TooLarge => Refusal::passing(says),
    }
}

/// What it means that an answer is none.
pub(super) fn refusal(failure: Failure) -> Refusal {
    let says = failure.error;
    match (failure.kind, failure.again) {
        (Kind::Unauthorized, _) => Refusal::Token(says),
        (Kind::Forbidden, _) if says.to_lowercase().contains("saml") => Refusal::Denied { says, hint: SINGLE_SIGN_ON },
        (Kind::Forbidden, _) => {
            Refusal::Denied { says, hint: "it needs read access to pull requests, contents and metadata" }
        }
        (Kind::Limited, Again::After(wait)) => Refusal::Limited { says, wait: Some(wait) },
        (Kind::Limited, _) => Refusal::Limited { says, wait: None },
        (Kind::Server, Again::After(wait)) => Refusal::Passing { says, wait },
        (Kind::Server | Kind::Timeout | Kind::TooLarge, _) => Refusal::TooMuch(says),
        (Kind::Connection, _) => Refusal::passing(says),
        (Kind::NotFound | Kind::Other, _) => Refusal::Wrong(says),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderName;

    use super::*;

    #[test]
    fn an_answer_tells_how_long_to_wait() {
        let now = Timestamp::from_second(1_000).unwrap();
        let asked = |pairs: &[(&'static str, &str)]| {
            let pair = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
            wait(&pairs.iter().map(pair).collect(), now).map(|wait| wait.as_secs())
        };
        let reset = ("x-ratelimit-reset", "1060");
        assert_eq!(asked(&[("retry-after", "7"), ("x-ratelimit-remaining", "0"), reset]), Some(7));
        assert_eq!(asked(&[("x-ratelimit-remaining", "0"), reset]), Some(60));
        assert_eq!(asked(&[("x-ratelimit-remaining", "3"), reset]), None);
        assert_eq!(asked(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "900")]), Some(0));
        assert_eq!(asked(&[("retry-after", "soon")]), None);
    }

    #[test]
    fn a_failure_says_whether_less_or_later_helps() {
        let of = |kind, again| refusal(Failure { error: "no".into(), again, kind });
        let minute = Duration::from_mins(1);
        assert_eq!(of(Kind::Server, Again::Soon), Refusal::TooMuch("no".into()));
        assert_eq!(of(Kind::Timeout, Again::Soon), Refusal::TooMuch("no".into()));
        assert_eq!(of(Kind::TooLarge, Again::Never), Refusal::TooMuch("no".into()));
        assert_eq!(of(Kind::Server, Again::After(minute)), Refusal::Passing { says: "no".into(), wait: minute });
        assert_eq!(of(Kind::Connection, Again::Soon), Refusal::passing("no"));
        assert_eq!(of(Kind::Limited, Again::After(minute)), Refusal::Limited { says: "no".into(), wait: Some(minute) });
        assert_eq!(of(Kind::Unauthorized, Again::Never), Refusal::Token("no".into()));
        assert_eq!(of(Kind::NotFound, Again::Never), Refusal::Wrong("no".into()));
    }

    #[test]
    fn the_date_of_an_answer_is_read() {
        let headers = HeaderMap::from_iter([(header::DATE, "Thu, 01 Jan 1970 00:16:40 GMT".parse().unwrap())]);
        assert_eq!(date(&headers), Timestamp::from_second(1_000).ok());
        assert_eq!(date(&HeaderMap::new()), None);
    }
}
