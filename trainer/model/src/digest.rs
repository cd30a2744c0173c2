//! The digest that names a model file.

use sha2::{Digest, Sha256};

/// Hexadecimal SHA-256 of a model file's bytes: what every answer names its model by.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
