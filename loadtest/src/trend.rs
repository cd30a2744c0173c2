//! The history of verdicts in a store: `verdicts/<time>-<number>.json`, each by itself and never changed, as feedback is kept.

use prowl_platform::Store;

use crate::{Error, verdict::Verdict};

/// Keeps a verdict.
///
/// # Errors
/// The store does not take it.
pub async fn keep(store: &Store, verdict: &Verdict) -> Result<(), Error> {
    let text = serde_json::to_vec(verdict)
        .map_err(|error| Error::Verdict { name: "this one".to_owned(), reason: error.to_string() })?;
    store.add_verdict(text.into()).await?;
    Ok(())
}

/// The newest verdicts, the newest first. One that is damaged is told, and passed over.
///
/// # Errors
/// The store cannot be read.
pub async fn newest(store: &Store, most: usize) -> Result<Vec<Verdict>, Error> {
    let parsed = store.verdicts(most).await?.into_iter().filter_map(|(name, text)| {
        let verdict = serde_json::from_slice(&text);
        verdict.inspect_err(|error| tracing::warn!(name, %error, "a verdict cannot be read")).ok()
    });
    Ok(parsed.collect())
}

/// A line a verdict, for a person.
pub fn text(verdicts: &[Verdict]) -> String {
    if verdicts.is_empty() {
        return "no verdict is kept there: let the gate keep them by --keep".to_owned();
    }
    let mut lines = vec![format!(
        "{:<20}  {:<14}  {:<17}  {:>8}  {:>8}  {:>6}  {}",
        "when", "verdict", "version", "p99 ms", "to active", "PSI", "what did not hold"
    )];
    lines.extend(verdicts.iter().map(line));
    lines.join("\n")
}

fn line(verdict: &Verdict) -> String {
    let number = |number: Option<f64>| number.map_or("-".to_owned(), |number| format!("{number:.2}"));
    let race = verdict.race.as_ref();
    let broken: Vec<&str> =
        verdict.checks.iter().filter(|check| check.holds != Some(true)).map(|check| check.name.as_str()).collect();
    format!(
        "{:<20}  {:<14}  {:<17}  {:>8}  {:>8}  {:>6}  {}",
        verdict.began_at.get(..19).unwrap_or(&verdict.began_at),
        verdict.decision.words(),
        verdict.expected,
        number(race.map(|race| race.preview.p99)),
        number(race.and_then(|race| race.p99_ratio.as_ref()).map(|ratio| ratio.at)),
        number(verdict.answers.as_ref().and_then(|answers| answers.psi)),
        broken.join(", "),
    )
}
