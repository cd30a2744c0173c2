//! From rows to a model: the whole of a training, without a store.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use prowl_model::{
    Bands, Bins, Calibration, CategoryHead, ClusterInfo, Metadata, Model, Parts, RiskHead, RiskInfo, SCHEMA, Training,
};

use crate::autoencoder::Epoch;
use crate::category::{self, Example};
use crate::clusters::{self, Found};
use crate::detector::{Detector, Reading};
use crate::evaluate::{accuracy, macro_f1, majority, recall};
use crate::figures::{Figure, Judged};
use crate::{Dataset, Settings, Split, TrainError, findings, risk, scale, typical};

/// Where the rows come from and what the model will be called.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Name of the features run.
    pub run: String,
    /// Digest of its manifest.
    pub run_digest: String,
    /// Name of the model.
    pub version: String,
}

/// A step of the work, as progress sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step<'a> {
    /// An epoch of the fit on the training slice, which finds how long to fit, and calibrates.
    First(&'a Epoch),
    /// An epoch of the fit on training and validation slice.
    Final(&'a Epoch),
    /// An epoch of the only fit, on a table.
    Only(&'a Epoch),
    /// A look at the examples of the category head.
    Category,
    /// A number of groups of pull requests that declare no category.
    Clusters,
    /// A model of the risk head, or one of its trees.
    Risk,
}

/// The declared pull requests that the category head learns from, at most; the newest count.
const EXAMPLES: usize = 50_000;

/// Pull requests that groups are found among, at most, and so many that they are compared with; the newest count.
const GROUPED: usize = 20_000;

/// Fewer rows tell too little of where the most unusual 5% and 1% begin.
const CALIBRATION_ROWS: usize = 200;

/// The AUC of what knows nothing.
const CHANCE: f64 = 0.5;

/// What metrics of the recall of a category begin with.
pub(crate) const RECALL: &str = "category_recall_";

/// Learns a model from a dataset. Progress goes to `watch`, which may break off.
///
/// # Errors
/// See [`TrainError`].
pub fn learn(
    data: &Dataset,
    settings: &Settings,
    origin: Origin,
    watch: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
) -> Result<Model, TrainError> {
    let split = Split::of(data)?;
    let Detected { detector: last, calibration, repositories, validation_error } =
        detect(data, &split.training, &split.validation, settings, watch)?;
    let heads = Heads { reading: &last.reading };
    let category_head = heads.category_head(&split, &mut || watch(Step::Category))?;
    let mut metrics = BTreeMap::from([
        ("epochs".to_owned(), last.epochs.len() as f64),
        ("training_error".to_owned(), last.error(&last.kept)),
        ("validation_error".to_owned(), validation_error),
        ("test_error".to_owned(), last.error(&split.test)),
    ]);
    let bands = Bands::default();
    let test: Vec<f32> = split.test.iter().map(|&row| calibration.joined(&last.scores(row))).collect();
    let above = |from: f32| {
        let place = |row: usize| repositories.binary_search_by(|name| name.as_str().cmp(data.repository(row))).ok();
        let percentile = |(&row, &score)| calibration.percentile(score, place(row)).0;
        split.test.iter().zip(&test).map(percentile).filter(|&percentile| percentile >= from).count() as f64
            / split.test.len() as f64
    };
    metrics.insert("test_share_unusual".to_owned(), above(bands.unusual));
    metrics.insert("test_share_very_unusual".to_owned(), above(bands.very_unusual));

    let mut missing_heads = BTreeMap::new();
    let category = learnt("category", category_head, &mut missing_heads);
    if let Some((categories, head)) = &category {
        metrics.extend(heads.category_metrics(&split, categories, head));
    }
    let (categories, category) = category.unzip();
    let groups = clusters_of(&last, &split, settings.seed, &mut || watch(Step::Clusters))?;
    let groups = learnt("clusters", groups, &mut missing_heads);
    if let Some((_, found)) = &groups {
        metrics.insert("cluster_silhouette".to_owned(), found.silhouette);
    }
    let (cluster_infos, groups) = groups.unzip();
    let risk = risk_head(data, &split, settings.seed, &mut || watch(Step::Risk))?;
    let mut risk = learnt("risk", risk, &mut missing_heads);
    if let Some((head, info)) = &mut risk {
        metrics.extend(risk_metrics(data, &split, head, info));
    }
    let (risk, risk_info) = risk.unzip();
    let at = |row: Option<&usize>| data.created_at(*row.expect("no slice is empty"));
    let metadata = Metadata {
        bands,
        categories: categories.unwrap_or_default(),
        clusters: cluster_infos.unwrap_or_default(),
        features: data.features.clone(),
        features_digest: data.features_digest.clone(),
        metrics,
        missing_heads,
        repositories,
        risk: risk_info,
        schema: SCHEMA,
        training: Training {
            from: at(split.training.first()),
            known_to: Some(at(split.validation.last())),
            older_rows: data.older_rows,
            rows: split.training.len() as u64,
            run: origin.run,
            run_digest: origin.run_digest,
            seed: settings.seed,
            test_rows: split.test.len() as u64,
            to: at(split.training.last()),
            // The final fit takes as many rows as the first.
            trimmed_rows: (split.training.len() - last.kept.len()) as u64,
            validation_rows: split.validation.len() as u64,
        },
        version: origin.version,
    };
    let bins = bins(data, &split);
    let Detector { reading: Reading { scaler, text, .. }, network, views, .. } = last;
    Ok(Model::from_parts(Parts {
        metadata,
        scaler,
        text,
        network,
        views,
        calibration,
        bins,
        category,
        clusters: groups.map(|found| found.clusters),
        risk,
    })?)
}

/// The head, if there is one; otherwise the reason is noted under its name.
fn learnt<H>(name: &str, head: Result<H, String>, missing_heads: &mut BTreeMap<String, String>) -> Option<H> {
    head.map_err(|reason| missing_heads.insert(name.to_owned(), reason)).ok()
}

/// How the features of the newest rows are spread: what is scored next comes after these, and histories have grown since the
/// older ones.
fn bins(data: &Dataset, split: &Split) -> Bins {
    let rows = [split.validation.as_slice(), &split.test].concat();
    Bins::of((0..data.features.len()).map(|feature| rows.iter().map(move |&row| data.row(row)[feature])))
}

/// The groups of the pull requests that declare no category, described; or the reason why there are none.
fn clusters_of(
    detector: &Detector<'_>,
    split: &Split,
    seed: u64,
    watch: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Result<(Vec<ClusterInfo>, Found), String>, TrainError> {
    let Reading { data, scaler, .. } = &detector.reading;
    let known = [split.training.as_slice(), &split.validation].concat();
    let undeclared: Vec<usize> = known.iter().copied().filter(|&row| data.category(row).is_none()).collect();
    let undeclared = findings::newest(&undeclared, GROUPED);
    let code = |&row: &usize| detector.network.code(&detector.reading.inputs(row).scaled);
    let codes: Vec<Vec<f32>> = undeclared.iter().map(code).collect();
    let found = match clusters::find(&codes, seed, watch)? {
        Ok(found) => found,
        Err(reason) => return Ok(Err(reason)),
    };
    let rows = |places: &Vec<usize>| places.iter().map(|&place| undeclared[place]).collect();
    let groups: Vec<Vec<usize>> = found.members.iter().map(rows).collect();
    let infos = typical::describe(data, scaler, &groups, findings::newest(&known, GROUPED));
    Ok(Ok((infos, found)))
}

/// The rows of a dataset for the risk head, in the order of `rows`.
pub(crate) fn risk_rows(data: &Dataset, rows: impl Iterator<Item = usize> + Clone) -> risk::Rows<'_> {
    risk::Rows {
        names: data.features.iter().map(|feature| feature.name.as_str()).collect(),
        read: (0..data.features.len()).filter(|&feature| scale::is_read(&data.features[feature])).collect(),
        values: rows.clone().map(|row| data.row(row)).collect(),
        times: rows.clone().map(|row| data.created_at(row)).collect(),
        outcomes: rows.map(|row| data.outcome(row)).collect(),
    }
}

/// The risk head of what was known when the test slice began, or the reason why there is none. One that ranks no better
/// than chance is none: its probabilities would be read as if it knew something.
fn risk_head(
    data: &Dataset,
    split: &Split,
    seed: u64,
    watch: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Result<(RiskHead, RiskInfo), String>, TrainError> {
    let rows = split.training.iter().chain(&split.validation).copied();
    let fitted = match risk::fit(&risk_rows(data, rows), data.created_at(split.test[0]), seed, watch)? {
        Ok(fitted) => fitted,
        Err(reason) => return Ok(Err(reason.of_pull_requests())),
    };
    let Figure { value, low, high } = fitted.auc(seed);
    if low <= CHANCE {
        return Ok(Err(format!(
            "what was learnt of {} reverts ranks later ones no better than chance (AUC {value:.2}, {low:.2} to \
             {high:.2})",
            fitted.info.reverted
        )));
    }
    Ok(Ok((fitted.head, fitted.info)))
}

/// How the risk head, and each of its bands, does on the rows of the test slice that had stood their time when the newest
/// row came.
fn risk_metrics(data: &Dataset, split: &Split, head: &RiskHead, info: &mut RiskInfo) -> Vec<(String, f64)> {
    let end = split.test.last().map_or(i64::MAX, |&row| data.created_at(row));
    let mature = data.mature(&split.test, end);
    let told: Vec<(f32, bool)> = mature.iter().map(|&(row, was)| (head.probability(data.row(row)), was)).collect();
    info.count_test(told.iter().copied());
    let judged = Judged::probabilities(told.into_iter().map(|(told, was)| (f64::from(told), was)));
    let mut metrics = vec![
        ("risk_test_rows".to_owned(), judged.len() as f64),
        ("risk_test_reverted".to_owned(), judged.positives() as f64),
    ];
    if let Some(figures) = judged.figures() {
        let named = figures.named();
        metrics.extend(named.into_iter().map(|(name, value)| (format!("risk_test_{name}"), value)));
    }
    let by_churn =
        data.churn().and_then(|churn| Judged::scores(mature.iter().map(|&(row, was)| (churn(row), was))).figures());
    metrics.extend(by_churn.map(|figures| ("risk_test_churn_auc".to_owned(), figures.auc)));
    metrics
}

/// What tells how unusual a pull request is.
pub(crate) struct Detected<'a> {
    pub(crate) detector: Detector<'a>,
    pub(crate) calibration: Calibration,
    /// Repositories that have percentiles of their own.
    repositories: Vec<String>,
    /// Mean error of the first fit on the validation slice.
    validation_error: f64,
}

/// Learns what is usual, twice: how one that ends with the training slice judges what came after it tells how one that ends
/// with the validation slice will judge what comes after that.
pub(crate) fn detect<'a>(
    data: &'a Dataset,
    training: &[usize],
    validation: &[usize],
    settings: &Settings,
    watch: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
) -> Result<Detected<'a>, TrainError> {
    let first = Detector::fit(data, training, validation, settings, &mut |epoch| watch(Step::First(epoch)))?;
    let (calibration, repositories) = first.calibrate(newer_half(validation));
    let detector =
        Detector::again(data, &recent(training, validation), &first, settings, &mut |epoch| watch(Step::Final(epoch)))?;
    Ok(Detected { detector, calibration, repositories, validation_error: first.error(validation) })
}

/// The rows of the final fit: as many as those of the training slice, up to the end of the validation slice. With as many,
/// distances mean the same, and what is long past makes way for what is usual now.
fn recent(training: &[usize], validation: &[usize]) -> Vec<usize> {
    [training, validation].concat().split_off(validation.len())
}

/// The newer half of these rows, in the order of time, where that is enough to calibrate by; what is usual drifts.
fn newer_half(rows: &[usize]) -> &[usize] {
    let half = &rows[rows.len() / 2..];
    if half.len() < CALIBRATION_ROWS { rows } else { half }
}

/// What learns a head from the rows as the model reads them.
struct Heads<'a> {
    reading: &'a Reading<'a>,
}

impl Heads<'_> {
    fn examples(&self, rows: &[usize]) -> Vec<Example<'_>> {
        let Reading { data, scaler, .. } = self.reading;
        let declared = |row: &usize| data.category(*row).is_some();
        let mut newest: Vec<usize> = rows.iter().copied().rev().filter(declared).take(EXAMPLES).collect();
        newest.reverse();
        category::examples(data, &newest, &|row| (scaler.scale(data.row(row)), data.kind_tokens(row)))
    }

    /// The head, or the reason why there is none.
    fn category_head(
        &self,
        split: &Split,
        watch: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Result<(Vec<String>, CategoryHead), String>, TrainError> {
        let (training, validation) = (self.examples(&split.training), self.examples(&split.validation));
        category::fit(&training, &validation, watch)
    }

    fn category_metrics(&self, split: &Split, classes: &[String], head: &CategoryHead) -> Vec<(String, f64)> {
        let test = self.examples(&split.test);
        if test.is_empty() {
            return Vec::new();
        }
        let truth = category::truth(&test);
        let predicted = category::predictions(head, classes, &test);
        let training: Vec<&str> = split.training.iter().filter_map(|&row| self.reading.data.category(row)).collect();
        let usual = vec![majority(&training).unwrap_or_default(); truth.len()];
        let mut metrics = vec![
            ("category_test_rows".to_owned(), truth.len() as f64),
            ("category_accuracy".to_owned(), accuracy(&truth, &predicted)),
            ("category_calibration_error".to_owned(), category::calibration_error(head, classes, &test)),
            ("category_macro_f1".to_owned(), macro_f1(&truth, &predicted)),
            ("category_majority_accuracy".to_owned(), accuracy(&truth, &usual)),
            ("category_majority_macro_f1".to_owned(), macro_f1(&truth, &usual)),
        ];
        // Of all that are declared, since a kind too rare to be learnt is never found.
        let declared: BTreeSet<&str> = truth.iter().copied().collect();
        let recalls = declared.into_iter().filter_map(|class| Some((class, recall(&truth, &predicted, class)?)));
        metrics.extend(recalls.map(|(class, recall)| (format!("{RECALL}{class}"), recall)));
        metrics
    }
}

#[cfg(test)]
mod tests {
    use prowl_model::FeatureInfo;

    use super::*;
    use crate::{Builder, Outcome, Row};

    /// With a feature that is the same in all rows, or tells of each row what became of it.
    fn risk_of(tells: bool) -> Result<(RiskHead, RiskInfo), String> {
        const DAY: i64 = 86_400_000;
        let feature = FeatureInfo {
            about: "A number.".into(),
            group: "size".into(),
            missing: "unknown".into(),
            name: "plain".into(),
            source: "nowhere".into(),
            unit: "count".into(),
        };
        let mut builder = Builder::new(vec![feature], "abcd".into());
        for row in 0..900_i64 {
            let (reverted, created_at) = (row % 10 == 0, row * DAY);
            builder.push(&Row {
                repository: "o/r",
                number: row,
                created_at,
                values: &[f32::from(u8::from(tells && reverted))],
                tokens: &[],
                kind_tokens: &[],
                title: None,
                category: None,
                outcome: Outcome {
                    reverted_at: reverted.then_some(created_at + DAY),
                    mature_at: Some(created_at + 9 * DAY),
                },
            });
        }
        let data = builder.build();
        risk_head(&data, &Split::of(&data).unwrap(), 1, &mut || ControlFlow::Continue(())).unwrap()
    }

    #[test]
    fn a_head_that_ranks_no_better_than_chance_is_none() {
        assert!(risk_of(true).is_ok());
        assert_eq!(
            risk_of(false).unwrap_err(),
            "what was learnt of 77 reverts ranks later ones no better than chance (AUC 0.50, 0.50 to 0.50)"
        );
    }

    #[test]
    fn the_final_fit_is_on_the_newest_rows_before_the_test_slice() {
        let [training, validation]: [Vec<usize>; 2] = [(0..70).collect(), (70..85).collect()];
        assert_eq!(recent(&training, &validation), (15..85).collect::<Vec<_>>());
    }

    #[test]
    fn percentiles_come_from_the_newer_half_where_it_is_large_enough() {
        let rows: Vec<usize> = (0..2 * CALIBRATION_ROWS).collect();
        assert_eq!(newer_half(&rows), &rows[CALIBRATION_ROWS..]);
        assert_eq!(newer_half(&rows[2..]), &rows[2..]);
    }
}
