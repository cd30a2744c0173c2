//! The axes of a plot: where values lie on them, and which of them are named.

use crate::number::{number, rounded};

/// One axis.
#[derive(Clone, Debug)]
pub struct Axis {
    pub(crate) label: &'static str,
    from: f64,
    to: f64,
    /// Whether equal ratios are equally far apart.
    log: bool,
    /// Whether values are shares, told in percent.
    shares: bool,
}

impl Axis {
    /// Values between two ends.
    pub fn between(label: &'static str, from: f64, to: f64) -> Self {
        Self { label, from, to, log: false, shares: false }
    }

    /// Values from 0 on.
    pub fn up_to(label: &'static str, to: f64) -> Self {
        Self::between(label, 0.0, if to > 0.0 && to.is_finite() { to } else { 1.0 })
    }

    /// From 0 to a little above the largest.
    pub fn from_zero(label: &'static str, values: impl IntoIterator<Item = f64>) -> Self {
        let largest = values.into_iter().filter(|value| value.is_finite()).fold(0.0, f64::max);
        Self::up_to(label, 1.06 * largest)
    }

    /// About all that are above 0, by their logarithm: latencies differ by ratios.
    pub fn log(label: &'static str, values: impl IntoIterator<Item = f64>) -> Self {
        let drawn = values.into_iter().filter(|value| value.is_finite() && *value > 0.0);
        let (low, high) = drawn.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let (from, to) = if low <= high { (0.8 * low, (1.25 * high).min(f64::MAX)) } else { (1.0, 10.0) };
        Self { log: true, ..Self::between(label, from, to) }
    }

    /// The values are shares.
    #[must_use]
    pub fn of_shares(self) -> Self {
        Self { shares: true, ..self }
    }

    /// Where a value lies, 0 to 1; nothing for what is no number. What is outside lies at the end.
    pub(crate) fn part(&self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        let bent = |value: f64| if self.log { value.max(f64::MIN_POSITIVE).ln() } else { value };
        let [from, to, value] = [self.from, self.to, value].map(bent);
        Some(if to > from { ((value - from) / (to - from)).clamp(0.0, 1.0) } else { 0.5 })
    }

    /// About `count` round values within.
    pub(crate) fn ticks(&self, count: f64) -> Vec<f64> {
        if !self.log {
            return linear(self.from, self.to, count);
        }
        let [first, last] = [self.from, self.to].map(|end| end.log10().floor() as i32);
        let within = |steps: &[f64], every: usize| -> Vec<f64> {
            let powers = (first..=last).step_by(every);
            let values = powers.flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
            values.filter(|value| (self.from..=self.to).contains(value)).collect()
        };
        let most = 1.5 * count;
        let sparse = [within(&[1.0, 2.0, 5.0], 1), within(&[1.0], 1), within(&[1.0], 2), within(&[1.0], 4)];
        let ticks = sparse.into_iter().find(|ticks| ticks.len() as f64 <= most).unwrap_or_default();
        if ticks.len() < 2 { linear(self.from, self.to, count) } else { ticks }
    }

    /// How a tick is named: with as many decimals as it takes, which are few, since ticks are round.
    pub(crate) fn tick(&self, value: f64) -> String {
        let value = if self.shares { 100.0 * value } else { value };
        // What should be 0.0001 may be a little less.
        let text = if value != 0.0 && value.abs() < 0.99e-4 { number(value) } else { rounded(value, 6) };
        if self.shares { text + "%" } else { text }
    }
}

fn linear(from: f64, to: f64, count: f64) -> Vec<f64> {
    let rough = (to - from) / count;
    if !(rough.is_finite() && rough > 0.0) {
        return Vec::new();
    }
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let first = (from / step - 1e-9).ceil();
    let last = (to / step + 1e-9).floor();
    (0..=(last - first).max(0.0) as usize).map(|place| (first + place as f64) * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(Axis::between("", 0.0, 10.0).ticks(5.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        for to in [0.003, 0.07, 1.0, 9.9, 37.0, 1e6] {
            let axis = Axis::from_zero("", [to]);
            let ticks = axis.ticks(5.0);
            assert!((3..=7).contains(&ticks.len()) && ticks.iter().all(|tick| *tick <= axis.to), "{to}: {ticks:?}");
        }
        for values in [[1.0, 1.1], [0.4, 30.0], [0.1, 5_000.0], [1e-6, 1e6], [3.0, 3.0]] {
            let axis = Axis::log("", values);
            let ticks = axis.ticks(5.0);
            assert!((2..=8).contains(&ticks.len()), "{values:?}: {ticks:?}");
            assert!(ticks.iter().all(|tick| axis.part(*tick).is_some()), "{values:?}: {ticks:?}");
        }
    }

    #[test]
    fn equal_ratios_are_equally_far_apart() {
        let axis = Axis { from: 1.0, to: 100.0, ..Axis::log("", [1.0]) };
        assert!((axis.part(10.0).unwrap() - 0.5).abs() < 1e-12);
        assert_eq!((axis.part(0.0), axis.part(1e9), axis.part(f64::NAN)), (Some(0.0), Some(1.0), None));
    }

    #[test]
    fn an_axis_without_values_is_one_yet() {
        let nothing = [f64::NAN, f64::INFINITY, -1.0];
        assert_eq!(Axis::from_zero("", nothing).part(1.0), Some(1.0));
        assert_eq!([0.0, f64::NAN, f64::INFINITY].map(|to| Axis::up_to("", to).to), [1.0; 3]);
        assert_eq!(Axis::log("", nothing).part(1.0), Some(0.0));
        assert_eq!(Axis::between("", 5.0, 5.0).part(5.0), Some(0.5));
        assert_eq!(Axis::between("", 5.0, 5.0).ticks(5.0), [0.0; 0]);
        assert!(Axis::log("", []).ticks(5.0).len() >= 2);
        assert!(Axis::log("", [1.0, f64::MAX]).ticks(5.0).len() < 100);
    }

    #[test]
    fn a_tick_is_named_shortly() {
        let shares = Axis::between("", 0.0, 1.0).of_shares();
        let told = [0.025, 0.5, 1e-4, 1e-6, 2e-8].map(|value| shares.tick(value));
        assert_eq!(told, ["2.5%", "50%", "0.01%", "0.0001%", "2.0e−6%"]);
        let axis = Axis::between("", 0.0, 9.0);
        assert_eq!(
            [0.0, 4.0, 1.025, -0.5, 2e4].map(|value| axis.tick(value)),
            ["0", "4", "1.025", "−0.5", "20\u{202f}000"]
        );
    }
}
