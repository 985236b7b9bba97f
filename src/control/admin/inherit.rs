//! What the process before this one was told, asked for from its API.
//!
//! Registrations and the operator's wishes are in no file. A process that takes
//! over would have no backend of a registry until its next heartbeat, and would
//! send traffic to one that is drained. So it reads the other one's upstreams
//! and puts each back into the form of the call that made it so: whatever the
//! answer says passes the checks that calls pass.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::{Call, CallError};
use super::input;
use crate::clock::Moment;
use crate::config::{self, Choice};
use crate::control::reconcile::{Inherited, Place};

/// Limit for the whole question.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Largest answer in bytes: ten thousand backends and more.
const MAX_ANSWER: u64 = 16 << 20;

/// Why nothing is known.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The call.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It is another API, or an older one.
    #[error("the answer is not understood: {0}")]
    Format(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Upstreams {
    upstreams: Vec<Upstream>,
}

#[derive(Deserialize)]
struct Upstream {
    name: String,
    /// An older process knows none.
    operator: Option<UpstreamOperator>,
    backends: Vec<Backend>,
}

#[derive(Deserialize)]
struct UpstreamOperator {
    algorithm: Option<String>,
}

#[derive(Deserialize)]
struct Backend {
    id: String,
    address: SocketAddr,
    registration: Option<Registration>,
    operator: Operator,
}

#[derive(Deserialize)]
struct Registration {
    address: String,
    weight: u32,
    ttl: f64,
    expires_in: f64,
}

#[derive(Deserialize)]
struct Operator {
    state: String,
    deadline: Option<f64>,
    weight: Option<u32>,
}

/// Asks the process that serves the API at `admin` for its registered backends and the operator's
/// wishes, within two seconds. Deadlines count from `now`.
pub async fn ask(admin: &config::Admin, now: Moment) -> Result<Inherited, AskError> {
    let address = reachable(admin.address);
    let call = Call {
        method: "GET",
        path: "/api/v1/upstreams",
        authority: &address.to_string(),
        token: admin.token.as_ref().map(config::Secret::expose),
        body: "",
    };
    let asked = async {
        let stream = TcpStream::connect(address).await?;
        call.over(stream, MAX_ANSWER).await
    };
    let (_, answer) = timeout(TIMEOUT, asked)
        .await
        .map_err(|_| CallError::Timeout)??;
    Ok(read(&serde_json::from_slice(&answer)?, now))
}

/// Where something that listens at `address` is reached from here.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    address
}

fn read(answer: &Upstreams, now: Moment) -> Inherited {
    let mut inherited = Inherited::default();
    for upstream in &answer.upstreams {
        let wish = upstream.operator.as_ref();
        if let Some(algorithm) = wish.and_then(|wish| wish.algorithm.as_ref()) {
            let upstream = upstream.name.clone();
            if let Some(choice) = Choice::from_name(algorithm) {
                inherited.algorithms.push((upstream, choice));
            } else {
                tracing::warn!(upstream, algorithm, "not taken over: no such algorithm");
            }
        }
        for backend in &upstream.backends {
            let place = || Place {
                upstream: upstream.name.clone(),
                backend: backend.id.clone(),
            };
            if let Some(heartbeat) = backend.heartbeat() {
                match input::heartbeat(place(), heartbeat.to_string().as_bytes()) {
                    Ok(mut heartbeat) => {
                        heartbeat.resolved = vec![backend.address];
                        inherited.heartbeats.push(heartbeat);
                    }
                    Err(refused) => skipped(&place(), &refused.message),
                }
            }
            if let Some(wish) = backend.wish() {
                match input::change(wish.to_string().as_bytes(), now, Duration::ZERO) {
                    Ok(change) => inherited.wishes.push((place(), change)),
                    Err(refused) => skipped(&place(), &refused.message),
                }
            }
        }
    }
    inherited
}

fn skipped(Place { upstream, backend }: &Place, reason: &str) {
    tracing::warn!(upstream, backend, "not taken over: {reason}");
}

impl Backend {
    /// The heartbeat that registers it. It holds for a whole ttl: while one process takes over from
    /// another, nobody could renew.
    fn heartbeat(&self) -> Option<serde_json::Value> {
        let one = self.registration.as_ref()?;
        (one.expires_in > 0.0).then(|| {
            json!({ "address": one.address, "weight": one.weight, "ttl": milliseconds(one.ttl) })
        })
    }

    /// The call that makes it what the operator wants.
    fn wish(&self) -> Option<serde_json::Value> {
        let Operator {
            state,
            deadline,
            weight,
        } = &self.operator;
        if state == "active" && weight.is_none() {
            return None;
        }
        let mut wish = json!({ "state": state, "weight": weight });
        if let Some(deadline) = deadline {
            wish["deadline"] = milliseconds(*deadline).into();
        }
        Some(wish)
    }
}

/// Seconds as a duration is written.
fn milliseconds(seconds: f64) -> String {
    format!("{:.0}ms", seconds * 1e3)
}

#[cfg(test)]
mod tests;
