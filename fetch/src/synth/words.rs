//! The words that generated pull requests are made of. In a template `{n}` is the noun of the change, `{m}` a related
//! one, `{s}` its subsystem, `{t}` another subsystem, `{f}` the main file, `{c}` a condition, `{x}` something to add,
//! `{y}` something to support, `{b}` a bug, `{i}` an awkward input, `{d}` a dependency, `{u}` and `{v}` its versions,
//! `{k}` a number, `{p}` a percentage. A capital letter in the braces asks for a capital one in the text.

use super::change::Kind;

/// A part of a code base and what people there talk about.
pub(crate) struct Vocabulary {
    pub name: &'static str,
    pub nouns: [&'static str; 8],
}

const fn words(name: &'static str, nouns: [&'static str; 8]) -> Vocabulary {
    Vocabulary { name, nouns }
}

/// Parts where a mistake is expensive come first; see [`SENSITIVE`].
pub(crate) const VOCABULARIES: [Vocabulary; 24] = [
    words("auth", ["token refresh", "session cookie", "OAuth callback", "password reset", "API key lookup", "login throttle", "SAML assertion", "permission check"]),
    words("crypto", ["key derivation", "signature verification", "nonce generation", "certificate chain", "constant-time compare", "key rotation", "envelope encryption", "digest cache"]),
    words("billing", ["invoice totals", "proration", "payment webhook", "tax rounding", "subscription renewal", "credit notes", "usage metering", "refund flow"]),
    words("storage", ["compaction", "write-ahead log", "snapshot reader", "block cache", "page allocator", "segment merge", "checksum pass", "tombstone cleanup"]),
    words("network", ["connection pool", "TLS handshake", "retry budget", "keep-alive", "DNS cache", "backpressure", "frame decoder", "proxy headers"]),
    words("scheduler", ["job queue", "lease renewal", "cron parser", "worker heartbeat", "task priority", "backoff", "dead-letter queue", "shard balancer"]),
    words("query", ["join planner", "filter pushdown", "alias expansion", "type coercion", "aggregate rewrite", "subquery cache", "cursor paging", "explain output"]),
    words("api", ["pagination", "error envelope", "rate limit headers", "request validation", "batch endpoint", "ETag handling", "cursor token", "OpenAPI schema"]),
    words("ui", ["settings page", "date picker", "empty state", "dark theme", "table sorting", "modal focus", "search box", "toast queue"]),
    words("cli", ["progress bar", "config flag", "shell completion", "exit codes", "help text", "dry-run mode", "output format", "path globbing"]),
    words("ingest", ["CSV reader", "schema inference", "dedup window", "batch splitter", "offset commit", "late events", "timestamp parsing", "consumer lag"]),
    words("search", ["index rebuild", "tokenizer", "ranking weights", "synonym list", "highlighting", "fuzzy match", "facet counts", "stop words"]),
    words("metrics", ["histogram buckets", "label cardinality", "scrape endpoint", "rate window", "gauge reset", "trace sampling", "exporter", "dashboard panels"]),
    words("notify", ["email digest", "webhook delivery", "push tokens", "unsubscribe link", "template rendering", "quiet hours", "digest batching", "Slack formatter"]),
    words("config", ["env overrides", "reload watcher", "default values", "profile merging", "feature flags", "secrets file", "schema check", "deprecation notice"]),
    words("cache", ["eviction policy", "TTL handling", "key hashing", "warm-up", "stampede guard", "size accounting", "negative entries", "invalidation"]),
    words("parser", ["string escapes", "operator precedence", "error recovery", "unicode identifiers", "comment handling", "span tracking", "number literals", "macro expansion"]),
    words("render", ["glyph atlas", "dirty regions", "layout pass", "scroll anchoring", "canvas resize", "color space", "frame pacing", "text wrapping"]),
    words("sync", ["conflict resolution", "change feed", "delta encoding", "offline queue", "clock skew", "peer discovery", "snapshot transfer", "vector clocks"]),
    words("users", ["user profile", "team invites", "audit log", "role mapping", "soft delete", "tenant isolation", "bulk import", "avatar upload"]),
    words("gateway", ["route matching", "circuit breaker", "header rewrite", "health probe", "websocket upgrade", "request id", "CORS rules", "gzip negotiation"]),
    words("core", ["event loop", "error types", "id generator", "lifecycle hooks", "plugin registry", "memory pool", "panic handler", "arena"]),
    words("export", ["PDF layout", "CSV escaping", "archive upload", "report template", "column order", "streaming writer", "locale formats", "upload retry"]),
    words("types", ["decimal math", "date arithmetic", "money type", "enum mapping", "null handling", "serde derive", "unit conversion", "interval type"]),
];

/// How many of [`VOCABULARIES`] are sensitive.
pub(crate) const SENSITIVE: usize = 3;

pub(crate) const OWNERS: [&str; 30] = [
    "northwind", "bluefin", "tidepool", "lanternworks", "quarry", "hollowtree", "copperline", "lowtide",
    "fernhill", "oakbridge", "saltmarsh", "greylag", "pinecrest", "driftwood", "ironbark", "skylark", "emberforge",
    "larkspur", "stonecrop", "waterline", "highmoor", "junegrass", "redstart", "wolframite", "cloverleaf", "palisade",
    "sundial", "thornfield", "vireo", "zephyr-io",
];

pub(crate) const PROJECTS: [&str; 40] = [
    "ledger", "courier", "atlas", "beacon", "harbor", "prism", "relay", "anvil", "compass", "loom", "orchard",
    "pylon", "quill", "rudder", "sextant", "tether", "umbra", "vault", "weft", "yonder", "abacus", "bellows",
    "cinder", "dovetail", "estuary", "flint", "gantry", "hearth", "isthmus", "juniper", "kestrel", "lattice",
    "mortar", "nimbus", "outpost", "pantry", "quorum", "ripple", "stanza", "trellis",
];

pub(crate) const GIVEN: [&str; 48] = [
    "ada", "ben", "carla", "dmitri", "elif", "farid", "greta", "hiro", "ines", "jonas", "kavya", "liam", "mei",
    "nadia", "oskar", "priya", "quentin", "rosa", "samir", "tara", "ulf", "vera", "wei", "ximena", "yusuf", "zoe",
    "anders", "bruna", "chidi", "dana", "emil", "fatima", "goran", "hanna", "ivan", "jana", "kofi", "lena", "mateo",
    "noor", "olga", "pavel", "rina", "sofia", "tomas", "uma", "vik", "wanda",
];

pub(crate) const FAMILY: [&str; 40] = [
    "berg", "castillo", "diaz", "eriksen", "fontaine", "gupta", "huang", "ito", "jansen", "kowalski", "lindqvist",
    "moreau", "novak", "okafor", "petrov", "quinn", "rossi", "silva", "tanaka", "ueda", "varga", "weiss", "xu",
    "yilmaz", "zhang", "abara", "bauer", "chen", "dubois", "eze", "fischer", "garcia", "hoang", "ibrahim", "jung",
    "khan", "larsen", "meyer", "nowak", "osei",
];

pub(crate) const TAILS: [&str; 12] = ["dev", "hq", "codes", "42", "99", "x", "io", "lab", "7", "gh", "ops", "0"];

pub(crate) const CONDITIONS: [&str; 16] = [
    "on retry", "after a restart", "when the response is empty", "for large payloads", "behind a proxy", "on Windows",
    "under load", "during shutdown", "when the cache is cold", "with concurrent writers", "for anonymous users",
    "in dry-run mode", "when the clock jumps", "on 32-bit targets", "if the config is missing",
    "after a failed upgrade",
];
pub(crate) const BUGS: [&str; 12] = [
    "race", "deadlock", "off-by-one", "memory leak", "crash", "wrong default", "busy loop", "stale read",
    "integer overflow", "timeout", "regression", "double free",
];
pub(crate) const INPUTS: [&str; 10] = [
    "empty input", "missing fields", "duplicate keys", "expired entries", "trailing whitespace", "negative values",
    "truncated data", "unknown types", "very long names", "null values",
];
pub(crate) const THINGS: [&str; 12] = [
    "retries", "a size limit", "structured errors", "dry-run support", "tracing", "a fallback", "pagination",
    "a timeout", "an audit trail", "rate limiting", "progress reporting", "batching",
];
pub(crate) const CAPABILITIES: [&str; 12] = [
    "nested values", "custom headers", "multiple tenants", "IPv6", "time zones", "partial results", "compression",
    "streaming", "unicode names", "read-only mode", "wildcards", "bulk operations",
];

/// Titles of a release.
pub(crate) const RELEASES: [&str; 3] = ["Release {v}", "Bump version to {v}", "Prepare {v}"];

/// What a kind of change is called, and what is said of it.
pub(crate) struct Phrases {
    /// In the imperative and with a capital first letter.
    pub titles: &'static [&'static str],
    /// Sentences of a body, from which a few are taken in order.
    pub sentences: &'static [&'static str],
}

pub(crate) fn phrases(kind: Kind) -> &'static Phrases {
    match kind {
        Kind::Feature => &FEATURE,
        Kind::Fix => &FIX,
        Kind::Docs => &DOCS,
        Kind::Test => &TEST,
        Kind::Refactor => &REFACTOR,
        Kind::Performance => &PERFORMANCE,
        Kind::Build => &BUILD,
        Kind::Ci => &CI,
        Kind::Dependency => &DEPENDENCY,
        Kind::Chore => &CHORE,
        Kind::Revert => &REVERT,
    }
}

const FEATURE: Phrases = Phrases {
    titles: &[
        "Add {x} to {n}", "Add {x} to the {n}", "Support {y} in {n}", "Allow {y} in {n}", "Make {n} configurable",
        "Implement {n} for {t}", "Introduce a builder for {n}", "Expose {n} in {t}", "Add {n} metrics",
        "Let users override {n}", "First version of {n} {y}", "Add an option to disable {n}", "New {n} with {x}",
        "Add {n} endpoint to {t}", "Show {n} in {t}",
    ],
    sentences: &[
        "This adds {x} to the {n}.",
        "So far the {n} had no way to deal with {y}, and users had to work around it in their own code.",
        "The default stays the same, so nothing changes for existing setups.",
        "The new behaviour is behind a setting and off by default.",
        "{N} now goes through `{f}`, which also makes {m} easier to test.",
        "I went with the simplest design that works; happy to discuss alternatives.",
        "Measured on a sample of {k}00 requests, the overhead is not visible.",
        "Follow-ups: wire it into {t}, and remove the old path once everybody has moved.",
    ],
};

const FIX: Phrases = Phrases {
    titles: &[
        "Fix {b} in {n}", "Fix {b} in {n} {c}", "Handle {i} in {n}", "Don't drop {n} {c}", "Fix {n} {c}",
        "Return a proper error when {n} fails", "{N} ignores {i}", "Correct {n} {c}", "Avoid {b} in {n}",
        "Check for {i} before {n}", "Fix wrong {n} {c}", "Don't retry {n} {c}", "Prevent {b} {c}",
        "Stop leaking {n} {c}", "Reset {n} {c}",
    ],
    sentences: &[
        "This fixes a {b} in the {n} {c}.",
        "The {n} path did not expect {i}, so the first request failed and everything after it was skipped.",
        "We saw this in production {k} times last week; the logs only show a generic error from `{f}`.",
        "The cause is in `{f}`: the result of the first lookup was reused although the {m} may have changed in between.",
        "I could reproduce it locally with a script that sends {i} in a loop.",
        "Now we return early and keep the old value.",
        "There is probably a deeper problem with how {s} handles {m}, but this is the smallest change that helps.",
    ],
};

const DOCS: Phrases = Phrases {
    titles: &[
        "Document {n}", "Clarify {n} in the README", "Fix typo in {n} docs", "Add example for {n}",
        "Explain how {n} works", "Fix broken links", "Update changelog", "Describe {n} {c}", "Improve {s} docs",
        "Fix typos", "Add a guide to {n}", "Mention {n} in the migration notes",
    ],
    sentences: &[
        "The section on the {n} was out of date since {m} changed.",
        "Several people asked how {n} works, so here is a short explanation with an example.",
        "Also fixes a few broken links.",
        "No code changes.",
    ],
};

const TEST: Phrases = Phrases {
    titles: &[
        "Add tests for {n}", "Cover {n} {c}", "Deflake {n} test", "Speed up {s} tests", "Add regression test for {n}",
        "Test {n} with {i}", "Use fixtures in {s} tests", "Remove sleep from {n} test", "Property tests for {n}",
    ],
    sentences: &[
        "{N} had no coverage {c}.",
        "The old test slept for {k} seconds; it now waits for the event instead.",
        "Found while looking into a flaky run on CI.",
        "These tests run in under a second and do not touch the network.",
    ],
};

const REFACTOR: Phrases = Phrases {
    titles: &[
        "Extract {n} into its own module", "Simplify {n}", "Move {n} to {t}", "Remove dead code from {n}",
        "Split {n} out of {f}", "Use an enum for {n} state", "Inline {n} helper", "Rename {n} to {m}", "Clean up {n}",
        "Unify {n} and {m}", "Make {n} generic", "Rework {n} internals", "Decouple {n} from {t}",
    ],
    sentences: &[
        "`{f}` had grown to do {n} and {m} at once; this splits them.",
        "Preparation for the upcoming work on {t}.",
        "Removes a layer of indirection that nobody used.",
        "Mostly moves code around; best reviewed commit by commit.",
        "No functional changes intended.",
    ],
};

const PERFORMANCE: Phrases = Phrases {
    titles: &[
        "Speed up {n}", "Avoid allocation in {n}", "Cache {n}", "Batch {n} lookups", "Use a bitmap in {n}",
        "Reduce lock contention in {n}", "Skip {n} {c}", "Stream {n} instead of buffering", "Make {n} {p}% faster",
    ],
    sentences: &[
        "Profiles show {p}% of the time in the {n}.",
        "On my machine the benchmark goes from {k}00 ms to a third of it.",
        "The result is cached per request, and invalidated with {m}.",
        "Memory use goes down as well, because we no longer copy every entry.",
    ],
};

const BUILD: Phrases = Phrases {
    titles: &[
        "Upgrade toolchain to {v}", "Split {s} into its own package", "Strip debug info from release builds",
        "Pin base image", "Make builds reproducible", "Fix build on macOS", "Fix arm64 build",
        "Use multi-stage Dockerfile", "Drop unused make targets", "Enable LTO for {s}",
    ],
    sentences: &[
        "The release build broke with the new toolchain.",
        "Makes local and CI builds use the same flags.",
        "Saves about {k}0 MB in the image.",
        "Tested on Linux and macOS.",
    ],
};

const CI: Phrases = Phrases {
    titles: &[
        "Cache dependencies in CI", "Run {s} tests on arm64", "Bump actions/checkout to v{k}",
        "Split lint and test jobs", "Retry flaky upload step", "Add nightly job for {s}", "Upload coverage for {s}",
        "Cancel superseded runs", "Pin runner image", "Fail fast on lint errors",
    ],
    sentences: &[
        "The job took {k} minutes, most of it downloading dependencies.",
        "Fails fast when lint does not pass.",
        "The old runner image is going away next month.",
    ],
};

const DEPENDENCY: Phrases = Phrases {
    titles: &[
        "Update {d} to {v}", "Upgrade {d} from {u} to {v}", "Bump {d} to {v}", "Move to {d} {v}",
    ],
    sentences: &[
        "Needed for a bug fix in {d} that affects the {n}.",
        "The changelog looks harmless: no breaking changes in what we use.",
        "Drops the old pin on {d}.",
    ],
};

const CHORE: Phrases = Phrases {
    titles: &[
        "Remove unused {n} flag", "Update codeowners", "Regenerate {s} bindings", "Sync translations",
        "Clean up {n} logs", "Remove deprecated {n} setting", "Update license headers", "Tidy {s} config",
    ],
    sentences: &[
        "Housekeeping.",
        "Nothing uses this any more since {m} was rewritten.",
        "Part of the release checklist.",
    ],
};

const REVERT: Phrases = Phrases {
    titles: &[
        "Revert {n}",
    ],
    sentences: &[
        "This broke {n} {c} in staging.",
        "Error rates went up right after the deploy; reverting while we look into it.",
        "CI on the default branch is red since this was merged.",
        "It makes {m} noticeably slower {c}.",
        "Needs more work: {i} are not handled.",
    ],
};
