//! An Engine that does everything wrong that it can, two hundred times over: bounds hold, nothing
//! runs hot, and once all is well so is the pool.
//!
//! Each scenario is one upstream with an Engine of its own; twenty share a process. A scenario
//! follows from its number alone: `EVENKEEL_SCENARIO=17 cargo test --test it faults::` plays one.

use std::sync::Mutex;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use evenkeel::control::autoscale::decide::Direction;
use serde_json::{Value, json};

use super::pools::{self, Pool};
use crate::support::deadline::{Stopwatch, pause};
use crate::support::engine::call::{Call, Fault};
use crate::support::engine::container::composed;
use crate::support::engine::containers::Containers;
use crate::support::{Evenkeel, Prometheus, show};

const SCENARIOS: u64 = 200;
const IN_A_PROCESS: usize = 20;

/// Once all is well, on a machine that is busy.
const RECOVERY: Duration = Duration::from_secs(90);

/// For as long as it lasts.
const ALWAYS: usize = usize::MAX;

/// Held by the process that is started.
static START: Mutex<()> = Mutex::new(());

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Kind {
    CreateRefused(u16, &'static str),
    CreateAnsweredWith409,
    StartRefused,
    StartHangs,
    NamesTaken,
    SocketGone,
    SocketComesAndGoes,
    AnswersCut(Call),
    AnswersHalf(Call),
    AnswersGarbage(Call),
    AnswersLost(Call),
    MadeLater,
    Hangs(Call),
    ExitsAtOnce,
    ExitsAfterServing,
    ListLiesStale,
    InspectFindsNothing,
    StopRefused,
    RemovalInProgress,
    Slow,
    ClockAhead,
    ClockBehind,
    EventsCut,
}

const KINDS: &[Kind] = &[
    Kind::CreateRefused(500, "no space left on device"),
    Kind::CreateRefused(404, "No such image: app"),
    Kind::CreateRefused(400, "bad parameter"),
    Kind::CreateAnsweredWith409,
    Kind::StartRefused,
    Kind::StartHangs,
    Kind::NamesTaken,
    Kind::SocketGone,
    Kind::SocketComesAndGoes,
    Kind::AnswersCut(Call::List),
    Kind::AnswersCut(Call::Inspect),
    Kind::AnswersHalf(Call::List),
    Kind::AnswersHalf(Call::Create),
    Kind::AnswersHalf(Call::Inspect),
    Kind::AnswersGarbage(Call::List),
    Kind::AnswersGarbage(Call::Create),
    Kind::AnswersGarbage(Call::Inspect),
    Kind::AnswersLost(Call::Create),
    Kind::AnswersLost(Call::Start),
    Kind::AnswersLost(Call::Stop),
    Kind::AnswersLost(Call::Remove),
    Kind::MadeLater,
    Kind::Hangs(Call::List),
    Kind::Hangs(Call::Create),
    Kind::Hangs(Call::Stop),
    Kind::Hangs(Call::Remove),
    Kind::ExitsAtOnce,
    Kind::ExitsAfterServing,
    Kind::ListLiesStale,
    Kind::InspectFindsNothing,
    Kind::StopRefused,
    Kind::RemovalInProgress,
    Kind::Slow,
    Kind::ClockAhead,
    Kind::ClockBehind,
    Kind::EventsCut,
];

impl Kind {
    /// While what it shows; `None` while either.
    const fn concerns(self) -> Option<Direction> {
        match self {
            Self::CreateRefused(..)
            | Self::CreateAnsweredWith409
            | Self::StartRefused
            | Self::StartHangs
            | Self::NamesTaken
            | Self::MadeLater
            | Self::ExitsAtOnce
            | Self::ExitsAfterServing
            | Self::InspectFindsNothing
            | Self::ListLiesStale
            | Self::ClockAhead
            | Self::ClockBehind => Some(Direction::Up),
            Self::StopRefused | Self::RemovalInProgress => Some(Direction::Down),
            Self::AnswersCut(call)
            | Self::AnswersHalf(call)
            | Self::AnswersGarbage(call)
            | Self::AnswersLost(call)
            | Self::Hangs(call) => match call {
                Call::Create | Call::Start => Some(Direction::Up),
                Call::Stop | Call::Remove => Some(Direction::Down),
                _ => None,
            },
            Self::SocketGone | Self::SocketComesAndGoes | Self::Slow | Self::EventsCut => None,
        }
    }
}

/// Numbers that follow from a seed: splitmix64.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("less than a usize")
    }

    /// Always, or a few times.
    fn times(&mut self) -> usize {
        [1, 2, 3, ALWAYS, ALWAYS, ALWAYS][self.below(6)]
    }
}

/// How far a scenario is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Settles,
    Grows { faulty: bool },
    Shrinks { faulty: bool },
    Over,
}

struct Scenario {
    number: u64,
    dice: Dice,
    kinds: Vec<Kind>,
    /// Whether it goes wrong while it grows, and while it shrinks.
    hits: (bool, bool),
    /// Whether the load comes and goes while it goes wrong on the way down.
    flips: bool,
    pool: Pool,
    foreign: Vec<Value>,
    phase: Phase,
    since: Stopwatch,
    begun: Stopwatch,
    acted: Stopwatch,
    lasts: Duration,
    /// Calls a minute, once it is over.
    rate: f64,
}

impl Scenario {
    fn new(number: u64, port: u16) -> Self {
        let mut dice = Dice(number);
        let first = KINDS[usize::try_from(number).expect("small") % KINDS.len()];
        let mut kinds = vec![first];
        // The later ones are combinations.
        for _ in 0..usize::try_from(number).expect("small") / KINDS.len() / 2 {
            kinds.push(KINDS[dice.below(KINDS.len())]);
        }
        let hits = match first.concerns() {
            Some(Direction::Up) => [(true, false), (true, true)][dice.below(2)],
            Some(Direction::Down) => [(false, true), (true, true)][dice.below(2)],
            _ => [(true, false), (false, true), (true, true)][dice.below(3)],
        };
        let flips = dice.below(3) == 0;
        let min = 1 + u32::try_from(dice.below(2)).expect("small");
        let max = min + 1 + u32::try_from(dice.below(3 - min as usize)).expect("small");
        let pool = Pool::new(&format!("s{number}"), (min, max), port);
        let lasts = Duration::from_millis(2_000 + 1_000 * dice.below(3) as u64);
        let mut scenario = Self {
            number,
            dice,
            kinds,
            hits,
            flips,
            pool,
            foreign: Vec::new(),
            phase: Phase::Settles,
            since: Stopwatch::start(),
            begun: Stopwatch::start(),
            acted: Stopwatch::start(),
            lasts,
            rate: 0.0,
        };
        scenario.foreign();
        scenario
    }

    /// Beside those with the label there is one that runs without it, whatever else it has.
    fn foreign(&mut self) {
        let mut body = composed("app", "web", 77, &[]);
        let labels = body["Labels"].as_object_mut().expect("an object");
        labels.remove("evenkeel.upstream");
        let from = self.pool.min + 1;
        let names = match self.kinds[0] {
            Kind::NamesTaken => (from..from + 3).map(|n| format!("app-web-{n}")).collect(),
            _ => vec!["app-web-77".to_owned()],
        };
        self.pool.engine.with(|all| {
            for name in &names {
                all.make(name, &body);
                all.change(name, |one| one["State"]["Status"] = json!("running"));
            }
        });
        self.foreign = self.others();
    }

    fn others(&self) -> Vec<Value> {
        self.pool.engine.with(|all| {
            let label = |one: &&Value| one["Config"]["Labels"]["evenkeel.upstream"].is_null();
            all.all().iter().filter(label).cloned().collect()
        })
    }

    fn break_it(&mut self) {
        for kind in self.kinds.clone() {
            self.bring_about(kind);
        }
    }

    fn bring_about(&mut self, kind: Kind) {
        let times = self.dice.times();
        let pause = Duration::from_millis(50 + 50 * self.dice.below(8) as u64);
        let engine = &self.pool.engine;
        let fail = |call, fault, times| engine.with(|all| all.fail(call, fault, times));
        match kind {
            Kind::CreateRefused(status, said) => {
                fail(Call::Create, Fault::Refused(status, said), times);
            }
            Kind::CreateAnsweredWith409 => {
                fail(Call::Create, Fault::Refused(409, "Conflict."), times);
            }
            Kind::StartRefused => fail(Call::Start, Fault::Refused(500, "no runtime"), times),
            Kind::StartHangs => fail(Call::Start, Fault::Hangs, times),
            // From the beginning, and again and again.
            Kind::NamesTaken | Kind::ExitsAfterServing => {}
            Kind::SocketGone | Kind::SocketComesAndGoes => engine.go_away(true),
            Kind::AnswersCut(call) => fail(call, Fault::Cut, times),
            Kind::AnswersHalf(call) => fail(call, Fault::DoneAndHalf, times),
            Kind::AnswersGarbage(call) => fail(call, Fault::DoneAndGarbage, times),
            Kind::AnswersLost(call) => fail(call, Fault::DoneAndCut, times),
            Kind::MadeLater => fail(Call::Create, Fault::DoneLater, 1),
            Kind::Hangs(call) => fail(call, Fault::Hangs, times),
            Kind::ExitsAtOnce => engine.with(|all| all.exits_with(Some(1))),
            Kind::ListLiesStale => engine.with(Containers::freeze_lists),
            Kind::InspectFindsNothing => fail(
                Call::Inspect,
                Fault::Refused(404, "No such container: abc"),
                times,
            ),
            Kind::StopRefused => fail(Call::Stop, Fault::Refused(500, "cannot stop"), times),
            Kind::RemovalInProgress => fail(
                Call::Remove,
                Fault::Refused(409, "removal of container abc is already in progress"),
                times,
            ),
            Kind::Slow => {
                for call in [Call::List, Call::Inspect, Call::Create, Call::Stop] {
                    fail(call, Fault::Slow(pause), ALWAYS);
                }
            }
            Kind::ClockAhead => engine.with(|all| all.set_clock(100_000_000)),
            Kind::ClockBehind => engine.with(|all| all.set_clock(-100_000_000)),
            Kind::EventsCut => engine.cut(),
        }
    }

    /// What happens again and again while it lasts.
    fn go_on(&mut self) {
        if self.acted.elapsed() < Duration::from_millis(700) {
            return;
        }
        self.acted = Stopwatch::start();
        if self.flips && matches!(self.phase, Phase::Shrinks { .. }) {
            self.pool.need([5, 900][self.dice.below(2)]);
        }
        let engine = &self.pool.engine;
        for kind in &self.kinds {
            match kind {
                Kind::SocketComesAndGoes => engine.go_away(self.dice.below(2) == 0),
                Kind::EventsCut => engine.cut(),
                // Those that Evenkeel made; while it shrinks they would be too few for a moment
                // without its doing.
                Kind::ExitsAfterServing if matches!(self.phase, Phase::Grows { .. }) => {
                    engine.with(|all| {
                        let own = all.ours().find(|one| {
                            let own = &one["Config"]["Labels"]["evenkeel.autoscaler"];
                            one["State"]["Status"] == "running" && !own.is_null()
                        });
                        let name = own.and_then(|one| one["Name"].as_str());
                        let name = name.map(|name| name.trim_start_matches('/').to_owned());
                        if let Some(name) = name {
                            all.crash(&name, 1);
                        }
                    });
                }
                _ => {}
            }
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Stopwatch::start();
        match phase {
            Phase::Grows { faulty: true } | Phase::Shrinks { faulty: true } => self.break_it(),
            Phase::Grows { faulty: false } | Phase::Shrinks { faulty: false } => {
                self.pool.engine.heal();
            }
            Phase::Settles | Phase::Over => {}
        }
        match phase {
            Phase::Grows { .. } => self.pool.need(900),
            Phase::Shrinks { .. } => self.pool.need(5),
            Phase::Settles | Phase::Over => {}
        }
    }

    /// Goes on where it is time; an error says what went wrong.
    fn tick(&mut self, told: &Value) -> Result<(), String> {
        let rests = |size: u32| {
            self.pool.is(size)
                && told["pool"]["size"] == size
                && told["leaving"] == json!([])
                && told["decision"]["direction"] == "hold"
        };
        let next = match self.phase {
            Phase::Settles if rests(self.pool.min) => Phase::Grows {
                faulty: self.hits.0,
            },
            Phase::Grows { faulty: false } if rests(self.pool.max) => Phase::Shrinks {
                faulty: self.hits.1,
            },
            Phase::Shrinks { faulty: false } if rests(self.pool.min) => Phase::Over,
            Phase::Grows { faulty: true } if self.since.elapsed() > self.lasts => {
                Phase::Grows { faulty: false }
            }
            Phase::Shrinks { faulty: true } if self.since.elapsed() > self.lasts => {
                Phase::Shrinks { faulty: false }
            }
            Phase::Grows { faulty: true } | Phase::Shrinks { faulty: true } => {
                self.go_on();
                return Ok(());
            }
            _ if self.since.elapsed() > RECOVERY => {
                return Err(format!("it does not recover: {told}"));
            }
            _ => return Ok(()),
        };
        self.enter(next);
        if next == Phase::Over {
            self.judge()?;
        }
        Ok(())
    }

    fn judge(&mut self) -> Result<(), String> {
        let broken = self.pool.engine.with(|all| all.broken().to_vec());
        if !broken.is_empty() {
            return Err(format!("{broken:#?}"));
        }
        if self.others() != self.foreign {
            return Err("one without the label was touched".to_owned());
        }
        let calls = self.pool.engine.count() as f64;
        let seconds = self.begun.elapsed().as_secs_f64();
        self.rate = calls / seconds * 60.0;
        // Each second, one decision: a list, and a look at each container. With it come, at most
        // once in two of them, a change with as much again and four calls for each container, and
        // what discovery asks for.
        let most = (seconds + 5.0) * f64::from(8 + 4 * self.pool.max);
        if calls > most {
            return Err(format!("{calls} calls in {seconds:.0} s"));
        }
        Ok(())
    }
}

/// Plays these in one process; what went wrong.
fn play(numbers: &[u64]) -> Vec<String> {
    let listening = pools::everywhere();
    let number = listening.address().port();
    let mut scenarios: Vec<Scenario> = numbers
        .iter()
        .map(|one| Scenario::new(*one, number))
        .collect();
    let pools: Vec<&Pool> = scenarios.iter().map(|one| &one.pool).collect();
    let answers = pools::prometheus(&pools);
    let prometheus = Prometheus::start(move |asked| answers(asked.value("query")));
    // One after the other: on a busy machine ten at a time would be late, all of them.
    let start = START.lock();
    let evenkeel = pools::evenkeel(&pools, &prometheus, pools::CHECKED);
    drop(start);
    for scenario in &mut scenarios {
        (scenario.since, scenario.begun) = (Stopwatch::start(), Stopwatch::start());
    }
    let mut failures = Vec::new();
    while scenarios.iter().any(|one| one.phase != Phase::Over) {
        pause(Duration::from_millis(500));
        // While anything may be wrong, this process lives and answers.
        let told = pools::told(&evenkeel);
        for scenario in &mut scenarios {
            if scenario.phase == Phase::Over {
                continue;
            }
            let nothing = Value::Null;
            let told = told.get(&scenario.pool.name).unwrap_or(&nothing);
            if let Err(why) = scenario.tick(told) {
                failures.push(describe(scenario, &why, &evenkeel));
                scenario.phase = Phase::Over;
            }
        }
    }
    if let [one] = scenarios.as_slice() {
        show(&describe(one, "played alone", &evenkeel));
    }
    let rates: Vec<f64> = scenarios.iter().map(|one| one.rate.round()).collect();
    show(&format!("calls a minute: {rates:?}"));
    failures
}

fn describe(scenario: &Scenario, why: &str, evenkeel: &Evenkeel) -> String {
    let asked = scenario.pool.engine.asked();
    let last: Vec<String> = asked
        .iter()
        .rev()
        .take(30)
        .map(|one| format!("{} {}", one.method, one.path))
        .collect();
    let name = format!("\"{}\"", scenario.pool.name);
    let log: Vec<String> = evenkeel
        .log()
        .lines()
        .filter(|line| line.contains(&name))
        .map(str::to_owned)
        .collect();
    format!(
        "EVENKEEL_SCENARIO={} {:?} {:?} {}..{} in {:?}: {why}\nthere: {}\nthe last calls, the last first: {last:#?}\nlog: {}",
        scenario.number,
        scenario.kinds,
        scenario.hits,
        scenario.pool.min,
        scenario.pool.max,
        scenario.phase,
        scenario.pool.there(),
        log.join("\n"),
    )
}

#[test]
fn two_hundred_faults_leave_every_pool_within_its_bounds_and_well_in_the_end() {
    let one = std::env::var("EVENKEEL_SCENARIO").ok();
    let one = one.map(|text| text.parse().expect("the number of a scenario"));
    let all: Vec<u64> = one.map_or_else(|| (0..SCENARIOS).collect(), |number| vec![number]);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let groups = all.chunks(IN_A_PROCESS);
        let threads: Vec<_> = groups
            .map(|numbers| scope.spawn(move || play(numbers)))
            .collect();
        let ended = threads.into_iter().map(ScopedJoinHandle::join);
        ended.flat_map(|ended| ended.expect("see above")).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
