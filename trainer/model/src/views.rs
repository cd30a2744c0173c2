//! The views that judge a vector, each by a thought of its own: what one misses, another sees.
//!
//! | view | stands out |
//! |---|---|
//! | network | what the network does not reconstruct |
//! | neighbours, twice | what lies far from most, and what lies far from all |
//! | covariance | what does not go together with the rest |
//! | forest | what few splits isolate |

use crate::model::Inputs;
use crate::sketch::Sketch;
use crate::tensors::{Reader, Writer};
use crate::walks::Walks;
use crate::{ArtifactError, Covariance, Forest, Neighbours, Surprise};

/// Number of opinions.
pub const OPINIONS: usize = 5;

/// All that judges, beside the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Views {
    /// Judges what the network reconstructs.
    pub surprise: Surprise,
    /// Judges the distance to others.
    pub neighbours: Neighbours,
    /// Judges what goes together.
    pub covariance: Covariance,
    /// Judges how soon a vector is isolated.
    pub forest: Forest,
}

/// What is worked out once of the views that look much up.
#[derive(Clone, Debug, PartialEq)]
pub struct Tables {
    /// Of the points among which neighbours are looked for.
    pub sketch: Option<Sketch>,
    /// Through the forest.
    pub walks: Walks,
}

impl Tables {
    /// Of views that were checked.
    pub(crate) fn of(views: &Views) -> Self {
        let weights: Vec<f32> = views.surprise.habits.iter().map(|habit| habit.weight).collect();
        Self { sketch: Sketch::of(&views.neighbours.points, &weights), walks: Walks::of(&views.forest) }
    }
}

/// One vector as the views look at it.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// Scaled inputs, 0 where unknown.
    pub scaled: &'a [f32],
    /// Which of them are known.
    pub known: &'a [bool],
    /// How much each counts: 0 where unknown, all together 1 where any is known.
    pub weights: Vec<f32>,
}

/// What a view says of a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Opinion {
    /// The more, the more unusual; at least 0, and 0 where nothing is known. Comparable within one view of one model.
    pub score: f32,
    /// Each input's share of it; they sum to 1, or to 0.
    pub shares: Vec<f32>,
}

impl Opinion {
    /// Makes shares of parts, which are at least 0.
    pub(crate) fn new(score: f32, mut parts: Vec<f32>) -> Self {
        let sum = sum(&parts);
        let factor = if sum > 0.0 { 1.0 / sum } else { 0.0 };
        for part in &mut parts {
            *part *= factor;
        }
        Self { score, shares: parts }
    }
}

/// Values that are summed side by side.
const LANES: usize = 8;

/// The sum in lanes, so that it has one fixed order and wide registers serve.
pub(crate) fn sum(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value;
        }
    }
    for (sum, value) in sums.iter_mut().zip(rest) {
        *sum += value;
    }
    sums.iter().sum()
}

impl Views {
    /// A vector as the views look at it.
    pub fn view<'a>(&self, inputs: &'a Inputs) -> View<'a> {
        View { scaled: &inputs.scaled, known: &inputs.known, weights: self.weights(&inputs.known) }
    }

    /// The opinions on a vector, in the order of the table above.
    pub fn opinions(&self, inputs: &Inputs, reconstruction: &[f32]) -> [Opinion; OPINIONS] {
        let view = self.view(inputs);
        let [most, all] = self.neighbours.opinions(&view);
        let (covariance, forest) = (self.covariance.opinion(&view), self.forest.opinion(&view));
        [self.surprise.opinion(&view, reconstruction), most, all, covariance, forest]
    }

    /// The opinions on each of some vectors, whose reconstructions stand one after the other. The same, but for the
    /// last bits of shares, with tables that make it faster. Each view looks at all of them before the next does, so
    /// that what it looks up stays in the cache.
    pub fn opinions_by(&self, tables: &Tables, inputs: &[Inputs], reconstructions: &[f32]) -> Vec<[Opinion; OPINIONS]> {
        let views: Vec<_> = inputs.iter().map(|inputs| self.view(inputs)).collect();
        let reconstructions = reconstructions.chunks_exact(self.surprise.habits.len().max(1));
        let surprises: Vec<_> = views
            .iter()
            .zip(reconstructions)
            .map(|(view, reconstruction)| self.surprise.opinion(view, reconstruction))
            .collect();
        let near: Vec<_> = views.iter().map(|view| self.neighbours.opinions_by(tables.sketch.as_ref(), view)).collect();
        let covariances = self.covariance.opinions(&views);
        let forests = views.iter().map(|view| tables.walks.opinion(view));
        let all = surprises.into_iter().zip(near).zip(covariances).zip(forests);
        all.map(|(((network, [most, all]), covariance), forest)| [network, most, all, covariance, forest]).collect()
    }

    /// How much each input counts, where these are known.
    pub fn weights(&self, known: &[bool]) -> Vec<f32> {
        let habits = self.surprise.habits.iter().zip(known);
        let mut weights: Vec<f32> = habits.map(|(habit, &known)| if known { habit.weight } else { 0.0 }).collect();
        let sum = sum(&weights);
        for weight in &mut weights {
            *weight /= if sum > 0.0 { sum } else { 1.0 };
        }
        weights
    }

    pub(crate) fn write(&self, tensors: &mut Writer) {
        self.surprise.write(tensors);
        self.neighbours.write(tensors);
        self.covariance.write(tensors);
        self.forest.write(tensors);
    }

    pub(crate) fn read(tensors: &Reader<'_>) -> Result<Self, ArtifactError> {
        Ok(Self {
            surprise: Surprise::read(tensors)?,
            neighbours: Neighbours::read(tensors)?,
            covariance: Covariance::read(tensors)?,
            forest: Forest::read(tensors)?,
        })
    }

    pub(crate) fn check(&self, inputs: usize) -> Result<(), ArtifactError> {
        self.surprise.check(inputs)?;
        self.neighbours.check(inputs)?;
        self.covariance.check(inputs)?;
        self.forest.check(inputs)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fixture;

    /// A vector of which all known inputs count alike.
    pub(crate) fn view<'a>(scaled: &'a [f32], known: &'a [bool]) -> View<'a> {
        let count = known.iter().filter(|known| **known).count().max(1);
        let weights = known.iter().map(|&known| if known { 1.0 / count as f32 } else { 0.0 }).collect();
        View { scaled, known, weights }
    }

    #[test]
    fn lanes_hold_all_values() {
        for count in [0_u8, 7, 8, 20] {
            let values: Vec<f32> = (1..=count).map(f32::from).collect();
            assert_eq!(sum(&values), f32::from(count) * f32::from(count + 1) / 2.0, "{count}");
        }
    }

    #[test]
    fn the_weights_of_the_known_sum_to_one() {
        let mut views = fixture::parts().views;
        views.surprise.habits[1].weight = 3.0;
        let mut known = vec![false; views.surprise.habits.len()];
        assert!(views.weights(&known).iter().all(|&weight| weight == 0.0));
        (known[0], known[1]) = (true, true);
        assert_eq!(views.weights(&known)[..3], [0.25, 0.75, 0.0]);
    }

    #[test]
    fn every_view_is_heard_and_none_judges_the_unknown() {
        let views = fixture::parts().views;
        let width = views.surprise.habits.len();
        let mut inputs = Inputs { scaled: vec![4.0; width], known: vec![true; width] };
        (inputs.scaled[2], inputs.known[2]) = (0.0, false);
        for (number, opinion) in views.opinions(&inputs, &vec![0.0; width]).into_iter().enumerate() {
            assert!(opinion.score > 0.0 && opinion.shares[2] == 0.0, "{number}: {opinion:?}");
            assert!((opinion.shares.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{number}: {opinion:?}");
        }
        inputs = Inputs { scaled: vec![0.0; width], known: vec![false; width] };
        for opinion in views.opinions(&inputs, &vec![0.0; width]) {
            assert_eq!(opinion, Opinion { score: 0.0, shares: vec![0.0; width] });
        }
    }
}
