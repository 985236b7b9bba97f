//! Gray failures: a backend that is up, and slow.
//!
//! Times are two fifths of those in `benches/gray`, which also compares other balancers, and the
//! windows in which latencies are judged are shorter and need fewer requests in the same measure.

use std::time::Duration;

use super::is_in_state;
use crate::support::deadline::{PATIENCE, within};
use crate::support::faults::Paced;
use crate::support::{Evenkeel, OpenLoop, Setup, Shots};

const ALGORITHMS: [&str; 4] = [
    "round_robin",
    "least_connections",
    "weighted_response_time",
    "adaptive",
];
/// For each of four balancers at a time, on two cores that have other tests to run.
const RATE: u32 = 125;
/// Enough that one slow backend in three does not hold up the load.
const CONNECTIONS: usize = 16;
const FAST: Duration = Duration::from_millis(5);
const SLOW: Duration = Duration::from_millis(100);
const FAULT: Duration = Duration::from_secs(8);
const HEALTH: &str =
    "health: { outlier: { window: 800ms, min_requests: 4 }, ejection: { base: 12s } }";
/// Not scaled: how often a backend that is avoided gets measured depends on no window.
const RETURN: Duration = Duration::from_secs(15);
/// A run in which healthy backends of 5 ms already seem to take this long says more about the
/// machine than about the balancer; it is void, and repeated up to so many times.
const CALM: Duration = Duration::from_millis(40);
const RUNS: usize = 4;
/// What a busy machine adds to an answer. Far from the 100 ms of a request that got stuck.
const SLACK: Duration = Duration::from_millis(50);

struct Pool {
    backends: [Paced; 3],
    evenkeel: Evenkeel,
}

impl Pool {
    fn new(algorithm: &str) -> Self {
        let backends = ["a", "b", "c"].map(|name| Paced::start(name, FAST));
        let [a, b, c] = backends.each_ref().map(Paced::backend);
        let evenkeel = Setup::new(&[a, b, c])
            .upstream(&format!("algorithm: {algorithm}"))
            .upstream(HEALTH)
            .start();
        Self { backends, evenkeel }
    }

    fn load(&self) -> OpenLoop {
        OpenLoop::start(self.evenkeel.web(), RATE, CONNECTIONS)
    }
}

/// What one gray failure did.
struct Course {
    algorithm: &'static str,
    shots: Shots,
    slow: Duration,
    healed: Duration,
    /// Until the backend had a fifth of the requests again.
    returned: Option<Duration>,
}

impl Course {
    fn of(algorithm: &'static str) -> Self {
        let pool = Pool::new(algorithm);
        let load = pool.load();
        load.goes_on_for(Duration::from_secs(2));
        let slow = load.now();
        pool.backends[1].takes(SLOW);
        load.goes_on_for(FAULT);
        let healed = load.now();
        pool.backends[1].takes(FAST);
        let returned = within(PATIENCE, || {
            let now = load.now();
            let recent = load
                .so_far()
                .due(now.saturating_sub(Duration::from_millis(500)), now);
            let back = now > healed + Duration::from_millis(500) && recent.share("b") > 0.2;
            back.then(|| now.saturating_sub(healed))
        });
        Self {
            algorithm,
            shots: load.stop(),
            slow,
            healed,
            returned,
        }
    }

    /// The first run on a machine that is calm enough, or the last.
    fn on_a_calm_machine(algorithm: &'static str) -> Self {
        let mut course = Self::of(algorithm);
        for _ in 1..RUNS {
            if course.is_calm() {
                break;
            }
            let p99 = course.before().p99();
            crate::support::show(&format!("{algorithm}: void, {p99:?} before the fault"));
            course = Self::of(algorithm);
        }
        course
    }

    fn is_calm(&self) -> bool {
        let healthy = self.shots.due(self.slow, self.healed).without("b");
        self.before().p99() < CALM && healthy.p99() < 2 * CALM
    }

    /// The last second and a half before the fault.
    fn before(&self) -> Shots {
        let from = self.slow.saturating_sub(Duration::from_millis(1_500));
        self.shots.due(from, self.slow)
    }

    #[track_caller]
    fn judge(&self) {
        let name = self.algorithm;
        let failed = self.shots.failed().len();
        assert_eq!(failed, 0, "{name}: {:?}", self.shots.outcomes());
        let before = self.before();
        let caught = self.shots.due(self.slow + FAULT / 4, self.slow + FAULT / 2);
        let second = self.shots.due(self.slow + FAULT / 2, self.healed);
        let figures = format!(
            "{name}: p99 {:?} before, {:?} in the second half; share {:.3} after a quarter, {:.3} \
             in the second half; back after {:?}\n{}",
            before.p99(),
            second.p99(),
            caught.share("b"),
            second.share("b"),
            self.returned,
            self.shots.by_second(),
        );
        crate::support::show(&figures);
        assert!(caught.share("b") < 0.05, "{figures}");
        assert!(second.share("b") < 0.01, "{figures}");
        // A busy machine slows all down; what counts is what the slow backend adds.
        let limit = (before.p99() * 2).max(second.without("b").p99());
        assert!(second.p99() <= limit + SLACK, "{figures}");
        assert!(
            self.returned.is_some_and(|after| after < RETURN),
            "{figures}"
        );
    }
}

#[test]
fn a_slow_backend_loses_its_traffic_and_gets_it_back() {
    let courses = std::thread::scope(|scope| {
        ALGORITHMS
            .map(|algorithm| scope.spawn(move || Course::on_a_calm_machine(algorithm)))
            .map(|course| course.join().expect("see its panic"))
    });
    for course in courses {
        course.judge();
    }
}

#[test]
fn backends_that_are_all_slow_at_once_are_left_alone() {
    let pool = Pool::new("round_robin");
    let load = pool.load();
    load.goes_on_for(Duration::from_millis(1_200));
    for backend in &pool.backends {
        backend.takes(FAST * 10);
    }
    let slow = load.now();
    let address = |backend: &Paced| backend.backend().address();
    let suspected = within(Duration::from_secs(4), || {
        let punished = |backend| {
            ["ejected", "suspect"]
                .iter()
                .any(|state| is_in_state(&pool.evenkeel, address(backend), state))
        };
        pool.backends.iter().any(punished).then_some(())
    });
    assert_eq!(suspected, None, "nobody is slower than its peers");
    let shots = load.stop();
    assert_eq!(shots.failed().len(), 0, "{:?}", shots.outcomes());
    let ejections = pool.evenkeel.metric("evenkeel_ejections_total", &[]);
    assert!(ejections.abs() < 0.5, "{ejections} ejections");
    let during = shots.due(slow, Duration::MAX);
    for name in ["a", "b", "c"] {
        let share = during.share(name);
        assert!((0.30..0.37).contains(&share), "{name} had {share}");
    }
}
