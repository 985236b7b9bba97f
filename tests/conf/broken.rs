//! Every file in `broken/` gives exactly the text in the `.expected` beside it.
//!
//! A first line `# env: NAME=value ...` sets the environment. With `BLESS=1` in the
//! environment of the test, the expected texts are written instead; read the diff.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use evenkeel::cli::check::check;

const DIRECTORY: &str = "tests/conf/broken";

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(DIRECTORY)
        .expect("the directory is there")
        .map(|entry| entry.expect("the directory can be listed").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    files
}

fn environment(file: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(file).expect("the file can be read");
    let first = text.lines().next().unwrap_or_default();
    let variables = first.strip_prefix("# env: ").unwrap_or_default();
    variables
        .split_whitespace()
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What `evenkeel check` prints, with the file's bare name.
fn told(file: &Path) -> String {
    let environment = environment(file);
    let mut out = Vec::new();
    let mut err = Vec::new();
    let code = check(
        file,
        &|name| environment.get(name).cloned(),
        &mut out,
        &mut err,
    );
    assert_eq!(code, 1, "{} is not broken", file.display());
    assert!(out.is_empty(), "{}", file.display());
    let told = String::from_utf8(err).expect("messages are UTF-8");
    told.replace(&format!("{DIRECTORY}/"), "")
}

#[test]
fn every_broken_file_is_told_exactly() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for file in files() {
        let told = told(&file);
        let expected = file.with_extension("expected");
        if bless {
            std::fs::write(&expected, &told).expect("the text can be written");
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        if told != expected {
            let name = file.display();
            wrong.push(format!("{name}\n-- expected\n{expected}\n-- told\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_many_broken_files_and_no_text_without_one() {
    assert!(files().len() >= 60);
    for entry in std::fs::read_dir(DIRECTORY).expect("the directory is there") {
        let path = entry.expect("the directory can be listed").path();
        assert!(path.with_extension("yaml").exists(), "{}", path.display());
    }
}

#[test]
fn every_line_has_the_form_that_editors_understand() {
    let form = regex::Regex::new(r"^([^:]+\.yaml:\d+:\d+|environment): [^ ]+.*: .+$");
    let form = form.expect("the expression is valid");
    for file in files() {
        for line in told(&file).lines() {
            assert!(form.is_match(line), "{}: {line}", file.display());
        }
    }
}
