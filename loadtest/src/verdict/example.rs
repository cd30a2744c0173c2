//! Verdicts as a gate gives them, for tests of what is made of them.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    Answers, Check, Decision, Judged, Latency, Machine, Memory, Moved, Race, SCHEMA, Second, Side, Step, Verdict,
};
use crate::stats::Interval;

impl Verdict {
    /// A retrained model that is as fast as the one before.
    pub(crate) fn example() -> Self {
        let limits = [
            ("expected model", "20261130T001500Z (5f0c5f0c5f0c)", "20261130T001500Z (5f0c5f0c5f0c)"),
            ("first calls answered", "0 of 504 failed", "at most 0.05%"),
            ("panel", "64 of 64 equal", "all 64, to the bit"),
            ("answered", "0 of 30000 failed", "at most 0.05%"),
            ("p50 against active", "1.01 (0.99 to 1.03)", "at most 1.1"),
            ("p99 against active", "1.04 (0.97 to 1.12)", "at most 1.2"),
            ("CPU against active", "0.110 and 0.108 ms a call", "at most 1.50 times, for certain"),
            ("memory", "+0.4 kB for 1,000 calls", "at most 20 kB"),
            ("percentiles (PSI)", "0.031", "at most 0.250"),
            ("rank correlation", "0.982", "at least 0.9"),
            ("bands changed", "2.3%", "at most 5%"),
        ];
        let check = |(name, observed, limit): (&str, &str, &str)| Check {
            name: name.into(),
            holds: Some(true),
            observed: observed.into(),
            limit: limit.into(),
            why: String::new(),
        };
        Self {
            schema: SCHEMA,
            decision: Decision::Go,
            began_at: "2026-11-30T01:18:07Z".into(),
            seconds: 97.4,
            expected: "20261130T001500Z".into(),
            preview: side("https://prowl-preview.prowl.svc:50051", "20261130T001500Z", "5f0c", 2.1),
            active: Some(side("https://prowl-active.prowl.svc:50051", "20261124T214500Z", "a91e", 0.1)),
            checks: limits.map(check).into(),
            race: Some(race(1.04)),
            knee: Some(steps()),
            answers: Some(answers()),
            memory: Some(Memory { first_mb: 214.0, last_mb: 214.3, per_thousand_calls_kb: 0.4 }),
            settings: json!({
                "rate": 500.0,
                "seconds": 60,
                "seed": 1,
                "export": "s3://prowl/export/20261129T220000Z",
                "limits": { "p99_ratio": 1.2, "psi": 0.25 },
            }),
            machine: Machine { cores: 8, load: 1.2, noise: 0.031, generator_limited: false },
        }
    }

    /// One that is slower, and fails at times.
    pub(crate) fn example_no_go() -> Self {
        let mut verdict = Self::example();
        let mut fail = |name: &str, observed: &str, why: &str| {
            let check = verdict.checks.iter_mut().find(|check| check.name == name).unwrap();
            (check.holds, check.observed, check.why) = (Some(false), observed.into(), why.into());
        };
        fail("answered", "250 of 30000 failed", "Preview failed 250 of 30 000 calls, active none.");
        fail("p99 against active", "1.92 (1.80 to 2.05)", "The p99 is 1.92 times that of the active version.");
        verdict.checks[9].holds = None;
        verdict.checks[9].why = "Too few pull requests were judged by both.".into();
        verdict.race = Some(race(1.92));
        let latency = &mut verdict.race.as_mut().unwrap().preview;
        latency.answered -= 250;
        latency.failures = BTreeMap::from([("silent".to_owned(), 31), ("UNAVAILABLE".to_owned(), 219)]);
        verdict.decision = Decision::NoGo;
        verdict
    }

    /// The first version of all: there is nothing to compare with.
    pub(crate) fn example_alone() -> Self {
        let mut verdict = Self::example();
        verdict.active = None;
        verdict.answers = None;
        verdict.checks.retain(|check| !check.name.contains("against") && !check.limit.contains("active"));
        verdict.checks.truncate(5);
        let race = verdict.race.as_mut().unwrap();
        (race.active, race.p50_ratio, race.p99_ratio) = (None, None, None);
        for moment in &mut race.timeline {
            (moment.active_p50, moment.active_p99) = (None, None);
        }
        verdict
    }
}

fn side(url: &str, version: &str, digest: &str, ready_seconds: f64) -> Side {
    Side { url: url.into(), version: version.into(), digest: digest.repeat(16), ready_seconds }
}

/// Two sides, of which preview is so many times slower at its tail.
fn race(ratio: f64) -> Race {
    let preview = latency(ratio);
    let active = latency(1.0);
    let moment = |second: u32| {
        let wave = 1.0 + 0.15 * (f64::from(second) * 0.9).sin();
        let other = 1.0 + 0.15 * (f64::from(second) * 0.7).cos();
        Second {
            second: f64::from(second),
            preview_p50: Some(preview.p50 * (0.7 + 0.3 * wave)),
            preview_p99: Some(preview.p99 * wave),
            active_p50: Some(active.p50 * (0.7 + 0.3 * other)),
            active_p99: Some(active.p99 * other),
            failures: if ratio > 1.5 && second % 20 == 7 { 83 } else { 0 },
        }
    };
    let timeline = (0..60).map(moment).collect();
    let around = |at: f64| Some(Interval { low: 0.94 * at, at, high: 1.07 * at });
    Race {
        rate: 500.0,
        p50_ratio: around(preview.p50 / active.p50),
        p99_ratio: around(preview.p99 / active.p99),
        preview,
        active: Some(active),
        timeline,
    }
}

fn latency(ratio: f64) -> Latency {
    // A log-logistic distribution, the slower the farther out.
    let at = |q: f64| 1.1 * (0.34 * (q / (1.0 - q)).ln()).exp() * ratio.powf(q * q);
    let cdf: Vec<_> = (1..500).map(|step| f64::from(step) / 500.0).chain([0.999, 0.9999]).map(|q| (q, at(q))).collect();
    Latency {
        calls: 30_000,
        answered: 30_000,
        failures: BTreeMap::new(),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: at(0.99995),
        cdf,
        lag_p99: 0.21,
    }
}

fn steps() -> Vec<Step> {
    let most = 4_080.0;
    let step = |rate: f64| {
        let over = (rate / most).max(1.0);
        let p99 = 2.0 + 3.0 * (rate / most).powi(4) + 900.0 * (over - 1.0);
        Step { rate, answered: rate.min(most), p99, error_rate: 1.0 - 1.0 / over, generator_limited: false }
    };
    [500.0, 1_000.0, 2_000.0, 3_000.0, 4_000.0, 5_000.0].map(step).into()
}

fn answers() -> Answers {
    let bin = |bin: u32| {
        let (active, preview) = (100 + bin * 7 % 13, 100 + bin * 11 % 17);
        (f64::from(bin) * 5.0, u64::from(active), u64::from(preview))
    };
    let moved = |place: u16| {
        let (before, after) = if place.is_multiple_of(3) { (98.7, 61.0) } else { (40.0, 96.2) };
        let nearer = f32::from(place) * 0.8;
        Moved {
            repository: "bitcoin-core/secp256k1".into(),
            number: 1_400 + u64::from(place),
            title: "Replace the field inverse by one that takes constant time".into(),
            active: judged(
                if before < after { before + nearer } else { before - nearer * 0.1 },
                "adds 4,200 lines (usual: 6 lines)",
            ),
            preview: judged(
                if before < after { after } else { after + nearer },
                "touches a file that was fixed 9 times (usual: once)",
            ),
        }
    };
    Answers {
        compared: 2_000,
        judged_by_one: 3,
        psi: Some(0.031),
        ks: Some(0.0214),
        ks_p: Some(0.34),
        rank_correlation: Some(0.982),
        bands_changed: 0.023,
        histogram: (0..20).map(bin).collect(),
        moved: (0..20).map(moved).collect(),
    }
}

fn judged(percentile: f32, reason: &str) -> Judged {
    let band = match percentile {
        percentile if percentile >= 99.0 => "very unusual",
        percentile if percentile >= 95.0 => "unusual",
        _ => "routine",
    };
    Judged {
        percentile: Some(percentile),
        band: band.into(),
        risk: Some(percentile / 1_000.0),
        reasons: vec![reason.into(), "is worded unlike other pull requests".into()],
    }
}
