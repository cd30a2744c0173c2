//! The model as a whole: from a vector to an answer.

use crate::score::{Contribution, Effect, Input, InputError, Score, Usual};
use crate::views::{OPINIONS, Opinion, Tables};
use crate::{
    ArtifactError, Bins, Calibration, CategoryHead, Clusters, Metadata, Network, RiskHead, Scaler, Text, Views,
};

/// What a model is made of. The network's inputs are the scaled features, in order, and then the dimensions of the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// What the model says of itself.
    pub metadata: Metadata,
    /// From raw values to inputs.
    pub scaler: Scaler,
    /// From tokens to inputs.
    pub text: Text,
    /// Reconstructs the inputs.
    pub network: Network,
    /// Judge how unusual a vector is.
    pub views: Views,
    /// What they say together, and what an anomaly score means.
    pub calibration: Calibration,
    /// How features were spread over the newest of what it has learnt from.
    pub bins: Bins,
    /// Tells the category, where there were enough declared ones to learn from.
    pub category: Option<CategoryHead>,
    /// Tells what a pull request without a category is like, where there were enough of them that fall into groups.
    pub clusters: Option<Clusters>,
    /// Tells the risk, where there were enough known outcomes to learn from.
    pub risk: Option<RiskHead>,
}

/// A model that was checked and can score.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    parts: Parts,
    tables: Tables,
}

impl Model {
    /// Puts a model together.
    ///
    /// # Errors
    /// The parts do not fit each other.
    pub fn from_parts(parts: Parts) -> Result<Self, ArtifactError> {
        let Parts { metadata, scaler, text, network, views, calibration, bins, category, clusters, risk } = &parts;
        let features = metadata.features.len();
        scaler.check(features)?;
        text.check()?;
        let inputs = features + text.dimensions();
        network.check(inputs)?;
        views.check(inputs)?;
        let Metadata { bands, categories, repositories, .. } = metadata;
        calibration.check(repositories)?;
        bins.check(features)?;
        if let Some(head) = category {
            head.check(categories.len(), features)?;
        }
        let heads = categories.is_empty() == category.is_none();
        ArtifactError::unless(heads, "category", || format!("the metadata names {} categories", categories.len()))?;
        if let Some(clusters) = clusters {
            clusters.check(metadata.clusters.len(), network.code_length())?;
        }
        let told = metadata.clusters.is_empty() == clusters.is_none();
        ArtifactError::unless(told, "clusters", || format!("the metadata tells of {}", metadata.clusters.len()))?;
        match (risk, &metadata.risk) {
            (Some(head), Some(info)) => head.check(info, features)?,
            (None, None) => {}
            _ => return Err(ArtifactError::tensor("risk", "the metadata does not tell of it".to_owned())),
        }
        let ordered = 0.0 <= bands.unusual && bands.unusual <= bands.very_unusual && bands.very_unusual <= 100.0;
        ArtifactError::unless(ordered, "bands", || {
            format!("{} and {} are no percentiles", bands.unusual, bands.very_unusual)
        })?;
        Ok(Self { tables: Tables::of(&parts.views), parts })
    }

    /// The values of a pull request of a repository that the model has not learnt from, as they are to be scored. What was
    /// the same in all that it has learnt from may well be another there, as whether changes come from forks: it counts as
    /// unknown, since nothing tells whether it is odd.
    pub fn comparable(&self, values: &[f32]) -> Vec<f32> {
        let columns = &self.parts.scaler.columns;
        values.iter().zip(columns).map(|(&value, column)| if column.is_constant() { f32::NAN } else { value }).collect()
    }

    /// What the model is made of.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// What is worked out once of its views.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Takes it apart.
    pub fn into_parts(self) -> Parts {
        self.parts
    }

    /// What the model says of itself.
    pub fn metadata(&self) -> &Metadata {
        &self.parts.metadata
    }

    /// Scores one pull request. The percentile is that among those of its repository, where the model has seen enough of it.
    /// Takes microseconds; the same input gives the same bits.
    ///
    /// # Errors
    /// The vector has another length than the model's list of features.
    pub fn score(&self, vector: &Vector<'_>) -> Result<Score, InputError> {
        let mut scores = self.score_all(std::slice::from_ref(vector))?;
        Ok(scores.pop().expect("one vector has one score"))
    }

    /// Scores some pull requests, to the same bits: several take less time than each by itself.
    ///
    /// # Errors
    /// A vector has another length than the model's list of features.
    pub fn score_all(&self, vectors: &[Vector<'_>]) -> Result<Vec<Score>, InputError> {
        let Parts { metadata, scaler, text, network, views, .. } = &self.parts;
        let expected = metadata.features.len();
        if let Some(wrong) = vectors.iter().find(|vector| vector.values.len() != expected) {
            let digest = metadata.features_digest.clone();
            return Err(InputError { found: wrong.values.len(), expected, digest });
        }
        let inputs: Vec<_> =
            vectors.iter().map(|vector| Inputs::of(scaler, text, vector.values, vector.tokens)).collect();
        let scaled = inputs.iter().map(|inputs| inputs.scaled.as_slice()).collect::<Vec<_>>().concat();
        let codes = network.code(&scaled);
        let reconstructions = network.decode(&codes);
        let opinions = views.opinions_by(&self.tables, &inputs, &reconstructions);
        let codes = codes.chunks_exact(network.code_length().max(1));
        let reconstructions = reconstructions.chunks_exact(network.inputs().max(1));
        let seen = inputs.iter().zip(codes).zip(reconstructions).zip(opinions);
        let seen =
            seen.map(|(((inputs, code), reconstruction), opinions)| Seen { inputs, code, reconstruction, opinions });
        Ok(vectors.iter().zip(seen).map(|(vector, seen)| self.judge(vector, &seen)).collect())
    }

    /// What all that was seen of a vector comes to.
    fn judge(&self, vector: &Vector<'_>, seen: &Seen<'_>) -> Score {
        let &Vector { values, kind_tokens, repository, .. } = vector;
        let &Seen { inputs, code, reconstruction, ref opinions } = seen;
        let Parts { metadata, scaler, calibration, category, clusters, risk, .. } = &self.parts;
        let features = values.len();
        let (anomaly, mut shares) = calibration.anomaly(opinions);
        let expected = scaler.unscale(reconstruction);
        let value = |index: usize| if values[index].is_finite() { values[index] } else { f32::NAN };
        let usual = |index: usize| {
            let column = &scaler.columns[index];
            if column.known { column.usual } else { Usual::UNKNOWN }
        };
        let of_text: f32 = shares[features..].iter().sum();
        shares.truncate(features);
        shares.push(of_text);
        let contribution = |index: usize| {
            let share = shares[index];
            if index < features {
                let (value, expected, usual) = (value(index), expected[index], usual(index));
                Contribution { input: Input::Feature(index), value, expected, usual, share }
            } else {
                let (value, expected, usual) = (f32::NAN, f32::NAN, Usual::UNKNOWN);
                Contribution { input: Input::Text, value, expected, usual, share }
            }
        };
        let contributions = largest_first(shares.iter().copied()).into_iter().map(contribution).collect();

        let (log_odds, risk) = match risk {
            Some(head) => {
                let (effects, probability) = head.effects_and_probability(values);
                (effects, Some(probability))
            }
            None => (Vec::new(), None),
        };
        let effect = |feature: usize| {
            let log_odds = log_odds[feature];
            Effect { feature, value: value(feature), usual: usual(feature), log_odds }
        };
        let effects = largest_first(log_odds.iter().map(|log_odds| log_odds.abs()));
        let effects = effects.into_iter().filter(|&feature| log_odds[feature] != 0.0).map(effect).collect();

        let place =
            repository.and_then(|name| metadata.repositories.binary_search_by(|other| other.as_str().cmp(name)).ok());
        let (percentile, among) = calibration.percentile(anomaly, place);
        Score {
            anomaly,
            percentile,
            among,
            band: metadata.bands.of(percentile),
            risk,
            effects,
            categories: category
                .as_ref()
                .map_or_else(Vec::new, |head| head.probabilities(&inputs.scaled[..features], kind_tokens)),
            cluster: clusters.as_ref().map(|clusters| clusters.nearest(code)),
            contributions,
        }
    }
}

/// What the parts of a model make of one vector.
struct Seen<'a> {
    inputs: &'a Inputs,
    code: &'a [f32],
    reconstruction: &'a [f32],
    opinions: [Opinion; OPINIONS],
}

/// Places of values from 0 on, of the largest first; those of equal ones in their order.
fn largest_first(values: impl Iterator<Item = f32>) -> Vec<usize> {
    // Of such values the bits are in order as well, but for those of a negative zero. In one number with the place they are
    // sorted without a look elsewhere.
    let key = |(value, place): (f32, u64)| u64::from(!(value + 0.0).to_bits()) << 32 | place;
    let mut keys: Vec<u64> = values.zip(0..).map(key).collect();
    keys.sort_unstable();
    keys.into_iter().map(|key| key as u32 as usize).collect()
}

/// One pull request as a model takes it.
#[derive(Clone, Copy, Debug)]
pub struct Vector<'a> {
    /// In the order of [`Metadata::features`]; NaN (or infinite) where unknown.
    pub values: &'a [f32],
    /// Hashed words, in any order.
    pub tokens: &'a [u32],
    /// Hashes of what tells its kind, in any order.
    pub kind_tokens: &'a [u32],
    /// `owner/name`, where it is known.
    pub repository: Option<&'a str>,
}

/// One vector as the network reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs {
    /// Scaled features, then the dimensions of the text; 0 where unknown.
    pub scaled: Vec<f32>,
    /// Which of them are known; an error counts only for these.
    pub known: Vec<bool>,
}

impl Inputs {
    /// Scales one vector.
    pub fn of(scaler: &Scaler, text: &Text, values: &[f32], tokens: &[u32]) -> Self {
        let inputs = scaler.columns.len() + text.dimensions();
        let (mut scaled, mut known) = (Vec::with_capacity(inputs), Vec::with_capacity(inputs));
        for value in scaler.scaled(values) {
            scaled.push(value.unwrap_or(0.0));
            known.push(value.is_some());
        }
        let words = text.vector(tokens);
        match text.project(&words) {
            Some(dimensions) => scaled.extend(dimensions),
            None => scaled.resize(inputs, 0.0),
        }
        known.resize(inputs, !words.is_empty());
        Self { scaled, known }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, FEATURES, Numbers, vector};
    use crate::{Band, Reference};

    #[test]
    fn shares_are_sorted_and_sum_to_one() {
        let model = fixture::model();
        let mut numbers = Numbers::new(3);
        for _ in 0..100 {
            let values =
                [numbers.next() * 30.0, numbers.next().abs() * 1e6, numbers.next().round().abs(), numbers.next()];
            let tokens: Vec<u32> = (0..7).map(|_| (numbers.next().abs() * 1e9) as u32).collect();
            let score = model.score(&vector(&values, &tokens)).unwrap();
            assert!(score.anomaly.is_finite() && score.anomaly > 0.0);
            assert!((0.0..100.0).contains(&score.percentile));
            let shares: Vec<f32> = score.contributions.iter().map(|contribution| contribution.share).collect();
            assert_eq!(shares.len(), FEATURES.len() + 1);
            assert!(
                shares.is_sorted_by(|a, b| a >= b) && (shares.iter().sum::<f32>() - 1.0).abs() < 1e-5,
                "{shares:?}"
            );
            assert!((score.categories.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{:?}", score.categories);
        }
    }

    #[test]
    fn several_have_the_bits_of_each_alone() {
        let model = fixture::model();
        let mut numbers = Numbers::new(11);
        let values: Vec<[f32; 4]> = (0..11).map(|_| std::array::from_fn(|_| numbers.next() * 30.0)).collect();
        let vectors: Vec<_> = values.iter().map(|values| vector(values, &[3, 9])).collect();
        let alone: Vec<_> = vectors.iter().map(|vector| model.score(vector).unwrap()).collect();
        assert_eq!(format!("{:?}", model.score_all(&vectors).unwrap()), format!("{alone:?}"));
        assert!(model.score_all(&[]).unwrap().is_empty());
        assert!(model.score_all(&[vectors[0], vector(&[1.0], &[])]).is_err());
    }

    #[test]
    fn the_unknown_says_nothing() {
        let model = fixture::model();
        let score = model.score(&vector(&[4.5, f32::NAN, 0.0, f32::NAN], &[])).unwrap();
        for contribution in &score.contributions {
            let unknown = matches!(contribution.input, Input::Feature(1 | 3) | Input::Text);
            assert_eq!(contribution.share == 0.0, unknown, "{contribution:?}");
        }
        // Never known in training: its value here is nothing to be judged by.
        let with_never = model.score(&vector(&[4.5, f32::NAN, 0.0, 12.0], &[])).unwrap();
        assert_eq!(with_never.anomaly.to_bits(), score.anomaly.to_bits());
        // Infinite is unknown, too.
        let infinite = model.score(&vector(&[4.5, f32::INFINITY, 0.0, f32::NEG_INFINITY], &[])).unwrap();
        assert_eq!(format!("{infinite:?}"), format!("{score:?}"));
        // With nothing known there is nothing unusual.
        let nothing = model.score(&vector(&[f32::NAN; 4], &[])).unwrap();
        assert_eq!((nothing.anomaly, nothing.band), (0.0, Band::Routine));
        assert!(nothing.contributions.iter().all(|contribution| contribution.share == 0.0));
    }

    #[test]
    fn a_contribution_tells_value_expectation_and_usual() {
        let model = fixture::model();
        let score = model.score(&vector(&[4.5, 300.0, 1.0, f32::NAN], &[1, 2])).unwrap();
        let of = |input| *score.contributions.iter().find(|contribution| contribution.input == input).unwrap();
        let heavy = of(Input::Feature(1));
        assert_eq!((heavy.value, heavy.usual), (300.0, model.parts().scaler.columns[1].usual));
        assert!((0.0..=90_000.0).contains(&heavy.expected), "within the range of training: {heavy:?}");
        let never = of(Input::Feature(3));
        assert!(never.expected.is_nan() && never.usual.median.is_nan() && never.value.is_nan());
        assert!(of(Input::Text).value.is_nan() && of(Input::Text).share > 0.0);
    }

    #[test]
    fn effects_are_those_of_the_head_the_strongest_first() {
        let model = fixture::model();
        let values = [20.0, 300.0, f32::INFINITY, 0.0];
        let effects = model.score(&vector(&values, &[])).unwrap().effects;
        let of_head = model.parts().risk.as_ref().unwrap().effects(&values);
        assert_eq!(effects.len(), 3, "the last feature does nothing: {effects:?}");
        assert!(effects.is_sorted_by(|a, b| a.log_odds.abs() >= b.log_odds.abs()), "{effects:?}");
        for effect in &effects {
            assert_eq!(effect.log_odds, of_head[effect.feature]);
            assert_eq!(effect.usual, model.parts().scaler.columns[effect.feature].usual);
            let value = values[effect.feature];
            assert!(if value.is_finite() { effect.value == value } else { effect.value.is_nan() }, "{effect:?}");
        }
    }

    #[test]
    fn the_percentile_is_that_of_the_repository_where_it_is_known() {
        let model = fixture::model();
        let score =
            |repository| model.score(&Vector { repository, ..vector(&[4.5, 300.0, 0.0, 0.0], &[1, 2]) }).unwrap();
        let [pooled, known, unknown] = [None, Some("o/known"), Some("o/unknown")].map(score);
        assert_eq!([pooled.among, known.among, unknown.among], [Reference::All, Reference::Repository, Reference::All]);
        assert_eq!(pooled.percentile, unknown.percentile);
        assert!(known.percentile < pooled.percentile, "{known:?} {pooled:?}");
        assert_eq!(known.anomaly, pooled.anomaly);
    }

    #[test]
    fn another_list_of_features_is_refused() {
        let message = fixture::model().score(&vector(&[1.0, 2.0], &[])).unwrap_err().to_string();
        assert!(
            message.contains("has 2 values") && message.contains("reads 4") && message.contains("0123"),
            "{message}"
        );
    }

    #[test]
    fn order_of_tokens_does_not_matter() {
        let model = fixture::model();
        let values = [4.5, 300.0, 1.0, 0.0];
        let there = model.score(&vector(&values, &[5, 1_000_003, 77, 12])).unwrap();
        let back = model.score(&vector(&values, &[12, 77, 1_000_003, 5])).unwrap();
        assert_eq!(there.anomaly.to_bits(), back.anomaly.to_bits());
        assert_eq!(there.categories, back.categories);
    }

    #[test]
    fn the_category_is_read_off_words_and_features() {
        let categories = |value: f32, tokens: &[u32]| {
            fixture::model().score(&vector(&[value, 0.0, 0.0, 0.0], tokens)).unwrap().categories
        };
        let before = categories(4.5, &[]);
        assert_ne!(categories(4.5, &[3]), before);
        assert_ne!(categories(9.5, &[]), before);
    }

    #[test]
    fn what_never_varied_is_unknown_in_another_repository() {
        let mut parts = fixture::parts();
        parts.scaler.columns[2].largest = 0.0;
        let values = Model::from_parts(parts).unwrap().comparable(&[1.0, 2.0, 1.0, 3.0]);
        assert!(values[2].is_nan(), "0 in all rows of training: {values:?}");
        assert_eq!([values[0], values[1], values[3]], [1.0, 2.0, 3.0], "the last was never known: it is not looked at");
    }

    #[test]
    fn the_largest_come_first_and_equal_ones_in_their_order() {
        assert_eq!(largest_first([0.0, -0.0, 1.0, 0.0, 0.5].into_iter()), [2, 4, 0, 1, 3]);
    }
}
