//! What the same calls to both sides tell: whether preview is as fast as the active version, answers as much, and at
//! what price.

use super::{Checks, LEAST, MORE, milliseconds, share};
use crate::{
    gate::{
        look::{Cost, of_others},
        race::{Lane, Raced, in_time, refuses},
    },
    sample::Outcome,
    stats::{Interval, quantile},
    verdict::{Check, Race},
};

/// A difference that no client notices: where calls take less than a millisecond, how awake a core is makes one slower
/// than another by half.
const UNNOTICED_MS: f64 = 2.0;
/// Share of the calls that more of one side than of the other are slow by the dice, where both had the same pauses:
/// half of what lies beyond a p99.
const BY_DICE: f64 = 0.005;
/// Share of the answers of a preview by itself that have to judge their pull request.
const JUDGED: f64 = 0.5;
/// Share of its calls that the active version has to answer to be compared with.
const WELL: f64 = 0.99;
/// Checks of what the load generator has a part in.
pub(super) const P99: &str = "p99";
pub(super) const THROUGHPUT: &str = "throughput";
const P50_RATIO: &str = "p50 against active";
const P99_RATIO: &str = "p99 against active";
pub(super) const IN_FLIGHT: &str = "calls in flight";
/// Whether the load itself came in time.
pub(super) const LOAD_IN_TIME: &str = "load in time";
const TIMED: [&str; 5] = [P99, THROUGHPUT, P50_RATIO, P99_RATIO, IN_FLIGHT];
/// What calls cost.
const CPU: &str = "CPU against active";

/// A quantile of both sides.
struct Compared<'a> {
    name: &'static str,
    limit: f64,
    ratio: Option<Interval>,
    /// Of preview and of active, in milliseconds.
    at: [f64; 2],
    /// All times of both, from when calls were sent.
    times: &'a [Vec<f64>; 2],
}

impl Checks {
    pub(in crate::gate) fn race(&mut self, race: &Race, raced: &Raced) {
        let Raced { preview, active, .. } = raced;
        if preview.samples.is_empty() {
            let why = "no call became due, or both versions refuse what is sent: give a higher --rate, a longer \
                       --run-time or other --requests";
            self.untold("answered", why);
            return;
        }
        let calls = preview.samples.len() as u64;
        if preview.refused > 0 {
            self.note("refused by both", &format!("{} of {} calls", preview.refused, preview.asked()));
        }
        self.failures("answered", preview.samples.0.iter().map(|sample| sample.outcome), self.limits.error_rate);
        let (p99, limit) = (race.preview.p99, self.limits.p99_ms);
        let answers = preview.samples.answered().count() as u64;
        if answers < LEAST {
            self.untold(P99, &format!("of {answers} answers it is that of one or two: {MORE}"));
        } else {
            self.add(P99, p99 <= limit, milliseconds(p99), format!("at most {}", milliseconds(limit)), || {
                format!("one call in a hundred takes longer at {:.0} calls a second", race.rate)
            });
        }
        let kept = in_time(&preview.samples, raced.length) as f64 / (calls + preview.shed) as f64;
        let least = self.limits.throughput;
        self.add(THROUGHPUT, kept >= least, share(kept), format!("at least {}", share(least)), || {
            format!("it does not keep up with {:.0} calls a second", race.rate)
        });
        self.in_flight(preview, active.as_ref());
        self.judged(preview, active.as_ref());
        let (Some(theirs), Some(lane)) = (&race.active, active) else { return };
        let times = [preview, lane].map(|lane| {
            let mut times = lane.samples.served_ms();
            times.sort_by(f64::total_cmp);
            times
        });
        let (limits, times) = (self.limits, &times);
        let at = |q| times.each_ref().map(|times| quantile(times, q).unwrap_or(f64::NAN));
        let (p50, p99) = (race.p50_ratio, race.p99_ratio);
        self.ratio(&Compared { name: P50_RATIO, limit: limits.p50_ratio, ratio: p50, at: at(0.5), times });
        self.ratio(&Compared { name: P99_RATIO, limit: limits.p99_ratio, ratio: p99, at: at(0.99), times });
        // Of an active version that is not well, nothing can be learnt. What it cannot read is no illness: a new one
        // that can may be there for that.
        let is_well = |outcome: Outcome| outcome == Outcome::Answered || refuses(outcome).is_some();
        let well = lane.samples.0.iter().filter(|sample| is_well(sample.outcome)).count() as u64;
        let asked = theirs.calls + lane.shed;
        if asked == 0 || (well as f64) < WELL * asked as f64 {
            let failed = asked - well;
            let why = format!("the active version failed {failed} of {asked} calls: mend it, and run again");
            self.untold("active answers", &why);
        }
    }

    /// Whether calls of preview piled up. Where those of active did as well, it may be what both share.
    fn in_flight(&mut self, preview: &Lane, active: Option<&Lane>) {
        if preview.shed == 0 {
            return;
        }
        let holds = if active.is_some_and(|lane| lane.shed > 0) { None } else { Some(false) };
        let why = "too many calls waited for an answer at one time".to_owned();
        self.push(IN_FLIGHT, holds, format!("{} calls not made", preview.shed), "0".to_owned(), why);
    }

    /// A limit is passed for certain where all of the interval is above what is allowed, since less could be chance.
    ///
    /// It is kept where the quantile itself is within it. Where it is not, the interval does not say so for certain: of
    /// a few bursts, many rounds draw none. A pause of the machine hits the calls of both sides that are due in it, so
    /// that both quantiles rise alike; but where it takes about as many calls as lie beyond the quantile, one of the
    /// two rises and the other does not, by when the calls of each became due. Then the limit is kept as well, if about
    /// as many calls of active are slow. Bursts that preview has for itself are more than that, and nothing is known:
    /// they may be its own, or come again.
    fn ratio(&mut self, compared: &Compared<'_>) {
        let Compared { name, limit, ratio, at: [ours, theirs], times } = *compared;
        let Some(Interval { low, at, high }) = ratio else {
            self.untold(name, &format!("too little was answered to compare: {MORE}"));
            return;
        };
        let bound = (limit * theirs).max(theirs + UNNOTICED_MS);
        let [above, of_active] = times.each_ref().map(|times| share_above(times, bound));
        let is_within = ours <= bound;
        let (holds, why) = if low * theirs > bound {
            (Some(false), "it is slower than the active version by more than chance explains")
        } else if is_within || above - of_active <= BY_DICE {
            (Some(true), "")
        } else {
            (None, "it was slower in some moments, and whether by chance could not be told: give a longer --run-time")
        };
        let observed = format!("{at:.2} ({low:.2} to {high:.2})");
        let allowed = format!("at most {limit:.2}, or {UNNOTICED_MS} ms more");
        self.push(name, holds, observed, allowed, why.to_owned());
    }

    /// Whether it judges what it answers, as the active version does: an answer without a percentile is soon given.
    fn judged(&mut self, preview: &Lane, active: Option<&Lane>) {
        let of = |lane: &Lane| lane.judged as f64 / lane.samples.answered().count().max(1) as f64;
        // What one of two versions judges alone counts as another band.
        let least = active.map_or(JUDGED, |active| (of(active) - self.limits.bands_changed).max(0.0));
        let found = of(preview);
        self.add("judged", found >= least, share(found), format!("at least {}", share(least)), || {
            "it leaves too many unjudged of those that it answers: does what is sent say how much it changes?"
                .to_owned()
        });
    }

    /// What calls cost preview, and what they cost active, which was asked so often; nothing where that is not known,
    /// which is as it should be only where a port was not named.
    pub(in crate::gate) fn cpu(&mut self, costs: Option<[Cost; 2]>, asked: u64, are_named: bool) {
        let Some([ours, theirs]) = costs else {
            if are_named {
                let why = "the HTTP ports do not tell at /metrics what calls cost, or lead to more than one process: \
                           name those of one process each by --preview-http and --active-http";
                self.untold(CPU, why);
            } else {
                self.note(CPU, "not looked at: it needs --preview-http and --active-http, each of one process");
            }
            return;
        };
        // What others ask may cost more or less: a batch of a thousand is one call.
        if of_others(theirs.calls, asked).is_some() {
            self.note(CPU, "not compared: active answers others as well");
            return;
        }
        let coarse = if ours.off >= 1.0 { ", told in whole seconds" } else { "" };
        let observed = format!(
            "{:.3} and {:.3} ms a call, of {:.2} and {:.2} s{coarse}",
            ours.each_ms(),
            theirs.each_ms(),
            ours.seconds,
            theirs.seconds
        );
        let (least, limit) = (ours.at_least(&theirs), self.limits.cpu_ratio);
        self.add(CPU, least <= limit, observed, format!("at most {limit:.2} times, for certain"), || {
            "each call takes more of the processor than with the active version".to_owned()
        });
    }

    /// Whether the load itself kept up; if not, what was measured is no verdict on the server.
    pub(in crate::gate) fn generator(&mut self, race: &Race) -> bool {
        let of_active = race.active.as_ref().map_or(0.0, |active| active.lag_p99);
        let lag = race.preview.lag_p99.max(of_active);
        let limited = lag > self.limits.lag_ms;
        if limited {
            let why = format!(
                "the load came {} late: give this machine more to itself, or a lower --rate",
                milliseconds(lag)
            );
            self.untold(LOAD_IN_TIME, &why);
            // A call is timed from when it was due, so that these may have failed by the lag alone.
            let is_timed = |check: &&mut Check| TIMED.contains(&check.name.as_str()) && check.holds == Some(false);
            self.all.iter_mut().filter(is_timed).for_each(|check| check.holds = None);
        }
        limited
    }
}

/// Share of the times that are longer.
fn share_above(times: &[f64], bound: f64) -> f64 {
    times.iter().filter(|time| **time > bound).count() as f64 / times.len().max(1) as f64
}

#[cfg(test)]
mod tests;
