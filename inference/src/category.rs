//! What kind of change it is: what the pull request declares, beside what the model predicts.

use prowl_features::Category;
use prowl_proto::v1;

/// From this probability on a category is more probable than all others together.
const MAJORITY: f32 = 0.5;

/// The category of an answer; `None` where it is neither declared nor predicted. `probabilities` belong to `names`.
pub(crate) fn category(declared: Option<Category>, names: &[String], probabilities: &[f32]) -> Option<v1::Category> {
    let declared = declared.map(Category::as_str);
    let predicted = names.iter().zip(probabilities).max_by(|(_, a), (_, b)| a.total_cmp(b));
    let probability_of = |name: &str| names.iter().position(|known| known == name).map(|index| probabilities[index]);
    let (name, source) = match (declared, predicted) {
        (Some(declared), _) => (declared, v1::CategorySource::Declared),
        (None, Some((predicted, _))) => (predicted.as_str(), v1::CategorySource::Predicted),
        (None, None) => return None,
    };
    let disagrees = match (declared, predicted) {
        (Some(declared), Some((predicted, probability))) => declared != predicted && *probability > MAJORITY,
        _ => false,
    };
    Some(v1::Category {
        name: name.to_owned(),
        source: source.into(),
        probability: probability_of(name),
        declared: declared.map(str::to_owned),
        predicted: predicted.map(|(name, _)| name.clone()),
        predicted_probability: predicted.map(|(_, probability)| *probability),
        disagrees,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(declared: Option<Category>, probabilities: &[f32]) -> Option<v1::Category> {
        category(declared, &["fix".into(), "docs".into(), "test".into()][..probabilities.len()], probabilities)
    }

    #[test]
    fn a_declaration_comes_first() {
        let category = of(Some(Category::Docs), &[0.2, 0.7, 0.1]).unwrap();
        assert_eq!((category.name.as_str(), category.source()), ("docs", v1::CategorySource::Declared));
        assert_eq!(category.probability, Some(0.7));
        assert!(!category.disagrees);
    }

    #[test]
    fn only_a_sure_model_disagrees() {
        let category = of(Some(Category::Docs), &[0.6, 0.3, 0.1]).unwrap();
        assert_eq!((category.declared.as_deref(), category.predicted.as_deref()), (Some("docs"), Some("fix")));
        assert!(category.disagrees);
        assert!(!of(Some(Category::Docs), &[0.45, 0.4, 0.15]).unwrap().disagrees);
    }

    #[test]
    fn a_category_that_the_model_does_not_know_has_no_probability() {
        let category = of(Some(Category::Revert), &[0.2, 0.7, 0.1]).unwrap();
        assert_eq!((category.name.as_str(), category.probability), ("revert", None));
        assert!(category.disagrees);
    }

    #[test]
    fn without_a_declaration_the_model_speaks() {
        let category = of(None, &[0.2, 0.7, 0.1]).unwrap();
        assert_eq!((category.name.as_str(), category.source()), ("docs", v1::CategorySource::Predicted));
        assert_eq!(of(None, &[]), None);
    }
}
