//! The digest that names a model file.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Hexadecimal SHA-256 of a model file's bytes: what every answer names its model by.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string never fails");
        text
    })
}
