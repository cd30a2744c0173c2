//! The elements of a BSON document as they lie in its bytes (<https://bsonspec.org/spec.html>). Every length is
//! checked: any bytes end in elements or in an error.

use bson::spec::ElementType;

/// How deep documents may lie in each other. MongoDB stores 100 levels, and takes 200 in a command.
pub(crate) const DEPTH: usize = 200;

/// Why bytes are no BSON document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no BSON: {0}")]
pub struct Damaged(pub(super) &'static str);

impl Damaged {
    /// Something else than a document is where one should be.
    pub(crate) const NO_DOCUMENT: Self = Self("a value is no document");
}

/// One field of a document, or one value of an array.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'a> {
    /// What the value is.
    pub(crate) kind: ElementType,
    /// Its name; in an array its place.
    pub(crate) name: &'a [u8],
    /// The value, of the length that its type or its own prefix says.
    pub(crate) value: &'a [u8],
}

/// The elements of one document, in their order. After an error there are no more.
#[derive(Debug, Clone)]
pub(crate) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// Of a document, or of an array, that fills these bytes.
    pub(crate) fn of(document: &'a [u8]) -> Result<Self, Damaged> {
        if prefix(document)? != document.len() {
            return Err(Damaged("a document has another length than it says"));
        }
        match document.get(4..) {
            Some([elements @ .., 0]) => Ok(Self(elements)),
            _ => Err(Damaged("a document does not end with a zero")),
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Damaged>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (tag, rest) = self.0.split_first()?;
        let element = element(*tag, rest);
        Some(match element {
            Ok((element, rest)) => {
                self.0 = rest;
                Ok(element)
            }
            Err(error) => {
                self.0 = &[];
                Err(error)
            }
        })
    }
}

#[inline]
fn element(tag: u8, rest: &[u8]) -> Result<(Element<'_>, &[u8]), Damaged> {
    let kind = ElementType::from(tag).ok_or(Damaged("a type that does not exist"))?;
    let (name, rest) = c_string(rest)?;
    let length = length(kind, rest)?;
    let (value, rest) = rest.split_at_checked(length).ok_or(CUT)?;
    Ok((Element { kind, name, value }, rest))
}

const CUT: Damaged = Damaged("it ends in the middle of a value");

/// How many bytes the value of this type takes that `rest` begins with.
#[inline]
fn length(kind: ElementType, rest: &[u8]) -> Result<usize, Damaged> {
    Ok(match kind {
        ElementType::Double | ElementType::DateTime | ElementType::Int64 | ElementType::Timestamp => 8,
        ElementType::Int32 => 4,
        ElementType::Boolean => 1,
        ElementType::ObjectId => 12,
        ElementType::Decimal128 => 16,
        ElementType::Null | ElementType::Undefined | ElementType::MinKey | ElementType::MaxKey => 0,
        ElementType::String | ElementType::JavaScriptCode | ElementType::Symbol => 4 + prefix(rest)?,
        ElementType::EmbeddedDocument | ElementType::Array | ElementType::JavaScriptCodeWithScope => prefix(rest)?,
        ElementType::Binary => 5 + prefix(rest)?,
        ElementType::DbPointer => 4 + prefix(rest)? + 12,
        ElementType::RegularExpression => {
            let (pattern, options) = c_string(rest)?;
            let (options, _) = c_string(options)?;
            pattern.len() + 1 + options.len() + 1
        }
    })
}

/// The length that these bytes begin with.
#[inline]
pub(super) fn prefix(bytes: &[u8]) -> Result<usize, Damaged> {
    let length = i32::from_le_bytes(fixed(bytes)?);
    usize::try_from(length).map_err(|_| Damaged("a negative length"))
}

/// The first bytes, as many as the number takes.
#[inline]
pub(super) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Damaged> {
    bytes.first_chunk().copied().ok_or(CUT)
}

/// Text up to a zero, and what comes after that.
#[inline]
pub(super) fn c_string(bytes: &[u8]) -> Result<(&[u8], &[u8]), Damaged> {
    let end = memchr::memchr(0, bytes).ok_or(CUT)?;
    Ok((&bytes[..end], &bytes[end + 1..]))
}

/// The text of a string value, which may hold zeros and may be no UTF-8.
#[inline]
pub(crate) fn string(value: &[u8]) -> Result<&[u8], Damaged> {
    match value.get(4..) {
        Some([text @ .., 0]) if text.len() + 1 == prefix(value)? => Ok(text),
        _ => Err(Damaged("a string does not end with a zero")),
    }
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc, oid::ObjectId};

    use super::*;

    fn walk(bytes: &[u8]) -> Result<Vec<(String, ElementType)>, Damaged> {
        let name = |element: Element<'_>| (String::from_utf8_lossy(element.name).into_owned(), element.kind);
        Elements::of(bytes)?.map(|element| element.map(name)).collect()
    }

    fn bytes(document: &Document) -> Vec<u8> {
        bson::serialize_to_vec(document).unwrap()
    }

    #[test]
    fn elements_come_in_their_order() {
        let document = doc! { "a": 1, "b": "text", "c": { "d": [1, 2] }, "e": ObjectId::new(), "f": null, "": true };
        let names: Vec<String> = walk(&bytes(&document)).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b", "c", "e", "f", ""]);
        assert_eq!(walk(&bytes(&doc! {})), Ok(vec![]));
    }

    #[test]
    fn every_cut_is_an_error() {
        let whole = bytes(&doc! { "a": "text", "b": { "c": 1.5 }, "d": [1_i64] });
        for end in 0..whole.len() {
            assert!(walk(&whole[..end]).is_err(), "{end}");
            // The same, with a length that says so.
            let mut cut = whole[..end].to_vec();
            if let Some(length) = cut.first_chunk_mut() {
                *length = (end as i32).to_le_bytes();
            }
            let _ = walk(&cut);
        }
    }

    #[test]
    fn lengths_that_lie_are_errors() {
        for length in [i32::MIN, -1, 0, 4, 6, i32::MAX] {
            let mut document = bytes(&doc! {});
            document[..4].copy_from_slice(&length.to_le_bytes());
            assert!(walk(&document).is_err(), "{length}");
            let mut string = bytes(&doc! { "a": "b" });
            string[7..11].copy_from_slice(&length.to_le_bytes());
            assert!(walk(&string).is_err() || super::string(&string[7..string.len() - 1]).is_err(), "{length}");
        }
    }
}
