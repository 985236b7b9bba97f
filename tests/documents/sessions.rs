//! The `sh` blocks, run.

use std::path::Path;

use regex::Regex;

use crate::blocks;
use crate::compose;
use crate::markdown::{Block, Document, all, root};
use crate::shell::{MAKE_DEMO, NOT_RUN, Shell};

/// A command, and what it prints where the document shows it.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    command: String,
    shown: Option<String>,
    line: usize,
}

/// The commands of a block.
fn steps(block: &Block) -> Vec<Step> {
    let session = block.text.lines().any(|line| line.starts_with("$ "));
    let mut steps: Vec<Step> = Vec::new();
    for (line, text) in (block.line..).zip(block.text.lines()) {
        let command = if session {
            text.strip_prefix("$ ")
        } else {
            let command = text.split(" #").next().unwrap_or_default().trim();
            if command.is_empty() || command.starts_with('#') {
                continue;
            }
            Some(command)
        };
        match (command, steps.last_mut()) {
            (Some(command), _) => steps.push(Step {
                command: command.to_owned(),
                shown: session.then(String::new),
                line,
            }),
            (None, Some(step)) => {
                let shown = step.shown.get_or_insert_default();
                shown.push_str(text);
                shown.push('\n');
            }
            (None, None) => panic!("line {line}: a session begins with a command"),
        }
    }
    steps
}

/// Whether `output` is what the document shows.
fn is_shown(shown: &str, output: &str) -> bool {
    let mut pattern = String::from("^");
    for line in shown.trim_end().lines() {
        if line == "..." {
            pattern.push_str("(?s:.*)");
        } else {
            pattern.push_str(&regex::escape(line).replace(r"\.\.\.", "[^\n]*"));
        }
        pattern.push('\n');
    }
    if pattern == "^" {
        pattern.push('\n');
    }
    pattern.push('$');
    let output = format!("{}\n", output.trim_end());
    Regex::new(&pattern)
        .expect("everything else is escaped")
        .is_match(&output)
}

/// Runs the blocks of a document; how many commands there were.
fn run(path: &str) -> usize {
    let document = Document::read(Path::new(path));
    let name = path.replace(['/', '.'], "-");
    let mut shell = None;
    let mut count = 0;
    for block in &document.blocks {
        if let Some(file) = blocks::file_name(block) {
            let shell = shell.get_or_insert_with(|| Shell::new(&name));
            shell.write(file, &block.text);
        }
        if block.language != "sh" {
            continue;
        }
        let steps = steps(block);
        for (index, step) in steps.iter().enumerate() {
            count += 1;
            if is_not_run(&step.command) {
                continue;
            }
            let status_is_asked = steps
                .get(index + 1)
                .is_some_and(|next| next.command == "echo $?");
            let shell = shell.get_or_insert_with(|| Shell::new(&name));
            let ran = shell.run(&step.command);
            let place = format!("{}: `{}`", document.at(step.line), step.command);
            assert!(
                ran.status == 0 || status_is_asked,
                "{place} ends with {}:\n{}",
                ran.status,
                ran.output
            );
            if let Some(shown) = &step.shown {
                assert!(
                    is_shown(shown, &ran.output),
                    "{place} prints\n{}\nand the document shows\n{shown}",
                    ran.output
                );
            }
        }
    }
    count
}

/// Whether a command is only looked at; it must exist all the same.
fn is_not_run(command: &str) -> bool {
    if command == "make demo" {
        return false;
    }
    // Variables may stand before it.
    let variable = Regex::new(r"^(?:[A-Z_]+=\S* )+").expect("a regex");
    let program = variable.replace(command, "");
    let Some((start, _)) = NOT_RUN.iter().find(|(start, _)| program.starts_with(start)) else {
        return false;
    };
    match *start {
        "make " => assert_target(command),
        "docker " => assert_eq!(compose::problem(command), None, "{command}"),
        file => assert!(root().join(file).exists(), "{file} does not exist"),
    }
    true
}

fn assert_target(command: &str) {
    let target = command.split(' ').nth(1).unwrap_or_default();
    let makefile = std::fs::read_to_string(root().join("Makefile")).expect("there is a Makefile");
    let rule = format!("\n{target}:");
    assert!(
        makefile.contains(&rule),
        "the Makefile has no target `{target}`"
    );
}

macro_rules! documents {
    ($($test:ident $path:literal;)*) => {
        const RUN: &[&str] = &[$($path,)*];

        $(#[test]
        fn $test() {
            assert!(run($path) > 0, "{} has no commands", $path);
        })*
    };
}

documents! {
    readme "README.md";
    admin_api "docs/admin-api.md";
    balancing "docs/balancing.md";
    contributing "CONTRIBUTING.md";
    discovery "docs/discovery.md";
    getting_started "docs/getting-started.md";
    health "docs/health.md";
    operations "docs/operations.md";
    resilience "docs/resilience.md";
    routing "docs/routing.md";
    stack "docs/stack.md";
}

#[test]
fn every_document_with_commands_is_run() {
    for document in all() {
        let path = document.path.to_str().expect("a plain path");
        let has_commands = document.blocks_of("sh").next().is_some();
        assert_eq!(has_commands, RUN.contains(&path), "{path}");
    }
}

#[test]
fn make_demo_runs_what_is_run_in_its_place() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).expect("there is a Makefile");
    let recipe = makefile.split("\ndemo:").nth(1).expect("a target `demo`");
    let subcommand = MAKE_DEMO.strip_prefix("evenkeel ").expect("a subcommand");
    let run = recipe
        .lines()
        .find(|line| line.contains(" run "))
        .expect("it runs something");
    assert!(run.ends_with(&format!("-- {subcommand}")), "{run}");
}

#[test]
fn a_session_is_taken_apart_and_compared() {
    let block = Block {
        language: "sh".to_owned(),
        text: "$ one\na ... c\n...\nz\n$ two\n".to_owned(),
        line: 7,
    };
    let steps = steps(&block);
    assert_eq!(steps.len(), 2);
    assert_eq!((steps[1].command.as_str(), steps[1].line), ("two", 11));
    let shown = steps[0].shown.as_deref().expect("it is a session");
    assert!(is_shown(shown, "a b c\nx\ny\nz\n"));
    assert!(!is_shown(shown, "a b\nc\nx\nz\n"));
    assert!(!is_shown(shown, "a b c\nx\n"));
    assert!(is_shown("", "") && !is_shown("", "something"));
}
