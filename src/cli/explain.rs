//! `evenkeel explain`: where a request would go, and why.

use std::io::{self, Write};
use std::net::IpAddr;

use clap::Args;

use super::sample::{BadSample, Decision, Outcome, Routed, Sample};
use crate::config::{
    Action, ActiveCheck, Algorithm, Backend, Choice, Config, HashKey, Probe, Split, Upstream,
};
use crate::route::{RouteMatch, Router};

/// The request to explain.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Method of the request
    #[arg(short = 'X', long, default_value = "GET")]
    pub method: String,
    /// A header of the request; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// Address the request comes from
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub client: IpAddr,
    /// Listener the request arrives at [default: the first]
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
    /// URL of the request, or only its path
    pub url: String,
}

/// Explains to `out` what would become of a request. 0, also for a request that
/// would be refused; 1 when the options describe no request.
pub fn run(config: &Config, options: &Options, out: &mut impl Write) -> io::Result<u8> {
    let sample = match sample(config, options) {
        Ok(sample) => sample,
        Err(bad) => {
            writeln!(out, "error: {bad}")?;
            return Ok(1);
        }
    };
    match sample.decide(config, &Router::new(&config.routes)) {
        Decision::Refused(reject, why) => {
            writeln!(out, "{} {}", sample.method, sample.uri)?;
            let status = reject.status();
            writeln!(out, "refused: {status} ({}): {why}", reject.label())?;
        }
        Decision::Routed(routed) => print(config, &sample, &routed, out)?,
    }
    Ok(0)
}

fn sample(config: &Config, options: &Options) -> Result<Sample, BadSample> {
    let listener = options.listener.as_deref();
    let mut sample = Sample::new(config, &options.method, &options.url, listener)?;
    sample.client = options.client;
    for header in &options.headers {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| BadSample::Header(header.clone()))?;
        sample.add_header(name, value)?;
    }
    Ok(sample)
}

fn print(
    config: &Config,
    sample: &Sample,
    routed: &Routed,
    out: &mut impl Write,
) -> io::Result<()> {
    let listener = config.listeners.get(sample.listener);
    writeln!(out, "{} {}", sample.method, sample.uri)?;
    if let Some(listener) = listener {
        writeln!(out, "  listener {}", listener.name)?;
    }
    let host = match routed.host.as_str() {
        "" => "(none)",
        host => host,
    };
    writeln!(out, "  client   {}", sample.client)?;
    writeln!(out, "  host     {host}")?;
    writeln!(out, "  path     {}", routed.path)?;
    writeln!(out, "\nroutes, the most specific first:")?;
    write!(out, "{}", routed.explanation)?;
    writeln!(out)?;
    match &routed.outcome {
        None => writeln!(out, "no route matches: 404 (no_route)"),
        Some((matched, outcome)) => print_outcome(config, *matched, outcome, out),
    }
}

fn print_outcome(
    config: &Config,
    matched: RouteMatch,
    outcome: &Outcome,
    out: &mut impl Write,
) -> io::Result<()> {
    let route = &config.routes[matched.route];
    writeln!(out, "route {}", route.name)?;
    match outcome {
        Outcome::Respond(status) => writeln!(out, "  answers {status}"),
        Outcome::Redirect(status, location) => {
            writeln!(out, "  redirects with {status} to {location}")
        }
        Outcome::Unrewritable(why) => {
            writeln!(
                out,
                "  refused: 400 (bad_request): after the rewrite, {why}"
            )
        }
        Outcome::Forward(path) => {
            writeln!(out, "  forwards with path {path}")?;
            match &route.action {
                Action::Forward(splits) => print_splits(config, splits, out),
                Action::Respond { .. } | Action::Redirect { .. } => Ok(()),
            }
        }
    }
}

fn print_splits(config: &Config, splits: &[Split], out: &mut impl Write) -> io::Result<()> {
    let total: u64 = splits.iter().map(|split| u64::from(split.weight)).sum();
    for split in splits {
        let upstream = &config.upstreams[split.upstream];
        let share = percent(u64::from(split.weight), total);
        writeln!(out, "\nupstream {}: {share} of the requests", upstream.name)?;
        print_upstream(upstream, out)?;
    }
    Ok(())
}

fn print_upstream(upstream: &Upstream, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "  algorithm {}", upstream.algorithm.name())?;
    if matches!(
        upstream.algorithm,
        Choice::Fixed(Algorithm::ConsistentHash | Algorithm::Maglev)
    ) {
        writeln!(out, "  hashes    {}", hash_key(&upstream.hash_key))?;
    }
    if let Some(sticky) = &upstream.sticky {
        writeln!(out, "  sticky    by cookie {}", sticky.cookie)?;
    }
    if let Some(check) = &upstream.health.active {
        writeln!(out, "  checked   by {}", checked_by(check))?;
    }
    if upstream.backends.is_empty() && !upstream.discovery.is_some() {
        return writeln!(out, "  no backends");
    }
    let width = upstream.backends.iter().map(|one| one.address.len()).max();
    for backend in &upstream.backends {
        print_backend(backend, width.unwrap_or_default(), out)?;
    }
    if let Some(max_backends) = upstream.discovery.registry {
        writeln!(
            out,
            "  backends  that register themselves, at most {max_backends}"
        )?;
    }
    for source in &upstream.discovery.sources {
        let (id, max_backends) = (&source.id, source.max_backends);
        writeln!(out, "  backends  of {id}, at most {max_backends}")?;
    }
    Ok(())
}

fn checked_by(check: &ActiveCheck) -> String {
    let what = match &check.probe {
        Probe::Http(probe) => format!("GET {}", probe.path),
        Probe::Tcp => "a connection".to_owned(),
        Probe::Grpc { service } if service.is_empty() => "gRPC".to_owned(),
        Probe::Grpc { service } => format!("gRPC for {service}"),
    };
    let port = check
        .port
        .map_or_else(String::new, |port| format!(" on port {port}"));
    format!("{what}{port} every {:?}", check.interval)
}

fn print_backend(backend: &Backend, width: usize, out: &mut impl Write) -> io::Result<()> {
    let Backend {
        address, weight, ..
    } = backend;
    write!(out, "  backend   {address:<width$}  weight {weight}")?;
    if let Some(zone) = &backend.zone {
        write!(out, "  zone {zone}")?;
    }
    if backend.backup {
        write!(out, "  backup: only when no other qualifies")?;
    }
    writeln!(out)
}

fn hash_key(key: &HashKey) -> String {
    match key {
        HashKey::ClientIp => "the client's address".to_owned(),
        HashKey::Header(name) => format!("header {name}"),
        HashKey::Cookie(name) => format!("cookie {name}"),
        HashKey::Path => "the path".to_owned(),
    }
}

fn percent(part: u64, total: u64) -> String {
    if total == 0 {
        return "0 %".to_owned();
    }
    let share = format!("{:.2}", part as f64 * 100.0 / total as f64);
    format!("{} %", share.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::sample::fixture;
    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    fn explain(arguments: &[&str]) -> (u8, String) {
        explain_by(&fixture::config(), arguments)
    }

    fn explain_by(config: &Config, arguments: &[&str]) -> (u8, String) {
        let arguments = std::iter::once(&"explain").chain(arguments);
        let options = Command::parse_from(arguments).options;
        let mut out = Vec::new();
        let code = run(config, &options, &mut out).unwrap();
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
}
