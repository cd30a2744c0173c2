//! The words for an answer, or for what is wrong with a request, that every text for people has in common: the client's, a check
//! run's, a reason's.

use prost_types::Timestamp;
use prowl_proto::v1::{GetModelResponse, Reference, RiskBand, ScoreResponse};

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

/// What reasons compare with: the changes that the model knows, where their end is told.
pub fn usual(known_to: Option<&Timestamp>) -> String {
    known_to.map_or_else(|| "the usual".to_owned(), |end| format!("the changes up to {}", day(end)))
}

/// What to say of a model whose risk was of no use on later pull requests, by what was measured in training.
pub fn weak_risk(model: &GetModelResponse) -> Option<String> {
    let metric = |name: &str| model.metrics.get(name).copied();
    let (auc, reverted) = (metric("risk_test_auc")?, metric("risk_test_reverted")?);
    let churn = metric("risk_test_churn_auc").filter(|churn| auc < *churn);
    // 95% of a normal distribution.
    let (than, beside) = if auc - 1.96 * auc_error(auc, reverted, metric("risk_test_rows")? - reverted) <= 0.5 {
        ("chance", String::new())
    } else {
        ("lines changed alone", format!(" against {:.2}", churn?))
    };
    Some(format!(
        "the risk of this model was no better than {than} on later pull requests (AUC {auc:.2}{beside}, {reverted} taken back)"
    ))
}

/// The standard error of an AUC (Hanley and McNeil, 1982).
fn auc_error(auc: f64, positives: f64, negatives: f64) -> f64 {
    let square = auc * auc;
    let (of_positives, of_negatives) = (auc / (2.0 - auc) - square, 2.0 * square / (1.0 + auc) - square);
    let variance = auc - square + (positives - 1.0) * of_positives + (negatives - 1.0) * of_negatives;
    (variance / (positives * negatives)).sqrt()
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
pub fn percentile(value: f32) -> String {
    let (digits, scale) = if value >= 99.0 { (1, 10.0) } else { (0, 1.0) };
    // What the nearest float lacks to 99.9 is no reason to show 99.8.
    let value = (f64::from(value) * scale + 1e-3).floor() / scale;
    format!("{value:.digits$}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_risk_that_was_of_no_use_is_told() {
        let told = |auc: f64, churn: f64, reverted: f64| {
            let metrics = [("auc", auc), ("churn_auc", churn), ("reverted", reverted), ("rows", 878.0)];
            let metrics = metrics.map(|(name, value)| (format!("risk_test_{name}"), value)).into();
            weak_risk(&GetModelResponse { metrics, ..GetModelResponse::default() })
        };
        let begin = "the risk of this model was no better than";
        let chance = format!("{begin} chance on later pull requests (AUC 0.56, 7 taken back)");
        assert_eq!(told(0.562, 0.613, 7.0), Some(chance));
        assert_eq!(told(0.7, 0.6, 300.0), None);
        assert!(told(0.7, 0.6, 7.0).unwrap().starts_with(&format!("{begin} chance")), "of so few it may be chance");
        let churn =
            format!("{begin} lines changed alone on later pull requests (AUC 0.70 against 0.75, 300 taken back)");
        assert_eq!(told(0.7, 0.75, 300.0), Some(churn));
        assert_eq!(weak_risk(&GetModelResponse::default()), None);
    }

    #[test]
    fn the_standard_error_of_an_auc_is_that_of_hanley_and_mcneil() {
        // The example of their paper: 51 positives, 58 negatives.
        assert!((auc_error(0.893, 51.0, 58.0) - 0.032).abs() < 1e-3);
    }

    #[test]
    fn percentiles_are_never_rounded_up() {
        assert_eq!(percentile(98.96), "98%");
        assert_eq!(percentile(99.88), "99.8%");
        assert_eq!(percentile(99.9), "99.9%");
        assert_eq!(percentile(99.99), "99.9%");
    }
}
