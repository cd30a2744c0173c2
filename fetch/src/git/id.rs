//! The name of a commit.

use std::fmt;

/// Room for SHA-256, the longest name that git makes.
const LONGEST: usize = 32;

/// The name of a commit, without an allocation of its own: a history may have a million.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id {
    bytes: [u8; LONGEST],
    length: u8,
}

/// The first half of a name or more: enough to tell the commits of one history apart.
pub(crate) type Key = [u8; 16];

impl Id {
    /// Reads what `git` prints; `None` where that is no whole name.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let length = text.len() / 2;
        if !(size_of::<Key>()..=LONGEST).contains(&length) {
            return None;
        }
        let mut bytes = [0; LONGEST];
        hex::decode_to_slice(text, &mut bytes[..length]).ok()?;
        Some(Self { bytes, length: length as u8 })
    }

    pub(crate) fn key(&self) -> Key {
        let mut key = Key::default();
        key.copy_from_slice(&self.bytes[..size_of::<Key>()]);
        key
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.bytes[..usize::from(self.length)]))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_out_as_it_went_in() {
        for name in ["0123456789abcdef0123456789abcdef01234567", &"fedcba9876543210".repeat(4)] {
            let id = Id::parse(name.as_bytes()).unwrap();
            assert_eq!(id.to_string(), name);
            assert_eq!(hex::encode(id.key()), name[..32]);
        }
        for none in ["", "abcdef", "0123456789abcdef0123456789abcdef0123456", &"g".repeat(40), &"0".repeat(66)] {
            assert_eq!(Id::parse(none.as_bytes()), None, "{none}");
        }
    }
}
