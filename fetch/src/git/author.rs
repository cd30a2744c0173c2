//! Who wrote a commit: git knows a name and an address, GitHub knows a login.

use std::collections::HashMap;

/// Name and e-mail address, as a commit has them.
pub(crate) type Author = (String, String);

/// The login of each name that stands somewhere in the history beside an address that GitHub made.
#[derive(Debug, Default)]
pub(crate) struct Logins(HashMap<String, Option<String>>);

impl Logins {
    /// What these authors tell. A name that stands beside two logins tells neither.
    pub(crate) fn of(authors: &[Author]) -> Self {
        let mut logins: HashMap<String, Option<String>> = HashMap::new();
        for (name, address) in authors {
            let Some(login) = in_address(address) else { continue };
            let known = logins.entry(name.clone()).or_insert_with(|| Some(login.to_owned()));
            if known.as_deref().is_some_and(|known| !known.eq_ignore_ascii_case(login)) {
                *known = None;
            }
        }
        Self(logins)
    }

    /// The author's login, as far as address and name tell it.
    pub(crate) fn find(&self, (name, address): &Author) -> Option<String> {
        in_address(address).or_else(|| self.0.get(name)?.as_deref()).map(str::to_owned)
    }
}

/// The login in an address that GitHub made, such as `12345+login@users.noreply.github.com`.
fn in_address(address: &str) -> Option<&str> {
    let local = address.strip_suffix("@users.noreply.github.com")?;
    let login = match local.split_once('+') {
        Some((id, login)) if id.bytes().all(|b| b.is_ascii_digit()) => login,
        _ => local,
    };
    (!login.is_empty()).then_some(login)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_comes_from_the_address() {
        assert_eq!(in_address("123+someone@users.noreply.github.com"), Some("someone"));
        assert_eq!(in_address("someone@users.noreply.github.com"), Some("someone"));
        assert_eq!(in_address("49699333+dependabot[bot]@users.noreply.github.com"), Some("dependabot[bot]"));
        for none in ["some@one.org", "@users.noreply.github.com", "1+@users.noreply.github.com", ""] {
            assert_eq!(in_address(none), None, "{none}");
        }
    }

    #[test]
    fn a_name_of_two_logins_tells_neither() {
        let author = |name: &str, address: &str| (name.to_owned(), address.to_owned());
        let logins = Logins::of(&[
            author("Ann", "1+ann@users.noreply.github.com"),
            author("Ann", "Ann@users.noreply.github.com"),
            author("Kim", "2+kim@users.noreply.github.com"),
            author("Kim", "3+other-kim@users.noreply.github.com"),
            author("Kim", "2+kim@users.noreply.github.com"),
        ]);
        assert_eq!(logins.find(&author("Ann", "ann@example.org")).as_deref(), Some("ann"));
        assert_eq!(logins.find(&author("Kim", "kim@example.org")), None);
        assert_eq!(logins.find(&author("Kim", "3+other-kim@users.noreply.github.com")).as_deref(), Some("other-kim"));
    }
}
