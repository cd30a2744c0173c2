//! Statistics and drift as a person reads them, in at most 100 columns of text.

use std::fmt;

use super::drift::{ColumnDrift, Drift, Glance, Reading};
use super::{ColumnStatistics, RunStatistics, Values};

/// Names that are told one by one.
const NAMES: usize = 3;

impl fmt::Display for RunStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<26}{:>8}", "column", "missing")?;
        for heading in ["min", "5%", "median", "95%", "max", "mean", "distinct"] {
            write!(f, "{heading:>9}")?;
        }
        self.columns.iter().try_for_each(|column| write!(f, "\n{column}"))
    }
}

impl fmt::Display for ColumnStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<26}{:>8}", self.name, percent(self.missing_share()))?;
        match &self.values {
            Values::Numbers(numbers) => {
                let quantiles = numbers.quantiles.map(|quantiles| [quantiles.p5, quantiles.p50, quantiles.p95]);
                let [p5, p50, p95] = quantiles.map_or([None; 3], |quantiles| quantiles.map(Some));
                for value in [numbers.min, p5, p50, p95, numbers.max] {
                    write!(f, "{:>9}", value.map_or_else(|| "-".to_owned(), |value| number(value.into())))?;
                }
                let mean = numbers.mean.map_or_else(|| "-".to_owned(), number);
                write!(f, "{mean:>9}{:>9}", number(numbers.distinct as f64))
            }
            Values::Names(_) => {
                let names = Glance::of(self).names;
                let told = names.iter().take(NAMES).map(|(name, share)| format!("{name} {}", percent(*share)));
                write!(f, "  {}", told.collect::<Vec<_>>().join(", "))?;
                if names.len() > NAMES { write!(f, ", {} more", names.len() - NAMES) } else { Ok(()) }
            }
        }
    }
}

impl Drift {
    /// The farthest `most` columns of those that are not steady, and how many there are of each reading.
    pub(crate) fn table(&self, most: usize) -> impl fmt::Display {
        let Self { against, rows, columns } = self;
        let of = |reading| columns.iter().filter(|column| Reading::of(column.psi) == reading).count();
        let (shifted, moved, steady) = (of(Reading::Shifted), of(Reading::Moved), of(Reading::Steady));
        let mut lines = vec![format!(
            "drift from {against}: of {} columns {shifted} shifted, {moved} moved, {steady} steady",
            columns.len()
        )];
        let far: Vec<_> = columns.iter().filter(|column| Reading::of(column.psi) > Reading::Steady).collect();
        for column in far.iter().take(most) {
            let reading = Reading::of(column.psi);
            lines.push(format!("  {:<25}{:>7.2} {reading:<7} {column}", column.column, column.psi));
        }
        if far.len() > most {
            lines.push(format!("  and {} more", far.len() - most));
        }
        let chance = by_chance(*rows);
        if chance > 0.02 && !far.is_empty() {
            lines.push(format!("  of {} and {} rows, chance alone makes about {chance:.2}", rows.0, rows.1));
        }
        lines.join("\n")
    }
}

/// The index that rows of one and the same kind may come to, of some ten bins ([`Drift::between`]).
fn by_chance((before, now): (u64, u64)) -> f64 {
    10.0 * (1.0 / before.max(1) as f64 + 1.0 / now.max(1) as f64)
}

/// What a column held and holds.
impl fmt::Display for ColumnDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, now, .. } = self;
        let mut changes = Vec::new();
        let missing = [before, now].map(|glance| percent(glance.missing));
        if missing[0] != missing[1] {
            changes.push(format!("missing {} → {}", missing[0], missing[1]));
        }
        let known = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
        if before.median != now.median {
            let median = |glance: &Glance| known(glance.median.map(f64::from));
            changes.push(format!("median {} → {}", median(before), median(now)));
        } else if before.mean.is_some() {
            changes.push(format!("mean {} → {}", known(before.mean), known(now.mean)));
        }
        if let Some((name, then, now)) = self.name_that_changed_most() {
            changes.push(format!("{name} {} → {}", percent(then), percent(now)));
        }
        f.write_str(&changes.join(", "))
    }
}

impl ColumnDrift {
    /// A name and its shares before and now.
    fn name_that_changed_most(&self) -> Option<(&str, f64, f64)> {
        let share = |glance: &Glance, name: &str| {
            glance.names.iter().find(|(known, _)| known == name).map_or(0.0, |(_, share)| *share)
        };
        let names = self.before.names.iter().chain(&self.now.names).map(|(name, _)| name.as_str());
        let changes = names.map(|name| (name, share(&self.before, name), share(&self.now, name)));
        changes.max_by(|a, b| (a.2 - a.1).abs().total_cmp(&(b.2 - b.1).abs()))
    }
}

fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// At most 8 characters.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e6).contains(&size) => format!("{value:.1e}"),
        _ if value.fract() == 0.0 => format!("{value}"),
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_their_place() {
        for (value, told) in [
            (0.0, "0"),
            (-0.0, "0"),
            (3.0, "3"),
            (-999_999.0, "-999999"),
            (1e6, "1.0e6"),
            (-1.24e-38, "-1.2e-38"),
            (0.001_25, "0.001"),
            (0.5, "0.500"),
            (12.345, "12.35"),
            (999.96, "1000.0"),
            (12_345.6, "12346"),
        ] {
            assert_eq!(number(value), told);
            assert!(told.len() <= 8);
        }
    }

    #[test]
    fn what_changed_most_is_told_first_and_the_rest_counted() {
        let glance = |missing, mean, median: f32, names: &[(&str, f64)]| Glance {
            missing,
            median: names.is_empty().then_some(median),
            mean: names.is_empty().then_some(mean),
            names: names.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect(),
        };
        let column = |name: &str, psi, before, now| ColumnDrift { column: name.into(), psi, before, now };
        let drift = Drift {
            against: "20260101T000000Z".into(),
            rows: (1000, 200),
            columns: vec![
                column("churn", 1.5, glance(0.0, 3.5, 3.0, &[]), glance(0.25, 70.25, 60.0, &[])),
                column(
                    "category",
                    0.2,
                    glance(0.5, 0.0, 0.0, &[("docs", 0.6), ("fix", 0.4)]),
                    glance(0.5, 0.0, 0.0, &[("fix", 0.9), ("docs", 0.05), ("ci", 0.05)]),
                ),
                column("commits", 0.01, glance(0.0, 1.0, 1.0, &[]), glance(0.0, 1.0, 1.0, &[])),
            ],
        };
        let told = drift.table(5).to_string();
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines.len(), 4, "{told}");
        assert!(lines[0].contains("20260101T000000Z: of 3 columns 1 shifted, 1 moved, 1 steady"), "{told}");
        assert!(lines[1].ends_with(" 1.50 shifted missing 0.0% → 25.0%, median 3 → 60"), "{told}");
        assert!(lines[2].ends_with(" 0.20 moved   docs 60.0% → 5.0%"), "{told}");
        assert!(lines[3].contains("of 1000 and 200 rows"), "{told}");
        assert!(drift.table(1).to_string().contains("and 1 more"));
        assert!(lines.iter().all(|line| line.chars().count() <= 100), "{told}");
    }
}
