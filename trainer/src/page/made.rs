//! The last sections: all figures, and how the model was made.

use prowl_page::{Cell, Table, escaped};

use crate::Settings;
use crate::findings::Findings;

use super::{count, day, known_to};

/// All figures of the training by name.
pub(super) fn figures(findings: &Findings<'_>) -> String {
    let mut table = Table::new("From the model file", &["name", "#value"]);
    for (name, &value) in &findings.model.metadata().metrics {
        table.row(&format!("<code>{}</code>", escaped(name)), [Cell::Number(exact(value))]);
    }
    prowl_page::section("All figures", "figures", &table.html())
}

/// A number with six decimals at most.
fn exact(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// How it was made, and how to make it again.
pub(super) fn section(findings: &Findings<'_>) -> String {
    let metadata = findings.model.metadata();
    let training = &metadata.training;
    let mut table = Table::new("Where it comes from", &["what", "value"]);
    let mut row = |name: &str, value: String| table.row(&escaped(name), [Cell::Text(value)]);
    row("model", metadata.version.clone());
    row("SHA-256 of model.safetensors", findings.digest.clone());
    row("features run", training.run.clone());
    row("SHA-256 of its manifest", training.run_digest.clone());
    row("list of features", format!("{} of them, {}", metadata.features.len(), metadata.features_digest));
    row("training slice", format!("{} to {}", day(training.from), day(training.to)));
    row("learnt up to", known_to(training));
    row("schema of the model file", metadata.schema.to_string());
    row("repositories with percentiles of their own", count(metadata.repositories.len()));
    let mut settings = Table::new("Settings", &["name", "#value"]);
    if let Ok(serde_json::Value::Object(values)) = serde_json::to_value(findings.settings) {
        // In the order of their names, whatever order the map keeps.
        let values: std::collections::BTreeMap<_, _> = values.into_iter().collect();
        for (name, value) in values {
            let text = value.as_f64().map_or_else(|| value.to_string(), exact);
            settings.row(&format!("<code>{}</code>", escaped(&name)), [Cell::Number(text)]);
        }
    }
    let content = format!(
        "{}{}<h3>To make it again</h3>\n<p>The same run, options and version of the program give the same tensors.</p>\n\
         <pre><code>{}</code></pre>\n",
        table.html(),
        settings.html(),
        escaped(&command(&training.run, findings.settings))
    );
    prowl_page::section("How it was made", "made", &content)
}

/// The command that makes the model again. The store is where the reader has it.
pub(crate) fn command(run: &str, settings: &Settings) -> String {
    let Settings { seed, most_rows, epochs, patience, batch_size, hidden, code, learning_rate, backtest, .. } =
        settings;
    let backtest = if *backtest { " --backtest" } else { "" };
    format!(
        "prowl-trainer train --store \"$PROWL_STORE\" --features {run} --seed {seed} --max-rows {most_rows} \\\n  --epochs \
         {epochs} --patience {patience} --batch-size {batch_size} --hidden {hidden} --code {code} --learning-rate \
         {learning_rate}{backtest}"
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command, TrainConfig};

    #[test]
    fn the_command_gives_the_same_settings() {
        let settings = Settings {
            seed: 9,
            most_rows: 77,
            epochs: 5,
            learning_rate: 0.0125,
            backtest: true,
            ..Settings::default()
        };
        let command = command("20261124T214500Z", &settings).replace("\"$PROWL_STORE\"", "file:///x").replace('\\', "");
        let Command::Train(args) = Args::parse_from(command.split_whitespace()).command else {
            panic!("{command} trains nothing")
        };
        assert_eq!(TrainConfig::try_from(args).unwrap().settings, settings);
    }
}
