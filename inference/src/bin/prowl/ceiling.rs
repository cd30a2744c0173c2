//! `--fail-above`: what a pull request may have at most, for pipelines that are to stop at more.

use prowl_inference::words::{percentile, probability};
use prowl_proto::v1::{Reference, ScoreResponse};

/// A figure of an answer and the most that it may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ceiling {
    figure: Figure,
    most: f32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Figure {
    Risk,
    Percentile,
}

impl Ceiling {
    /// Reads `risk=0.2` or `percentile=99`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "write risk=0.2 (a probability, 0 to 1) or percentile=99 (0 to 100)".to_owned();
        let (name, most) = text.split_once('=').ok_or_else(wrong)?;
        let (figure, highest) = match name {
            "risk" => (Figure::Risk, 1.0),
            "percentile" => (Figure::Percentile, 100.0),
            _ => return Err(wrong()),
        };
        let most = most.parse::<f32>().ok().filter(|most| (0.0..=highest).contains(most)).ok_or_else(wrong)?;
        if figure == Figure::Percentile && 0.0 < most && most <= 1.0 {
            return Err(format!("percentiles go from 0 to 100: write percentile={} for {most}", 100.0 * most));
        }
        Ok(Self { figure, most })
    }

    /// What to say of an answer that is above, or that judges nothing, since nobody knows then; nothing of others.
    pub(crate) fn broken_by(self, response: &ScoreResponse) -> Option<String> {
        let Self { figure, most } = self;
        if response.reference() == Reference::Unspecified {
            return Some(
                "it was not judged, so nothing tells whether it is above: give its size and its files".to_owned(),
            );
        }
        match figure {
            Figure::Risk => {
                let risk = response.risk.filter(|risk| *risk > most)?;
                let [risk, most] = [risk, most].map(probability);
                Some(format!("its probability to be taken back, {risk}, is above {most}"))
            }
            Figure::Percentile => {
                let reached = percentile(response.percentile.filter(|percentile| *percentile > most)?);
                Some(format!("its percentile, {reached}, is above {most}%"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_is_told() {
        let response = |risk, percentile| ScoreResponse {
            risk,
            percentile: Some(percentile),
            reference: 1,
            ..ScoreResponse::default()
        };
        let risk = Ceiling::parse("risk=0.2").unwrap();
        assert_eq!(risk.broken_by(&response(Some(0.2), 99.0)), None);
        let told = risk.broken_by(&response(Some(0.25), 0.0)).unwrap();
        assert_eq!(told, "its probability to be taken back, 25.0%, is above 20.0%");
        assert_eq!(risk.broken_by(&response(None, 99.0)), None, "a model without a risk head");
        let percentile = Ceiling::parse("percentile=99").unwrap();
        let told = percentile.broken_by(&response(None, 99.48)).unwrap();
        assert_eq!(told, "its percentile, 99.4%, is above 99%", "as an answer tells it");
        for ceiling in [risk, percentile] {
            let told = ceiling.broken_by(&ScoreResponse { reference: 0, ..response(None, 0.0) }).unwrap();
            assert!(told.contains("not judged"), "{told}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "risk", "risk=", "risk=2", "risk=-1", "percentile=101", "churn=1", "risk=NaN", "risk=0.2=1"] {
            assert!(Ceiling::parse(text).is_err(), "{text}");
        }
        assert!(Ceiling::parse("percentile=0.99").unwrap_err().contains("write percentile=99 "));
        assert!(Ceiling::parse("percentile=1").is_err() && Ceiling::parse("percentile=0").is_ok());
    }
}
