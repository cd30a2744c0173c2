//! The page: steps with what each took and wrote, and the checks that were made in it.

use std::fmt::{Display, Write};
use std::time::Instant;

/// A run, step by step. Each is told on the screen when it begins and when it ends.
pub(crate) struct Page {
    began: Instant,
    steps: Vec<Step>,
}

/// One step.
pub(crate) struct Step {
    name: String,
    /// Nothing of one that did not come to its end.
    seconds: Option<f64>,
    wrote: Vec<String>,
    checks: Vec<Check>,
}

struct Check {
    name: String,
    holds: bool,
    found: String,
}

impl Page {
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), steps: Vec::new() }
    }

    /// Does a step.
    pub(crate) fn step<T>(&mut self, name: impl Into<String>, work: impl FnOnce(&mut Step) -> T) -> T {
        let (name, began): (String, _) = (name.into(), Instant::now());
        eprintln!("{:4.0} s  {name} …", self.began.elapsed().as_secs_f64());
        // It is on the page also where it unwinds.
        self.steps.push(Step { name, seconds: None, wrote: Vec::new(), checks: Vec::new() });
        let step = self.steps.last_mut().expect("one was added");
        let done = work(step);
        let seconds = began.elapsed().as_secs_f64();
        step.seconds = Some(seconds);
        let (name, wrote) = (&step.name, step.wrote.join("; "));
        eprintln!("{:4.0} s  {name}: {seconds:.1} s  {wrote}", self.began.elapsed().as_secs_f64());
        for Check { name, found, .. } in step.checks.iter().filter(|check| !check.holds) {
            eprintln!("        DOES NOT HOLD: {name}: {found}");
        }
        done
    }

    /// Whether each step came to its end, and each check holds.
    pub(crate) fn holds(&self) -> bool {
        self.steps.iter().all(|step| step.seconds.is_some() && step.checks.iter().all(|check| check.holds))
    }

    /// The page, in Markdown.
    pub(crate) fn text(&self) -> String {
        let mut text = "# The whole chain with real parts\n\n".to_owned();
        let checks: Vec<&Check> = self.steps.iter().flat_map(|step| &step.checks).collect();
        let held = checks.iter().filter(|check| check.holds).count();
        let mut line = |line: &str| writeln!(text, "{line}").expect("a string takes all text");
        line(&format!("{held} of {} checks hold, in {:.0} s.", checks.len(), self.began.elapsed().as_secs_f64()));
        if let Some(step) = self.steps.iter().find(|step| step.seconds.is_none()) {
            line(&format!("**It broke off at the step *{}*.**", step.name));
        }
        line("\n| step | seconds | what it wrote |\n|---|---:|---|");
        for Step { name, seconds, wrote, .. } in &self.steps {
            let seconds = seconds.map_or_else(|| "broke off".to_owned(), |seconds| format!("{seconds:.1}"));
            line(&format!("| {} | {seconds} | {} |", cell(name), cell(&wrote.join("; "))));
        }
        line("\n| step | check | holds | found |\n|---|---|---|---|");
        for step in &self.steps {
            for Check { name, holds, found } in &step.checks {
                let holds = if *holds { "ok" } else { "**no**" };
                line(&format!("| {} | {} | {holds} | {} |", cell(&step.name), cell(name), cell(found)));
            }
        }
        text
    }
}

impl Step {
    /// Something that it left: a folder, or how many of what.
    pub(crate) fn wrote(&mut self, what: impl Into<String>) {
        self.wrote.push(what.into());
    }

    /// Something that has to hold, with what was found.
    pub(crate) fn check(&mut self, name: &str, holds: bool, found: impl Display) {
        self.checks.push(Check { name: name.to_owned(), holds, found: found.to_string() });
    }

    /// The same of two that have to be equal.
    pub(crate) fn same<T: PartialEq + Display>(&mut self, name: &str, found: T, expected: T) {
        let holds = found == expected;
        let found = if holds { found.to_string() } else { format!("{found}, and not {expected}") };
        self.check(name, holds, found);
    }
}

/// A digest, as far as a person compares it.
pub(crate) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// Text that ends no cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
