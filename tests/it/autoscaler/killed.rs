//! `kill -9` at any point of a change of size: what is started anew finds its way, and no backend is
//! ended that has requests of a process that lives.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::faults::Dice;
use super::pools::{self, Pool, address, in_the_end};
use crate::support::deadline::{pause, within};
use crate::support::engine::call::{Call, Fault};
use crate::support::ports::Port;
use crate::support::{Backend, Client, Evenkeel, Load, Prometheus, Reply};

/// Processes side by side, and how often each is killed: while it grows and while it shrinks by
/// turns.
const LANES: u64 = 5;
const KILLS: u64 = 4;

/// Containers of one lane over its time, at most.
const CONTAINERS: u8 = 40;

/// What a backend takes for a request: long enough to be caught at it.
const WORK: Duration = Duration::from_millis(60);

/// Requests under way at each container.
type Busy = Arc<Vec<AtomicUsize>>;

struct Lane {
    number: u64,
    pool: Pool,
    _backends: Vec<Backend>,
    _port: Port,
    _prometheus: Prometheus,
}

fn backend(nth: u8, port: u16, busy: &Busy) -> Backend {
    let busy = Arc::clone(busy);
    Backend::start_at(address(nth, port), move |_| {
        let under_way = &busy[usize::from(nth)];
        under_way.fetch_add(1, Ordering::SeqCst);
        pause(WORK);
        under_way.fetch_sub(1, Ordering::SeqCst);
        Reply::ok("one")
    })
}

impl Lane {
    fn new(number: u64) -> (Self, Evenkeel) {
        let port = Port::reserve();
        let at = port.address().port();
        let busy: Busy = Arc::new((0..=CONTAINERS).map(|_| AtomicUsize::new(0)).collect());
        let backends = (1..=CONTAINERS).map(|nth| backend(nth, at, &busy));
        let backends = backends.collect();
        let pool = Pool::new("main", (1, 3), at);
        pool.need(5);
        pool.engine.with(|all| {
            all.spare(move |address: Ipv4Addr| {
                let nth = usize::from(address.octets()[3]);
                busy[nth].load(Ordering::SeqCst) > 0
            });
        });
        let answers = pools::prometheus(&[&pool]);
        let prometheus = Prometheus::start(move |asked| answers(asked.value("query")));
        let more = format!("algorithm: round_robin\n    {}", pools::CHECKED);
        let evenkeel = pools::evenkeel(&[&pool], &prometheus, &more);
        let lane = Self {
            number,
            pool,
            _backends: backends,
            _port: port,
            _prometheus: prometheus,
        };
        (lane, evenkeel)
    }

    /// Waits until there are so many and nothing is left to do.
    fn rests(&self, evenkeel: &Evenkeel, size: u32, what: &str) {
        let what = format!("lane {}, {what}: there are {size}", self.number);
        in_the_end(&what, || {
            let told = pools::told(evenkeel);
            let told = told.get("main");
            self.pool.is(size)
                && told.is_some_and(|told| {
                    told["pool"]["size"] == size
                        && told["leaving"] == json!([])
                        && told["decision"]["direction"] == "hold"
                })
        });
    }

    /// Waits for the point at which it is killed; says which it was.
    fn point(&self, dice: &mut Dice, grows: bool) -> String {
        let engine = &self.pool.engine;
        let calls = if grows {
            [Call::Create, Call::Start]
        } else {
            [Call::Stop, Call::Remove]
        };
        let change = |engine: &crate::support::Engine| {
            if grows {
                self.pool.need(900);
            } else {
                self.pool.need(5);
            }
            engine.count()
        };
        if dice.below(3) == 0 {
            let delay = Duration::from_millis(dice.below(3000) as u64);
            change(engine);
            pause(delay);
            return format!("after {delay:?}");
        }
        let call = calls[dice.below(2)];
        let fault = [Fault::Hangs, Fault::DoneAndHangs][dice.below(2)];
        let nth = dice.below(2);
        engine.with(|all| {
            if nth > 0 {
                all.fail(call, Fault::Slow(Duration::ZERO), nth);
            }
            all.fail(call, fault, 1);
        });
        let before = change(engine);
        let is_there = || {
            let asked = engine.asked();
            let same = asked[before..].iter().filter(|one| one.call == call);
            (same.count() > nth).then_some(())
        };
        let came = within(pools::LONG, is_there).is_some();
        assert!(came, "{call:?} is not asked for {nth} times");
        format!("{call:?} {nth} {fault:?}")
    }
}

/// How many processes have begun and ended: odd while one lives.
#[derive(Default)]
struct Lives(AtomicUsize);

impl Lives {
    fn next(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn now(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn ask(web: std::net::SocketAddr) -> Result<(), String> {
    let mut client = Client::try_connect(web).map_err(|error| error.to_string())?;
    let asked = client.try_send("GET / HTTP/1.1\r\nHost: test.example\r\n\r\n");
    asked.map_err(|error| error.to_string())?;
    let answer = client.try_response().map_err(|error| error.to_string())?;
    if answer.status == 200 {
        return Ok(());
    }
    Err(format!("{}\n{}", answer.head, answer.text()))
}

/// Plays one lane.
fn play(number: u64) {
    let (lane, mut evenkeel) = Lane::new(number);
    let web = evenkeel.web();
    let lives = Lives::default();
    let client = |load: &Load| {
        while load.goes_on() {
            let life = lives.now();
            if life % 2 == 0 {
                pause(Duration::from_millis(10));
                continue;
            }
            let answer = ask(web);
            if lives.now() == life {
                assert_eq!(answer, Ok(()), "lane {number}, life {life}");
                load.served();
            }
        }
    };
    lives.next();
    Load::run(2, client, |load| {
        lane.rests(&evenkeel, 1, "at first");
        for kill in 0..KILLS {
            let mut dice = Dice(number * KILLS + kill);
            let grows = kill % 2 == 0;
            load.more(3);
            let point = lane.point(&mut dice, grows);
            lives.next();
            evenkeel.kill();
            lane.pool.engine.heal();
            evenkeel.restart();
            lives.next();
            let size = if grows { 3 } else { 1 };
            let what = format!("killed for the {kill}. time, {point}");
            lane.rests(&evenkeel, size, &what);
            assert_eq!(lane.pool.broken(), Vec::<String>::new(), "{what}");
        }
        load.more(3);
    });
}

#[test]
fn killed_at_any_point_it_goes_on_where_it_was() {
    std::thread::scope(|scope| {
        for number in 0..LANES {
            scope.spawn(move || play(number));
        }
    });
}
