//! What was asked of the local GitHub.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::fault::Fault;

/// A request, and how it was answered.
#[derive(Clone, Debug)]
pub struct Asked {
    /// When it came.
    pub at: Instant,
    /// How many came before it.
    pub index: usize,
    /// Method, path and query, such as `POST /graphql`.
    pub line: String,
    /// Whose token it brought; `None` of one that is not known.
    pub account: Option<String>,
    /// The name of the operation, of a query that is right.
    pub query: Option<String>,
    /// The variables of the query.
    pub variables: Value,
    /// The page of pull requests that the query asks for; 0 if it asks for none.
    pub page: u64,
    /// Whether it came although the account had been told to wait.
    pub too_early: bool,
    /// What goes wrong with the answer.
    pub fault: Option<Fault>,
    /// The status of the answer; 0 as long as there is none.
    pub status: u16,
    /// The points that it cost.
    pub points: u64,
    /// The time until it was answered.
    pub took: Duration,
}

impl Asked {
    /// Whether it is a query.
    pub fn is_graphql(&self) -> bool {
        self.line.ends_with("/graphql")
    }

    /// The repository that it names, where it names one.
    pub fn names(&self, repository: &str) -> bool {
        let (owner, name) = repository.split_once('/').unwrap();
        let variable = |value: &str| {
            let mut variables = self.variables.as_object().into_iter().flat_map(|all| all.values());
            variables.any(|given| given == value)
        };
        self.line.contains(&format!("/repos/{repository}/")) || (variable(owner) && variable(name))
    }
}
