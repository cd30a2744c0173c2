//! How far the answers of a new version are from those of the active one, on the same pull requests.

use std::collections::BTreeMap;

use prowl_proto::v1::{Band, ScoreResponse};

use crate::{
    deck::Deck,
    stats::{kolmogorov_smirnov, psi, spearman},
    verdict::{Answers, Judged, Moved},
};

/// Bins of the index, as of the drift that the service tells.
const BINS: usize = 10;
/// Of the distribution in a report: percentiles from 0 in steps of five.
const STEP: f64 = 5.0;
/// Those that moved most, one by one.
const TOLD: usize = 20;
/// Of an answer.
const REASONS: usize = 3;
/// The longest title that is told, in characters.
const TITLE: usize = 80;

/// Compares what both sides have answered; nothing where that is of no pull request.
pub(super) fn compare(answers: &BTreeMap<usize, [Option<ScoreResponse>; 2]>, deck: &Deck) -> Option<Answers> {
    let both: Vec<(usize, &ScoreResponse, &ScoreResponse)> = answers
        .iter()
        .filter_map(|(place, [preview, active])| Some((*place, preview.as_ref()?, active.as_ref()?)))
        .collect();
    if both.is_empty() {
        return None;
    }
    let judged: Vec<_> = both
        .iter()
        .filter_map(|(place, ours, theirs)| Some((*place, f64::from(ours.percentile?), f64::from(theirs.percentile?))))
        .collect();
    let (ours, theirs): (Vec<f64>, Vec<f64>) = judged.iter().map(|(_, ours, theirs)| (*ours, *theirs)).unzip();
    let distance = kolmogorov_smirnov(&theirs, &ours);
    let alone = both.iter().filter(|(_, ours, theirs)| is_judged(ours) != is_judged(theirs)).count();
    // Those that nobody judges would make the share of the others look smaller.
    let of_any = both.iter().filter(|(_, ours, theirs)| is_judged(ours) || is_judged(theirs)).count();
    let changed = both.iter().filter(|(_, ours, theirs)| ours.band != theirs.band).count();
    Some(Answers {
        compared: (of_any - alone) as u64,
        judged_by_one: alone as u64,
        psi: psi(&theirs, &ours, BINS),
        ks: distance.map(|distance| distance.statistic),
        ks_p: distance.map(|distance| distance.p),
        rank_correlation: spearman(&ours, &theirs),
        bands_changed: changed as f64 / of_any.max(1) as f64,
        histogram: histogram(&ours, &theirs),
        moved: moved(&both, deck),
    })
}

fn is_judged(answer: &ScoreResponse) -> bool {
    answer.band() != Band::Unspecified
}

fn histogram(ours: &[f64], theirs: &[f64]) -> Vec<(f64, u64, u64)> {
    let bins = (100.0 / STEP) as usize;
    let mut found: Vec<_> = (0..bins).map(|bin| (bin as f64 * STEP, 0, 0)).collect();
    let bin = |percentile: f64| ((percentile / STEP) as usize).min(bins - 1);
    for percentile in theirs {
        found[bin(*percentile)].1 += 1;
    }
    for percentile in ours {
        found[bin(*percentile)].2 += 1;
    }
    found
}

fn moved(both: &[(usize, &ScoreResponse, &ScoreResponse)], deck: &Deck) -> Vec<Moved> {
    // One that only one side judges has moved farther than any that both do.
    let way = |ours: &ScoreResponse, theirs: &ScoreResponse| match (ours.percentile, theirs.percentile) {
        (Some(ours), Some(theirs)) => (ours - theirs).abs(),
        (None, None) => 0.0,
        _ => f32::INFINITY,
    };
    let mut farthest: Vec<_> =
        both.iter().map(|(place, ours, theirs)| (way(ours, theirs), *place, *ours, *theirs)).collect();
    farthest.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    farthest.retain(|(way, ..)| *way > 0.0);
    farthest.truncate(TOLD);
    let told = farthest.into_iter().map(|(_, place, ours, theirs)| Moved {
        repository: ours.repository.clone(),
        number: ours.number,
        title: title(deck.document(place)),
        active: judged(theirs),
        preview: judged(ours),
    });
    told.collect()
}

fn judged(answer: &ScoreResponse) -> Judged {
    Judged {
        percentile: answer.percentile,
        band: answer.band().words().unwrap_or_default().to_owned(),
        risk: answer.risk,
        reasons: answer.reasons.iter().take(REASONS).map(|reason| reason.sentence.clone()).collect(),
    }
}

fn title(document: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Titled {
        title: Option<String>,
    }
    let title = serde_json::from_slice::<Titled>(document).ok().and_then(|titled| titled.title);
    title.unwrap_or_default().chars().take(TITLE).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::deck::Origin;

    fn answer(number: u64, percentile: Option<f32>) -> ScoreResponse {
        let band = match percentile {
            None => Band::Unspecified,
            Some(percentile) if percentile < 90.0 => Band::Routine,
            Some(_) => Band::Unusual,
        };
        ScoreResponse { number, percentile, band: band as i32, ..ScoreResponse::default() }
    }

    async fn deck(count: usize) -> Arc<Deck> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("requests");
        let lines: Vec<String> = (0..count).map(|number| format!(r#"{{"title":"Change {number}"}}"#)).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        Arc::new(Deck::draw(&Origin::Files(vec![path]), None, count, 1).await.unwrap())
    }

    fn pairs(of: impl Fn(usize) -> (Option<f32>, Option<f32>)) -> BTreeMap<usize, [Option<ScoreResponse>; 2]> {
        let pair = |place: usize| {
            let (ours, theirs) = of(place);
            (place, [Some(answer(place as u64, ours)), Some(answer(place as u64, theirs))])
        };
        (0..500).map(pair).collect()
    }

    #[tokio::test]
    async fn the_same_answers_are_the_same() {
        let deck = deck(500).await;
        let same = |place: usize| Some(place as f32 / 5.0);
        let found = compare(&pairs(|place| (same(place), same(place))), &deck).unwrap();
        assert_eq!((found.compared, found.bands_changed, found.ks), (500, 0.0, Some(0.0)));
        assert!(found.psi.unwrap() < 1e-9 && found.rank_correlation.unwrap() > 0.999 && found.moved.is_empty());
        assert_eq!(found.histogram.iter().map(|bin| bin.1 + bin.2).sum::<u64>(), 1_000);
        assert!(compare(&BTreeMap::new(), &deck).is_none());
    }

    #[tokio::test]
    async fn those_that_moved_most_are_told() {
        let deck = deck(500).await;
        let found = compare(
            &pairs(|place| match place {
                7 => (None, Some(1.4)),
                400 => (Some(99.0), Some(80.0)),
                _ => (Some(place as f32 / 5.0), Some(place as f32 / 5.0)),
            }),
            &deck,
        );
        let found = found.unwrap();
        let moved: Vec<_> = found.moved.iter().map(|moved| (moved.number, moved.title.as_str())).collect();
        assert_eq!(moved, [(7, "Change 7"), (400, "Change 400")]);
        assert_eq!((found.moved[1].preview.band.as_str(), found.moved[1].active.band.as_str()), ("unusual", "routine"));
        assert_eq!(found.moved[0].preview.band, "", "it was not judged");
        assert!((found.bands_changed - 2.0 / 500.0).abs() < 1e-9);
        assert_eq!((found.compared, found.judged_by_one), (499, 1));
    }

    #[tokio::test]
    async fn what_nobody_judges_is_not_compared_and_what_one_judges_has_another_band() {
        let deck = deck(500).await;
        let found = compare(
            &pairs(|place| match place {
                0..100 => (Some(50.0), Some(50.0)),
                100..150 => (None, Some(50.0)),
                _ => (None, None),
            }),
            &deck,
        );
        let found = found.unwrap();
        assert_eq!((found.compared, found.judged_by_one), (100, 50));
        assert!((found.bands_changed - 50.0 / 150.0).abs() < 1e-9, "{}", found.bands_changed);
        let nobody = compare(&pairs(|_| (None, None)), &deck).unwrap();
        assert_eq!((nobody.compared, nobody.judged_by_one, nobody.bands_changed), (0, 0, 0.0));
    }
}
