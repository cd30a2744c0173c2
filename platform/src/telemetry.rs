//! Logs: to stderr, as text for a person at a terminal and as JSON lines for a machine elsewhere.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

use crate::Error;

const FILTER: &str = "PROWL_LOG";
const FORMAT: &str = "PROWL_LOG_FORMAT";

/// Starts logging for the rest of the program. `default_level` is a filter such as `info` or `warn,prowl_fetch=info`;
/// `PROWL_LOG` takes its place, and `PROWL_LOG_FORMAT=text|json` that of the terminal's presence. A second call
/// changes nothing.
///
/// # Errors
/// [`Error::Telemetry`] when one of the variables cannot be understood.
pub fn init(default_level: &str) -> Result<(), Error> {
    let value = std::env::var(FILTER).ok().filter(|value| !value.is_empty());
    // Each request that is tried again, where the store itself says once that it cannot be reached.
    let default = format!("{default_level},object_store=warn");
    let filter = value.as_deref().unwrap_or(&default);
    let filter = EnvFilter::try_new(filter).map_err(|error| Error::Telemetry {
        variable: FILTER,
        value: filter.to_owned(),
        hint: format!("{error}; write a level such as info, or prowl_fetch=debug,warn"),
    })?;
    let json = match std::env::var(FORMAT).as_deref() {
        Ok("json") => true,
        Ok("text") => false,
        Ok("") | Err(_) => !std::io::stderr().is_terminal(),
        Ok(other) => {
            let hint = "write text or json".to_owned();
            return Err(Error::Telemetry { variable: FORMAT, value: other.to_owned(), hint });
        }
    };
    // A line that cannot be written is lost. To say so on stderr, too, would panic where nobody reads it any more.
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    // An error means that a subscriber is there already, as in tests that run several programs in one process.
    let _ = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    };
    Ok(())
}
