//! Whatever happens to a file, loading it ends in a configuration or in problems with places.

use evenkeel::config::{Place, load};
use proptest::prelude::*;

const REFERENCE: &str = include_str!("../../conf/reference.yaml");

#[derive(Clone, Debug)]
enum Mutation {
    /// Takes a line away.
    Remove(usize),
    /// Writes a line twice.
    Repeat(usize),
    /// Puts a line elsewhere.
    Move(usize, usize),
    /// Changes the value of a line.
    Value(usize, String),
    /// Puts text anywhere.
    Insert(usize, String),
    /// Ends the file early.
    Cut(usize),
}

fn scrap() -> impl Strategy<Value = String> {
    let pieces = [
        "null",
        "[]",
        "{}",
        "-1",
        "99999999999999999999",
        "1.5",
        "true",
        "\"\"",
        "${X}",
        "${X:-1}",
        "${",
        "&a",
        "*a",
        "<<: {}",
        "!!str",
        "|",
        ">",
        "\"",
        "'",
        "[",
        "{",
        "- ",
        ": ",
        "\t",
        "\n",
        "0s",
        "1h",
        "tcp",
        "adaptive",
        "/",
        "(",
        "100%",
        "\u{feff}",
        "é",
        "\0",
        "---",
        "...",
        "?",
    ];
    prop_oneof![
        3 => proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,12}",
    ]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let lines = REFERENCE.lines().count();
    prop_oneof![
        (0..lines).prop_map(Mutation::Remove),
        (0..lines).prop_map(Mutation::Repeat),
        (0..lines, 0..lines).prop_map(|(from, to)| Mutation::Move(from, to)),
        (0..lines, scrap()).prop_map(|(line, value)| Mutation::Value(line, value)),
        (0..REFERENCE.len(), scrap()).prop_map(|(at, text)| Mutation::Insert(at, text)),
        (0..REFERENCE.len()).prop_map(Mutation::Cut),
    ]
}

/// The place at or before `at` where a character starts.
fn boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

fn mutate(text: &str, mutation: &Mutation) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    match mutation {
        Mutation::Insert(at, piece) => {
            let at = boundary(text, *at);
            return format!("{}{piece}{}", &text[..at], &text[at..]);
        }
        Mutation::Cut(at) => return text[..boundary(text, *at)].to_owned(),
        Mutation::Remove(line) if *line < lines.len() => {
            lines.remove(*line);
        }
        Mutation::Repeat(line) if *line < lines.len() => lines.insert(*line, lines[*line].clone()),
        Mutation::Move(from, to) if *from < lines.len() && *to < lines.len() => {
            let line = lines.remove(*from);
            lines.insert(*to, line);
        }
        Mutation::Value(line, value) if *line < lines.len() => {
            let key = lines[*line]
                .split(": ")
                .next()
                .unwrap_or_default()
                .to_owned();
            lines[*line] = format!("{key}: {value}");
        }
        _ => {}
    }
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_load_or_are_told_with_places(mutations in prop::collection::vec(mutation(), 1..6)) {
        let text = mutations.iter().fold(REFERENCE.to_owned(), |text, one| mutate(&text, one));
        let lines = text.lines().count() + 1;
        if let Err(errors) = load(&text, "x.yaml", &|_| None) {
            prop_assert!(!errors.problems().is_empty());
            for problem in errors.problems() {
                let Place::File { line, column } = problem.place else {
                    return Err(TestCaseError::fail("no environment is set"));
                };
                prop_assert!((1..=lines).contains(&line), "{problem:?}");
                prop_assert!(column >= 1, "{problem:?}");
                prop_assert!(!problem.key.is_empty() && !problem.message.is_empty());
                let unlocated = problem.key == "file" && line == 1 && column == 1;
                let about_whole = problem.message.contains("empty")
                    || problem.message.contains("expected a mapping")
                    || problem.message.contains("is missing");
                prop_assert!(!unlocated || about_whole, "{problem:?}");
            }
        }
    }
}
