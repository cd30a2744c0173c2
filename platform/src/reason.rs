//! Why a store failed, in words for the person who has to do something about it.

use std::error::Error as StdError;

use crate::{Error, innermost, s3::NoAnswer};

/// Why an object store failed, without what may be secret: of what S3 answers only the status and the code are told, since
/// the rest may hold the key.
pub fn reason(error: &(dyn StdError + 'static)) -> String {
    of_s3(error).unwrap_or_else(|| innermost(error).to_string())
}

/// The same of an error that comes from S3 or from what leads there; none for others, such as those of a file system.
pub(crate) fn of_s3(error: &(dyn StdError + 'static)) -> Option<String> {
    let cause = innermost(error);
    let text = cause.to_string();
    if cause.is::<NoAnswer>() || cause.is::<Error>() {
        return Some(text);
    }
    if text.starts_with("Received redirect without LOCATION") {
        return Some(explain("301", "PermanentRedirect"));
    }
    let answer = text
        .strip_prefix("Server returned non-2xx status code: ")
        .or_else(|| text.strip_prefix("Server returned error response: "))?;
    let status = answer.split(' ').next().unwrap_or_default();
    let code = answer.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    let code = code.filter(|code| code.chars().all(|character| character.is_ascii_alphanumeric()));
    Some(explain(status.trim_matches(|character: char| !character.is_ascii_digit()), code.unwrap_or_default()))
}

fn explain(status: &str, code: &str) -> String {
    let (what, way_out) = match (status, code) {
        (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch") => {
            ("S3 refuses the key", "correct the secrets spaces_key and spaces_secret")
        }
        (_, "RequestTimeTooSkewed") => ("S3 has another time than this machine", "set the clock"),
        ("301", _) | (_, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
            ("the bucket lies in another region", "correct the secrets spaces_region and spaces_endpoint")
        }
        (_, "NoSuchBucket") => ("S3 has no such bucket", "correct --store, or create the bucket"),
        ("403", "") => ("S3 refuses", "see that spaces_key and spaces_secret are right and may do this in the bucket"),
        ("401" | "403", _) => ("S3 does not allow it", "let the owner of the bucket allow it to the key of spaces_key"),
        ("404", _) => ("S3 does not find it", "see that nothing else removes what lies below the store"),
        _ => ("S3 cannot do it", "see that it is well and has space left, and run this again"),
    };
    let told = [status, code].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ");
    if told.is_empty() { format!("{what}; {way_out}") } else { format!("{what} ({told}); {way_out}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Answer(&'static str);

    fn told(answer: &'static str) -> String {
        reason(&object_store::Error::Generic { store: "S3", source: Box::new(Answer(answer)) })
    }

    #[test]
    fn an_answer_of_s3_is_told_with_its_way_out_and_without_the_key() {
        for (answer, way_out) in [
            (
                "Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch\
                 </Code><Message>no</Message><AWSAccessKeyId>planted</AWSAccessKeyId></Error>",
                "refuses the key (403 SignatureDoesNotMatch); correct the secrets spaces_key and spaces_secret",
            ),
            (
                "Server returned non-2xx status code: 403 Forbidden: <Error><Code>AccessDenied</Code><Key>planted</Key>",
                "does not allow it (403 AccessDenied)",
            ),
            ("Server returned non-2xx status code: 403 Forbidden: ", "S3 refuses (403); see that spaces_key"),
            (
                "Server returned non-2xx status code: 400 Bad Request: <Code>AuthorizationHeaderMalformed</Code>planted",
                "another region (400 AuthorizationHeaderMalformed); correct the secrets spaces_region",
            ),
            (
                "Received redirect without LOCATION, this normally indicates an incorrectly configured region",
                "another region (301 PermanentRedirect)",
            ),
            ("Server returned non-2xx status code: 404 Not Found: <Code>NoSuchBucket</Code>", "no such bucket"),
            ("Server returned non-2xx status code: 503 Service Unavailable: planted", "S3 cannot do it (503)"),
            ("Server returned non-2xx status code: 500 x: <Code>a planted code</Code>", "S3 cannot do it (500)"),
        ] {
            let told = told(answer);
            assert!(told.contains(way_out), "{answer}: {told}");
            assert!(!told.contains("planted"), "{told}");
        }
        assert_eq!(told("No space left on device"), "No space left on device");
    }
}
