//! The digest that names a model file.

use sha2::{Digest, Sha256};

/// Hexadecimal SHA-256 of a model file's bytes: what every answer names its model by.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_the_standard() {
        // The example of FIPS 180-4.
        assert_eq!(digest(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
