//! Many threads at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::fixture::{NOW, ask, build, facts, nth, primaries, refuse, settings};
use crate::config::Algorithm;
use crate::upstream::{Tried, Unavailable, Upstream};

const THREADS: u32 = 4;

#[test]
fn the_cap_is_never_exceeded() {
    for &algorithm in Algorithm::ALL {
        let mut settings = settings(algorithm);
        settings.max_in_flight_per_backend = 2;
        let upstream = build(&settings, &primaries(&[3, 1]));
        let inside = [AtomicU32::new(0), AtomicU32::new(0)];
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (upstream, inside) = (&upstream, &inside);
                scope.spawn(move || {
                    let mut held = Vec::new();
                    for n in 0..5_000 {
                        if let Ok(selection) = nth(upstream, n * THREADS + thread) {
                            let count = &inside[selection.member()];
                            assert!(count.fetch_add(1, Ordering::SeqCst) < 2, "{algorithm:?}");
                            held.push(selection);
                        }
                        if n % 3 == 0
                            && let Some(selection) = held.pop()
                        {
                            inside[selection.member()].fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                    for selection in &held {
                        inside[selection.member()].fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(upstream.in_flight(), 0);
    }
}

#[test]
fn turns_are_shared_exactly() {
    let upstream = build(
        &settings(Algorithm::WeightedRoundRobin),
        &primaries(&[3, 2, 1]),
    );
    let counts = [const { AtomicUsize::new(0) }; 3];
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (upstream, counts) = (&upstream, &counts);
            scope.spawn(move || {
                for n in 0..6_000 {
                    let member = nth(upstream, n * THREADS + thread).unwrap().member();
                    counts[member].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(counts.map(AtomicUsize::into_inner), [12_000, 8_000, 4_000]);
}

#[test]
fn a_probe_is_alone() {
    let upstream = build(&settings(Algorithm::RoundRobin), &primaries(&[1]));
    let endpoint = &upstream.members()[0].endpoint;
    refuse(&upstream, 0, NOW);
    let later = NOW.after(Duration::from_secs(5));
    let inside = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let facts = facts(1);
                let tried = Tried::new();
                for random in 0..5_000 {
                    let mut ask = ask(&facts, &tried, random);
                    ask.now = later;
                    if let Ok(selection) = upstream.select(&ask) {
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(selection);
                    }
                }
            });
        }
    });
    assert!(!endpoint.is_available());
}

/// What the proxy does with a saturated upstream.
async fn select_or_wait(upstream: &Upstream, random: u64) -> usize {
    let facts = facts(1);
    let tried = Tried::new();
    let mut ask = ask(&facts, &tried, random);
    let selection = match upstream.select(&ask) {
        Err(Unavailable::Saturated) => {
            let mut ticket = upstream.queue().enter(&tried).unwrap();
            ask.queued = true;
            loop {
                let freed = ticket.freed();
                match upstream.select(&ask) {
                    Err(Unavailable::Saturated) => freed.await,
                    decided => break decided.unwrap(),
                }
            }
        }
        decided => decided.unwrap(),
    };
    tokio::task::yield_now().await;
    selection.member()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_forever() {
    let mut settings = settings(Algorithm::LeastConnections);
    settings.max_in_flight_per_backend = 1;
    settings.queue.size = 1_000;
    let upstream = Arc::new(build(&settings, &primaries(&[1, 1])));
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let upstream = Arc::clone(&upstream);
            tokio::spawn(async move {
                for n in 0..300 {
                    select_or_wait(&upstream, task * 1_000 + n).await;
                }
            })
        })
        .collect();
    let all = async {
        for task in tasks {
            task.await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_mins(1), all)
        .await
        .expect("a wake-up was lost");
    assert_eq!((upstream.in_flight(), upstream.queue().waiting()), (0, 0));
}
