//! Figures of merit.

use std::collections::{BTreeMap, BTreeSet};

/// Share of predictions that are right; 0 without any.
pub(crate) fn accuracy(truth: &[&str], predicted: &[&str]) -> f64 {
    let right = truth.iter().zip(predicted).filter(|(truth, predicted)| truth == predicted).count();
    right as f64 / truth.len().max(1) as f64
}

/// Mean over all classes, declared or predicted, of the harmonic mean of precision and recall; 0 without any.
pub(crate) fn macro_f1(truth: &[&str], predicted: &[&str]) -> f64 {
    let classes: BTreeSet<&str> = truth.iter().chain(predicted).copied().collect();
    let f1 = |class: &str| {
        let pairs = || truth.iter().zip(predicted);
        let both = pairs().filter(|&(&t, &p)| t == class && p == class).count();
        let either: usize = pairs().map(|(&t, &p)| usize::from(t == class) + usize::from(p == class)).sum();
        2.0 * both as f64 / either as f64
    };
    classes.iter().map(|class| f1(class)).sum::<f64>() / classes.len().max(1) as f64
}

/// Share of the rows of a class that are predicted so; `None` where there are none.
pub(crate) fn recall(truth: &[&str], predicted: &[&str], class: &str) -> Option<f64> {
    let of_class: Vec<&str> = truth.iter().zip(predicted).filter(|pair| *pair.0 == class).map(|pair| *pair.1).collect();
    let right = of_class.iter().filter(|&&predicted| predicted == class).count();
    (!of_class.is_empty()).then(|| right as f64 / of_class.len() as f64)
}

/// The most frequent class; of several the first by name.
pub(crate) fn majority<'a>(classes: &[&'a str]) -> Option<&'a str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for &class in classes {
        *counts.entry(class).or_default() += 1;
    }
    counts.into_iter().rev().max_by_key(|&(_, count)| count).map(|(class, _)| class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_computed_by_hand() {
        let truth = ["a", "a", "a", "b"];
        let predicted = ["a", "a", "b", "b"];
        assert!((accuracy(&truth, &predicted) - 0.75).abs() < 1e-12);
        // a: precision 1, recall 2/3, F1 0.8; b: precision 1/2, recall 1, F1 2/3.
        assert!((macro_f1(&truth, &predicted) - f64::midpoint(0.8, 2.0 / 3.0)).abs() < 1e-12);
        assert!(
            (macro_f1(&truth, &["a"; 4]) - (6.0 / 7.0) / 2.0).abs() < 1e-12,
            "a class that is never found counts 0"
        );
        let recalls = ["a", "b", "c"].map(|class| recall(&truth, &predicted, class));
        assert_eq!(recalls, [Some(2.0 / 3.0), Some(1.0), None]);
        assert_eq!(majority(&truth), Some("a"));
        assert_eq!(majority(&["b", "a"]), Some("a"));
        assert_eq!((majority(&[]), accuracy(&[], &[]), macro_f1(&[], &[])), (None, 0.0, 0.0));
    }
}
