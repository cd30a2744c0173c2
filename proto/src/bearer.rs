//! The token that a call brings to a service that asks for one.

use tonic::{Request, Status, metadata::AsciiMetadataValue, service::Interceptor};

/// Has each call of a client bring a token, if there is one.
#[derive(Clone, Default)]
pub struct Bearer(Option<AsciiMetadataValue>);

impl Bearer {
    /// Brings this one, without blanks around it; `None` where it holds other than visible characters, since an error would show it.
    pub fn of(token: &str) -> Option<Self> {
        let mut value = AsciiMetadataValue::try_from(format!("Bearer {}", token.trim())).ok()?;
        value.set_sensitive(true);
        Some(Self(Some(value)))
    }

    /// What the header `authorization` holds.
    pub fn header(&self) -> Option<&str> {
        self.0.as_ref()?.to_str().ok()
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_brought_and_not_shown() {
        let request = Bearer::of(" token\n").unwrap().call(Request::new(())).unwrap();
        let brought = request.metadata().get("authorization").unwrap();
        assert!(brought == "Bearer token" && brought.is_sensitive());
        assert!(Bearer::of("to\nken").is_none());
        let mut nobody = Bearer::default();
        assert_eq!(nobody.header(), None);
        assert!(nobody.call(Request::new(())).unwrap().metadata().is_empty());
    }
}
