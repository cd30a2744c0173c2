//! What it means that GitHub does not answer a request.

use std::time::Duration;

use jiff::Timestamp;
use prowl_platform::github::{Again, Failure, Kind};

use super::{
    answer::{Refusal, SINGLE_SIGN_ON},
    pace::Budget,
    trouble::Trouble,
};

/// How long until the points of a window are back that are used up.
pub(super) fn used_up(budget: &Budget) -> Option<Duration> {
    Some(budget.until_reset()).filter(|_| budget.left().is_some_and(|left| left == 0))
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
        Kind::NoTrust | Kind::Other => Refusal::NoToken(Trouble::NoToken { says }),
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
        (Kind::NoTrust, _) => Refusal::NoToken(Trouble::NoToken { says }),
        (Kind::NotFound | Kind::Other, _) => Refusal::Wrong(says),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_whether_less_or_later_helps() {
        let of = |kind, again| refusal(Failure { error: "no".into(), again, kind });
        let minute = Duration::from_mins(1);
        assert_eq!(of(Kind::Server, Again::Soon), Refusal::TooMuch("no".into()));
        assert_eq!(of(Kind::Timeout, Again::Soon), Refusal::TooMuch("no".into()));
        assert_eq!(of(Kind::TooLarge, Again::Never), Refusal::TooMuch("no".into()));
        assert_eq!(of(Kind::Server, Again::After(minute)), Refusal::Passing { says: "no".into(), wait: minute });
        assert_eq!(of(Kind::NoTrust, Again::Never), Refusal::NoToken(Trouble::NoToken { says: "no".into() }));
        assert_eq!(of(Kind::Connection, Again::Soon), Refusal::passing("no"));
        assert_eq!(of(Kind::Limited, Again::After(minute)), Refusal::Limited { says: "no".into(), wait: Some(minute) });
        assert_eq!(of(Kind::Unauthorized, Again::Never), Refusal::Token("no".into()));
        assert_eq!(of(Kind::NotFound, Again::Never), Refusal::Wrong("no".into()));
    }
}
