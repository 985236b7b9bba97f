//! Commands for Docker, which need an Engine: they are not run, so every name in them is looked up.

use std::collections::BTreeSet;

use regex::Regex;

use crate::markdown::root;

/// What comes after `docker compose` in the documents.
const COMMANDS: [&str; 15] = [
    "build", "config", "cp", "down", "exec", "kill", "logs", "ps", "pull", "restart", "run",
    "start", "stop", "top", "up",
];
/// Options with a value after them.
const WITH_VALUE: [&str; 5] = [
    "--profile",
    "--scale",
    "--signal",
    "--tail",
    "--project-name",
];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The first group of every match.
fn all(pattern: &str, text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).expect("a regex");
    let found = pattern.captures_iter(text);
    found.map(|found| found[1].to_owned()).collect()
}

fn services() -> BTreeSet<String> {
    let compose = read("docker-compose.yml");
    let section = compose.split("\nservices:\n").nth(1).expect("services");
    let section = section.split("\nvolumes:\n").next().expect("it ends");
    all(r"(?m)^  ([a-z_-]+):", section)
}

/// The names of services and networks.
pub(crate) fn names() -> BTreeSet<String> {
    let compose = read("docker-compose.yml");
    let networks = compose.split("\nnetworks:\n").nth(1).expect("networks");
    let mut names = services();
    names.extend(all(r"(?m)^  ([a-z_-]+):", networks));
    names
}

/// What is wrong with a command that begins with `docker`, perhaps after variables; `None` when
/// every service, variable, profile and argument in it exists.
pub(crate) fn problem(command: &str) -> Option<String> {
    let mut words = command.split_whitespace().peekable();
    let knobs = all(r"(?m)^([A-Z_]+)=", &read(".env.example"));
    while let Some((name, _)) = words.peek().and_then(|word| word.split_once('=')) {
        if !knobs.contains(name) {
            return Some(format!(".env.example has no {name}"));
        }
        words.next();
    }
    let rest: Vec<&str> = words.collect();
    match rest[..] {
        ["docker", "compose", ..] => of_compose(&rest[2..]),
        ["docker", "build" | "buildx", ..] => of_build(&rest[2..]),
        _ => Some("only `docker compose` and `docker build` can be checked".to_owned()),
    }
}

fn of_compose(words: &[&str]) -> Option<String> {
    let services = services();
    let mut subcommand = None;
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        if WITH_VALUE.contains(&word) {
            let value = words.next()?;
            let service = value.split_once('=').map(|(service, _)| service);
            if word == "--scale" && !service.is_some_and(|service| services.contains(service)) {
                return Some(format!("no service of {value}"));
            }
            let profiles = all(r"profiles: \[(\w+)\]", &read("docker-compose.yml"));
            if word == "--profile" && !profiles.contains(*value) {
                return Some(format!("no profile {value}"));
            }
        } else if word.starts_with('-') {
        } else if subcommand.is_none() {
            subcommand = Some(word);
            if !COMMANDS.contains(&word) {
                return Some(format!("`docker compose {word}` is not known here"));
            }
        } else if subcommand == Some("cp") {
            // A place is SERVICE:PATH, or a path of this side.
            let service = word.split_once(':').map(|(service, _)| service);
            if service.is_some_and(|service| !services.contains(service)) {
                return Some(format!("no service of {word}"));
            }
        } else if !services.contains(word) {
            return Some(format!("no service is called {word}"));
        } else if matches!(subcommand, Some("exec" | "run")) {
            // What follows the service is a command in its container.
            return None;
        }
    }
    None
}

fn of_build(words: &[&str]) -> Option<String> {
    let arguments = all(r"(?m)^ARG ([A-Z_]+)", &read("Dockerfile"));
    let given = words
        .windows(2)
        .filter(|pair| pair[0] == "--build-arg")
        .filter_map(|pair| pair[1].split('=').next());
    let mut unknown = given.filter(|name| !arguments.contains(*name));
    unknown
        .next()
        .map(|name| format!("the Dockerfile has no argument {name}"))
}

#[test]
fn names_that_do_not_exist_are_found() {
    for sound in [
        "docker compose up --detach --scale backend=5",
        "LOCUST_SHAPE=ramp docker compose up locust",
        "docker compose exec prometheus ls /nowhere",
        "docker compose --profile influx config --quiet",
        "docker compose cp redis:/data there",
        "docker build --tag x --build-arg EXTRA_CA=y .",
    ] {
        assert_eq!(problem(sound), None, "{sound}");
    }
    for broken in [
        "docker compose up backends",
        "docker compose up --scale backends=5",
        "LOCUST_SHAP=ramp docker compose up",
        "docker compose --profile flux up",
        "docker compose upp",
        "docker compose cp rediss:/data there",
        "docker build --build-arg CA=y .",
        "docker ps",
    ] {
        assert!(problem(broken).is_some(), "{broken}");
    }
}
