//! The body of what a server answers.

use bytes::{Bytes, BytesMut};
use reqwest::Response;

/// The whole body of an answer; `None` of one that is larger than so many bytes, of which no more are held.
///
/// # Errors
/// The connection does not last.
pub async fn whole_body(response: &mut Response, most: usize) -> reqwest::Result<Option<Bytes>> {
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > most {
            return Ok(None);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Some(body.freeze()))
}
