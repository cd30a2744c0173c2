//! A small model with arbitrary weights, for tests.

use std::collections::BTreeMap;

use ndarray::{Array1, Array2, array};

use crate::score::Usual;
use crate::{
    Bands, Bins, Calibration, Candidate, CategoryHead, ClusterInfo, Clusters, Column, Covariance, Dense, FeatureInfo,
    Forest, Habit, LARGE, Linear, Member, Metadata, Model, Neighbours, Network, Node, OPINIONS, PLACES, Parts,
    RiskBand, RiskHead, RiskInfo, SCHEMA, Scaler, Split, Surprise, Term, Text, Training, TreeNode, Trees, Vector,
    Views,
};

/// Numbers between -1 and 1 that look arbitrary.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    pub(crate) fn matrix(&mut self, rows: usize, columns: usize) -> Array2<f32> {
        Array2::from_shape_simple_fn((rows, columns), || self.next())
    }

    pub(crate) fn vector(&mut self, length: usize) -> Array1<f32> {
        Array1::from_shape_simple_fn(length, || self.next())
    }
}

/// Features: a plain one, a heavy-tailed one, a flag, and one that was never known.
pub(crate) const FEATURES: [&str; 4] = ["plain", "heavy", "flag", "never"];

fn training() -> Training {
    Training {
        from: 1,
        known_to: Some(3),
        older_rows: 0,
        rows: 70,
        run: "20261124T214500Z".into(),
        run_digest: "4567".into(),
        seed: 1,
        test_rows: 15,
        to: 2,
        trimmed_rows: 1,
        validation_rows: 15,
    }
}

/// Each feature has a few values, in turns.
fn bins() -> Bins {
    Bins::of((0..FEATURES.len()).map(|feature| (0..50).map(move |row| (row % (feature + 3)) as f32)))
}

pub(crate) fn parts() -> Parts {
    let mut numbers = Numbers::new(1);
    let feature = |name: &&str| FeatureInfo {
        about: "A number.".into(),
        group: "size".into(),
        missing: "unknown".into(),
        name: (*name).into(),
        source: "nowhere".into(),
        unit: "count".into(),
    };
    let column = |logarithmic, centre, spread, smallest, largest| Column {
        known: true,
        logarithmic,
        centre,
        spread,
        smallest,
        largest,
        usual: Usual { low: smallest, median: smallest, high: largest, mean: smallest },
    };
    let (buckets, dimensions) = (16, 3);
    let inputs = FEATURES.len() + dimensions;
    let widths = [inputs, 5, 2, 5, inputs];
    let layer = |pair: &[usize]| Dense { weights: numbers.matrix(pair[0], pair[1]), bias: numbers.vector(pair[1]) };
    let layers = widths.windows(2).map(layer).collect();
    let mut idf = numbers.vector(buckets).mapv(|value| 1.0 + value.abs());
    idf[7] = 0.0;
    // The scores of the known repository are higher than those of the others.
    let scores: Vec<_> = (0..500_usize)
        .map(|row| {
            let known = row.is_multiple_of(2);
            let low = if known { 4.0 } else { 0.0 };
            (
                [0; OPINIONS].map(|_| low + 8.0 * numbers.next().abs()),
                if known { "o/known" } else { ["o/few", "o/rare"][row % 4 / 2] },
            )
        })
        .collect();
    let (calibration, repositories) = Calibration::of(&scores).unwrap();
    Parts {
        metadata: Metadata {
            bands: Bands::default(),
            categories: vec!["docs".into(), "fix".into()],
            clusters: ["first", "second"].map(cluster).to_vec(),
            features: FEATURES.iter().map(feature).collect(),
            features_digest: "0123".into(),
            metrics: BTreeMap::from([("test_error".into(), 0.5)]),
            missing_heads: BTreeMap::new(),
            repositories,
            risk: Some(risk_info()),
            schema: SCHEMA,
            training: training(),
            version: "20261124T220000Z".into(),
        },
        scaler: Scaler {
            columns: vec![
                column(false, 2.0, 3.0, -10.0, 20.0),
                column(true, 3.0, 1.5, 0.0, 90_000.0),
                column(false, 0.0, 0.1, 0.0, 1.0),
                Column::UNKNOWN,
            ],
        },
        text: Text {
            idf,
            components: numbers.matrix(buckets, dimensions),
            centre: numbers.vector(dimensions),
            spread: array![0.5, 1.0, 2.0],
        },
        network: Network { layers },
        views: Views {
            surprise: Surprise { habits: vec![Habit { error: 0.7, weight: 1.0 }; inputs] },
            neighbours: Neighbours { points: numbers.matrix(LARGE, inputs) },
            covariance: Covariance {
                centre: numbers.vector(inputs),
                relations: 0.1 * numbers.matrix(inputs, inputs) + Array2::<f32>::eye(inputs),
                error: Array1::ones(inputs),
            },
            forest: forest(inputs),
        },
        calibration,
        bins: bins(),
        category: Some(CategoryHead {
            idf: numbers.vector(buckets).mapv(f32::abs),
            tokens: numbers.matrix(buckets, 2),
            features: numbers.matrix(FEATURES.len(), 2),
            bias: numbers.vector(2),
        }),
        clusters: Some(Clusters {
            centres: array![[-0.5, 0.0], [0.5, 0.5]],
            distances: array![[0.0, 0.2, 0.9], [0.1, 0.3, 1.0]],
        }),
        risk: Some(risk_head()),
    }
}

fn cluster(name: &str) -> ClusterInfo {
    ClusterInfo {
        examples: vec!["o/known#1".into()],
        features: vec!["higher: a number".into()],
        name: name.into(),
        rows: 20,
        words: vec![name.into()],
    }
}

/// A tree that splits at 0 by each input in turn.
fn forest(inputs: usize) -> Forest {
    let node = |place: usize| {
        let depth = (place + 1).ilog2();
        let input = (2 * place + 2 < PLACES).then_some(depth % inputs as u32);
        Node { input, threshold: 0.0, rows: 256.0 / (1_u32 << depth) as f32 }
    };
    Forest { nodes: (0..PLACES).map(node).collect() }
}

/// A pull request whose kind is told by the words themselves.
pub(crate) fn vector<'a>(values: &'a [f32], tokens: &'a [u32]) -> Vector<'a> {
    Vector { values, tokens, kind_tokens: tokens, repository: None }
}

pub(crate) fn model() -> Model {
    Model::from_parts(parts()).unwrap()
}

/// Two curves and one tree.
fn risk_head() -> RiskHead {
    let term =
        |feature, weight| Term { feature, weight, unknown: 0.1, points: vec![[0.0, -0.4], [1.0, 0.2], [4.0, 0.5]] };
    let leaf = |value| TreeNode { value, split: None };
    let split = Split { feature: 2, threshold: 0.5, unknown_below: true, otherwise: 2 };
    RiskHead {
        members: vec![
            Member::Linear(Linear { terms: vec![term(0, 0.6), term(1, 0.9)], bias: -2.0 }),
            Member::Trees(Trees {
                nodes: vec![TreeNode { value: -1.9, split: Some(split) }, leaf(-2.1), leaf(-1.0)],
                roots: vec![0],
            }),
        ],
        calibration: vec![[-30.0, -30.0], [30.0, 29.0]],
    }
}

fn risk_info() -> RiskInfo {
    let band = |from, (reverted, rows), (test_reverted, test_rows)| RiskBand {
        from,
        reverted,
        rows,
        test_reverted,
        test_rows,
    };
    let members = vec!["factors".to_owned(), "trees".to_owned()];
    RiskInfo {
        bands: vec![band(0.2, (3, 10), (0, 0)), band(0.05, (4, 40), (2, 2)), band(0.0, (3, 150), (1, 20))],
        calibration: "platt".into(),
        candidates: vec![Candidate { auc: 0.7, log_loss: 0.2, members: members.clone() }],
        members,
        reverted: 20,
        rows: 400,
    }
}
