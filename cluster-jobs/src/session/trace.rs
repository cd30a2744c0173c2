//! Where a job belongs in a trace: it travels with the settings of its session, to every task.

use std::any::Any;

use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::common::{Result, exec_err};

/// The span of the client that started the job, as `traceparent` of W3C Trace Context writes it; empty without a trace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    pub(crate) parent: String,
}

const KEY: &str = "traceparent";

impl ConfigExtension for Trace {
    const PREFIX: &'static str = "prowl";
}

impl ExtensionOptions for Trace {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        if key != KEY {
            return exec_err!("there is no setting {}.{key}", Self::PREFIX);
        }
        value.clone_into(&mut self.parent);
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        let key = format!("{}.{KEY}", Self::PREFIX);
        vec![ConfigEntry { key, value: Some(self.parent.clone()), description: "where the job belongs in a trace" }]
    }
}

#[cfg(test)]
mod tests {
    use ballista_core::extension::SessionConfigHelperExt;
    use ballista_core::serde::protobuf::KeyValuePair;
    use datafusion::prelude::SessionConfig;

    use super::*;

    #[test]
    fn it_travels_with_the_settings() {
        let sent = SessionConfig::new().with_option_extension(Trace { parent: "00-1-2-01".into() });
        let settings = sent.options().entries().into_iter();
        let settings: Vec<_> = settings.map(|ConfigEntry { key, value, .. }| KeyValuePair { key, value }).collect();
        let arrived = SessionConfig::new().with_option_extension(Trace::default());
        let arrived = arrived.update_from_key_value_pair(&settings);
        assert_eq!(arrived.options().extensions.get::<Trace>().unwrap().parent, "00-1-2-01");
    }
}
