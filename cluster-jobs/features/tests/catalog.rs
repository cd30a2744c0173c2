//! The catalog as others rely on it: a change of it is a deliberate one.

use prowl_features::{FEATURE_COUNT, FEATURES, Missing, Unit, catalog_json, digest};

#[test]
fn a_change_of_the_catalog_is_a_deliberate_one() {
    let pinned = (87, "ac27c93388d3467eda156adc8f5e689b42bfaca1bee44bdef01089660b21842f");
    assert_eq!(
        (FEATURE_COUNT, digest().as_str()),
        pinned,
        "\nthe catalog has changed, so models trained before no longer fit. If that is meant: write the new count and \
         digest here, run `PROWL_WRITE_DOCS=1 cargo test -p prowl-features --test docs`, and train anew. If only a \
         computation has changed under the same description, raise `REVISION` in catalog.rs as well.\n"
    );
}

#[test]
fn names_are_column_names() {
    for feature in FEATURES {
        let of_column = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(feature.name.chars().all(of_column) && feature.name.len() <= 32, "{}", feature.name);
    }
}

#[test]
fn what_is_missing_in_itself_is_told_where_missing_means_none() {
    let feature = FEATURES.iter().find(|feature| feature.name == "body_is_missing").expect("no `body_is_missing`");
    assert_eq!((feature.missing, feature.unit), (Missing::Never, Unit::YesNo));
}

#[test]
fn the_catalog_is_also_json() {
    let json = catalog_json();
    let list = json.as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(list.len(), FEATURE_COUNT);
    for (entry, feature) in list.iter().zip(FEATURES) {
        assert_eq!(entry["name"], feature.name);
        assert_eq!(entry["about"], feature.about);
        for key in ["group", "unit", "source", "missing"] {
            assert!(entry[key].is_string(), "{}: {key}", feature.name);
        }
    }
}
