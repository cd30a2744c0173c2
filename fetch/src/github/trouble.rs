//! Why GitHub does not give what was asked for: one sentence for a person, with what to do.

use std::time::Duration;

/// Why a repository, an owner or a whole run came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// No token, one that GitHub does not know, or an App whose tokens it does not take.
    #[error(
        "{says}: put a valid token into the secret github_token, or the number and the key of a GitHub App into \
         github_app_id and github_app_key"
    )]
    Token {
        /// What GitHub says.
        says: String,
    },
    /// There is no token to ask with, or no certificate to trust.
    #[error("{says}")]
    NoToken {
        /// What is missing.
        says: String,
    },
    /// The App may not read what is an owner's.
    #[error("{says}; or check the secret github_app_id")]
    NotInstalled {
        /// Where.
        says: String,
    },
    /// The token may read less than is needed.
    #[error("the token may not read {what}: {says}; {hint}")]
    Denied {
        /// The repository or the owner.
        what: String,
        /// What GitHub says.
        says: String,
        /// What to do.
        hint: &'static str,
    },
    /// A repository is not there, or the token may not see it.
    #[error(
        "there is no repository {name} at {host}, or the token may not see it: check the name, and what the token or \
         the App's installation may read"
    )]
    NoRepository {
        /// `owner/name`
        name: String,
        /// Where it should be.
        host: String,
    },
    /// Names that go round among repositories.
    #[error(
        "{name} and others have exchanged their names, so none of them can be told by its name: delete what the \
         collection holds of them, and their documents in its fetch_state; the next run reads them anew"
    )]
    Exchanged {
        /// `owner/name`
        name: String,
    },
    /// An owner of repositories is not there.
    #[error("there is no organisation or user {login} at {host}: check the name, and --api-url")]
    NoOwner {
        /// The name.
        login: String,
        /// Where it should be.
        host: String,
    },
    /// GitHub takes the question for wrong.
    #[error(
        "{host} does not take the query: {says}; check --api-url, and whether a GitHub Enterprise Server is too old"
    )]
    Query {
        /// Which GitHub.
        host: String,
        /// What it says.
        says: String,
    },
    /// Nobody was answered for as long as tries may go on.
    #[error(
        "{host} has answered nothing for {}: {says}; nothing that was collected is lost: run it again",
        text(*tried)
    )]
    Silence {
        /// Which GitHub.
        host: String,
        /// How long it was tried.
        tried: Duration,
        /// What came of the last try.
        says: String,
    },
    /// Tries of one thing went on for as long as they may, while others were answered.
    #[error(
        "{host} has given nothing for {}: {says}; nothing that was collected is lost: run it again",
        text(*tried)
    )]
    Patience {
        /// Which GitHub.
        host: String,
        /// How long it was tried.
        tried: Duration,
        /// What came of the last try.
        says: String,
    },
    /// So many pull requests cannot be read that the cause is another.
    #[error(
        "{name}: GitHub could not give {missed} of its pull requests, so the repository is left: is the token made for it?"
    )]
    Missed {
        /// `owner/name`
        name: String,
        /// How many there are by now.
        missed: usize,
    },
}

impl Trouble {
    /// Whether no other repository can fare better.
    pub(super) fn is_of_all(&self) -> bool {
        matches!(self, Self::Token { .. } | Self::NoToken { .. } | Self::Query { .. } | Self::Silence { .. })
    }
}

/// Seconds, or minutes where there are many.
fn text(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 120 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_short() {
        assert_eq!(text(Duration::from_mins(30)), "30 min");
        assert_eq!(text(Duration::from_secs(1_799)), "29 min");
        assert_eq!(text(Duration::from_secs(90)), "90 s");
        assert_eq!(text(Duration::ZERO), "0 s");
    }
}
