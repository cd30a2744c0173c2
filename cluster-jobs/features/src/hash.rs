//! Keys: 64-bit hashes that stand for names, paths and words once their text is no longer needed.
//!
//! XXH3 without a seed: the same text gives the same key on every machine, so keys can be stored. With 64 bits,
//! ten million names collide with a probability of about three in a million.

use std::hash::{BuildHasherDefault, Hash, Hasher};

use xxhash_rust::xxh3::xxh3_64;

/// The key of a name or a path.
pub(crate) fn key(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

/// The key of a login or of a repository's name: GitHub takes no account of their case.
pub(crate) fn name_key(name: &str) -> u64 {
    key(&name.to_ascii_lowercase())
}

/// The key of a repository (`owner/name` in any case), by which profiles are looked up and batch work is split.
pub fn repository_key(full_name: &str) -> u64 {
    name_key(full_name)
}

/// The key of two keys together, such as an author and a file. In halves: with a count of four bytes beside it that
/// makes twelve bytes instead of sixteen, and there are more of these than of all else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair([u32; 2]);

impl Pair {
    pub(crate) fn of(first: u64, second: u64) -> Self {
        // Multiplying by an odd constant keeps the order of the two from cancelling out.
        Self::from((first ^ second.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ second)
    }
}

impl From<u64> for Pair {
    fn from(key: u64) -> Self {
        Self([key as u32, (key >> 32) as u32])
    }
}

impl From<Pair> for u64 {
    fn from(Pair([low, high]): Pair) -> Self {
        Self::from(high) << 32 | Self::from(low)
    }
}

impl Hash for Pair {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64((*self).into());
    }
}

/// A map from keys: they are hashes already, so hashing them again would only cost time.
pub(crate) type KeyMap<V> = std::collections::HashMap<u64, V, BuildHasherDefault<KeyHasher>>;

/// The same from pairs.
pub(crate) type PairMap<V> = std::collections::HashMap<Pair, V, BuildHasherDefault<KeyHasher>>;

/// A set of keys.
pub(crate) type KeySet = std::collections::HashSet<u64, BuildHasherDefault<KeyHasher>>;

/// Keys, each once, in the order of first appearance.
#[derive(Default)]
pub(crate) struct Distinct {
    keys: Vec<u64>,
    /// The same keys, once there are many.
    set: KeySet,
}

impl Distinct {
    /// Comparing with this many keys is faster than hashing one.
    const FEW: usize = 24;

    pub(crate) fn with_capacity(keys: usize) -> Self {
        Self { keys: Vec::with_capacity(keys), set: KeySet::default() }
    }

    /// Whether `key` is new.
    pub(crate) fn insert(&mut self, key: u64) -> bool {
        let is_new = if self.keys.len() < Self::FEW {
            !self.keys.contains(&key)
        } else {
            if self.set.is_empty() {
                self.set.extend(&self.keys);
            }
            self.set.insert(key)
        };
        if is_new {
            self.keys.push(key);
        }
        is_new
    }

    pub(crate) fn contains(&self, key: u64) -> bool {
        if self.set.is_empty() { self.keys.contains(&key) } else { self.set.contains(&key) }
    }

    pub(crate) fn into_vec(self) -> Vec<u64> {
        self.keys
    }
}

/// Passes a 64-bit key through.
#[derive(Clone, Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn few_or_many_keys_are_kept_once_in_the_order_of_first_appearance() {
        for many in [1, Distinct::FEW - 1, Distinct::FEW, Distinct::FEW + 1, 10 * Distinct::FEW] {
            let keys: Vec<u64> = (0..many as u64).map(key_of).collect();
            let mut distinct = Distinct::default();
            for (at, key) in keys.iter().enumerate() {
                assert!(distinct.insert(*key));
                assert!(keys[..=at].iter().all(|known| !distinct.insert(*known)));
            }
            assert_eq!(distinct.into_vec(), keys);
        }
    }

    fn key_of(number: u64) -> u64 {
        key(&number.to_string())
    }

    #[test]
    fn the_key_of_two_keys_stays_what_is_stored() {
        // 0x3_0000_0001 ^ 0x7_0000_0000 is 0x4_0000_0001; its product with the constant is 0x9B61_6A0D_7F4A_7C15.
        let (pair, stored) = (Pair::of(0x0003_0000_0001, 7), 0x9B61_6A0D_7F4A_7C12_u64);
        assert_eq!(u64::from(pair), stored);
        assert_eq!(Pair::from(stored), pair);
    }

    #[test]
    fn a_key_is_its_own_hash() {
        let hash = BuildHasherDefault::<KeyHasher>::default();
        assert_eq!([hash.hash_one(7_u64), hash.hash_one(Pair::from(7_u64))], [7; 2]);
        let mut hasher = KeyHasher::default();
        hasher.write(b"a");
        assert_eq!(hasher.finish(), key("a"));
    }
}
