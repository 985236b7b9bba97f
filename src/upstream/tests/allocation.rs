//! A decision allocates nothing.

use std::hint::black_box;

use super::fixture::{NOW, UNIX_NOW, ask, context, facts, primaries, refuse, settings, signer};
use crate::config::{Algorithm, SecureCookie, Sticky};
use crate::upstream::{Tried, Upstream};

#[test]
fn selecting_allocates_nothing() {
    for &algorithm in Algorithm::ALL {
        for count in [1, 3, 1_000] {
            let mut settings = settings(algorithm);
            settings.sticky = Some(Sticky {
                cookie: "EVENKEEL".into(),
                ttl: std::time::Duration::from_mins(1),
                secure: SecureCookie::Auto,
            });
            let weights: Vec<u32> = (0..).map(|index| index % 5 + 1).take(count).collect();
            let upstream = Upstream::build(
                &settings,
                &primaries(&weights),
                &context(&[], &signer(), 0),
                None,
            );
            let facts = facts(1);
            let first = upstream.select(&ask(&facts, &Tried::new(), 1)).unwrap();
            let cookie = upstream
                .sticky_cookie(&first, None, UNIX_NOW, false)
                .unwrap();
            let value = &cookie["EVENKEEL=".len()..cookie.find(';').unwrap()];
            if count > 2 {
                refuse(&upstream, 1, NOW);
            }
            let mut tried = Tried::new();
            if count > 1 {
                tried.insert(first.member());
            }
            let allocations = allocation_counter::measure(|| {
                for random in 0..100 {
                    let mut ask = ask(&facts, &tried, random);
                    black_box(upstream.select(&ask).unwrap());
                    ask.sticky = Some(value);
                    black_box(upstream.select(&ask).unwrap());
                }
            });
            assert_eq!(
                allocations.count_total, 0,
                "{algorithm:?} with {count} backends"
            );
        }
    }
}
