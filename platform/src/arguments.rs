//! The command line of a program.

use clap::{Command, Parser};

/// Reads the command line as [`Parser::parse`] does, and takes an empty environment variable as one that is not set: it is
/// what a template or a shell leaves of a value that nobody gave.
pub fn parse<A: Parser>() -> A {
    let mut matches = without_empty_variables(A::command()).get_matches();
    A::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.format(&mut A::command()).exit())
}

fn without_empty_variables(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        if value.is_some_and(|value| value.is_empty()) { arg.env(None) } else { arg }
    });
    command.mut_subcommands(without_empty_variables)
}
