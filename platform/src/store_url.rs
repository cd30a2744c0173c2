//! The URL of a store: `file:///absolute/directory` or `s3://bucket/prefix`.

use std::{
    fmt,
    path::{Path as FilePath, PathBuf},
};

use object_store::path::Path;
use url::Url;

use crate::Error;

/// What to write where nothing better can be guessed.
const EXAMPLES: &str = "write file:///absolute/directory or s3://bucket/prefix";

/// A URL that [`Store::open`](crate::Store::open) takes. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreUrl {
    url: Url,
    pub(crate) place: Place,
    /// Where the store begins in the object store behind it: below the root of the file system, or of the bucket.
    pub(crate) base: Path,
}

/// What lies behind a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Directory(PathBuf),
    Bucket(String),
}

impl StoreUrl {
    /// Reads a URL. A slash at its end makes no difference.
    ///
    /// # Errors
    /// [`Error::StoreUrl`] for anything else, with what to write instead.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let wrong = |hint: String| Error::StoreUrl { url: without_secrets(url), hint };
        let parsed = match Url::parse(url) {
            Ok(parsed) => parsed,
            Err(url::ParseError::RelativeUrlWithoutBase) => return Err(wrong(as_file_url(url))),
            Err(error) => return Err(wrong(format!("{error}; {EXAMPLES}"))),
        };
        if !matches!(parsed.scheme(), "file" | "s3") {
            return Err(wrong(format!("there is no {}:// store; {EXAMPLES}", parsed.scheme())));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            let hint = "a URL is seen by many; write s3://bucket/prefix, and give the key in the secrets spaces_key and \
                        spaces_secret";
            return Err(wrong(hint.to_owned()));
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(wrong("in a URL, write ? as %3F and # as %23".to_owned()));
        }
        let (place, base) =
            if parsed.scheme() == "file" { directory(&parsed) } else { bucket(&parsed) }.map_err(wrong)?;
        let text = parsed.as_str().trim_end_matches('/').to_owned();
        let is_root = matches!(place, Place::Directory(_)) && base.is_root();
        let url = if is_root { parsed } else { Url::parse(&text).map_err(|error| wrong(error.to_string()))? };
        Ok(Self { url, place, base })
    }

    /// The URL, without a slash at its end.
    pub fn as_url(&self) -> &Url {
        &self.url
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

fn directory(url: &Url) -> Result<(Place, Path), String> {
    let directory = url
        .to_file_path()
        .map_err(|()| "three slashes begin the path on this machine: write file:///absolute/directory".to_owned())?;
    let base = Path::from_absolute_path(&directory).map_err(|error| error.to_string())?;
    Ok((Place::Directory(directory), base))
}

fn bucket(url: &Url) -> Result<(Place, Path), String> {
    let name = url.host_str().unwrap_or_default();
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if name.is_empty() || !is_name(name) || url.port().is_some() {
        return Err("a bucket has a name of letters, digits, dots and dashes: write s3://bucket/prefix".to_owned());
    }
    let prefix = url.path().trim_end_matches('/');
    if prefix.contains("//") {
        return Err("single slashes part what lies below a bucket: write s3://bucket/prefix".to_owned());
    }
    let base = Path::from_url_path(prefix).map_err(|error| error.to_string())?;
    Ok((Place::Bucket(name.to_owned()), base))
}

/// For a bare path: the URL that was probably meant.
fn as_file_url(path: &str) -> String {
    let absolute = std::path::absolute(FilePath::new(path)).ok();
    match absolute.and_then(|path| Url::from_file_path(path).ok()) {
        Some(url) => format!("write {url}"),
        None => EXAMPLES.to_owned(),
    }
}

/// The URL as it may be told: a password or a key in it is left out, also where it makes the URL none.
fn without_secrets(url: &str) -> String {
    let url = url.split_once("s3://").filter(|(_, rest)| rest.contains('@')).map_or_else(
        || url.to_owned(),
        |(before, rest)| format!("{before}s3://…@{}", rest.rsplit('@').next().unwrap_or_default()),
    );
    match url.split_once('?') {
        Some((place, _)) if url.starts_with("s3:") => format!("{place}?…"),
        _ => url,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_its_place() {
        for (url, shown, bucket, base) in [
            ("s3://b/p/q/", "s3://b/p/q", Some("b"), "p/q"),
            ("s3://b", "s3://b", Some("b"), ""),
            ("s3://b.c-d_1/", "s3://b.c-d_1", Some("b.c-d_1"), ""),
            ("s3://b/with%20space", "s3://b/with%20space", Some("b"), "with space"),
            ("file:///a/b/", "file:///a/b", None, "a/b"),
            ("file:///", "file:///", None, ""),
        ] {
            let parsed = StoreUrl::parse(url).unwrap();
            assert_eq!((parsed.to_string().as_str(), parsed.base.as_ref()), (shown, base), "{url}");
            match parsed.place {
                Place::Bucket(name) => assert_eq!(Some(name.as_str()), bucket),
                Place::Directory(_) => assert_eq!(None, bucket),
            }
        }
    }

    #[test]
    fn a_url_that_is_none_is_answered_with_one_that_would_do() {
        for (url, hint) in [
            ("data/store", "/data/store"),
            ("/data/store", "write file:///data/store"),
            ("gs://bucket/prefix", "no gs:// store"),
            ("file://data/store", "three slashes"),
            ("file:///data#1", "# as %23"),
            ("file:///data?x", "? as %3F"),
            ("", "write file:///"),
            ("s3://", "write s3://bucket/prefix"),
            ("s3:///prefix", "write s3://bucket/prefix"),
            ("s3://bucket:80/prefix", "write s3://bucket/prefix"),
            ("s3://b%20c/prefix", "write s3://bucket/prefix"),
            ("s3://bucket//prefix", "single slashes"),
            ("s3://bucket/a//b", "single slashes"),
        ] {
            let error = StoreUrl::parse(url).unwrap_err();
            assert!(matches!(error, Error::StoreUrl { .. }), "{url}: {error}");
            assert!(error.to_string().contains(hint), "{url}: {error}");
        }
    }

    #[test]
    fn a_key_in_a_url_is_refused_and_not_told() {
        for url in [
            "s3://planted:planted@bucket/prefix",
            "s3://planted@bucket",
            "s3://key:planted/planted+planted@bucket/prefix",
            "s3://bucket/prefix?secret=planted",
        ] {
            let error = StoreUrl::parse(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("planted"), "{error}");
        }
        assert!(StoreUrl::parse("s3://a:b@bucket/p").unwrap_err().to_string().contains("spaces_key"));
    }
}
