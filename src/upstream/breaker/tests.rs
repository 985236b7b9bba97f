use proptest::prelude::*;

use super::*;
use crate::config::Percent;

const EJECTION: Ejection = Ejection {
    base: Duration::from_secs(30),
    max: Duration::from_secs(100),
    max_ejected: Percent::HALF,
};

const START: Moment = Moment::from_micros(1_000_000);

/// What the breaker should be, in plain words.
#[derive(Debug, Default)]
struct Model {
    open: Option<Trip>,
    until: Moment,
    count: u64,
    proofs: u64,
    remembered: u64,
    closed_at: Moment,
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Trip(Trip),
    Refuse,
    Connect,
    Prove,
    Disprove,
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    let trips = vec![Trip::Connect, Trip::Consecutive, Trip::Ratio, Trip::Latency];
    prop_oneof![
        (0_u64..60_000).prop_map(Step::Wait),
        prop::sample::select(trips).prop_map(Step::Trip),
        Just(Step::Refuse),
        Just(Step::Connect),
        Just(Step::Prove),
        Just(Step::Prove),
        Just(Step::Disprove),
        Just(Step::Release),
    ]
}

impl Model {
    fn begin(&mut self, now: Moment, trip: Trip, count: u64) {
        let seconds = match trip {
            Trip::Connect => 2_u64.pow(u32::try_from(count - 1).unwrap().min(10)).min(30),
            _ => (30 * count).min(100),
        };
        self.open = Some(trip);
        self.count = count;
        self.proofs = 0;
        self.until = now.after(Duration::from_secs(seconds));
    }

    fn remembered(&self, now: Moment) -> u64 {
        let forgotten = now.since(self.closed_at).as_secs() / 30;
        self.remembered.saturating_sub(forgotten)
    }

    fn trip(&mut self, now: Moment, trip: Trip) -> bool {
        if self.open.is_some() {
            return false;
        }
        let count = match trip {
            Trip::Connect => 1,
            _ => self.remembered(now) + 1,
        };
        self.begin(now, trip, count);
        true
    }

    fn refuse(&mut self, now: Moment) -> Option<Trip> {
        let before = self.open?;
        match before {
            Trip::Connect if now < self.until => return None,
            Trip::Connect => self.begin(now, Trip::Connect, self.count + 1),
            _ => self.begin(now, Trip::Connect, 1),
        }
        Some(before)
    }

    fn prove(&mut self, now: Moment) -> bool {
        self.proofs += 1;
        let closes = self.open == Some(Trip::Connect) || self.proofs == PROOFS;
        if closes {
            if self.open != Some(Trip::Connect) {
                (self.remembered, self.closed_at) = (self.count, now);
            }
            self.open = None;
        }
        closes
    }

    fn disprove(&mut self, now: Moment) {
        self.proofs = 0;
        match self.open.filter(|_| self.until <= now) {
            Some(Trip::Latency) => self.until = now.after(EJECTION.base),
            Some(trip) => self.begin(now, trip, self.count + 1),
            None => {}
        }
    }
}

proptest! {
    #[test]
    fn behaves_like_the_model(steps in prop::collection::vec(step(), 0..80)) {
        let breaker = Breaker::default();
        let mut model = Model::default();
        let mut now = START;
        for step in steps {
            match step {
                Step::Wait(millis) => now = now.after(Duration::from_millis(millis)),
                Step::Trip(trip) => {
                    prop_assert_eq!(breaker.trip(now, trip, &EJECTION), model.trip(now, trip));
                }
                Step::Refuse => {
                    prop_assert_eq!(breaker.refused(now, &EJECTION), model.refuse(now));
                }
                Step::Connect => {
                    let closes = model.open == Some(Trip::Connect);
                    prop_assert_eq!(breaker.connected(), closes);
                    if closes {
                        model.open = None;
                    }
                }
                Step::Prove => if let Some(permit) = breaker.probe() {
                    prop_assert_eq!(breaker.proved(permit, now), model.prove(now));
                }
                Step::Disprove => if let Some(permit) = breaker.probe() {
                    breaker.disproved(permit, now, &EJECTION);
                    model.disprove(now);
                }
                Step::Release => if let Some(permit) = breaker.probe() {
                    prop_assert!(breaker.probe().is_none(), "one probe at a time");
                    breaker.release(permit);
                }
            }
            prop_assert_eq!(breaker.open().map(|open| open.trip), model.open);
            if let Some(open) = breaker.open() {
                prop_assert_eq!((open.until, open.count), (model.until, model.count));
                prop_assert!(!open.is_probing());
            }
            prop_assert_eq!(breaker.remembered(now, &EJECTION), model.remembered(now));
        }
    }
}

#[test]
fn pauses_after_refused_connections_double_up_to_the_maximum() {
    let breaker = Breaker::default();
    let mut now = START;
    breaker.trip(now, Trip::Connect, &EJECTION);
    for seconds in [1, 2, 4, 8, 16, 30, 30] {
        let open = breaker.open().unwrap();
        assert_eq!(open.until, now.after(Duration::from_secs(seconds)));
        now = open.until;
        breaker.refused(now, &EJECTION);
    }
}

#[test]
fn a_refused_connection_in_a_panic_starts_the_pause_anew() {
    let breaker = Breaker::default();
    breaker.trip(START, Trip::Connect, &EJECTION);
    let end = START.after(BASE_PAUSE);
    breaker.refused(end, &EJECTION);
    let later = end.after(PANIC_PAUSE);
    assert!(breaker.open().unwrap().is_fresh(end, &EJECTION));
    assert!(!breaker.open().unwrap().is_fresh(later, &EJECTION));
    breaker.probe().unwrap();
    assert_eq!(breaker.refused(later, &EJECTION), Some(Trip::Connect));
    let open = breaker.open().unwrap();
    assert!(open.is_fresh(later, &EJECTION) && open.count == 2);
}

#[test]
fn a_slow_backend_is_measured_at_once_and_later_the_more_often_it_was_slow() {
    let breaker = Breaker::default();
    let mut now = START;
    for held in [0, 30, 60, 70, 70] {
        breaker.trip(now, Trip::Latency, &EJECTION);
        let from = now.after(Duration::from_secs(held));
        assert_eq!(breaker.open().unwrap().measured_from(&EJECTION), Some(from));
        for _ in 0..PROOFS {
            breaker.proved(breaker.probe().unwrap(), now);
        }
        assert!(breaker.is_closed());
        now = now.after(Duration::from_secs(1));
    }
    breaker.trip(now, Trip::Ratio, &EJECTION);
    assert_eq!(breaker.open().unwrap().measured_from(&EJECTION), None);
}

#[test]
fn an_old_permit_frees_nothing() {
    let breaker = Breaker::default();
    breaker.trip(START, Trip::Connect, &EJECTION);
    let now = START.after(BASE_PAUSE);
    let old = breaker.probe().unwrap();
    breaker.refused(now, &EJECTION);
    breaker.probe().unwrap();
    breaker.release(old);
    assert!(breaker.probe().is_none());
}
