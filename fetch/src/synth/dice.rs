//! Chance that repeats itself. The generator's cipher is fixed by its specification, and every draw below is made of
//! plain arithmetic here, because libraries may change how they draw a range or a normal value between releases:
//! the same seed has to give the same documents for good.

use rand::{Rng, SeedableRng, rngs::ChaCha8Rng};

pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Evenly from 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        (self.0.next_u64() >> 11) as f64 * STEP
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A whole number below `end`, which is at least 1.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.0.next_u64()) * end as u128) >> 64) as usize
    }

    /// A whole number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// One of several, each as often as its weight says.
    pub(crate) fn weighted<T: Copy>(&mut self, from: &[(T, f64)]) -> T {
        let total: f64 = from.iter().map(|(_, weight)| weight).sum();
        let mut left = self.unit() * total;
        for (value, weight) in from {
            left -= weight;
            if left < 0.0 {
                return *value;
            }
        }
        from[from.len() - 1].0
    }

    /// Standard normal (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Log-normal: half of the values below `median`, `spread` is the deviation of the logarithm.
    pub(crate) fn around(&mut self, median: f64, spread: f64) -> f64 {
        median * (spread * self.normal()).exp()
    }

    /// A place below `end`, the first far more often than the last.
    pub(crate) fn early(&mut self, end: usize) -> usize {
        let unit = self.unit();
        ((unit * unit * end as f64) as usize).min(end - 1)
    }

    pub(crate) fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits);
        while text.len() < digits {
            let bits = self.0.next_u64();
            for nibble in (0..16).take(digits - text.len()) {
                text.push(char::from(b"0123456789abcdef"[(bits >> (4 * nibble)) as usize & 15]));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_shape_they_promise() {
        let mut dice = Dice::new(1);
        let n = 20_000;
        let mean = (0..n).map(|_| dice.unit()).sum::<f64>() / f64::from(n);
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        let (sum, squares) = (0..n).map(|_| dice.normal()).fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
        assert!((sum / f64::from(n)).abs() < 0.03 && (squares / f64::from(n) - 1.0).abs() < 0.05);
        let below = (0..n).filter(|_| dice.around(7.0, 1.5) < 7.0).count() as f64 / f64::from(n);
        assert!((below - 0.5).abs() < 0.02, "{below}");
        let heavy = (0..n).filter(|_| dice.weighted(&[(true, 3.0), (false, 1.0)])).count() as f64 / f64::from(n);
        assert!((heavy - 0.75).abs() < 0.02, "{heavy}");
        assert!((0..n).all(|_| dice.below(3) < 3 && dice.early(5) < 5 && (2..=4).contains(&dice.between(2, 4))));
        assert_eq!(dice.hex(40).len(), 40);
    }

    #[test]
    fn the_stream_of_a_seed_is_fixed() {
        assert_eq!(Dice::new(7).hex(32), Dice::new(7).hex(32));
        assert_ne!(Dice::new(7).hex(32), Dice::new(8).hex(32));
    }
}
