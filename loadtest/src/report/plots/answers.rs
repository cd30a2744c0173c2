//! The plots of how the answers of the two sides differ.

use prowl_page::{Axis, Plot, count, counted, number, percent};

use super::RIGHT;
use crate::report::number::percentile;
use crate::verdict::Answers;

/// How percentiles are spread on both sides.
pub(in crate::report) fn histogram(answers: &Answers) -> String {
    let mut bins = answers.histogram.clone();
    bins.retain(|bin| bin.0.is_finite());
    bins.sort_by(|a, b| a.0.total_cmp(&b.0));
    let width = bins.windows(2).map(|pair| pair[1].0 - pair[0].0).fold(0.0, f64::max);
    let end = bins.last().map_or(100.0, |last| (last.0 + width).max(100.0));
    let totals = bins.iter().fold((0, 0), |totals: (u64, u64), bin| (totals.0 + bin.1, totals.1 + bin.2));
    let share = |count: u64, total: u64| count as f64 / total.max(1) as f64;
    let shares: Vec<_> = bins.iter().map(|bin| (share(bin.1, totals.0), share(bin.2, totals.1))).collect();
    let highest = |of: fn(&(f64, f64)) -> f64| {
        let places = shares.iter().map(of).zip(&bins).max_by(|a, b| a.0.total_cmp(&b.0));
        places.map_or("–".to_owned(), |(share, bin)| format!("{} from {}", percent(share), number(bin.0)))
    };
    let about = format!(
        "Histogram of percentiles in {}, of {} for the active version and {} for preview. The fullest bin: {} and {}.",
        counted(bins.len() as u64, "bin", "bins"),
        counted(totals.0, "answer", "answers"),
        count(totals.1),
        highest(|shares| shares.0),
        highest(|shares| shares.1)
    );
    let x = Axis::between("percentile", bins.first().map_or(0.0, |bin| bin.0.min(0.0)), end);
    let y = Axis::from_zero("share of the answers", shares.iter().flat_map(|(active, preview)| [*active, *preview]));
    let mut plot = Plot::new("histogram", about, x, y.of_shares(), RIGHT);
    let mut outline = Vec::new();
    for (place, (bin, (active, preview))) in bins.iter().zip(&shares).enumerate() {
        let to = bins.get(place + 1).map_or(end, |next| next.0);
        let room = 0.06 * (to - bin.0);
        plot.bar((bin.0 + room, to - room), (0.0, *active), "three");
        outline.extend([(bin.0, *preview), (to, *preview)]);
    }
    plot.line(&outline, "one", "preview");
    plot.figure("Percentiles", "Grey bars are the active version. Where the two agree the line lies on the bars.")
}

/// The pull requests that moved farthest, by both percentiles.
pub(in crate::report) fn moved(answers: &Answers) -> String {
    let both = |place: usize| {
        let moved = &answers.moved[place];
        let [active, preview] = [moved.active.percentile, moved.preview.percentile].map(|value| value.map(f64::from));
        Some((active.filter(|value| value.is_finite())?, preview.filter(|value| value.is_finite())?))
    };
    let drawn: Vec<_> = (0..answers.moved.len()).filter_map(|place| Some((place, both(place)?))).collect();
    let lowest = drawn.iter().map(|(_, both)| both.0.min(both.1)).fold(100.0, f64::min);
    let from = ((lowest / 10.0).floor() * 10.0).clamp(0.0, 90.0);
    let up = drawn.iter().filter(|(_, (active, preview))| preview > active).count();
    let about = format!(
        "Percentiles of the {} that moved farthest: {up} are more unusual to preview, {} less.",
        counted(drawn.len() as u64, "pull request", "pull requests"),
        drawn.len() - up
    );
    let (x, y) = (
        Axis::between("percentile by the active version", from, 100.0),
        Axis::between("percentile by preview", from, 100.0),
    );
    let mut plot = Plot::new("moved", about, x, y, 20.0);
    if answers.moved.is_empty() && answers.compared > 0 {
        return plot.nothing("nothing moved").figure("Moved farthest", "");
    }
    plot.rule((from, from), (100.0, 100.0), "");
    for (place, at) in &drawn {
        let moved = &answers.moved[*place];
        let class = if moved.active.band == moved.preview.band { "one" } else { "two" };
        let [before, after] = [&moved.active, &moved.preview].map(|judged| percentile(judged.percentile));
        plot.dot(*at, 4.0, class, &format!("{}#{}: {before} to {after}", moved.repository, moved.number));
    }
    // Above the dots, which would cover them.
    let mut close = 0;
    for (place, at) in &drawn {
        close += usize::from(!plot.name(*at, &(place + 1).to_string()));
    }
    let close = match close {
        0 => String::new(),
        close => format!(" {close} that lie too close to others have none."),
    };
    let missing = match answers.moved.len() - drawn.len() {
        0 => String::new(),
        missing => format!(" {missing} that one side did not judge are not drawn."),
    };
    let below =
        format!("Dashed: unmoved. Orange: the band is another. Numbers are those of the table.{close}{missing}");
    plot.figure("Moved farthest", &below)
}
