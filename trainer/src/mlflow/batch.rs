//! What is logged, within the limits of one call and of one value.

use serde::Serialize;

/// The limits of a call, the last in bytes; MLflow allows a million.
const METRICS: usize = 1000;
const PARAMS: usize = 100;
const TAGS: usize = 100;
const ENTITIES: usize = 1000;
const BYTES: usize = 900_000;
/// The limits of a name and of values, in characters.
const NAME: usize = 250;
const PARAM: usize = 6000;
const TAG: usize = 8000;

/// A number of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Metric {
    key: String,
    value: f64,
    /// Milliseconds since 1970 UTC.
    timestamp: i64,
    step: i64,
}

impl Metric {
    /// One with a name that MLflow takes; none where the value is no finite number.
    pub(super) fn new(name: &str, value: f64, timestamp: i64, step: i64) -> Option<Self> {
        value.is_finite().then(|| Self { key: name_of(name), value, timestamp, step })
    }
}

/// A setting of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Param {
    key: String,
    value: String,
}

impl Param {
    pub(super) fn new(name: &str, value: &str) -> Self {
        Self { key: name_of(name), value: cut(value, PARAM) }
    }
}

/// A text that a run or a version is found by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Tag {
    key: String,
    value: String,
}

impl Tag {
    pub(super) fn new(name: &str, value: &str) -> Self {
        Self { key: name_of(name), value: cut(value, TAG) }
    }
}

/// What goes into one call.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Batch {
    pub(super) metrics: Vec<Metric>,
    pub(super) params: Vec<Param>,
    pub(super) tags: Vec<Tag>,
}

impl Batch {
    /// The same in as many calls as it takes, in order.
    pub(super) fn split(self) -> Vec<Self> {
        let mut packed = Packed::default();
        for param in self.params {
            packed.room_for(&param, |batch| batch.params.len() < PARAMS).params.push(param);
        }
        for tag in self.tags {
            packed.room_for(&tag, |batch| batch.tags.len() < TAGS).tags.push(tag);
        }
        for metric in self.metrics {
            packed.room_for(&metric, |batch| batch.metrics.len() < METRICS).metrics.push(metric);
        }
        packed.batches
    }
}

#[derive(Default)]
struct Packed {
    batches: Vec<Batch>,
    /// Bytes of the last one.
    bytes: usize,
}

impl Packed {
    /// The last batch, or a new one where this does not fit into it.
    fn room_for(&mut self, what: &impl Serialize, fits: impl Fn(&Batch) -> bool) -> &mut Batch {
        let bytes = 1 + serde_json::to_vec(what).map_or(0, |written| written.len());
        let full = |last: &Batch| {
            let entities = last.metrics.len() + last.params.len() + last.tags.len();
            !fits(last) || entities >= ENTITIES || self.bytes + bytes > BYTES
        };
        if self.batches.last().is_none_or(full) {
            self.batches.push(Batch::default());
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.batches.last_mut().expect("one was pushed where there was none")
    }
}

/// The name with `_` in place of what MLflow takes in no name.
fn name_of(name: &str) -> String {
    let taken = |character: char| character.is_ascii_alphanumeric() || "_-. :/".contains(character);
    let name: String = name.chars().take(NAME).map(|c| if taken(c) { c } else { '_' }).collect();
    // It becomes a path.
    let is_path = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if is_path { name } else { name.replace(['/', '.'], "_") }
}

/// At most so many characters of a text, with a sign that it goes on.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(step: i64) -> Metric {
        Metric::new("loss", 0.5, 1, step).unwrap()
    }

    #[test]
    fn a_call_stays_within_the_limits_and_nothing_is_lost() {
        let all = Batch {
            metrics: (0..2500).map(metric).collect(),
            params: (0..150).map(|n| Param::new(&format!("p{n}"), "")).collect(),
            tags: (0..250).map(|n| Tag::new(&format!("t{n}"), &"ä".repeat(10_000))).collect(),
        };
        let calls = all.clone().split();
        let mut joined = Batch::default();
        for call in calls {
            assert!(call.metrics.len() <= 1000 && call.params.len() <= 100 && call.tags.len() <= 100);
            assert!(call.metrics.len() + call.params.len() + call.tags.len() <= 1000);
            let bytes = serde_json::to_vec(&call).unwrap().len();
            assert!((1..1_000_000).contains(&bytes), "{bytes}");
            joined.metrics.extend(call.metrics);
            joined.params.extend(call.params);
            joined.tags.extend(call.tags);
        }
        assert_eq!(joined, all);
        assert_eq!(Batch { metrics: (0..2500).map(metric).collect(), ..Batch::default() }.split().len(), 3);
        assert!(Batch::default().split().is_empty());
    }

    #[test]
    fn names_and_values_are_such_as_mlflow_takes() {
        for (name, taken) in [
            ("category_macro_f1", "category_macro_f1"),
            ("risk/capture at 10%", "risk/capture at 10_"),
            ("auc@ä", "auc__"),
            ("/a//b", "_a__b"),
            ("a/../b", "a____b"),
            ("..", "__"),
            (".", "_"),
        ] {
            assert_eq!(name_of(name), taken);
        }
        assert_eq!(name_of(&"x".repeat(300)).len(), 250);
        assert_eq!(Param::new("p", &"ä".repeat(6001)).value.chars().count(), 6000);
        assert_eq!(Tag::new("t", &"x".repeat(8000)).value, "x".repeat(8000));
        assert!(Tag::new("t", &"x".repeat(8001)).value.ends_with("x…"));
    }

    #[test]
    fn what_is_not_finite_is_no_metric() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Metric::new("m", value, 0, 0), None);
        }
    }
}
