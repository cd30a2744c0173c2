//! The protocols of the service: the messages and the client and server code generated from `proto/`, the descriptors
//! that reflection serves, the JSON form of an answer, what a band is called, and the token that a call brings.
//!
//! The code in `src/generated/` is checked in, so that building Prowl needs no protocol compiler. The test in
//! `tests/generated.rs` generates it anew and compares; `PROWL_PROTO_WRITE=1 cargo test -p prowl-proto` rewrites it.
//!
//! This crate never computes anything: a client that links it links no model and no feature.

#![deny(missing_docs)]

mod band;
mod bearer;
pub mod json;
pub mod schema;

pub use bearer::Bearer;

#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    missing_docs,
    unreachable_pub,
    rust_2018_idioms,
    reason = "generated; its style is the generator's"
)]
mod generated {
    pub mod v1 {
        include!("generated/prowl.v1.rs");
    }
    pub mod inference {
        include!("generated/inference.rs");
    }
}

/// Package `inference`, the Open Inference Protocol v2: `proto/inference/open_inference.proto`.
pub use generated::inference;
/// Package `prowl.v1`: `proto/prowl/v1/scoring.proto`, where each field is described.
pub use generated::v1;

/// The encoded `google.protobuf.FileDescriptorSet` of both packages and what they import, comments included.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/prowl.bin");
