use serde_json::json;
use tokio::sync::broadcast::error::TryRecvError;

use super::*;

fn operator(what: &str) -> Happening {
    Happening::Operator {
        what: what.to_owned(),
    }
}

fn filled(count: u64) -> Timeline {
    let timeline = Timeline::default();
    for number in 1..=count {
        timeline.note(operator(&number.to_string()));
    }
    timeline
}

fn ids(entries: &[Arc<Entry>]) -> Vec<u64> {
    entries.iter().map(|entry| entry.id).collect()
}

#[test]
fn every_kind_has_its_json() {
    let timeline = Timeline::default();
    let (upstream, backend) = ("web".to_owned(), "a:1".to_owned());
    let happenings = [
        Happening::Backend {
            upstream: upstream.clone(),
            backend: backend.clone(),
            from: State::Up,
            to: State::Ejected,
            reason: Reason::Latency,
            detail: Some("slow".to_owned()),
        },
        Happening::Observed {
            upstream: upstream.clone(),
            backend,
            reason: Reason::FailureRatio,
            detail: "half".to_owned(),
        },
        Happening::Algorithm {
            upstream: upstream.clone(),
            from: Algorithm::RoundRobin,
            to: Algorithm::LeastConnections,
            detail: "crowded".to_owned(),
        },
        Happening::Reload {
            trigger: "file",
            result: Ok("1 changed".to_owned()),
        },
        Happening::Reload {
            trigger: "api",
            result: Err(vec!["bad".to_owned()]),
        },
        Happening::Source {
            upstream,
            source: "dns".to_owned(),
            up: false,
            detail: "no answer".to_owned(),
        },
        operator("x"),
    ];
    for happening in &happenings {
        timeline.note_at(1_763_733_000_123, happening.clone());
    }
    let found: Vec<_> = timeline
        .last(10)
        .iter()
        .map(|entry| json!(**entry))
        .collect();
    let at = 1_763_733_000.123;
    let expected = [
        json!({"id": 1, "at": at, "kind": "backend", "upstream": "web", "backend": "a:1",
            "from": "up", "to": "ejected", "reason": "latency", "detail": "slow"}),
        json!({"id": 2, "at": at, "kind": "observed", "upstream": "web", "backend": "a:1",
            "reason": "failure_ratio", "detail": "half"}),
        json!({"id": 3, "at": at, "kind": "algorithm", "upstream": "web",
            "from": "round_robin", "to": "least_connections", "detail": "crowded"}),
        json!({"id": 4, "at": at, "kind": "reload", "trigger": "file", "ok": true,
            "summary": "1 changed", "errors": []}),
        json!({"id": 5, "at": at, "kind": "reload", "trigger": "api", "ok": false,
            "summary": null, "errors": ["bad"]}),
        json!({"id": 6, "at": at, "kind": "source", "upstream": "web", "source": "dns",
            "up": false, "detail": "no answer"}),
        json!({"id": 7, "at": at, "kind": "operator", "what": "x"}),
    ];
    assert_eq!(found, expected);
    for (happening, entry) in happenings.iter().zip(&found) {
        assert_eq!(entry["kind"], happening.kind());
    }
    assert_eq!(timeline.last_reload().map(|entry| entry.id), Some(5));
}

#[test]
fn the_last_ones_are_kept() {
    let timeline = filled(KEPT as u64 + 3);
    assert_eq!(ids(&timeline.last(2)), [514, 515]);
    let all = ids(&timeline.last(usize::MAX));
    assert_eq!((all.len(), all[0]), (KEPT, 4));
}

#[test]
fn a_listener_goes_on_where_it_stopped() {
    let timeline = filled(5);
    let mut after = timeline.follow_after(3);
    assert_eq!((ids(&after.replay), after.lost), (vec![4, 5], 0));
    timeline.note(operator("six"));
    assert_eq!(after.live.try_recv().map(|entry| entry.id), Ok(6));
    assert!(matches!(after.live.try_recv(), Err(TryRecvError::Empty)));
    assert_eq!(ids(&timeline.follow(1).replay), [6]);
    let foreign = timeline.follow_after(99);
    assert_eq!((foreign.replay.len(), foreign.lost), (6, 0));
}

#[test]
fn who_comes_too_late_is_told_how_much_is_gone() {
    let timeline = filled(KEPT as u64 + 10);
    let late = timeline.follow_after(4);
    assert_eq!((late.replay.len(), late.lost), (KEPT, 6));
    let mut slow = timeline.follow(0);
    for number in 0..KEPT + 2 {
        timeline.note(operator(&number.to_string()));
    }
    assert!(matches!(slow.live.try_recv(), Err(TryRecvError::Lagged(_))));
}

#[test]
fn the_evidence_is_that_of_the_last_change() {
    let timeline = Timeline::default();
    let change = |to, detail: Option<&str>| Happening::Backend {
        upstream: "web".to_owned(),
        backend: "a".to_owned(),
        from: State::Up,
        to,
        reason: Reason::Latency,
        detail: detail.map(str::to_owned),
    };
    timeline.note(change(State::Ejected, Some("slow")));
    assert_eq!(timeline.evidence("web", "a").as_deref(), Some("slow"));
    assert_eq!(timeline.evidence("web", "b"), None);
    timeline.note(change(State::Up, None));
    assert_eq!(timeline.evidence("web", "a"), None);
}

#[test]
fn the_errors_of_a_reload_are_bounded() {
    let timeline = Timeline::default();
    let errors = vec!["bad".to_owned(); MAX_ERRORS + 1];
    timeline.note(Happening::Reload {
        trigger: "file",
        result: Err(errors),
    });
    let kept = timeline.last_reload().expect("noted");
    let Happening::Reload { result, .. } = &kept.happening else {
        panic!("{kept:?}")
    };
    assert_eq!(result.as_ref().map_err(Vec::len), Err(MAX_ERRORS));
}
