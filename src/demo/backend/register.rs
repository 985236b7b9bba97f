//! Registers the backend with a balancer's admin API, and keeps it registered.
//!
//! A heartbeat is one small HTTP request every few seconds; when it fails, the
//! next one comes sooner.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use http::StatusCode;
use http::uri::{Scheme, Uri};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::control::admin::client::{Call, CallError};

/// Limit for one call, from connecting to the last byte.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Limit for saying goodbye: the process must end.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Requests that were given to it before it left may take so long to arrive.
const LATE_REQUESTS: Duration = Duration::from_millis(250);
/// Largest answer in bytes.
const MAX_ANSWER: u64 = 16 * 1024;
/// The pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// No pause after a failure is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Where and as what the backend registers.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Registration {
    /// Admin API of the balancer to register with, such as `http://127.0.0.1:9901`.
    #[arg(long, env = "REGISTER", value_name = "URL", requires = "upstream")]
    pub register: Option<Registry>,
    /// Upstream to register in.
    #[arg(long, env = "REGISTER_UPSTREAM", value_name = "NAME", requires = "register", value_parser = parse_segment)]
    pub upstream: Option<String>,
    /// Id to register as [default: the advertised address].
    #[arg(long, env = "REGISTER_ID", value_name = "NAME", requires = "register", value_parser = parse_segment)]
    pub id: Option<String>,
    /// How long the registration holds; it is renewed three times as often [default: 10s].
    #[arg(long, env = "REGISTER_TTL", requires = "register", value_parser = humantime::parse_duration)]
    pub ttl: Option<Duration>,
    /// Address the balancer connects to [default: the port listened on, at the address that the balancer is reached from].
    #[arg(long, env = "REGISTER_ADVERTISE", value_name = "HOST:PORT", requires = "register", value_parser = parse_advertised)]
    pub advertise: Option<String>,
    /// Bearer token of the admin API.
    #[arg(long, env = "REGISTER_TOKEN", hide_env_values = true, value_name = "TOKEN", requires = "register", value_parser = parse_token)]
    pub register_token: Option<Token>,
    /// Weight to register with.
    #[arg(long, env = "REGISTER_WEIGHT", requires = "register", value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub weight: Option<u32>,
}

/// An admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    authority: String,
    /// `host:port`.
    address: String,
}

impl FromStr for Registry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("no URL: {error}"))?;
        if uri.scheme() != Some(&Scheme::HTTP) {
            return Err("write it as http://HOST:PORT".to_owned());
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err("the URL ends with the port".to_owned());
        }
        let authority = uri.authority().ok_or("the host is missing")?;
        if authority.as_str().contains('@') {
            return Err("a user does not belong here; see --register-token".to_owned());
        }
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self {
            address: format!("{}:{port}", authority.host()),
            authority: authority.to_string(),
        })
    }
}

/// A bearer token; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<token>")
    }
}

fn parse_token(text: &str) -> Result<Token, String> {
    let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| Token(text.to_owned()))
        .ok_or_else(|| "a token is printable ASCII without spaces".to_owned())
}

/// Text that can stand in a path as it is.
fn parse_segment(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    (!text.is_empty() && text.bytes().all(fits))
        .then(|| text.to_owned())
        .ok_or_else(|| "a name consists of letters, digits and -._:[]".to_owned())
}

fn parse_advertised(text: &str) -> Result<String, String> {
    let (_, port) = text.rsplit_once(':').ok_or("the port is missing")?;
    if port.parse::<u16>().is_ok_and(|port| port > 0) {
        parse_segment(text)
    } else {
        Err("the port must be a number from 1 to 65535".to_owned())
    }
}

/// Keeps one backend registered.
pub(super) struct Registrar<'o> {
    registry: &'o Registry,
    upstream: &'o str,
    options: &'o Registration,
    listens: SocketAddr,
    ttl: Duration,
}

impl<'o> Registrar<'o> {
    /// For a backend that listens at `listens`; `None` when nobody asked for it.
    pub(super) fn new(options: &'o Registration, listens: SocketAddr) -> Option<Self> {
        Some(Self {
            registry: options.register.as_ref()?,
            upstream: options.upstream.as_deref()?,
            ttl: options.ttl.unwrap_or(Duration::from_secs(10)),
            options,
            listens,
        })
    }

    /// Registers and renews until `end` is ready, then leaves. `say` gets what a person should know;
    /// `random` is evenly distributed over 0..1.
    pub(super) async fn keep(
        &self,
        end: impl Future<Output = ()>,
        say: &mut impl FnMut(&str),
        random: impl Fn() -> f64,
    ) {
        let mut as_who = None;
        tokio::select! {
            () = self.renew(&mut as_who, say, random) => {}
            () = end => {}
        }
        let Some(id) = as_who else { return };
        let mut leaving = Some(id);
        match timeout(LEAVE_TIMEOUT, self.call("DELETE", &mut leaving)).await {
            Ok(Ok(_)) => {
                say(&format!("left upstream {}", self.upstream));
                sleep(LATE_REQUESTS).await;
            }
            Ok(Err(error)) => say(&format!(
                "cannot leave {}: {error}",
                self.registry.authority
            )),
            Err(_) => say(&format!(
                "cannot leave {}: no answer",
                self.registry.authority
            )),
        }
    }

    /// Sends heartbeats; `as_who` is the id that may be registered by now.
    async fn renew(
        &self,
        as_who: &mut Option<String>,
        say: &mut impl FnMut(&str),
        random: impl Fn() -> f64,
    ) {
        let mut failures = 0;
        loop {
            let before = as_who.clone();
            let beat = timeout(CALL_TIMEOUT.min(self.ttl), self.call("PUT", as_who)).await;
            let roll = random();
            let pause = match beat.unwrap_or(Err(CallError::Timeout)) {
                Ok((status, id)) => {
                    if status == StatusCode::CREATED || failures > 0 {
                        say(&format!("registered as {id} in upstream {}", self.upstream));
                    }
                    failures = 0;
                    interval(self.ttl, roll)
                }
                Err(error) => {
                    if matches!(error, CallError::Refused { .. }) {
                        *as_who = before;
                    }
                    let pause = back_off(self.ttl, failures, roll);
                    failures += 1;
                    let registry = &self.registry.authority;
                    say(&format!(
                        "cannot register with {registry}: {error}; next try in {} ms",
                        pause.as_millis()
                    ));
                    pause
                }
            };
            sleep(pause).await;
        }
    }

    /// One call, as `as_who` or who is said to register; the answer's status and the id. When the
    /// call is cut off, `as_who` tells whether it may have counted.
    async fn call(
        &self,
        method: &str,
        as_who: &mut Option<String>,
    ) -> Result<(StatusCode, String), CallError> {
        let stream = TcpStream::connect(&self.registry.address).await?;
        let advertised = self.advertised(stream.local_addr()?);
        let id = as_who
            .clone()
            .or_else(|| self.options.id.clone())
            .unwrap_or_else(|| advertised.clone());
        let body = match method {
            "PUT" => self.body(&advertised),
            _ => String::new(),
        };
        *as_who = Some(id.clone());
        // Brackets may not stand in a path.
        let segment = id.replace('[', "%5B").replace(']', "%5D");
        let path = format!(
            "/api/v1/upstreams/{}/backends/{segment}/heartbeat",
            self.upstream
        );
        let token = self.options.register_token.as_ref();
        let call = Call {
            method,
            path: &path,
            authority: &self.registry.authority,
            token: token.map(|Token(token)| token.as_bytes()),
            body: &body,
        };
        let (status, _) = call.over(stream, MAX_ANSWER).await?;
        Ok((status, id))
    }

    /// The address to be reached at, when the balancer is reached from `local`.
    fn advertised(&self, local: SocketAddr) -> String {
        self.options.advertise.clone().unwrap_or_else(|| {
            let mut address = self.listens;
            if address.ip().is_unspecified() {
                address.set_ip(local.ip());
            }
            address.to_string()
        })
    }

    fn body(&self, advertised: &str) -> String {
        let mut body = serde_json::json!({
            "ttl": format!("{}ms", self.ttl.as_millis()),
            "address": advertised,
        });
        if let Some(weight) = self.options.weight {
            body["weight"] = weight.into();
        }
        body.to_string()
    }
}

/// The time to the next heartbeat: a third of the ttl, a tenth shorter or longer, so that backends
/// started together do not report together for ever.
fn interval(ttl: Duration, roll: f64) -> Duration {
    (ttl / 3).mul_f64(0.9 + 0.2 * roll)
}

/// The time to the next try after this many failures before: it doubles up to [`LONGEST_PAUSE`] and
/// never beyond a third of the ttl, and half of it is random.
fn back_off(ttl: Duration, failures: u32, roll: f64) -> Duration {
    let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures));
    pause
        .min(LONGEST_PAUSE)
        .min(ttl / 3)
        .mul_f64(0.5 + 0.5 * roll)
}

#[cfg(test)]
mod tests;
