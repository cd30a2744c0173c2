//! The words for an answer, or for what is wrong with a request, that every text for people has in common: the client's, a check
//! run's, a reason's.

use prost_types::Timestamp;
use prowl_proto::v1::{Reference, RiskBand, ScoreResponse};

/// How many are less unusual, and of what: `99.9% of pull requests of this repository`; nothing where nothing was judged.
pub fn among(response: &ScoreResponse) -> Option<String> {
    let percentile = percentile(response.percentile?);
    let of = match response.reference() {
        Reference::Unspecified => "",
        Reference::Repository => " of this repository",
        Reference::All => " of all repositories",
    };
    Some(format!("{percentile} of pull requests{of}"))
}

/// A probability, always with one digit, so that bands can be told apart.
pub fn probability(share: f32) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// The probabilities that a band holds: `with 3.0% to 8.7%`.
pub fn of_risk(RiskBand { from, to, .. }: &RiskBand) -> String {
    let from = probability(*from);
    if *to < 1.0 { format!("with {from} to {}", probability(*to)) } else { format!("with {from} or more") }
}

/// The day of a time: the first ten characters of RFC 3339.
pub fn day(time: &Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

/// Whether a character turns the direction of what stands beside it: what comes from outside is shown without these.
pub fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What is wrong with a field of a request; without a name, with the request as a whole.
pub fn violation(field: &str, description: &str) -> String {
    if field.is_empty() { description.to_owned() } else { format!("field `{field}`: {description}") }
}

/// Rounded down, with a digit more near 100, so that `more unusual than` stays true. No more digits: up there the
/// model extrapolates from the few most unusual pull requests that it was measured on.
fn percentile(value: f32) -> String {
    let (digits, scale) = if value >= 99.0 { (1, 10.0) } else { (0, 1.0) };
    // What the nearest float lacks to 99.9 is no reason to show 99.8.
    let value = (f64::from(value) * scale + 1e-3).floor() / scale;
    format!("{value:.digits$}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_never_rounded_up() {
        assert_eq!(percentile(98.96), "98%");
        assert_eq!(percentile(99.88), "99.8%");
        assert_eq!(percentile(99.9), "99.9%");
        assert_eq!(percentile(99.99), "99.9%");
    }
}
