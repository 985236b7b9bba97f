use proptest::prelude::*;

use super::*;
use crate::config::{DnsSource, Source, SourceKind};

fn source(id: &str, max_backends: usize) -> Source {
    Source {
        id: id.to_owned(),
        max_backends,
        kind: SourceKind::Dns(DnsSource {
            name: id.to_owned(),
            port: Some(80),
            resolver: None,
            interval: std::time::Duration::from_secs(5),
        }),
    }
}

fn config(ids: &[&str]) -> Discovery {
    Discovery {
        registry: None,
        sources: ids.iter().map(|id| source(id, 3)).collect(),
    }
}

fn at(host: u8) -> Found {
    Found::at(SocketAddr::from(([10, 0, 0, host], 80)))
}

fn some(hosts: &[u8]) -> Vec<Found> {
    hosts.iter().map(|host| at(*host)).collect()
}

fn hosts(discovered: &Discovered) -> Vec<String> {
    let mut all = Vec::new();
    discovered.merge_into(&mut all);
    let last = |one: &Resolved| one.name.trim_start_matches("10.0.0.").to_owned();
    all.iter().map(|one| last(one).replace(":80", "")).collect()
}

#[test]
fn a_set_replaces_the_one_before_it() {
    let mut discovered = Discovered::new(&config(&["a"]));
    let (taken, changed) = discovered.take("a", some(&[2, 1]));
    let expected = Taken {
        kept: 2,
        joined: 2,
        ..Taken::default()
    };
    assert_eq!((taken, changed), (expected, true));
    assert_eq!(hosts(&discovered), ["1", "2"]);
    let (taken, changed) = discovered.take("a", some(&[3, 2]));
    assert_eq!((taken.joined, taken.left, changed), (1, 1, true));
    assert_eq!(hosts(&discovered), ["2", "3"]);
    assert!(discovered.take("a", Vec::new()).1);
    assert!(hosts(&discovered).is_empty());
}

#[test]
fn the_same_set_in_another_order_is_no_change_and_another_weight_is() {
    let mut discovered = Discovered::new(&config(&["a"]));
    assert!(!discovered.take("a", Vec::new()).1, "there was none before");
    assert!(discovered.take("a", some(&[1, 2])).1);
    assert!(!discovered.take("a", some(&[2, 1, 2])).1);
    let heavy = Found { weight: 5, ..at(1) };
    let (taken, changed) = discovered.take("a", vec![heavy, at(2)]);
    assert_eq!((taken.joined, taken.left, changed), (0, 0, true));
}

#[test]
fn the_excess_is_left_out_and_backups_go_first() {
    let mut discovered = Discovered::new(&config(&["a"]));
    let standby = Found {
        backup: true,
        ..at(1)
    };
    let found = [vec![standby], some(&[9, 8, 7, 6])].concat();
    let (taken, _) = discovered.take("a", found);
    assert_eq!((taken.kept, taken.left_out), (3, 2));
    assert_eq!(hosts(&discovered), ["6", "7", "8"]);
}

#[test]
fn the_earlier_source_speaks_for_an_address() {
    let mut discovered = Discovered::new(&config(&["a", "b"]));
    discovered.take("b", vec![Found { weight: 9, ..at(1) }, at(2)]);
    assert_eq!(discovered.source_of("10.0.0.1:80"), Some("b"));
    discovered.take("a", some(&[1]));
    assert_eq!(discovered.source_of("10.0.0.1:80"), Some("a"));
    let mut all = Vec::new();
    discovered.merge_into(&mut all);
    let weights: Vec<u32> = all.iter().map(|one| one.backend.weight).collect();
    assert_eq!((all.len(), weights), (2, vec![1, 1]));
    let by_id: std::collections::HashMap<_, _> = discovered.ids().collect();
    assert_eq!((by_id["10.0.0.1:80"], by_id["10.0.0.2:80"]), ("a", "b"));
    discovered.take("a", Vec::new());
    assert_eq!(discovered.source_of("10.0.0.1:80"), Some("b"));
}

#[test]
fn who_is_there_already_speaks_for_its_address_and_its_id() {
    let mut discovered = Discovered::new(&config(&["a"]));
    discovered.take("a", some(&[1, 2, 3]));
    let resolved = |name: &str, address: &str| Resolved {
        name: name.to_owned(),
        ..Found::at(address.parse().expect("an address")).resolved()
    };
    let mut all = vec![
        resolved("one", "10.0.0.1:80"),
        resolved("10.0.0.2:80", "10.0.0.9:80"),
    ];
    discovered.merge_into(&mut all);
    let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["one", "10.0.0.2:80", "10.0.0.3:80"]);
}

#[test]
fn the_name_is_for_tls_and_the_id_is_the_address() {
    let found = Found {
        name: Some("app.internal".to_owned()),
        ..at(1)
    };
    let resolved = found.resolved();
    assert_eq!(resolved.name, "10.0.0.1:80");
    assert_eq!(resolved.backend.address, "app.internal:80");
}

#[test]
fn a_source_that_stays_keeps_its_set_and_one_that_is_unknown_has_no_say() {
    let mut discovered = Discovered::new(&config(&["a", "b"]));
    discovered.take("a", some(&[1]));
    discovered.take("b", some(&[2]));
    discovered.follow(&config(&["b", "a"]));
    assert_eq!(hosts(&discovered), ["2", "1"]);
    assert_eq!(discovered.take("c", some(&[3])), (Taken::default(), false));
    assert_eq!(hosts(&discovered), ["2", "1"]);
}

#[test]
fn what_a_source_found_that_is_no_more_stays_until_its_successor_was_asked() {
    let mut discovered = Discovered::new(&config(&["a"]));
    discovered.take("a", some(&[1, 2]));
    discovered.follow(&config(&["b"]));
    assert_eq!(hosts(&discovered), ["1", "2"]);
    assert_eq!(discovered.take("a", some(&[7])).0, Taken::default());
    assert!(discovered.take("b", some(&[2, 3])).1);
    assert_eq!(hosts(&discovered), ["2", "3"]);
    discovered.follow(&config(&[]));
    assert!(hosts(&discovered).is_empty(), "nobody is to come instead");
}

#[test]
fn a_successor_that_finds_nothing_ends_it_too() {
    let mut discovered = Discovered::new(&config(&["a"]));
    discovered.take("a", some(&[1]));
    discovered.follow(&config(&["b"]));
    assert!(discovered.take("b", Vec::new()).1);
    assert!(hosts(&discovered).is_empty());
}

proptest! {
    #[test]
    fn whatever_is_told_the_last_sets_are_what_is_there(
        told in proptest::collection::vec((0_usize..3, proptest::collection::vec(0_u8..8, 0..6)), 0..30)
    ) {
        let ids = ["a", "b", "c"];
        let mut discovered = Discovered::new(&config(&ids));
        let mut last: [Vec<u8>; 3] = Default::default();
        for (source, hosts) in told {
            let before = names(&discovered);
            let (taken, changed) = discovered.take(ids[source], some(&hosts));
            let mut kept = hosts.clone();
            kept.sort_unstable();
            kept.dedup();
            prop_assert_eq!(taken.left_out, kept.len().saturating_sub(3));
            kept.truncate(3);
            prop_assert_eq!(taken.kept, kept.len());
            prop_assert_eq!(changed, last[source] != kept);
            last[source] = kept;
            prop_assert!(changed || before == names(&discovered));
        }
        let mut expected: Vec<u8> = last.concat();
        expected.sort_unstable();
        expected.dedup();
        let expected: Vec<String> = expected.iter().map(|host| format!("10.0.0.{host}:80")).collect();
        prop_assert_eq!(names(&discovered), expected);
    }
}

fn names(discovered: &Discovered) -> Vec<String> {
    let mut all = Vec::new();
    discovered.merge_into(&mut all);
    let mut names: Vec<String> = all.into_iter().map(|one| one.name).collect();
    names.sort_unstable();
    names
}
