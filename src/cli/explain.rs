//! `evenkeel explain`: where a request would go, and why.
//!
//! Of a configuration file by itself, or of a running process through its admin
//! API; both tell it in the same words.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::running::Token;
use super::{check, running};
use crate::config::Config;
use crate::control::admin::client::{Call, CallError};
use crate::control::explain::sample::{BadSample, Sample};
use crate::control::explain::{self, Report};

/// How long a running process may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The request to explain, and who is asked.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", required_unless_present = "admin")]
    config: Option<PathBuf>,
    /// Ask the running process with this admin address.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "config")]
    admin: Option<String>,
    #[command(flatten)]
    token: Token,
    #[command(flatten)]
    request: Request,
}

/// The request to explain.
#[derive(Args, Clone, Debug)]
struct Request {
    /// Method of the request.
    #[arg(short = 'X', long, default_value = "GET")]
    method: String,
    /// A header of the request; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Address the request comes from.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    client: IpAddr,
    /// Listener the request arrives at [default: the first].
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// URL of the request, or only its path.
    url: String,
}

/// Why a running process did not explain the request.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("{0}")]
    Call(#[from] CallError),
    #[error("the answer is none of Evenkeel's: {0}")]
    Answer(#[from] serde_json::Error),
}

/// Explains to `out` what would become of a request. 0, also for a request that would be refused;
/// 1 when the configuration is wrong or the options describe no request; 2 when the running
/// process cannot be asked.
pub fn run(
    options: &Options,
    env: &dyn Fn(&str) -> Option<String>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    let request = &options.request;
    match (&options.config, &options.admin) {
        (Some(file), _) => match check::load(file, env) {
            Ok(config) => by_config(&config, request, out, err),
            Err(problems) => writeln!(err, "{problems}").map(|()| 1),
        },
        (None, Some(address)) => by_process(address, &options.token, request, out, err),
        (None, None) => Ok(1),
    }
}

fn by_config(
    config: &Config,
    request: &Request,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    match request.sample(config) {
        Ok(sample) => write!(out, "{}", explain::of_config(config, &sample)).map(|()| 0),
        Err(bad) => writeln!(err, "error: {bad}").map(|()| 1),
    }
}

fn by_process(
    address: &str,
    token: &Token,
    request: &Request,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    match ask(address, token, request) {
        Ok(report) => write!(out, "{report}").map(|()| 0),
        Err(AskError::Call(CallError::Refused { status, said })) => {
            writeln!(err, "error: {status}: {said}").map(|()| 1)
        }
        Err(error) => writeln!(err, "error: {address}: {error}").map(|()| 2),
    }
}

fn ask(address: &str, token: &Token, request: &Request) -> Result<Report, AskError> {
    let authority = address.trim_start_matches("http://").trim_end_matches('/');
    let call = Call {
        method: "GET",
        path: &request.path(),
        authority,
        token: token.bytes(),
        body: "",
    };
    let body = running::ask(&call, PATIENCE)?;
    Ok(serde_json::from_slice(&body)?)
}

impl Request {
    fn sample(&self, config: &Config) -> Result<Sample, BadSample> {
        let listener = self.listener.as_deref();
        let mut sample = Sample::new(config, &self.method, &self.url, listener)?;
        sample.client = self.client;
        for header in &self.headers {
            sample.add_line(header)?;
        }
        Ok(sample)
    }

    /// The same as a call of the admin API.
    fn path(&self) -> String {
        let client = self.client.to_string();
        let mut path = "/api/v1/explain".to_owned();
        let fixed = [
            ("?method=", self.method.as_str()),
            ("&url=", &self.url),
            ("&client=", &client),
        ];
        let listener = self
            .listener
            .iter()
            .map(|name| ("&listener=", name.as_str()));
        let headers = self.headers.iter().map(|line| ("&header=", line.as_str()));
        for (name, value) in fixed.into_iter().chain(listener).chain(headers) {
            path += name;
            encode(value, &mut path);
        }
        path
    }
}

/// Appends `text` percent-encoded, so that nothing in it means anything in a query.
fn encode(text: &str, to: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            to.push(char::from(byte));
        } else {
            write!(to, "%{byte:02X}").expect("a String takes everything");
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::control::explain::sample::fixture;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    fn explain(arguments: &[&str]) -> (u8, String) {
        explain_by(&fixture::config(), arguments)
    }

    fn explain_by(config: &Config, arguments: &[&str]) -> (u8, String) {
        let arguments = ["explain", "--config", "f"].iter().chain(arguments);
        let options = Command::parse_from(arguments).options;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = by_config(config, &options.request, &mut out, &mut err).unwrap();
        out.append(&mut err);
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_split_route_is_explained_to_its_backends() {
        let (code, text) = explain(&["-H", "X-Beta: 1", "http://a.example.com/api//users?x=1"]);
        assert_eq!(code, 0);
        assert_eq!(
            text,
            "\
GET http://a.example.com/api//users?x=1
  listener web
  client   127.0.0.1
  host     a.example.com
  path     /api/users

routes, the most specific first:
  1. beta (host *.example.com, path prefix /api, 1 condition): serves the request
  2. api (host *.example.com, path prefix /api): matches too, but is less specific
  -  strip: is for paths under /strip
  -  old: is for paths under /old
  -  teapot: is for paths under /tea

route beta
  forwards with path /users

upstream api: 95 % of the requests
  algorithm weighted_round_robin
  backend   10.0.0.1:80    weight 5
  backend   10.0.0.1:8080  weight 1  zone b  backup: only when no other qualifies

upstream canary: 5 % of the requests
  algorithm maglev
  hashes    cookie user
  backend   10.0.0.1:80    weight 5
  backend   10.0.0.1:8080  weight 1  zone b  backup: only when no other qualifies
"
        );
    }

    #[test]
    fn an_upstream_says_who_chooses_checks_and_joins() {
        let text = "
listeners: [{ name: web, address: '0.0.0.0:5000' }]
routes: [{ name: all, upstream: web }]
upstreams:
  web:
    discovery: { type: registry, max_backends: 8 }
    health: { active: { type: grpc, service: shop.Cart, port: 81, interval: 2s } }
";
        let config = crate::config::load(text, "f", &|_| None).unwrap();
        let (code, text) = explain_by(&config, &["/"]);
        assert_eq!(code, 0);
        let upstream = "\
upstream web: 100 % of the requests
  algorithm adaptive
  checked   by gRPC for shop.Cart on port 81 every 2s
  backends  that register themselves, at most 8
";
        assert!(text.ends_with(upstream), "{text}");
    }

    #[test]
    fn every_other_end_is_told_too() {
        let ends = [
            (
                &["http://a.example.com/old?a=1"][..],
                "route old\n  redirects with 308 to https://a.example.com/new?a=1\n",
            ),
            (
                &["--listener", "internal", "http://a.example.com/tea"],
                "route teapot\n  answers 418\n",
            ),
            (
                &["http://a.example.com/tea"],
                "no route matches: 404 (no_route)\n",
            ),
            (
                &["http://a.example.com/strip/.x."],
                "route strip\n  refused: 400 (bad_request): after the rewrite, the path climbs above the root\n",
            ),
            (
                &["-X", "TRACE", "/"],
                "TRACE /\nrefused: 405 Method Not Allowed (method_not_allowed): TRACE is never forwarded\n",
            ),
        ];
        for (arguments, wanted) in ends {
            let (code, text) = explain(arguments);
            assert_eq!(code, 0);
            assert!(text.ends_with(wanted), "{text}");
        }
    }

    #[test]
    fn bad_options_exit_with_1() {
        let (code, text) = explain(&["-H", "no colon", "/"]);
        assert_eq!(code, 1);
        assert_eq!(
            text,
            "error: `no colon` is no header: expected 'NAME: VALUE'\n"
        );
    }

    #[test]
    fn a_process_is_asked_with_everything_encoded() {
        let arguments = [
            "explain",
            "--admin",
            "127.0.0.1:1",
            "-X",
            "PUT",
            "-H",
            "A: b&c",
        ];
        let arguments = arguments
            .iter()
            .chain(&["--listener", "w b", "/x?y=1+2#%41"]);
        let request = Command::parse_from(arguments).options.request;
        assert_eq!(
            request.path(),
            "/api/v1/explain?method=PUT&url=/x%3Fy%3D1%2B2%23%2541&client=127.0.0.1\
             &listener=w%20b&header=A:%20b%26c"
        );
    }

    #[test]
    fn either_a_file_or_a_process_is_asked() {
        for wrong in [&["/"][..], &["--config", "f", "--admin", "a:1", "/"]] {
            let arguments = std::iter::once(&"explain").chain(wrong);
            assert!(Command::try_parse_from(arguments).is_err(), "{wrong:?}");
        }
    }
}
