//! `--top`: the most unusual of many answers, of which no more are kept than are asked for.

use prowl_proto::v1::ScoreResponse;

/// An answer, and the title of its document.
type Answer = (ScoreResponse, Option<String>);

/// The most unusual answers so far.
#[derive(Debug)]
pub(crate) struct Top {
    most: usize,
    /// The most unusual first; of equal ones the first that came.
    pub(crate) answers: Vec<Answer>,
}

impl Top {
    /// None yet, and at most so many.
    pub(crate) fn of(most: usize) -> Self {
        Self { most, answers: Vec::new() }
    }

    /// Keeps an answer, unless as many are more unusual.
    pub(crate) fn take(&mut self, answer: Answer) {
        // What was not judged has neither, and comes last.
        let rank = |(response, _): &Answer| (response.percentile, response.anomaly);
        let place = self.answers.partition_point(|kept| rank(kept) >= rank(&answer));
        if place < self.most {
            self.answers.insert(place, answer);
            self.answers.truncate(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_unusual_are_kept_in_their_order() {
        let mut top = Top::of(4);
        let given = [
            (None, None),
            (Some(50.0), Some(2.0)),
            (Some(99.99), Some(7.0)),
            (Some(50.0), Some(2.0)),
            (Some(99.99), Some(8.0)),
            (Some(10.0), Some(1.0)),
            (Some(50.0), Some(2.0)),
        ];
        let mut most = 0;
        for (number, (percentile, anomaly)) in (1..).zip(given) {
            top.take((ScoreResponse { number, percentile, anomaly, ..ScoreResponse::default() }, None));
            most = most.max(top.answers.len());
        }
        let numbers: Vec<_> = top.answers.iter().map(|(response, _)| response.number).collect();
        assert_eq!((numbers, most), (vec![5, 3, 2, 4], 4));
    }

    #[test]
    fn what_was_not_judged_comes_last() {
        let mut top = Top::of(2);
        for percentile in [None, Some(0.0)] {
            top.take((ScoreResponse { percentile, ..ScoreResponse::default() }, None));
        }
        assert_eq!(top.answers[0].0.percentile, Some(0.0));
    }
}
