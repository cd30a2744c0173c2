//! The command line of a program, and what is said beside it by variables of the environment.

use std::{
    fmt::Display,
    net::{SocketAddr, ToSocketAddrs},
    time::Duration,
};

use clap::{
    Command, Parser,
    builder::{RangedU64ValueParser, StyledStr},
    error::{ContextKind, ContextValue, ErrorKind},
};

/// Reads the command line as [`Parser::parse`] does, says of what is missing which variable may hold it, and takes an empty
/// environment variable as one that is not set: it is what a template or a shell leaves of a value that nobody gave.
pub fn parse<A: Parser>() -> A {
    let command = without_empty_variables(A::command());
    let read = command.clone().try_get_matches();
    let mut matches = read.unwrap_or_else(|error| with_variables(error, &command).exit());
    A::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.format(&mut A::command()).exit())
}

/// Arguments that do not fit together, told and ended with as `clap` does with one that it refuses itself: exit code 2.
pub fn wrong_use(message: impl Display) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, format!("{message}\n"))
}

/// A whole number between two, both included. For `#[arg(value_parser = …)]`.
pub fn within(least: u64, most: u64) -> RangedU64ValueParser {
    clap::value_parser!(u64).range(least..=most)
}

/// `500ms`, `10s`, `1m30s`: at most an hour. For `#[arg(value_parser = …)]`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    parsed
        .filter(|time| *time <= Duration::from_hours(1))
        .ok_or_else(|| "write a time from 0s to 1h, for example 500ms or 10s".to_owned())
}

/// The same, but more than none.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("write a time of more than 0s, for example 500ms or 10s".to_owned()),
        time => Ok(time),
    }
}

/// `0.05` or `5%`: at most all. For `#[arg(value_parser = …)]`.
pub fn share(text: &str) -> Result<f64, String> {
    let (number, whole) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let share = number.trim().parse::<f64>().ok().map(|number| number / whole);
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "write a share from 0 to 1, or from 0% to 100%, such as 0.05 or 5%".to_owned())
}

/// Where to listen: `HOST:PORT`, of which the host may be a name; that stands for one address. For `#[arg(value_parser = …)]`.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = |why: &dyn Display| format!("write HOST:PORT, such as 127.0.0.1:8080 or localhost:8080 ({why})");
    let mut found = text.to_socket_addrs().map_err(|error| wrong(&error))?;
    // A name may stand for several. That of version 4 is the one that our own defaults name.
    let first = found.next().ok_or_else(|| wrong(&"it has no address"))?;
    Ok([first].into_iter().chain(found).find(SocketAddr::is_ipv4).unwrap_or(first))
}

/// An environment variable that no argument stands for, by the rule of [`parse`]: one that is empty is not set.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn without_empty_variables(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        if value.is_some_and(|value| value.is_empty()) { arg.env(None) } else { arg }
    });
    command.mut_subcommands(without_empty_variables)
}

fn with_variables(mut error: clap::Error, command: &Command) -> clap::Error {
    if error.kind() != ErrorKind::MissingRequiredArgument {
        return error;
    }
    let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else { return error };
    // Only one that is built knows how its arguments are written.
    let mut built = command.clone();
    built.build();
    let known = variables(&built);
    // Which subcommand lacks it is not told; an argument of one name has the same variable in all of them.
    let of = |argument: &String| known.iter().find(|(known, _)| known == argument);
    let tips =
        missing.iter().filter_map(of).map(|(argument, variable)| format!("'{argument}' may stand in {variable}"));
    let tips = ContextValue::StyledStrs(tips.map(StyledStr::from).collect());
    error.insert(ContextKind::Suggested, tips);
    error
}

/// Each argument that a variable may hold, as errors name it, and the variable.
fn variables(command: &Command) -> Vec<(String, String)> {
    let named = |argument: &clap::Arg| Some((argument.to_string(), argument.get_env()?.to_str()?.to_owned()));
    command.get_arguments().filter_map(named).chain(command.get_subcommands().flat_map(variables)).collect()
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn what_is_missing_is_told_with_the_variable_that_may_hold_it() {
        let store = Arg::new("store").long("store").value_name("URL").env("PROWL_STORE_OF_NO_TEST").required(true);
        let path = Arg::new("path").long("path").required(true);
        let command = Command::new("prowl").subcommand(Command::new("train").args([store, path]));
        let told = |line: &[&str]| {
            let error = command.clone().try_get_matches_from(line).unwrap_err();
            with_variables(error, &command).to_string()
        };
        let missing = told(&["prowl", "train"]);
        assert!(missing.contains("tip: '--store <URL>' may stand in PROWL_STORE_OF_NO_TEST\n"), "{missing}");
        assert_eq!(missing.matches("tip:").count(), 1, "{missing}");
        assert!(!told(&["prowl", "train", "--store", "x"]).contains("tip:"));
        assert!(!told(&["prowl", "train", "--stor", "x"]).contains("PROWL_STORE_OF_NO_TEST"));
    }

    #[test]
    fn a_share_is_a_part_of_all() {
        assert_eq!((share("5%"), share("0.05"), share("0"), share("100%")), (Ok(0.05), Ok(0.05), Ok(0.0), Ok(1.0)));
        for wrong in ["", "%", "101%", "-1%", "1.5", "NaN", "much"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
