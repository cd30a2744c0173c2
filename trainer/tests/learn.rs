//! What a training finds in rows whose structure is known.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::ops::ControlFlow;

use prowl_model::{FeatureInfo, Input, Model, RiskBand, Vector};
use prowl_trainer::{Builder, Dataset, Origin, Outcome, Row, Settings, Step, TrainError, learn};
use rand::{Rng, RngExt, SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Distribution, StandardNormal};

/// Features that all follow three hidden causes.
const FOLLOWERS: usize = 18;
/// Beside them: a rare flag, a constant, one that is never known, a heavy tail.
const FEATURES: usize = FOLLOWERS + 4;

fn features() -> Vec<FeatureInfo> {
    let feature = |index| FeatureInfo {
        about: "A number.".into(),
        group: "size".into(),
        missing: "unknown".into(),
        name: format!("feature_{index}"),
        source: "nowhere".into(),
        unit: "count".into(),
    };
    (0..FEATURES).map(feature).collect()
}

struct World {
    random: ChaCha8Rng,
    loadings: Vec<[f32; 3]>,
    builder: Builder,
    rows: i64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let loadings = (0..FOLLOWERS).map(|_| [0; 3].map(|_| StandardNormal.sample(&mut random))).collect();
        Self { random, loadings, builder: Builder::new(features(), "0123".into()), rows: 0 }
    }

    /// Puts features into other groups; before the first row.
    fn grouped(&mut self, groups: &[(usize, &str)]) {
        let mut features = features();
        for &(feature, group) in groups {
            features[feature].group = group.into();
        }
        self.builder = Builder::new(features, "0123".into());
    }

    fn normal(&mut self) -> f32 {
        StandardNormal.sample(&mut self.random)
    }

    /// A row that follows the structure; its words and its category follow the first cause.
    fn usual(&mut self) -> (Vec<f32>, Vec<u32>, &'static str) {
        let causes = [0; 3].map(|_| self.normal());
        let follow = |loading: &[f32; 3]| loading.iter().zip(causes).map(|(l, c)| l * c).sum::<f32>();
        let mut values: Vec<f32> = self.loadings.iter().map(follow).collect();
        for value in &mut values {
            *value += 0.1 * <StandardNormal as Distribution<f32>>::sample(&StandardNormal, &mut self.random);
        }
        values.push(f32::from(u8::from(self.random.random::<f32>() < 0.03)));
        values.push(4.0);
        values.push(f32::NAN);
        values.push((2.0 * self.normal() + 4.0).exp());
        if self.random.random::<f32>() < 0.1 {
            values[3] = f32::INFINITY;
        }
        let side = u32::from(causes[0] > 0.0);
        let words = (0..6).map(|_| 1000 * side + self.random.next_u32() % 20).collect();
        (values, words, ["docs", "fix"][side as usize])
    }

    fn add(&mut self, values: &[f32], tokens: &[u32], category: Option<&str>) {
        self.rows += 1;
        let (number, created_at) = (self.rows, self.rows * 3_600_000);
        self.builder.push(&Row { number, created_at, category, ..row(values, tokens) });
    }

    fn add_usual(&mut self, rows: usize) {
        for _ in 0..rows {
            let (values, words, category) = self.usual();
            self.add(&values, &words, Some(category));
        }
    }

    fn build(self) -> Dataset {
        self.builder.build()
    }
}

/// A row of which no more is known, the kind told by the words themselves.
fn row<'a>(values: &'a [f32], tokens: &'a [u32]) -> Row<'a> {
    let outcome = Outcome::default();
    Row {
        repository: "o/r",
        number: 1,
        created_at: 0,
        values,
        tokens,
        kind_tokens: tokens,
        title: None,
        category: None,
        outcome,
    }
}

/// A pull request whose kind is told by the words themselves.
fn vector<'a>(values: &'a [f32], tokens: &'a [u32]) -> Vector<'a> {
    Vector { values, tokens, kind_tokens: tokens, repository: None }
}

fn of(data: &Dataset, row: usize) -> Vector<'_> {
    vector(data.row(row), data.tokens(row))
}

fn origin() -> Origin {
    Origin { run: "20261124T214500Z".into(), run_digest: "4567".into(), version: "20261124T220000Z".into() }
}

fn quick() -> Settings {
    Settings { epochs: 60, ..Settings::default() }
}

fn trained(data: &Dataset, settings: &Settings) -> Model {
    learn(data, settings, origin(), &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn planted_structure_is_learnt_and_planted_outliers_stand_out() {
    let mut world = World::new(1);
    let mut outliers = Vec::new();
    for row in 0..900 {
        let (mut values, words, category) = world.usual();
        // Each value alone stays ordinary: only their relation is broken.
        if row % 90 == 45 {
            let (other, _, _) = world.usual();
            values[..FOLLOWERS / 2].copy_from_slice(&other[..FOLLOWERS / 2]);
            outliers.push(row);
        }
        world.add(&values, &words, Some(category));
    }
    let data = world.build();
    let model = trained(&data, &Settings { code: 6, ..Settings::default() });
    let metrics = &model.metadata().metrics;
    assert!(metrics["test_error"] < 0.5, "most of what is scaled to a spread of 1 is recovered: {metrics:?}");

    let scores: Vec<f32> = (0..data.len()).map(|row| model.score(&of(&data, row)).unwrap().anomaly).collect();
    let mut order: Vec<usize> = (0..data.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    // Two views see it, three do not; rows that all see, extreme as they are, stand beside them.
    let top: Vec<usize> = order[..data.len() * 5 / 100].to_vec();
    let found = outliers.iter().filter(|row| top.contains(row)).count();
    assert!(found >= 9, "{found} of {} among the top 5%", outliers.len());
}

#[test]
fn what_never_happened_is_a_surprise_and_the_reason() {
    let mut world = World::new(2);
    world.add_usual(500);
    let (mut values, words, _) = world.usual();
    let data = world.build();
    let model = trained(&data, &quick());
    values[3] = f32::NAN;
    let before = model.score(&vector(&values, &words)).unwrap();
    // The constant that was never anything else, and the feature that was never known.
    values[FOLLOWERS + 1] = 5.0;
    values[FOLLOWERS + 2] = 1.0;
    let after = model.score(&vector(&values, &words)).unwrap();
    let constant = after.contributions[0];
    assert_eq!((constant.input, constant.expected), (Input::Feature(FOLLOWERS + 1), 4.0));
    assert!(after.anomaly > before.anomaly && constant.share > 0.1, "{constant:?}");
    let never = after.contributions.iter().find(|c| c.input == Input::Feature(FOLLOWERS + 2)).unwrap();
    assert_eq!(never.share, 0.0);
}

#[test]
fn the_same_rows_give_the_same_bytes_and_another_seed_gives_others() {
    let data = |order: &[u64]| {
        let mut world = World::new(3);
        let rows: Vec<_> = (0..300).map(|_| world.usual()).collect();
        for &row in order {
            let (values, tokens, category) = &rows[row as usize];
            let created_at = i64::try_from(row).unwrap() * 1000;
            let declared = Row { created_at, category: Some(category), ..self::row(values, tokens) };
            world.builder.push(&declared);
        }
        world.build()
    };
    let forwards: Vec<u64> = (0..300).collect();
    let backwards: Vec<u64> = (0..300).rev().collect();
    let bytes = |data: &Dataset, seed| trained(data, &Settings { seed, ..quick() }).to_bytes().unwrap();
    let first = bytes(&data(&forwards), 1);
    assert!(first == bytes(&data(&forwards), 1), "the same again");
    assert!(first == bytes(&data(&backwards), 1), "files in another order");
    assert!(first != bytes(&data(&forwards), 2), "another seed");
}

#[test]
fn the_category_is_told_where_enough_declare_one() {
    let mut world = World::new(4);
    world.add_usual(600);
    let model = trained(&world.build(), &quick());
    let metadata = model.metadata();
    assert_eq!(metadata.categories, ["docs", "fix"]);
    assert!(metadata.metrics["category_accuracy"] > 0.95, "{:?}", metadata.metrics);
    assert!(metadata.metrics["category_macro_f1"] > metadata.metrics["category_majority_macro_f1"] + 0.3);
    assert!(metadata.metrics["category_calibration_error"] < 0.1, "{:?}", metadata.metrics);
    assert!(!metadata.missing_heads.contains_key("category"));
}

#[test]
fn what_declares_nothing_falls_into_groups_that_are_named() {
    let mut world = World::new(14);
    // The one kind follows the second cause far up and bumps, the other far down and explains; a few declare theirs.
    for row in 0..1_200 {
        let bumps = row % 3 == 0;
        // Words that say the same of all, since these would be groups of their own.
        let (mut values, _, category) = world.usual();
        for (value, loading) in values.iter_mut().zip(&world.loadings) {
            *value += if bumps { 5.0 } else { -5.0 } * loading[1];
        }
        let created_at = world.rows * 3_600_000;
        world.rows += 1;
        world.builder.push(&Row {
            number: world.rows,
            created_at,
            title: Some(if bumps { "Bump serde" } else { "Explain the harbour" }),
            category: (row % 7 == 0).then_some(category),
            ..self::row(&values, &[1, 2, 3])
        });
    }
    let data = world.build();
    let model = trained(&data, &quick());
    let metadata = model.metadata();
    let [explain, bump] = &metadata.clusters[..] else {
        panic!("{:?} {:?}", metadata.clusters, metadata.missing_heads)
    };
    assert_eq!((explain.name.as_str(), bump.name.as_str()), ("explain, harbour", "bump, serde"));
    assert!(explain.rows > 19 * bump.rows / 10 && !explain.features.is_empty(), "{explain:?} {bump:?}");
    assert!(metadata.metrics["cluster_silhouette"] > 0.1, "{:?}", metadata.metrics);
    let of = |row: usize| model.score(&self::of(&data, row)).unwrap().cluster.unwrap();
    let told = (1_100..1_200).filter(|&row| of(row).cluster == usize::from(row % 3 == 0)).count();
    assert!(told > 95, "{told} of 100 that came later");
    let back = Model::from_bytes(&model.to_bytes().unwrap()).unwrap();
    assert_eq!(back, model);
}

#[test]
fn where_all_declare_a_category_there_are_no_groups_and_a_reason() {
    let mut world = World::new(4);
    world.add_usual(200);
    let model = trained(&world.build(), &Settings { epochs: 3, ..quick() });
    assert!(model.metadata().clusters.is_empty() && model.parts().clusters.is_none());
    let reason = &model.metadata().missing_heads["clusters"];
    assert!(reason.starts_with("0 pull requests") && reason.contains("need 200"), "{reason}");
}

#[test]
fn with_one_category_there_is_no_head_and_a_reason() {
    for categories in [vec![None], vec![Some("fix")], vec![Some("fix"); 39].into_iter().chain([Some("docs")]).collect()]
    {
        let mut world = World::new(5);
        for row in 0..200 {
            let (values, words, _) = world.usual();
            world.add(&values, &words, categories[row % categories.len()]);
        }
        let model = trained(&world.build(), &Settings { epochs: 3, ..quick() });
        assert!(model.metadata().categories.is_empty());
        assert!(model.metadata().missing_heads["category"].contains("needs 2"), "{:?}", model.metadata().missing_heads);
        assert!(model.score(&vector(&[1.0; FEATURES], &[1])).unwrap().categories.is_empty());
    }
}

#[test]
fn rows_without_words_are_scored() {
    let mut world = World::new(6);
    for _ in 0..100 {
        let (values, _, _) = world.usual();
        world.add(&values, &[], None);
    }
    let model = trained(&world.build(), &Settings { epochs: 3, ..quick() });
    let score = model.score(&vector(&[0.5; FEATURES], &[1, 2, 3])).unwrap();
    assert!(score.anomaly.is_finite());
    assert_eq!(score.contributions.iter().find(|c| c.input == Input::Text).unwrap().share, 0.0);
}

#[test]
fn too_few_or_empty_rows_are_refused() {
    let mut world = World::new(7);
    world.add_usual(1);
    let refused = |data: &Dataset| learn(data, &quick(), origin(), &mut |_| ControlFlow::Continue(())).unwrap_err();
    let message = refused(&world.build()).to_string();
    assert!(message.contains("too few pull requests") && message.contains("usual: 1, and it takes 50;"), "{message}");

    let mut world = World::new(8);
    for _ in 0..60 {
        world.add(&[f32::NAN; FEATURES], &[1], None);
    }
    assert!(matches!(refused(&world.build()), TrainError::NothingKnown { rows: 42 }));
}

#[test]
fn it_stops_when_told_and_when_nothing_gets_better() {
    let mut world = World::new(9);
    world.add_usual(100);
    let data = world.build();
    let mut seen = Vec::new();
    let mut watch = |step: Step<'_>| {
        let (fit, number) = match step {
            Step::First(epoch) => (1, epoch.number),
            Step::Final(epoch) | Step::Only(epoch) => (2, epoch.number),
            Step::Category => (3, 0),
            Step::Clusters | Step::Risk => (4, 0),
        };
        seen.push((fit, number));
        if (fit, number) == (2, 2) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let stopped = learn(&data, &Settings { epochs: 4, ..quick() }, origin(), &mut watch);
    assert!(matches!(stopped, Err(TrainError::Stopped)));
    assert_eq!(seen, [(1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2)]);

    let mut looks = 0;
    let stopped = learn(&data, &Settings { epochs: 4, ..quick() }, origin(), &mut |step| {
        looks += usize::from(step == Step::Category);
        if looks == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(stopped, Err(TrainError::Stopped)), "also in the category head");
    assert_eq!(looks, 3);

    let mut epochs = 0;
    let settings = Settings { epochs: 100_000, patience: 2, ..quick() };
    learn(&data, &settings, origin(), &mut |step| {
        if let Step::Final(epoch) = step {
            epochs = epoch.number;
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!((3..5_000).contains(&epochs), "{epochs} epochs with a patience of 2");
}

/// Whatever happens in the last slice, what is usual is what was so before it.
#[test]
fn what_is_usual_is_learnt_from_the_slices_before_the_last() {
    let mut world = World::new(10);
    world.add_usual(255);
    for _ in 0..45 {
        let (mut values, mut words, category) = world.usual();
        values[FOLLOWERS + 1] = 9.0;
        words.push(77_777);
        world.add(&values, &words, Some(category));
    }
    let model = trained(&world.build(), &Settings { epochs: 3, ..quick() });
    let known = |words: &[u32]| model.score(&vector(&[1.0; FEATURES], words)).unwrap();
    let usual = known(&[1]).contributions.iter().find(|c| c.input == Input::Feature(FOLLOWERS + 1)).unwrap().usual;
    assert_eq!((usual.low, usual.median, usual.high, usual.mean), (4.0, 4.0, 4.0, 4.0));
    assert_eq!(known(&[1]).anomaly, known(&[1, 77_777]).anomaly, "a word that only later ones use says nothing");
}

/// No part of the model knows anything of the test slice, and what is measured is measured on that slice alone.
#[test]
fn the_test_slice_is_measured_and_not_learnt() {
    let [one, other] = [false, true].map(|another| {
        let mut world = World::new(14);
        for row in 0..400 {
            let (mut values, mut words, mut category) = world.usual();
            // The last 15%, with other numbers, other words and the category that is rare before.
            let odd = another && row >= 340;
            if odd {
                values = values.iter().map(|value| 7.0 - 3.0 * value).collect();
                words = words.iter().map(|word| word + 5000).collect();
            }
            if odd || row % 4 == 0 {
                category = "test";
            }
            world.add(&values, &words, Some(category));
        }
        trained(&world.build(), &Settings { epochs: 30, ..quick() })
    });
    let (learnt, same) = (one.parts().clone(), other.parts().clone());
    let metadata = prowl_model::Metadata { metrics: learnt.metadata.metrics.clone(), ..same.metadata.clone() };
    // How the newest rows are spread is told beside it, for what comes later to be compared with: no score looks at it.
    assert_ne!(same.bins, learnt.bins);
    assert_eq!(prowl_model::Parts { metadata, bins: learnt.bins.clone(), ..same }, learnt);

    let [usual, odd] = [&one, &other].map(|model| &model.metadata().metrics);
    for metric in ["epochs", "training_error", "validation_error"] {
        assert_eq!(usual[metric], odd[metric], "{metric}");
    }
    assert!(usual["test_error"] < 2.0 * usual["validation_error"], "{usual:?}");
    assert!(odd["test_error"] > 2.0 * odd["validation_error"], "{odd:?}");
    assert!(usual["test_share_unusual"] < 0.5 && odd["test_share_unusual"] > 0.9, "{usual:?} {odd:?}");
    assert!(odd["test_share_very_unusual"] > 0.9, "{odd:?}");
    // The most frequent category of the training slice is not that of this test slice.
    assert_eq!((odd["category_test_rows"], odd["category_majority_accuracy"]), (60.0, 0.0));
}

/// What is usual is what both slices show: what drifted by the validation slice is not called unusual in it.
#[test]
fn a_larger_distance_in_the_validation_slice_counts() {
    let errors = |drift: f32| {
        let mut world = World::new(15);
        for row in 0..400 {
            let (mut values, words, category) = world.usual();
            if (280..340).contains(&row) {
                values[..FOLLOWERS]
                    .iter_mut()
                    .for_each(|value| *value += drift * if row % 2 == 0 { 1.0 } else { -1.0 });
            }
            world.add(&values, &words, Some(category));
        }
        let model = trained(&world.build(), &quick());
        model.parts().views.surprise.habits[..FOLLOWERS].iter().map(|habit| habit.error).sum::<f32>()
    };
    let (still, drifted) = (errors(0.0), errors(3.0));
    assert!(drifted > 1.5 * still, "{drifted} and {still}");
}

#[test]
fn rows_of_one_moment_are_in_the_order_of_their_names() {
    let mut world = World::new(16);
    let (values, _, _) = world.usual();
    for (repository, number, created_at) in [("o/b", 1, 5), ("o/a", 10, 5), ("o/a", 9, 5), ("o/c", 1, 4)] {
        world.builder.push(&Row { repository, number, created_at, ..row(&values, &[]) });
    }
    assert_eq!(world.build().by_time(), [3, 2, 1, 0]);
}

/// The validation slice is the measure of the percentile, though the training slice has lower scores.
#[test]
fn percentiles_are_those_of_the_validation_slice() {
    let mut world = World::new(11);
    world.add_usual(420);
    for _ in 0..90 {
        let (mut values, words, category) = world.usual();
        for value in &mut values[..FOLLOWERS] {
            *value += 0.5 * world.normal();
        }
        world.add(&values, &words, Some(category));
    }
    world.add_usual(90);
    let data = world.build();
    let model = trained(&data, &quick());
    let unusual = |rows: std::ops::Range<usize>| {
        let percentile = |row| model.score(&of(&data, row)).unwrap().percentile;
        rows.clone().filter(|&row| percentile(row) >= 95.0).count() as f64 / rows.len() as f64
    };
    let (training, validation) = (unusual(0..420), unusual(420..510));
    assert!((0.03..0.07).contains(&validation), "5% of the validation slice by definition: {validation}");
    assert!(training < 0.02, "{training}");
}

/// The most unusual rows are left out of the final fit, and not the most usual.
#[test]
fn wild_rows_are_left_out() {
    let mut world = World::new(12);
    for row in 0..600 {
        let (mut values, words, category) = world.usual();
        if row < 420 && row % 50 == 7 {
            for value in &mut values[..FOLLOWERS] {
                *value = 40.0 * world.normal();
            }
        }
        world.add(&values, &words, Some(category));
    }
    let data = world.build();
    let error = |trim: f64| {
        let model = trained(&data, &Settings { trim, ..quick() });
        assert_eq!(model.metadata().training.trimmed_rows, (420.0 * trim) as u64);
        let habits = &model.parts().views.surprise.habits[..FOLLOWERS];
        (model.metadata().metrics["training_error"], habits.iter().map(|habit| habit.error).sum::<f32>())
    };
    let (with, without) = (error(0.0), error(0.03));
    assert!(without.0 < 0.85 * with.0, "an error of {} over the kept rows, {} over all", without.0, with.0);
    assert!(without.1 < 0.7 * with.1, "they say nothing of what is usual: {} and {}", without.1, with.1);
}

/// The export holds these as they ended; a pull request that was just opened must not stand out by them.
#[test]
fn how_far_along_it_is_does_not_count() {
    let mut world = World::new(13);
    world.grouped(&[(FOLLOWERS, "repository"), (FOLLOWERS + 1, "process")]);
    world.add_usual(200);
    let (mut values, words, _) = world.usual();
    let model = trained(&world.build(), &Settings { epochs: 3, ..quick() });
    let before = model.score(&vector(&values, &words)).unwrap();
    values[FOLLOWERS + 1] = 0.0;
    values[FOLLOWERS] = 1.0 - values[FOLLOWERS];
    let after = model.score(&vector(&values, &words)).unwrap();
    assert_eq!((before.anomaly, &before.categories), (after.anomaly, &after.categories));
    let share = |feature| after.contributions.iter().find(|c| c.input == Input::Feature(feature)).unwrap().share;
    assert_eq!((share(FOLLOWERS), share(FOLLOWERS + 1)), (0.0, 0.0));
}

/// A repository with many pull requests has percentiles of its own, a small one those of all.
#[test]
fn repositories_of_very_different_size_have_the_percentiles_they_can() {
    let mut world = World::new(17);
    for row in 0..3000_i64 {
        let (mut values, tokens, category) = world.usual();
        let (number, created_at) = (row, row * 1000);
        let repository = match row {
            row if row % 50 == 0 => "o/few",
            row if row % 2 == 0 => "o/wild",
            _ => "o/calm",
        };
        if repository == "o/wild" {
            for value in &mut values[..FOLLOWERS] {
                *value += world.normal();
            }
        }
        let declared = Row { category: Some(category), ..self::row(&values, &tokens) };
        world.builder.push(&Row { repository, number, created_at, ..declared });
    }
    let data = world.build();
    let model = trained(&data, &Settings { epochs: 10, ..quick() });
    assert_eq!(model.metadata().repositories, ["o/calm", "o/wild"]);
    let row = |repository: &str| (0..data.len()).rev().find(|&row| data.repository(row) == repository).unwrap();
    let unusual = |repository: &str, by: Option<&str>| {
        let rows: Vec<usize> = (2550..3000).filter(|&row| data.repository(row) == repository).collect();
        let high =
            |row: &&usize| model.score(&Vector { repository: by, ..of(&data, **row) }).unwrap().percentile >= 95.0;
        rows.iter().filter(high).count() as f64 / rows.len() as f64
    };
    assert!(unusual("o/wild", None) > 0.07 && unusual("o/calm", None) < 0.03, "beside all");
    for repository in ["o/wild", "o/calm"] {
        let share = unusual(repository, Some(repository));
        assert!((0.01..0.12).contains(&share), "{repository} beside itself: {share}");
    }
    let few = row("o/few");
    let among = |by| model.score(&Vector { repository: Some(by), ..of(&data, few) }).unwrap().among;
    assert_eq!([among("o/few"), among("o/calm")], [prowl_model::Reference::All, prowl_model::Reference::Repository]);
}

/// A head for the risk comes of known outcomes; those of the test slice are measured and not learnt.
#[test]
fn the_risk_is_told_where_outcomes_are_known() {
    let [one, other] = [false, true].map(|another| {
        let mut world = World::new(17);
        for row in 0..2_000_i64 {
            let (values, tokens, _) = world.usual();
            let created_at = row * 86_400_000;
            // In the test slice of the other world it is the contrary.
            let risky = values[0] > 0.8 && values[1] > 0.0;
            let reverted = if another && row >= 1_700 { !risky } else { risky };
            let outcome = Outcome {
                reverted_at: reverted.then_some(created_at + 86_400_000),
                mature_at: Some(created_at + 30 * 86_400_000),
            };
            world.builder.push(&Row { number: row, created_at, outcome, ..self::row(&values, &tokens) });
        }
        let data = world.build();
        (trained(&data, &Settings { epochs: 3, ..quick() }), data)
    });
    let ((model, data), (same, _)) = (&one, &other);
    assert_eq!(model.parts().risk, same.parts().risk);
    let [(learnt, rates), (again, contrary)] = [model, same].map(|model| {
        let mut info = model.metadata().risk.clone().unwrap();
        let tested: Vec<Option<f64>> = info.bands.iter().map(RiskBand::test_rate).collect();
        info.bands.iter_mut().for_each(|band| (band.test_reverted, band.test_rows) = (0, 0));
        (info, tested)
    });
    assert_eq!(learnt, again, "what the test slice shows chooses nothing");
    assert!(rates.is_sorted_by(|a, b| a > b) && contrary.is_sorted_by(|a, b| a < b), "{rates:?} {contrary:?}");
    assert_eq!(model.metadata().missing_heads.get("risk"), None);
    let auc = |model: &Model| model.metadata().metrics["risk_test_auc"];
    assert!(auc(model) > 0.9 && auc(same) < 0.2, "{} and {}", auc(model), auc(same));
    let risk = model.score(&of(data, 5)).unwrap().risk.unwrap();
    assert!(risk > 0.0 && risk < 1.0);
    let mut world = World::new(18);
    world.add_usual(100);
    let without = trained(&world.build(), &Settings { epochs: 3, ..quick() });
    assert!(without.metadata().missing_heads["risk"].contains("it takes 30 of each"));
    assert_eq!(without.score(&of(data, 5)).unwrap().risk, None);
}

/// Every part of a training gives the same bits on any number of threads: scaling, words, views, network, all heads,
/// percentiles of repositories.
#[test]
fn the_number_of_threads_changes_no_byte() {
    let mut world = World::new(19);
    for row in 0..1_600_i64 {
        let (mut values, tokens, category) = world.usual();
        for (value, loading) in values.iter_mut().zip(&world.loadings) {
            *value += if row % 3 == 0 { 5.0 } else { -5.0 } * loading[1];
        }
        let created_at = row * 86_400_000;
        let reverted_at = (values[0] > 1.0).then_some(created_at + 86_400_000);
        let outcome = Outcome { reverted_at, mature_at: Some(created_at + 30 * 86_400_000) };
        let repository = if row % 2 == 0 { "o/r" } else { "o/other" };
        let category = (row % 4 > 0).then_some(category);
        let known = Row { number: row, created_at, outcome, category, ..self::row(&values, &tokens) };
        world.builder.push(&Row { repository, ..known });
    }
    let data = world.build();
    let bytes = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| trained(&data, &Settings { epochs: 5, ..quick() })).to_bytes().unwrap()
    };
    let one = bytes(1);
    let metadata = Model::from_bytes(&one).unwrap().metadata().clone();
    assert!(metadata.missing_heads.is_empty() && metadata.repositories.len() == 2, "{:?}", metadata.missing_heads);
    for threads in [2, 4] {
        assert!(one == bytes(threads), "{threads} threads");
    }
}
