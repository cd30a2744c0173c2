//! What is not to be stored: bodies, names of people.
//!
//! Names become tokens under a key, so that the same person is the same to every feature and nobody without the key
//! can tell who it is. What people write by hand stays as it is: mentions in titles and bodies, names in branches,
//! labels and paths; so does the owner in the repository's own name, which is its identity.

use std::fmt;

use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    Error,
    document::{BOT, Document, Head, HeadRepository},
};

/// The secret that holds the key for logins.
pub(crate) const SECRET: &str = "login_hash_key";

/// Whoever knows the logins of GitHub could try all shorter keys.
const SHORTEST_KEY: usize = 16;

/// Stands before a token. No login holds it.
pub(crate) const MARK: char = '~';

/// Bytes of the code that are kept: among a billion names two are alike with a probability of 3%.
const KEPT: usize = 8;

/// What to leave out or to hide of each document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Privacy {
    /// Whether descriptions are left out. They become unknown, not empty.
    pub drop_bodies: bool,
    /// The key under which logins become tokens, where they do.
    pub hash_logins: Option<LoginKey>,
}

/// The key under which logins become tokens. It is never printed.
#[derive(Clone)]
pub(crate) struct LoginKey(hmac::Key);

impl Privacy {
    /// The document as it may be stored.
    pub(crate) fn apply(&self, mut document: Document) -> Document {
        if self.drop_bodies {
            document.body = None;
        }
        if let Some(key) = &self.hash_logins {
            key.hide_people(&mut document);
        }
        document
    }

    /// A name for what is left out and hidden, by which a collection can tell that it is done alike at every run. It holds
    /// as much of the key as a token does.
    pub(crate) fn mode(&self) -> String {
        let bodies = if self.drop_bodies { "dropped" } else { "kept" };
        // No login holds a blank.
        let logins = self.hash_logins.as_ref().map(|key| format!("hashed by {}", key.token("this key")));
        format!("bodies {bodies}, logins {}", logins.as_deref().unwrap_or("kept"))
    }
}

impl LoginKey {
    /// Of the secret [`SECRET`].
    ///
    /// # Errors
    /// [`Error::WeakLoginKey`].
    pub(crate) fn new(key: &SecretString) -> Result<Self, Error> {
        let key = key.expose_secret().trim().as_bytes();
        if key.len() < SHORTEST_KEY {
            return Err(Error::WeakLoginKey { shortest: SHORTEST_KEY });
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }

    fn hide_people(&self, document: &mut Document) {
        let Document { user, assignees, requested_reviewers, base, head, .. } = document;
        let others = [assignees, requested_reviewers].into_iter().flatten().flatten().map(|other| &mut other.login);
        for login in user.iter_mut().map(|user| &mut user.login).chain(others) {
            *login = self.token(login);
        }
        self.hide_fork(&base.repo.full_name, head);
    }

    /// The owner of a fork is a person; that of the repository itself, or of another of the same owner, is in the open.
    fn hide_fork(&self, repository: &str, head: &mut Head) {
        let HeadRepository::Known { full_name: Some(name), .. } = &mut head.repo else { return };
        let owner = repository.split('/').next().unwrap_or_default();
        match name.split_once('/') {
            Some((fork, _)) if fork.eq_ignore_ascii_case(owner) => {}
            Some((fork, rest)) => *name = format!("{}/{rest}", self.token(fork)),
            None => *name = self.token(name),
        }
    }

    /// What stands for a login. GitHub compares logins without regard to case.
    fn token(&self, login: &str) -> String {
        let code = hmac::sign(&self.0, login.to_lowercase().as_bytes());
        let bot = if login.ends_with(BOT) { BOT } else { "" };
        format!("{MARK}{}{bot}", hex::encode(&code.as_ref()[..KEPT]))
    }
}

impl fmt::Debug for LoginKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Base, BaseRepository, Date, Login, State, User};

    const KEY: &str = "planted-key-of-the-test";

    fn hashing(key: &str) -> Privacy {
        Privacy { hash_logins: Some(LoginKey::new(&key.into()).unwrap()), ..Privacy::default() }
    }

    fn document(login: &str, fork: HeadRepository) -> Document {
        let people = |names: &[&str]| Some(names.iter().map(|name| Login { login: (*name).to_owned() }).collect());
        Document {
            key: "tide/harbour#7".to_owned(),
            number: 7,
            id: Some(1),
            node_id: None,
            title: Some("Thanks, @ada".to_owned()),
            body: Some("by @ada".to_owned()),
            state: State::Open,
            draft: None,
            merged: None,
            merged_at: None,
            created_at: Date(0),
            updated_at: Some(Date(0)),
            closed_at: None,
            user: Some(User::new(login.to_owned())),
            author_association: None,
            labels: None,
            assignees: people(&["Ada", "kim"]),
            requested_reviewers: people(&["ada"]),
            milestone: None,
            additions: None,
            deletions: None,
            changed_files: None,
            commits: None,
            comments: None,
            review_comments: None,
            base: Base { branch: None, sha: None, repo: BaseRepository { full_name: "tide/harbour".to_owned() } },
            head: Head { branch: Some("ada/fix".to_owned()), sha: None, repo: fork },
            merge_commit_sha: None,
            files: None,
            fetched_at: None,
            reverted_at: None,
        }
    }

    fn fork(name: &str) -> HeadRepository {
        HeadRepository::Known { full_name: Some(name.to_owned()), fork: true }
    }

    #[test]
    fn nothing_is_touched_unasked() {
        let document = document("ada", fork("ada/harbour"));
        assert_eq!(Privacy::default().apply(document.clone()), document);
    }

    #[test]
    fn a_body_that_is_dropped_is_unknown() {
        let privacy = Privacy { drop_bodies: true, ..Privacy::default() };
        let document = document("ada", HeadRepository::Unknown);
        let stored = serde_json::to_value(privacy.apply(document)).unwrap();
        assert_eq!((&stored["body"], &stored["title"]), (&serde_json::Value::Null, &"Thanks, @ada".into()));
        assert_eq!(stored["user"]["login"], "ada");
    }

    #[test]
    fn the_same_person_has_the_same_token_and_a_bot_stays_one() {
        let privacy = hashing(KEY);
        let given = document("ADA", fork("ada/harbour"));
        let stored = privacy.apply(given);
        let token = &stored.user.as_ref().unwrap().login;
        // echo -n ada | openssl dgst -sha256 -hmac planted-key-of-the-test
        assert_eq!(token, "~7406a0256fb1ef85");
        let logins = |people: &Option<Vec<Login>>| {
            people.iter().flatten().map(|person| person.login.clone()).collect::<Vec<_>>()
        };
        let assignees = logins(&stored.assignees);
        assert_eq!((&assignees[0], logins(&stored.requested_reviewers).first()), (token, Some(token)));
        assert_ne!(&assignees[1], token);
        assert_eq!(stored.head.repo, fork(&format!("{token}/harbour")));
        assert_eq!((stored.head.branch.as_deref(), stored.body.as_deref()), (Some("ada/fix"), Some("by @ada")));
        assert_eq!(stored.base.repo.full_name, "tide/harbour");

        let bot = document("dependabot[bot]", fork("Tide/other"));
        let stored = privacy.apply(bot.clone());
        let user = stored.user.as_ref().unwrap();
        assert_eq!(user.kind, bot.user.as_ref().unwrap().kind);
        assert!(user.login.starts_with('~') && user.login.ends_with("[bot]") && user.login.len() == 1 + 16 + 5);
        assert_eq!(stored.head.repo, fork("Tide/other"), "the owner is in the open");

        for nobody in [HeadRepository::Unknown, HeadRepository::Deleted] {
            let given = Document { user: None, ..document("ada", nobody.clone()) };
            let stored = privacy.apply(given);
            assert!(stored.user.is_none() && stored.head.repo == nobody);
        }
    }

    #[test]
    fn the_key_shows_nowhere_and_another_one_is_told() {
        let privacy = hashing(KEY);
        assert!(!format!("{privacy:?} {}", privacy.mode()).contains("planted"));
        assert_ne!(privacy.mode(), hashing("another-key-of-the-test").mode());
        assert_eq!(privacy.mode(), hashing(&format!("{KEY}\n")).mode());
        assert_eq!(Privacy::default().mode(), "bodies kept, logins kept");
        let weak = LoginKey::new(&" guessable \n".into()).unwrap_err().to_string();
        assert!(weak.contains("login_hash_key") && !weak.contains("guessable"), "{weak}");
    }
}
