//! What is simulated.
//!
//! Every backend is a server with so many workers and one queue in front of
//! them, so it can be overloaded, and a long request holds up those behind it.
//! A request's size is drawn once and is the same for every contestant.

/// One server behind the balancer.
#[derive(Clone, Copy)]
pub(crate) struct Backend {
    /// Requests it works on at a time.
    pub(crate) workers: usize,
    /// Milliseconds for a request of size 1.
    pub(crate) millis: f64,
    /// Its configured weight.
    pub(crate) weight: u32,
    /// Between these seconds it takes so many times longer.
    pub(crate) slow: Option<(f64, f64, f64)>,
}

/// How large requests are; the mean is close to 1 for the most of them.
#[derive(Clone, Copy)]
pub(crate) enum Sizes {
    /// Half of it fixed, half of it exponential.
    Alike,
    /// As above, and one in twenty takes twenty times longer.
    Mixed,
}

/// A stretch of time with Poisson arrivals.
#[derive(Clone, Copy)]
pub(crate) struct Stretch {
    pub(crate) seconds: f64,
    /// Requests per second.
    pub(crate) rate: f64,
}

/// Backends and what they are asked to do.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) backends: Vec<Backend>,
    pub(crate) sizes: Sizes,
    pub(crate) load: Vec<Stretch>,
    /// In-flight cap of each backend.
    pub(crate) cap: u32,
    /// Places in the balancer's queue.
    pub(crate) queue: usize,
    /// Seconds at the beginning that are not counted: nobody has measured anything yet.
    pub(crate) warm_up: f64,
}

const WARM_UP: f64 = 5.0;

impl Scenario {
    fn new(name: &'static str, backends: Vec<Backend>, seconds: f64, rate: f64) -> Self {
        Self {
            name,
            backends,
            sizes: Sizes::Alike,
            load: vec![Stretch { seconds, rate }],
            cap: 1_024,
            queue: 0,
            warm_up: WARM_UP,
        }
    }

    /// The same in less time, for a test that asks only whether it runs.
    pub(crate) fn shorten(&mut self, factor: f64) {
        self.warm_up *= factor;
        for stretch in &mut self.load {
            stretch.seconds *= factor;
        }
        for (from, to, _) in self.backends.iter_mut().filter_map(|b| b.slow.as_mut()) {
            *from *= factor;
            *to *= factor;
        }
    }
}

const FOUR_WORKERS: Backend = Backend {
    workers: 4,
    millis: 10.0,
    weight: 1,
    slow: None,
};

/// All of them.
pub(crate) fn all() -> Vec<Scenario> {
    vec![
        equal(),
        one_slower(),
        mixed_sizes(),
        overload(),
        slows_and_recovers(),
        weights(),
    ]
}

/// Four alike at 60 % of what they can do.
fn equal() -> Scenario {
    Scenario::new("equal", vec![FOUR_WORKERS; 4], 60.0, 960.0)
}

/// One of four takes five times as long, all the time.
fn one_slower() -> Scenario {
    let mut backends = vec![FOUR_WORKERS; 4];
    backends[0].millis *= 5.0;
    Scenario::new("one 5x slower", backends, 60.0, 500.0)
}

/// One request in twenty is twenty times as large, and a backend works on one at a time, so those
/// behind it wait; half of what they can do.
fn mixed_sizes() -> Scenario {
    let backend = Backend {
        workers: 1,
        ..FOUR_WORKERS
    };
    Scenario {
        sizes: Sizes::Mixed,
        ..Scenario::new("mixed sizes", vec![backend; 4], 200.0, 100.0)
    }
}

/// Twice ten seconds at 120 %, with twenty seconds at 70 % around.
fn overload() -> Scenario {
    let calm = Stretch {
        seconds: 20.0,
        rate: 1_120.0,
    };
    let busy = Stretch {
        seconds: 10.0,
        rate: 1_920.0,
    };
    Scenario {
        load: vec![calm, busy, calm, busy, calm],
        cap: 16,
        queue: 256,
        ..Scenario::new("overload", vec![FOUR_WORKERS; 4], 0.0, 0.0)
    }
}

/// One of three takes twenty times as long for twenty seconds.
fn slows_and_recovers() -> Scenario {
    let backend = Backend {
        workers: 16,
        millis: 5.0,
        weight: 1,
        slow: None,
    };
    let mut backends = vec![backend; 3];
    backends[0].slow = Some((20.0, 40.0, 20.0));
    Scenario::new("slows, recovers", backends, 80.0, 250.0)
}

/// Weights 1, 2 and 4 with workers to match, at 60 % of what they can do.
fn weights() -> Scenario {
    let backends = [1, 2, 4]
        .map(|times: u32| Backend {
            workers: 2 * times as usize,
            weight: times,
            ..FOUR_WORKERS
        })
        .to_vec();
    Scenario::new("weights 1:2:4", backends, 60.0, 840.0)
}
