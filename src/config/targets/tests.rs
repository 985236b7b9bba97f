use proptest::prelude::*;

use super::*;
use crate::config::Place;

fn loaded(text: &str) -> Vec<Backend> {
    match load_backends(text, "f") {
        Ok(backends) => backends,
        Err(errors) => panic!("{errors}"),
    }
}

fn told(text: &str) -> String {
    load_backends(text, "f").unwrap_err().to_string()
}

fn short(backends: &[Backend]) -> Vec<(&str, u32, bool)> {
    let backends = backends.iter();
    backends
        .map(|backend| (backend.address.as_str(), backend.weight, backend.backup))
        .collect()
}

#[test]
fn a_list_of_our_own() {
    let backends = loaded(
        "# ours\n- 10.0.0.1:80\n- App.Internal:81\n- { address: '[::1]:80', weight: 5, zone: a, labels: { rack: r1 } }\n\
         - { address: 10.0.0.9:80, backup: true }\n",
    );
    assert_eq!(
        short(&backends),
        [
            ("10.0.0.1:80", 1, false),
            ("app.internal:81", 1, false),
            ("[::1]:80", 5, false),
            ("10.0.0.9:80", 1, true)
        ]
    );
    assert_eq!(backends[2].zone.as_deref(), Some("a"));
    assert_eq!(backends[2].labels["rack"], "r1");
}

#[test]
fn the_form_of_prometheus() {
    let backends = loaded(
        "[\n\t{\n\t\t\"targets\": [\"10.0.0.1:80\", \"10.0.0.2:80\"],\n\t\t\"labels\": {\"job\": \"web\", \
         \"__weight__\": \"3\", \"__zone__\": \"b\", \"__meta_x\": \"y\"}\n\t},\n\
         {\"targets\": [\"10.0.0.3:80\"], \"labels\": {\"__backup__\": \"true\"}}, {\"targets\": []}\n]\n",
    );
    assert_eq!(
        short(&backends),
        [
            ("10.0.0.1:80", 3, false),
            ("10.0.0.2:80", 3, false),
            ("10.0.0.3:80", 1, true)
        ]
    );
    assert_eq!(backends[0].zone.as_deref(), Some("b"));
    let labels: Vec<&str> = backends[0].labels.keys().map(String::as_str).collect();
    assert_eq!(labels, ["job"], "what is about the target is not of it");
}

#[test]
fn an_empty_list_is_none_and_an_empty_file_is_broken() {
    assert!(loaded("[]").is_empty());
    assert!(loaded("# none\n[]\n").is_empty());
    for text in ["", "\n", "# being written\n"] {
        assert_eq!(
            told(text),
            "f:1:1: file: empty; a list without backends is `[]`"
        );
    }
}

#[test]
fn every_error_has_its_place() {
    let text = "- 10.0.0.1\n- { address: 10.0.0.2:80, wieght: 5 }\n- { weight: 0 }\n\
        - { address: a:80, targets: [b:80] }\n- { targets: [http://c:80], labels: { x: 5 } }\n";
    let told = told(text);
    for (line, begin) in told.lines().zip([
        "f:1:3: [0]: expected HOST:PORT",
        "f:2:27: [1].wieght: unknown key; did you mean `weight`?",
        "f:3:3: [2]: one of the keys `address` or `targets` is missing",
        "f:3:13: [2].weight: expected an integer from 1 to 65535",
        "f:4:20: [3].targets: contradicts `address`",
        "f:5:15: [4].targets[0]: expected HOST:PORT",
        "f:5:42: [4].labels.x: expected text, found 5",
    ]) {
        assert!(line.starts_with(begin), "{line}");
    }
    assert_eq!(told.lines().count(), 7, "{told}");
}

#[test]
fn labels_that_mean_something_are_checked_too() {
    let labels = "{ __weight__: heavy, __backup__: 'yes', __x__: any }";
    assert_eq!(
        told(&format!("- {{ targets: [a:80], labels: {labels} }}\n")),
        "f:1:44: [0].labels.__weight__: expected an integer from 1 to 65535 in quotes\n\
         f:1:63: [0].labels.__backup__: expected `true` or `false` in quotes"
    );
}

#[test]
fn what_is_no_list_says_so() {
    assert_eq!(told("{}"), "f:1:1: file: expected a list, found a mapping");
    let cut = told("[\"10.0.0.1:80\", \"10.0.");
    assert!(cut.starts_with("f:1:17: syntax: "), "{cut}");
}

proptest! {
    #[test]
    fn whatever_is_written_is_a_list_or_has_problems_with_places(text in "[ -~\n\t\u{e9}]{0,200}") {
        if let Err(errors) = load_backends(&text, "f") {
            prop_assert!(!errors.problems().is_empty());
            for problem in errors.problems() {
                let has_place = matches!(problem.place, Place::File { .. });
                prop_assert!(has_place);
            }
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_whole_or_broken_and_never_another_list(cut in 0_usize..400) {
        let whole = serde_json::to_string_pretty(&(1..9).map(|host| serde_json::json!({
            "targets": [format!("10.0.0.{host}:80")], "labels": { "__weight__": "2" },
        })).collect::<Vec<_>>()).unwrap();
        let cut = cut.min(whole.len() - 1);
        prop_assert!(load_backends(&whole[..cut], "f").is_err());
        prop_assert_eq!(load_backends(&whole, "f").unwrap().len(), 8);
    }

    #[test]
    fn what_is_listed_comes_out(hosts in proptest::collection::vec((0_u8..=255, 1_u16.., 1_u32..=65_535, any::<bool>()), 0..40)) {
        let entries: Vec<_> = hosts.iter().map(|(host, port, weight, backup)| serde_json::json!({
            "address": format!("10.0.0.{host}:{port}"), "weight": weight, "backup": backup,
        })).collect();
        for text in [serde_json::to_string(&entries).unwrap(), serde_yaml::to_string(&entries).unwrap()] {
            let backends = load_backends(&text, "f").unwrap();
            prop_assert_eq!(backends.len(), hosts.len());
            for (backend, (host, port, weight, backup)) in backends.iter().zip(&hosts) {
                prop_assert_eq!(&backend.address, &format!("10.0.0.{host}:{port}"));
                prop_assert_eq!((backend.weight, backend.backup), (*weight, *backup));
            }
        }
    }
}
