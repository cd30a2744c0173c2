//! From the opinions of the views to one anomaly score, and to its percentile.

use crate::percentiles::Percentiles;
use crate::tensors::{Reader, Writer};
use crate::views::{OPINIONS, Opinion};
use crate::{ArtifactError, Reference};

/// Points of the curve of one repository, at most.
const REPOSITORY_POINTS: usize = 256;

/// A repository has percentiles of its own from so many rows on; with fewer, 5% of them would be too few to tell where the
/// highest begin.
const REPOSITORY_ROWS: usize = 100;

/// What scores are usual, for each view, for all of them together, and for single repositories.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Of the opinions, in their order.
    pub opinions: Vec<Percentiles>,
    /// Of the anomaly scores.
    pub anomaly: Percentiles,
    /// Of the anomaly scores of single repositories, in the order of
    /// [`Metadata::repositories`](crate::Metadata::repositories).
    pub repositories: Vec<Percentiles>,
}

impl Calibration {
    /// Calibrates by the opinions on some rows, each beside the name of its repository. Gives the names of the repositories
    /// that have enough rows, too, in order; `None` without a row, or with a score that is not finite.
    pub fn of(rows: &[([f32; OPINIONS], &str)]) -> Option<(Self, Vec<String>)> {
        let curve = |view: usize| Percentiles::of(rows.iter().map(|(scores, _)| scores[view]).collect());
        let opinions = (0..OPINIONS).map(curve).collect::<Option<Vec<_>>>()?;
        let joined: Vec<f32> = rows.iter().map(|(scores, _)| power_mean(&surprises(&opinions, scores))).collect();
        let anomaly = Percentiles::of(joined.clone())?;
        let mut by_repository = std::collections::BTreeMap::<&str, Vec<f32>>::new();
        for ((_, repository), &score) in rows.iter().zip(&joined) {
            by_repository.entry(repository).or_default().push(score);
        }
        by_repository.retain(|_, scores| scores.len() >= REPOSITORY_ROWS);
        let names = by_repository.keys().map(|name| (*name).to_owned()).collect();
        let thinned = |scores| Percentiles::of(scores).map(|curve| curve.thinned(REPOSITORY_POINTS));
        let repositories = by_repository.into_values().map(thinned).collect::<Option<Vec<_>>>()?;
        Some((Self { opinions, anomaly, repositories }, names))
    }

    /// The anomaly score of these scores of the views.
    pub fn joined(&self, scores: &[f32; OPINIONS]) -> f32 {
        power_mean(&surprises(&self.opinions, scores))
    }

    /// The anomaly score, and each input's share of it.
    ///
    /// A view counts by how rare its opinion is: by the negative logarithm of the share of rows of which it thinks as ill.
    /// The anomaly score is the fourth root of the mean of their fourth powers, which lies nearer to the largest than to the
    /// mean: one view that is sure outweighs four that shrug. Each input has the shares that the views give it, in
    /// proportion to the fourth powers.
    pub fn anomaly(&self, opinions: &[Opinion]) -> (f32, Vec<f32>) {
        let scores: Vec<f32> = opinions.iter().map(|opinion| opinion.score).collect();
        let surprises = surprises(&self.opinions, &scores);
        let mut shares = vec![0.0; opinions.first().map_or(0, |opinion| opinion.shares.len())];
        // A view that gives no share to any input has none to give.
        let heard = |opinion: &Opinion| opinion.shares.iter().any(|&share| share > 0.0);
        let powers = || surprises.iter().map(|surprise| fourth_power(*surprise)).zip(opinions);
        let powers = || powers().filter(|(_, opinion)| heard(opinion));
        let sum: f32 = powers().map(|(power, _)| power).sum();
        if sum > 0.0 {
            for (power, opinion) in powers() {
                let factor = power / sum;
                for (share, part) in shares.iter_mut().zip(&opinion.shares) {
                    *share += factor * part;
                }
            }
        }
        (power_mean(&surprises), shares)
    }

    /// The percentile of an anomaly score, and among what: the rows of the repository at this place, where it has a curve
    /// of its own, or all.
    pub fn percentile(&self, anomaly: f32, repository: Option<usize>) -> (f32, Reference) {
        match repository.and_then(|place| self.repositories.get(place)) {
            Some(curve) => (curve.of_score(anomaly), Reference::Repository),
            None => (self.anomaly.of_score(anomaly), Reference::All),
        }
    }

    /// The anomaly scores of all rows at the percentiles 0, 1, 2, … 100; shape (101).
    pub fn anomaly_quantiles(&self) -> Vec<f32> {
        (0..=100).map(|percentile| self.anomaly.score_at(percentile as f32)).collect()
    }

    fn curves(&self) -> impl Iterator<Item = (String, &Percentiles)> {
        let opinions = self.opinions.iter().enumerate().map(|(view, curve)| (opinion_name(view), curve));
        let repositories = self.repositories.iter().enumerate().map(|(place, curve)| (repository_name(place), curve));
        opinions.chain([(ANOMALY.to_owned(), &self.anomaly)]).chain(repositories)
    }

    pub(crate) fn write(&self, tensors: &mut Writer) {
        for (name, curve) in self.curves() {
            curve.write(&name, tensors);
        }
    }

    pub(crate) fn read(repositories: usize, tensors: &Reader<'_>) -> Result<Self, ArtifactError> {
        let curve = |name: String| Percentiles::read(&name, tensors);
        Ok(Self {
            opinions: (0..OPINIONS).map(|view| curve(opinion_name(view))).collect::<Result<_, _>>()?,
            anomaly: curve(ANOMALY.to_owned())?,
            repositories: (0..repositories).map(|place| curve(repository_name(place))).collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn check(&self, repositories: &[String]) -> Result<(), ArtifactError> {
        let counts = (self.opinions.len(), self.repositories.len());
        ArtifactError::unless(counts == (OPINIONS, repositories.len()), "percentiles", || {
            format!("it has {} opinions and {} repositories", counts.0, counts.1)
        })?;
        ArtifactError::unless(repositories.is_sorted_by(|a, b| a < b), "percentiles", || {
            "its repositories are in no order".to_owned()
        })?;
        self.curves().try_for_each(|(name, curve)| curve.check(&name))
    }
}

const ANOMALY: &str = "percentiles.anomaly";

fn opinion_name(view: usize) -> String {
    format!("percentiles.opinion.{view}")
}

fn repository_name(place: usize) -> String {
    format!("percentiles.repository.{place}")
}

fn surprises(curves: &[Percentiles], scores: &[f32]) -> Vec<f32> {
    curves.iter().zip(scores).map(|(curve, &score)| curve.surprise(score)).collect()
}

fn fourth_power(value: f32) -> f32 {
    (value * value) * (value * value)
}

/// The power mean of the exponent 4.
fn power_mean(values: &[f32]) -> f32 {
    (values.iter().map(|&value| fourth_power(value)).sum::<f32>() / values.len().max(1) as f32).sqrt().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Numbers;

    fn rows(count: usize) -> Vec<([f32; OPINIONS], &'static str)> {
        let mut numbers = Numbers::new(7);
        let row = |row: usize| {
            let scores = [numbers.next().abs(); OPINIONS];
            if row.is_multiple_of(3) { (scores.map(|score| 5.0 + score), "o/wild") } else { (scores, "o/calm") }
        };
        (0..count).map(row).collect()
    }

    fn opinion(score: f32, shares: [f32; 2]) -> Opinion {
        Opinion { score, shares: shares.to_vec() }
    }

    #[test]
    fn views_that_are_sure_are_heard_and_share_out_what_they_say() {
        let (calibration, _) = Calibration::of(&rows(600)).unwrap();
        let calm = || opinion(0.0, [0.0, 1.0]);
        let (none, shares) = calibration.anomaly(&[calm(), calm(), calm(), calm(), calm()]);
        assert_eq!((none, shares), (0.0, vec![0.0; 2]));
        let (one, shares) = calibration.anomaly(&[opinion(5.99, [1.0, 0.0]), calm(), calm(), calm(), calm()]);
        assert!((shares[0] - 1.0).abs() < 1e-6, "{shares:?}");
        let sure = || opinion(5.99, [0.0, 1.0]);
        let (two, shares) = calibration.anomaly(&[opinion(5.99, [1.0, 0.0]), sure(), calm(), calm(), calm()]);
        assert!((two / one - 2.0_f32.powf(0.25)).abs() < 0.05, "{one} {two}");
        assert!(shares[0] > 0.3 && shares[1] > 0.3, "{shares:?}");
    }

    #[test]
    fn a_repository_with_enough_rows_has_percentiles_of_its_own() {
        let (calibration, names) = Calibration::of(&rows(900)).unwrap();
        calibration.check(&names).unwrap();
        assert_eq!(names, ["o/calm", "o/wild"]);
        let score = calibration.anomaly(&[0; OPINIONS].map(|_| opinion(0.9, [1.0, 0.0]))).0;
        let [all, calm, wild] = [None, Some(0), Some(1)].map(|place| calibration.percentile(score, place));
        assert_eq!([all.1, calm.1, wild.1], [Reference::All, Reference::Repository, Reference::Repository]);
        assert!(wild.0 < 1.0 && calm.0 > 85.0 && (40.0..80.0).contains(&all.0), "{wild:?} {calm:?} {all:?}");

        let (calibration, names) = Calibration::of(&rows(297)).unwrap();
        assert_eq!((names, calibration.repositories.len()), (vec!["o/calm".to_owned()], 1), "99 rows are too few");
        assert_eq!(Calibration::of(&[]), None);
        assert_eq!(Calibration::of(&[([f32::NAN; OPINIONS], "")]), None);
    }

    #[test]
    fn curves_that_do_not_fit_are_refused() {
        let (calibration, names) = Calibration::of(&rows(900)).unwrap();
        let refused = |change: fn(&mut Calibration, &mut Vec<String>)| {
            let (mut calibration, mut names) = (calibration.clone(), names.clone());
            change(&mut calibration, &mut names);
            calibration.check(&names).is_err()
        };
        assert!(refused(|_, names| drop(names.pop())));
        assert!(refused(|_, names| names.reverse()));
        assert!(refused(|_, names| names[1] = names[0].clone()));
        assert!(refused(|calibration, _| drop(calibration.opinions.pop())));
    }

    #[test]
    fn a_view_that_gives_no_input_a_share_is_not_shared_out() {
        let (calibration, _) = Calibration::of(&rows(600)).unwrap();
        let calm = || opinion(0.0, [0.0, 1.0]);
        let silent = opinion(5.99, [0.0, 0.0]);
        let (_, shares) = calibration.anomaly(&[silent, opinion(5.99, [0.25, 0.75]), calm(), calm(), calm()]);
        assert!((shares[0] - 0.25).abs() < 1e-6 && (shares[1] - 0.75).abs() < 1e-6, "{shares:?}");
    }

    #[test]
    fn scores_alone_are_joined_as_the_opinions_are() {
        let (calibration, _) = Calibration::of(&rows(600)).unwrap();
        let scores = [0.3, 0.9, 5.5, 0.1, 2.0];
        let (anomaly, _) = calibration.anomaly(&scores.map(|score| opinion(score, [1.0, 0.0])));
        assert_eq!(calibration.joined(&scores), anomaly);
        // The fourth root of 81, and of a quarter of it.
        assert_eq!([power_mean(&[3.0; 4]), power_mean(&[0.0, 0.0, 0.0, 3.0])], [3.0, 4.5_f32.sqrt()]);
    }

    #[test]
    fn the_quantiles_are_those_of_each_percent() {
        let (calibration, _) = Calibration::of(&rows(600)).unwrap();
        let quantiles = calibration.anomaly_quantiles();
        assert_eq!((quantiles.len(), quantiles[95]), (101, calibration.anomaly.score_at(95.0)));
        assert!(quantiles.is_sorted() && quantiles[0] < quantiles[100], "{quantiles:?}");
    }
}
