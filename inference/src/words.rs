//! The words for an answer that every text for people has in common: the client's, a check run's, a tensor's.

use prowl_proto::v1::{Band, Reference, ScoreResponse};

/// The name of a band; nothing where there was nothing to judge.
pub fn band(band: Band) -> Option<&'static str> {
    match band {
        Band::Unspecified => None,
        Band::Routine => Some("routine"),
        Band::Unusual => Some("unusual"),
        Band::VeryUnusual => Some("very unusual"),
    }
}

/// How many are less unusual, and of what: `99.9% of pull requests of this repository`.
pub fn among(response: &ScoreResponse) -> String {
    let of = match response.reference() {
        Reference::Unspecified => "",
        Reference::Repository => " of this repository",
        Reference::All => " of all repositories",
    };
    format!("{} of pull requests{of}", percentile(response.percentile))
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
