//! The configuration from the outside: the files we ship, and broken ones.

use evenkeel::config::{Config, Errors, load};

fn without_environment(_: &str) -> Option<String> {
    None
}

fn load_file(path: &str) -> Result<Config, Errors> {
    let text = std::fs::read_to_string(path).expect("the file is there");
    load(&text, path, &without_environment)
}

#[test]
fn the_shipped_files_load() {
    for file in [
        "conf/minimal.yaml",
        "conf/reference.yaml",
        "conf/evenkeel.yaml",
    ] {
        if let Err(errors) = load_file(file) {
            panic!("{errors}");
        }
    }
}

#[test]
fn dump() {
    std::fs::write(
        "/tmp/schema.json",
        serde_json::to_string_pretty(&evenkeel::config::schema::schema()).unwrap(),
    )
    .unwrap();
}
