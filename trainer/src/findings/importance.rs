//! What a head looks at: how much worse it does on the test slice when the values of one input are shuffled among the rows
//! (Breiman, "Random forests", 2001). Inputs that tell alike share what they are worth, and each may look small.

use prowl_model::Input;
use rand::{SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};
use rayon::prelude::*;

/// Rows that are shuffled at most, the newest.
pub(crate) const ROWS: usize = 4000;

/// Shuffles of each input; their mean counts.
const REPEATS: u64 = 5;

/// What an input is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Importance {
    /// None for the tokens that tell the kind of a change.
    pub(crate) input: Option<Input>,
    /// Drop of the figure when it is shuffled, or its share; its unit is that of the figure.
    pub(crate) value: f64,
}

impl Importance {
    /// The most important first; of equal ones the first stays first.
    pub(crate) fn sorted(mut importances: Vec<Self>) -> Vec<Self> {
        importances.sort_by(|a, b| b.value.total_cmp(&a.value));
        importances
    }
}

/// How much a figure drops when `shuffled` gives it for rows that take the input from the row at these places.
pub(crate) fn drops(
    inputs: &[Option<Input>],
    rows: usize,
    seed: u64,
    measured: f64,
    shuffled: impl Fn(Option<Input>, &[usize]) -> f64 + Sync,
) -> Vec<Importance> {
    let drop = |(stream, &input): (usize, &Option<Input>)| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream as u64);
        let mut places: Vec<usize> = (0..rows).collect();
        let mut figure = || {
            places.shuffle(&mut random);
            shuffled(input, &places)
        };
        let sum: f64 = (0..REPEATS).map(|_| figure()).sum();
        Importance { input, value: measured - sum / REPEATS as f64 }
    };
    Importance::sorted(inputs.par_iter().enumerate().map(drop).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_figure_reads_is_worth_something_and_what_it_does_not_is_not() {
        let values: Vec<bool> = (0..200).map(|row| row % 2 == 0).collect();
        let figure = |input: Option<Input>, places: &[usize]| {
            let own = |row: usize| if input == Some(Input::Feature(1)) { values[places[row]] } else { values[row] };
            values.iter().enumerate().filter(|&(row, value)| own(row) == *value).count() as f64 / 200.0
        };
        let inputs = [Some(Input::Feature(0)), Some(Input::Feature(1))];
        let drops = drops(&inputs, 200, 7, 1.0, figure);
        assert_eq!(drops[0].input, inputs[1]);
        assert!((drops[0].value - 0.5).abs() < 0.1, "{drops:?}");
        assert_eq!(drops[1].value, 0.0);
    }
}
