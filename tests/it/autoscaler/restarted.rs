//! An Evenkeel that begins to keep backends which have long been there.

use serde_json::Value;

use super::pools::{self, Pool, address, in_the_end};
use crate::support::ports::Port;
use crate::support::{Backend, Gate, Prometheus, Reply};

#[test]
fn old_backends_are_not_replaced_before_their_first_check_has_come_back() {
    let port = Port::reserve();
    let number = port.address().port();
    let pool = Pool::new("web", (2, 4), number);
    pool.need(100);
    for name in ["app-web-1", "app-web-2"] {
        let old = Value::from("2020-02-02T02:02:02Z");
        let make_old = |one: &mut Value| one["Created"] = old;
        pool.engine.with(|all| all.change(name, make_old));
    }
    let gate = Gate::new();
    let slow = |nth: u8| {
        let held = gate.clone();
        Backend::start_at(address(nth, number), move |_| {
            Reply::ok("well").after(&held)
        })
    };
    let _backends = [slow(1), slow(2)];
    let pools = [&pool];
    let answers = pools::prometheus(&pools);
    let prometheus = Prometheus::start(move |asked| answers(asked.value("query")));
    let health = "health: { active: { path: /, interval: 20s, timeout: 20s } }";
    let evenkeel = pools::evenkeel(&pools, &prometheus, health);
    let counts = |what: &str| pools::told(&evenkeel)["web"]["pool"][what] == 2;
    in_the_end("it has looked at them", || counts("size"));
    in_the_end("both are on their way", || counts("warming"));
    gate.open();
    in_the_end("both are ready", || counts("ready"));
    assert_eq!(pool.engine.changes(), [], "nothing was made, nothing ended");
}
