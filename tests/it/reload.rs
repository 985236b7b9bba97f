//! Another configuration while it runs: taken as a whole or not at all, and at no request's cost.

mod backends;
mod files;
mod listeners;
mod many;
mod mutations;
mod refusals;

use crate::support::{Backend, Client, Evenkeel, Reply};

/// A backend that takes WebSockets and echoes what comes through them.
fn echo() -> Backend {
    Backend::start(|request| match request.header("upgrade") {
        Some(_) => Reply::raw(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )
        .then_echo(),
        None => Reply::ok("plain"),
    })
}

fn websocket(evenkeel: &Evenkeel) -> Client {
    let mut client = evenkeel.connect();
    client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.response().status, 101);
    client
}

#[track_caller]
fn echoes(client: &mut Client) {
    client.send("there?");
    assert_eq!(client.exactly(6), b"there?");
}
