//! Rules as goose has them, from a file for each environment: `p99<20ms for score`, `error-rate<0.1%`, `rps>=500`.
//!
//! goose names a row by method and name, such as `GRPC score`. Here a rule names the scenario, as people do.

use std::{fs, path::Path};

use goose::{GooseError, threshold::Threshold};

use crate::{Error, call::Kind};

/// The method under which goose counts a kind.
pub(crate) fn method(kind: Kind) -> &'static str {
    if kind.is_http() { "HTTP" } else { "GRPC" }
}

/// The rules of a file, one a line; `#` begins a comment.
///
/// # Errors
/// It cannot be read, or a line is no rule.
pub(crate) fn of_file(path: &Path) -> Result<Vec<String>, Error> {
    let text =
        fs::read_to_string(path).map_err(|source| Error::File { what: "read", path: path.to_owned(), source })?;
    let lines = text.lines().enumerate().filter_map(|(place, line)| {
        let rule = line.split('#').next().unwrap_or_default().trim();
        (!rule.is_empty()).then(|| rewritten(rule, || format!("{}, line {}", path.display(), place + 1)))
    });
    lines.collect()
}

/// The rule in goose's words.
///
/// # Errors
/// It is none.
pub(crate) fn rewritten(rule: &str, place: impl Fn() -> String) -> Result<String, Error> {
    let wrong = |reason: String| Error::Rule { place: place(), rule: rule.to_owned(), reason };
    let written = match rule.split_once(" for ") {
        None => rule.to_owned(),
        Some((figure, name)) => {
            let name = name.trim();
            let kind = Kind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name));
            let kind = kind.ok_or_else(|| {
                let names = Kind::ALL.map(Kind::name).join(", ");
                wrong(format!("there is no {name}, but {names}"))
            })?;
            format!("{} for {} {}", figure.trim(), method(kind), kind.name())
        }
    };
    match written.parse::<Threshold>() {
        Ok(_) => Ok(written),
        // Its own words leave out what is wrong.
        Err(GooseError::InvalidOption { detail, .. }) => Err(wrong(detail)),
        Err(error) => Err(wrong(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_what_people_name() {
        let of = |rule: &str| rewritten(rule, || "--threshold".to_owned());
        assert_eq!(of("p99<20ms for score").unwrap(), "p99<20ms for GRPC score");
        assert_eq!(of("p99<20ms for Score").unwrap(), "p99<20ms for GRPC score");
        assert_eq!(of("avg<=5ms for http").unwrap(), "avg<=5ms for HTTP http");
        assert_eq!(of("error-rate<0.1%").unwrap(), "error-rate<0.1%");
        for wrong in ["p99", "p99<20ms for everything", "speed>5"] {
            let told = of(wrong).unwrap_err().to_string();
            assert!(told.starts_with("--threshold: ") && told.contains(wrong), "{told}");
        }
    }

    #[test]
    fn a_file_has_a_rule_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("staging");
        fs::write(&path, "# staging\np99<50ms for score  # of one\n\nrps>=500\n").unwrap();
        assert_eq!(of_file(&path).unwrap(), ["p99<50ms for GRPC score", "rps>=500"]);
        fs::write(&path, "rps>=500\nfast\n").unwrap();
        assert!(of_file(&path).unwrap_err().to_string().contains("line 2"));
    }
}
