//! The plots of a verdict: latencies and capacity here, and [those of the answers](answers).

mod answers;

use prowl_page::{Axis, Plot, counted, number, percent};

pub(super) use self::answers::{histogram, moved};
use super::number::milliseconds;
use super::words::{capacity, kept_up};
use crate::verdict::{Latency, Race, Second, Step};

/// Room for the labels of the sides.
const RIGHT: f64 = 54.0;

/// Names and colours of the sides. Preview comes last, so that it lies on top.
const SIDES: [(&str, &str); 2] = [("active", "three"), ("preview", "one")];

fn sides(race: &Race) -> impl Iterator<Item = (&'static str, &'static str, &Latency)> {
    let of = [race.active.as_ref(), Some(&race.preview)];
    SIDES.into_iter().zip(of).filter_map(|((name, class), latency)| Some((name, class, latency?)))
}

/// Milliseconds and the share of the answers that came within them, ascending.
fn distribution(latency: &Latency) -> Vec<(f64, f64)> {
    let mut points: Vec<_> = latency.cdf.iter().map(|(share, ms)| (*ms, *share)).collect();
    points.sort_by(|a, b| a.1.total_cmp(&b.1));
    points
}

fn milliseconds_of(race: &Race) -> Axis {
    let all: Vec<f64> = sides(race).flat_map(|(_, _, latency)| latency.cdf.iter().map(|point| point.1)).collect();
    Axis::log("milliseconds from when the call was due", all)
}

/// How many were answered within which time.
pub(super) fn within(race: &Race) -> String {
    let told: Vec<_> = sides(race)
        .map(|(name, _, latency)| {
            format!("{name} half within {}, 99% within {}", milliseconds(latency.p50), milliseconds(latency.p99))
        })
        .collect();
    let about = format!("Share of the answers by the time within which they came: {}.", told.join("; "));
    let y = Axis::between("share of the answers that came within", 0.0, 1.0).of_shares();
    let mut plot = Plot::new("within", about, milliseconds_of(race), y, RIGHT);
    for (name, class, latency) in sides(race) {
        plot.line(&distribution(latency), class, name);
        plot.dot((latency.p50, 0.5), 3.5, class, &format!("{name}: half within {}", milliseconds(latency.p50)));
        plot.dot((latency.p99, 0.99), 3.5, class, &format!("{name}: 99% within {}", milliseconds(latency.p99)));
    }
    plot.figure("Latency", "The further to the left, the faster. Dots are p50 and p99. What failed is not in it.")
}

/// How many took longer than which time: the same, but for the tail.
pub(super) fn beyond(race: &Race) -> String {
    let beyond = |latency: &Latency| -> Vec<(f64, f64)> {
        let points = distribution(latency).into_iter().map(|(ms, share)| (ms, 1.0 - share));
        points.filter(|(_, share)| *share > 1e-9).collect()
    };
    let told: Vec<_> = sides(race).map(|(name, _, latency)| format!("{name} {}", milliseconds(latency.p999))).collect();
    let about = format!("Share of the answers that took longer. One in 1000 took longer than: {}.", told.join(", "));
    let shares: Vec<f64> = sides(race).flat_map(|(_, _, latency)| beyond(latency)).map(|point| point.1).collect();
    let y = Axis::log("share of the answers that took longer", shares).of_shares();
    let mut plot = Plot::new("beyond", about, milliseconds_of(race), y, RIGHT);
    for (name, class, latency) in sides(race) {
        plot.line(&beyond(latency), class, name);
    }
    plot.figure("The slowest", "Each step down is a rarer call: 1% is the p99, 0.1% the p99.9.")
}

/// p50 and p99 by the second.
pub(super) fn timeline(race: &Race) -> String {
    type Figure = fn(&Second) -> Option<f64>;
    let both: [(&str, &str, Figure); 4] = [
        ("active p50", "three thin", |moment| moment.active_p50),
        ("active p99", "three", |moment| moment.active_p99),
        ("preview p50", "one thin", |moment| moment.preview_p50),
        ("preview p99", "one", |moment| moment.preview_p99),
    ];
    let lines = if race.active.is_some() { &both[..] } else { &both[2..] };
    let moments = &race.timeline;
    let seconds = || moments.iter().map(|moment| moment.second).filter(|second| second.is_finite());
    let (from, to) = (seconds().fold(f64::INFINITY, f64::min), seconds().fold(0.0, f64::max));
    let failing = moments.iter().filter(|moment| moment.failures > 0).count() as u64;
    let highest = |figure: Figure| moments.iter().filter_map(figure).fold(f64::NAN, f64::max);
    let beside = race.active.as_ref().map_or_else(String::new, |_| {
        format!(", {} for the active version", milliseconds(highest(|moment| moment.active_p99)))
    });
    let about = format!(
        "Latency by second over {}. The highest p99 of a second: {} for preview{beside}. Calls failed in {}.",
        counted(moments.len() as u64, "second", "seconds"),
        milliseconds(highest(|moment| moment.preview_p99)),
        counted(failing, "second", "seconds"),
    );
    let all = lines.iter().flat_map(|line| moments.iter().filter_map(line.2)).collect::<Vec<f64>>();
    let x = Axis::between("second of the race", from.min(to), to);
    let mut plot =
        Plot::new("timeline", about, x, Axis::log("milliseconds, by the second in which calls were due", all), 80.0);
    for &(name, class, figure) in lines {
        let points: Vec<_> = moments.iter().map(|moment| (moment.second, figure(moment).unwrap_or(f64::NAN))).collect();
        plot.line(&points, class, name);
    }
    for moment in moments.iter().filter(|moment| moment.failures > 0) {
        let tells = format!("second {}: {}", number(moment.second), counted(moment.failures, "failure", "failures"));
        // At the upper edge, whatever that is.
        plot.dot((moment.second, f64::MAX), 3.5, "two", &tells);
    }
    let below = match failing {
        0 => "No second has a call that failed.".to_owned(),
        _ => format!("Dots at the upper edge: {} with calls that failed.", counted(failing, "second", "seconds")),
    };
    plot.figure("Over the time", &below)
}

/// What preview answers of what is offered, and how fast.
pub(super) fn knee(steps: &[Step]) -> String {
    let of = |figure: fn(&Step) -> f64| -> Vec<(f64, f64)> {
        let mut points: Vec<_> = steps.iter().map(|step| (step.rate, figure(step))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    let rates = || steps.iter().map(|step| step.rate);
    let x = Axis::from_zero("calls a second that were due", rates());
    let y = Axis::from_zero("calls a second that were answered", rates().chain(steps.iter().map(|step| step.answered)));
    let most = rates().filter(|rate| rate.is_finite()).fold(0.0, f64::max);
    let mut answered = Plot::new("answered", capacity(steps), x.clone(), y, RIGHT);
    answered.rule((0.0, 0.0), (most, most), "");
    answered.text((0.5 * most, 0.5 * most), -6.0, "end", "", "all");
    let kept = kept_up(steps).and_then(|kept| steps.iter().find(|step| step.rate == kept));
    let told =
        kept.map_or("none".to_owned(), |step| format!("{} at {} a second", milliseconds(step.p99), number(step.rate)));
    let about = format!("p99 by rate. Where preview keeps up at most: {told}.");
    let y = Axis::log("p99 in milliseconds", steps.iter().map(|step| step.p99));
    let mut slow = Plot::new("slow", about, x, y, RIGHT);
    let [_, (side, class)] = SIDES;
    answered.line(&of(|step| step.answered), class, side);
    slow.line(&of(|step| step.p99), class, side);
    for step in steps {
        let failed = percent(step.error_rate);
        let tells = format!("at {}: {} answered, {failed} failed", number(step.rate), number(step.answered));
        answered.dot((step.rate, step.answered), 3.0, class, &tells);
        let tells = format!("at {}: p99 {}", number(step.rate), milliseconds(step.p99));
        slow.dot((step.rate, step.p99), 3.0, class, &tells);
    }
    answered.figure("Capacity", "Below the dashed line less is answered than was due.")
        + &slow.figure("Its price", "Where the line turns upwards calls begin to wait for each other.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Answers, Verdict};

    fn example() -> (Race, Vec<Step>, Answers) {
        let verdict = Verdict::example_no_go();
        (verdict.race.unwrap(), verdict.knee.unwrap(), verdict.answers.unwrap())
    }

    fn all(race: &Race, steps: &[Step], answers: &Answers) -> [String; 6] {
        [within(race), beyond(race), timeline(race), knee(steps), histogram(answers), moved(answers)]
    }

    #[test]
    fn both_sides_are_drawn_and_told_of() {
        let (race, steps, answers) = example();
        let [within, beyond, timeline, knee, histogram, moved] = all(&race, &steps, &answers);
        for plot in [&within, &beyond] {
            assert_eq!(plot.matches("<polyline").count(), 2, "{plot}");
            assert!(plot.contains(">preview</text>") && plot.contains(">active</text>"), "{plot}");
        }
        assert_eq!((timeline.matches("<polyline").count(), timeline.matches("dot two").count()), (4, 3), "{timeline}");
        assert!(timeline.contains("second 7: 83 failures"), "{timeline}");
        assert_eq!((knee.matches("<svg").count(), knee.matches("<polyline").count()), (2, 2), "{knee}");
        assert!(knee.contains("up to 4000 calls a second"), "{knee}");
        assert_eq!(
            (histogram.matches("<rect").count(), histogram.matches("<polyline").count()),
            (20, 1),
            "{histogram}"
        );
        assert_eq!((moved.matches("<circle").count(), moved.matches("class=\"label\"").count()), (20, 9), "{moved}");
        assert!(moved.contains(" 11 that lie too close to others have none."), "{moved}");
    }

    #[test]
    fn nothing_one_thing_and_what_is_no_number_are_drawn_without_a_fault() {
        let (mut race, mut steps, mut answers) = example();
        race.active = None;
        for length in [1, 0] {
            race.preview.cdf.truncate(length);
            race.timeline.truncate(length);
            steps.truncate(length);
            answers.histogram.truncate(length);
            answers.moved.truncate(length);
            if length == 0 {
                (race.preview.p50, race.preview.p99) = (f64::NAN, f64::NAN);
            }
            for plot in all(&race, &steps, &answers) {
                assert!(!plot.contains("NaN") && !plot.contains("inf"), "{plot}");
                let moved_not = plot.contains("nothing moved</text>");
                assert_eq!(moved_not || plot.contains("nothing was measured</text>"), length == 0, "{plot}");
                assert_eq!(moved_not, length == 0 && plot.contains("Moved farthest"), "{plot}");
            }
        }
        let (mut race, mut steps, mut answers) = example();
        race.preview.cdf[7] = (f64::NAN, f64::INFINITY);
        race.timeline[3].second = f64::NAN;
        race.timeline[4].preview_p99 = Some(f64::NAN);
        (steps[0].rate, steps[1].p99, steps[2].answered) = (f64::NAN, f64::INFINITY, f64::NAN);
        answers.histogram[2].0 = f64::NAN;
        answers.moved[0].active.percentile = Some(f32::NAN);
        answers.moved[1].preview.percentile = None;
        for plot in all(&race, &steps, &answers) {
            assert!(!plot.contains("NaN") && !plot.contains("inf"), "{plot}");
        }
        assert!(moved(&answers).contains(" 2 that one side did not judge"));
    }

    #[test]
    fn what_comes_from_outside_is_escaped() {
        let (.., mut answers) = example();
        answers.moved[0].repository = "<script>".into();
        let plot = moved(&answers);
        assert!(!plot.contains("<script") && plot.contains("&lt;script&gt;#1400"), "{plot}");
    }
}
