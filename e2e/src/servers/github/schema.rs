//! GitHub's own published schema, and the queries that were checked against it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex};

use apollo_compiler::executable::Operation;
use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::response::{JsonMap, JsonValue};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use serde_json::Value;

use super::super::{installed, of_the_system, succeed};

/// The package that holds it, and its version.
const PACKAGE: (&str, &str) = ("@octokit/graphql-schema", "15.26.1");

/// Parsed once for all servers of a process: it has 60,000 lines.
pub(super) static SCHEMA: LazyLock<Valid<Schema>> = LazyLock::new(|| {
    let text = std::fs::read_to_string(file()).unwrap();
    Schema::parse_and_validate(text, "schema.graphql").unwrap_or_else(|wrong| {
        // GitHub's has fields of one type twice, alike; that is all that may be wrong with it.
        let others: Vec<String> = wrong.errors.iter().map(|error| error.to_string()).collect();
        let others: Vec<&String> = others.iter().filter(|error| !error.contains("duplicate definitions")).collect();
        assert!(others.is_empty(), "{others:#?}");
        Valid::assume_valid(wrong.partial)
    })
});

/// Where the schema lies; it is fetched first if it is not there.
fn file() -> PathBuf {
    let (package, version) = PACKAGE;
    let folder = installed(&format!("graphql-schema-{version}"), |folder| {
        std::fs::create_dir_all(folder).unwrap();
        let mut npm = Command::new(of_the_system("npm"));
        succeed(npm.args(["pack", "--silent", &format!("{package}@{version}")]).current_dir(folder));
        let packed = format!("octokit-graphql-schema-{version}.tgz");
        succeed(Command::new("tar").args(["xzf", &packed, "package/schema.graphql"]).current_dir(folder));
    });
    folder.join("package/schema.graphql")
}

/// A query that is right, with the variables that it was sent with.
pub(super) struct Query {
    pub(super) document: Arc<Valid<ExecutableDocument>>,
    pub(super) name: Option<String>,
    pub(super) variables: Valid<JsonMap>,
}

/// The queries that were right so far, by their text.
#[derive(Default)]
pub(super) struct Queries(Mutex<HashMap<String, Arc<Valid<ExecutableDocument>>>>);

impl Queries {
    /// Checks the body of a request: a query, and the variables that it declares.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn check(&self, body: &Value) -> Result<Query, String> {
        let text = body["query"].as_str().ok_or("the body has no query")?;
        let document = self.document(text)?;
        let name = body["operationName"].as_str().map(str::to_owned);
        let operation = document.operations.get(name.as_deref()).map_err(|wrong| wrong.message().to_string())?;
        let given = match &body["variables"] {
            Value::Null => JsonMap::new(),
            Value::Object(_) => match JsonValue::from(body["variables"].clone()) {
                JsonValue::Object(map) => map,
                _ => unreachable!("an object stays one"),
            },
            other => return Err(format!("variables are no object: {other}")),
        };
        let declared = |name: &str| operation.variables.iter().any(|variable| variable.name == name);
        if let Some((name, _)) = given.iter().find(|(name, _)| !declared(name.as_str())) {
            return Err(format!("the query declares no variable {}", name.as_str()));
        }
        let variables = coerce_variable_values(&SCHEMA, operation, &given);
        let variables = variables.map_err(|wrong| wrong.message().to_string())?;
        let name = name.or_else(|| operation.name.as_ref().map(ToString::to_string));
        Ok(Query { document, name, variables })
    }

    fn document(&self, text: &str) -> Result<Arc<Valid<ExecutableDocument>>, String> {
        if let Some(known) = self.0.lock().unwrap().get(text) {
            return Ok(Arc::clone(known));
        }
        let checked = ExecutableDocument::parse_and_validate(&SCHEMA, text, "query.graphql");
        let checked = Arc::new(checked.map_err(|wrong| wrong.to_string())?);
        self.0.lock().unwrap().insert(text.to_owned(), Arc::clone(&checked));
        Ok(checked)
    }
}

impl Query {
    /// The operation that is asked for.
    pub(super) fn operation(&self) -> &Operation {
        self.document.operations.get(self.name.as_deref()).expect("it was checked")
    }
}
