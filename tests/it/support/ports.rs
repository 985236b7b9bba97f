//! Ports that belong to one test, across threads and across test processes.
//!
//! Evenkeel binds `127.0.0.1`. Holding the same port on another loopback address
//! reserves it for as long as the test lives, without standing in Evenkeel's way.
//! The range lies below the ephemeral ports, so no client socket takes one first.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;
const KEEPER: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);

/// A port on `127.0.0.1` that nobody listens on yet.
pub(crate) struct Port {
    number: u16,
    _keeper: TcpListener,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        Self::listening().0
    }

    /// The same, with somebody who listens. A listener that was closed a moment ago may be open
    /// still in a process that is just being started by another thread, and the port taken.
    pub(crate) fn listening() -> (Self, TcpListener) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        for _ in 0..COUNT {
            let turn = NEXT.fetch_add(1, Ordering::Relaxed);
            let offset = std::process::id().wrapping_mul(97).wrapping_add(turn) % COUNT;
            let number = u16::try_from(FIRST + offset).expect("the range ends below 65,536");
            let Ok(keeper) = TcpListener::bind((KEEPER, number)) else {
                continue;
            };
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, number)) {
                let port = Self {
                    number,
                    _keeper: keeper,
                };
                return (port, listener);
            }
        }
        panic!("no free port between {FIRST} and {}", FIRST + COUNT);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// Whether some process listens on the address; asks the kernel and connects to nothing.
pub(crate) fn is_listening(address: SocketAddr) -> bool {
    let SocketAddr::V4(v4) = address else {
        panic!("the harness uses IPv4");
    };
    let ip = u32::from_le_bytes(v4.ip().octets());
    let local = format!("{ip:08X}:{:04X}", v4.port());
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux lists its sockets");
    table.lines().any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        columns.next() == Some(&local) && columns.nth(1) == Some("0A")
    })
}
