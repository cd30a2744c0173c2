//! Which pull request a document is of, and which of two versions is the newer one.

use bson::{RawBson, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use super::moment::milliseconds;

/// What a pull request is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Identity<'a> {
    /// `base.repo.full_name`
    pub repository: &'a str,
    /// `number`
    pub number: i64,
}

impl<'a> Identity<'a> {
    /// That of a document, if it has one.
    pub(crate) fn of(document: &'a RawDocument) -> Option<Self> {
        let repository = document.get_document("base").ok()?.get_document("repo").ok()?.get_str("full_name").ok()?;
        let number = match document.get("number").ok()?? {
            RawBsonRef::Int32(number) => i64::from(number),
            RawBsonRef::Int64(number) => number,
            // What JavaScript writes.
            RawBsonRef::Double(number) if number.fract() == 0.0 && number.abs() < 1e15 => number as i64,
            _ => return None,
        };
        Some(Self { repository, number })
    }
}

/// What orders the versions of a pull request, in milliseconds: the newest `updated_at`, then `fetched_at`, wins. An
/// unknown moment is older than all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) updated_at: Option<i64>,
    pub(super) fetched_at: Option<i64>,
}

impl Version {
    pub(super) fn of(document: &RawDocument) -> Self {
        let moment = |field| document.get(field).ok().flatten().and_then(milliseconds);
        Self { updated_at: moment("updated_at"), fetched_at: moment("fetched_at") }
    }

    /// Whether a document of this version takes the place of one of `stored`. Of two that do not tell when they were
    /// fetched, such as a clone's, the later one knows more, unless it says the same.
    pub(super) fn may_replace(self, stored: Self) -> bool {
        self > stored || (self == stored && self.fetched_at.is_none())
    }
}

/// What is proposed: a commit, `head.sha`, for a branch, `base.ref`. While it is the same, the files are.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    head: String,
    base: String,
}

impl Change {
    /// That of a document, if it tells it.
    fn of(document: &RawDocument) -> Option<Self> {
        let text = |object, field| Some(document.get_document(object).ok()?.get_str(field).ok()?.to_owned());
        Some(Self { head: text("head", "sha")?, base: text("base", "ref")? })
    }
}

/// The version that is stored, also as it is written there.
pub(super) struct Stored {
    pub(super) version: Version,
    /// Whether it is known to say what the given one says.
    pub(super) is_same: bool,
    change: Option<Change>,
    id: RawBson,
    updated_at: RawBson,
    fetched_at: RawBson,
}

impl Stored {
    pub(super) fn of(document: &RawDocument) -> Self {
        let field = |name| document.get(name).ok().flatten().map_or(RawBson::Null, RawBson::from);
        let (id, updated_at, fetched_at) = (field("_id"), field("updated_at"), field("fetched_at"));
        let (version, change) = (Version::of(document), Change::of(document));
        Self { version, is_same: false, change, id, updated_at, fetched_at }
    }

    /// Whether a document is of the same change, as far as both tell theirs.
    pub(super) fn is_of_change(&self, document: &RawDocument) -> bool {
        self.change.is_some() && self.change == Change::of(document)
    }

    /// Finds it as long as it is this version of that pull request. Servers find it by its `_id`, without a choice of
    /// indexes, and null stands for a missing moment, too.
    pub(super) fn filter(&self, identity: Identity<'_>) -> RawDocumentBuf {
        rawdoc! {
            "_id": self.id.clone(),
            "base.repo.full_name": identity.repository,
            "updated_at": { "$eq": self.updated_at.clone() },
            "fetched_at": { "$eq": self.fetched_at.clone() },
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::{DateTime, doc};

    use super::*;

    fn raw(document: bson::Document) -> RawDocumentBuf {
        RawDocumentBuf::try_from(&document).unwrap()
    }

    #[test]
    fn a_pull_request_is_known_by_its_repository_and_number() {
        let base = doc! { "repo": { "full_name": "tide/harbour" } };
        for number in [bson::Bson::Int32(7), bson::Bson::Int64(7), bson::Bson::Double(7.0)] {
            let document = raw(doc! { "number": number, "base": base.clone() });
            assert_eq!(Identity::of(&document), Some(Identity { repository: "tide/harbour", number: 7 }));
        }
        for none in [
            doc! {},
            doc! { "number": 7 },
            doc! { "number": 7.5, "base": base.clone() },
            doc! { "number": "7", "base": base },
            doc! { "number": 7, "base": { "repo": "tide/harbour" } },
            doc! { "number": 7, "base": { "repo": { "full_name": 1 } } },
        ] {
            assert_eq!(Identity::of(&raw(none.clone())), None, "{none}");
        }
    }

    #[test]
    fn the_newest_update_wins_then_the_newest_fetch() {
        let version = |updated_at, fetched_at| Version { updated_at, fetched_at };
        let rising = [
            version(None, None),
            version(None, Some(9)),
            version(Some(1), None),
            version(Some(1), Some(1)),
            version(Some(1), Some(2)),
            version(Some(2), None),
        ];
        for (index, stored) in rising.iter().enumerate() {
            for (other, given) in rising.iter().enumerate() {
                let twice = index == other && given.fetched_at.is_none();
                assert_eq!(given.may_replace(*stored), other > index || twice, "{given:?} for {stored:?}");
            }
        }
    }

    #[test]
    fn a_stored_version_is_found_only_while_it_is_that_one() {
        let at = DateTime::from_millis(5);
        let stored = Stored::of(&raw(doc! { "_id": 7, "updated_at": at }));
        let found = stored.filter(Identity { repository: "tide/harbour", number: 7 });
        let nothing = bson::Bson::Null;
        let expected = doc! {
            "_id": 7, "base.repo.full_name": "tide/harbour",
            "updated_at": { "$eq": at }, "fetched_at": { "$eq": nothing },
        };
        assert_eq!(found, raw(expected));
    }

    #[test]
    fn a_change_is_a_commit_for_a_branch() {
        let of = |head: &str, base: &str| raw(doc! { "head": { "sha": head }, "base": { "ref": base } });
        let (stored, same) = (Stored::of(&of("a", "main")), of("a", "main"));
        assert!(stored.is_of_change(&same));
        for (head, base) in [("b", "main"), ("a", "next")] {
            assert!(!stored.is_of_change(&of(head, base)));
        }
        assert!(!Stored::of(&raw(doc! {})).is_of_change(&same));
        assert_eq!(Change::of(&raw(doc! { "head": { "sha": "a" }, "base": {} })), None);
    }

    #[test]
    fn a_moment_is_a_date_or_a_text() {
        let date = DateTime::from_millis(1_700_000_000_500);
        let written = raw(doc! { "updated_at": date, "fetched_at": "2023-11-14T22:13:20.5Z" });
        let expected = Version { updated_at: Some(1_700_000_000_500), fetched_at: Some(1_700_000_000_500) };
        assert_eq!(Version::of(&written), expected);
        let unknown = Version { updated_at: None, fetched_at: None };
        assert_eq!(Version::of(&raw(doc! { "updated_at": "lately", "fetched_at": 5 })), unknown);
    }
}
