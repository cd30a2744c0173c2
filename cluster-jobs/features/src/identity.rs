//! What no pull request can be without, whatever form it comes in. Each error says what is wrong; which field it is, the
//! caller knows.

use std::borrow::Cow;

use crate::pull_request::clip;

/// `owner/name` of the repository.
pub fn repository(name: Option<Cow<'_, str>>) -> Result<Cow<'_, str>, String> {
    match name.filter(|name| !name.is_empty()) {
        None => Err("missing, a pull request needs its repository".to_owned()),
        Some(name) if name.chars().any(char::is_control) => {
            Err(format!("expected a name without control characters, found {}", clip(&format!("{name:?}"))))
        }
        Some(name) => Ok(name),
    }
}

/// The number within the repository.
pub fn number(number: Option<u64>) -> Result<u64, String> {
    match number {
        None => Err("missing, a pull request needs its number".to_owned()),
        Some(number) if number == 0 || i64::try_from(number).is_err() => {
            Err(format!("expected a number in range, from 1, found {number}"))
        }
        Some(number) => Ok(number),
    }
}

/// When it was opened.
pub fn created_at(time: Option<i64>) -> Result<i64, String> {
    time.ok_or_else(|| "missing, without it nothing can be known as of then".to_owned())
}
