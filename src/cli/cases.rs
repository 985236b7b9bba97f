//! `evenkeel test`: unit tests for a configuration's routes.
//!
//! ```yaml
//! - name: the beta group goes to the canary
//!   request: { url: "http://api.example.com/api/x", headers: { X-Beta: "1" } }
//!   expect: { route: beta, upstream: canary, path: /x }
//! - request: { method: POST, url: "http://example.com/old" }
//!   expect: { status: 308, location: /new }
//! - request: { url: "http://unknown.example/" }
//!   expect: { no_route: true }
//! ```
//!
//! `upstream` holds when the route sends it any share of its requests. `path` is
//! the path after the rewrite. `status` is what Evenkeel itself answers: for a
//! redirect, a fixed response, no route (404) or a request it refuses.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use crate::config::{Action, Config};
use crate::control::explain::sample::{BadSample, Decision, Outcome, Routed, Sample};
use crate::reject::Reject;
use crate::route::Router;

/// Bytes of the largest file of cases.
const MAX_FILE: u64 = 16 << 20;

/// Which cases to run.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// File with the cases
    #[arg(value_name = "CASES.yaml")]
    pub cases: PathBuf,
}

/// Runs the cases and reports to `out`: each failure with what was expected and
/// found, then `N passed, N failed`. 0 when all pass; 1 when one fails or the
/// file is no list of cases.
pub fn run(config: &Config, options: &Options, out: &mut impl Write) -> io::Result<u8> {
    let file = options.cases.display();
    match read(options) {
        Ok(text) => run_text(config, &file.to_string(), &text, out),
        Err(error) => {
            writeln!(out, "{file}: {error}")?;
            Ok(1)
        }
    }
}

fn read(options: &Options) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(&options.cases)?;
    let length = file.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if length as u64 > MAX_FILE {
        let why = format!("larger than {MAX_FILE} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(text)
}

fn run_text(config: &Config, file: &str, text: &str, out: &mut impl Write) -> io::Result<u8> {
    let cases = match parse(text) {
        Ok(cases) => cases,
        Err(problem) => {
            writeln!(out, "{file}: {problem}")?;
            return Ok(1);
        }
    };
    let router = Router::new(&config.routes);
    let mut failed = 0_usize;
    for (index, case) in cases.iter().enumerate() {
        let report = case.run(config, &router);
        if !report.problems.is_empty() {
            failed += 1;
            report.print(&case.title(index), out)?;
        }
    }
    let passed = cases.len() - failed;
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(u8::from(failed > 0))
}

fn parse(text: &str) -> Result<Vec<Case>, String> {
    let cases: Vec<Case> = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    if cases.is_empty() {
        // Passing would hide that a file was cut off or a path mixed up.
        return Err("no cases".to_owned());
    }
    Ok(cases)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: Option<String>,
    request: Request,
    expect: Expect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default = "get")]
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    client: Option<IpAddr>,
    listener: Option<String>,
}

fn get() -> String {
    "GET".to_owned()
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    route: Option<String>,
    upstream: Option<String>,
    status: Option<u16>,
    location: Option<String>,
    path: Option<String>,
    no_route: Option<bool>,
}

/// What came of a case.
struct Report {
    problems: Vec<String>,
    /// Why the request went where it went, as far as it went.
    explanation: String,
}

/// What a case can expect, as it was found.
#[derive(Debug, Default)]
struct Found<'c> {
    route: Option<&'c str>,
    upstreams: Vec<&'c str>,
    status: Option<u16>,
    location: Option<&'c str>,
    path: Option<&'c str>,
    no_route: bool,
}

impl Case {
    fn title(&self, index: usize) -> String {
        let number = index + 1;
        match &self.name {
            Some(name) => format!("case {number}: {name}"),
            None => format!(
                "case {number}: {} {}",
                self.request.method, self.request.url
            ),
        }
    }

    fn run(&self, config: &Config, router: &Router) -> Report {
        let sample = match self.request.sample(config) {
            Ok(sample) => sample,
            Err(bad) => return Report::unusable(bad.to_string()),
        };
        if self.expect.is_empty() {
            return Report::unusable("expects nothing".to_owned());
        }
        match sample.decide(config, router) {
            Decision::Refused(reject, why) => Report {
                problems: self.expect.compare(&Found::refused(reject)),
                explanation: format!("refused ({}): {why}\n", reject.label()),
            },
            Decision::Routed(reached) => Report {
                problems: self.expect.compare(&Found::routed(config, &reached)),
                explanation: reached.explanation.to_string(),
            },
        }
    }
}

impl Request {
    fn sample(&self, config: &Config) -> Result<Sample, BadSample> {
        let listener = self.listener.as_deref();
        let mut sample = Sample::new(config, &self.method, &self.url, listener)?;
        if let Some(client) = self.client {
            sample.client = client;
        }
        for (name, value) in &self.headers {
            sample.add_header(name, value)?;
        }
        Ok(sample)
    }
}

impl<'c> Found<'c> {
    fn refused(reject: Reject) -> Self {
        Self {
            status: Some(reject.status().as_u16()),
            ..Self::default()
        }
    }

    fn routed(config: &'c Config, routed: &'c Routed) -> Self {
        let Some((matched, outcome)) = &routed.outcome else {
            return Self {
                no_route: true,
                ..Self::refused(Reject::NoRoute)
            };
        };
        let route = &config.routes[matched.route];
        let mut found = Self {
            route: Some(&route.name),
            ..Self::default()
        };
        match outcome {
            Outcome::Forward(path) => found.path = Some(path),
            Outcome::Unrewritable(_) => found.status = Some(Reject::BadRequest.status().as_u16()),
            Outcome::Respond(status) => found.status = Some(*status),
            Outcome::Redirect(status, location) => {
                found.status = Some(*status);
                found.location = Some(location);
            }
        }
        if let Action::Forward(splits) = &route.action {
            let used = splits.iter().filter(|split| split.weight > 0);
            found.upstreams = used
                .map(|split| config.upstreams[split.upstream].name.as_str())
                .collect();
        }
        found
    }
}

impl Expect {
    fn is_empty(&self) -> bool {
        matches!(
            self,
            Self {
                route: None,
                upstream: None,
                status: None,
                location: None,
                path: None,
                no_route: None,
            }
        )
    }

    /// Every expectation that `found` does not meet.
    fn compare(&self, found: &Found<'_>) -> Vec<String> {
        let status = found.status.map(|status| status.to_string());
        let wanted_status = self.status.map(|status| status.to_string());
        let texts = [
            differs("route", self.route.as_deref(), found.route),
            differs("status", wanted_status.as_deref(), status.as_deref()),
            differs("location", self.location.as_deref(), found.location),
            differs("path", self.path.as_deref(), found.path),
        ];
        let mut problems: Vec<String> = texts.into_iter().flatten().collect();
        if let Some(wanted) = &self.upstream
            && !found.upstreams.contains(&wanted.as_str())
        {
            let upstreams = found.upstreams.join(" or ");
            let upstreams = (!upstreams.is_empty()).then_some(upstreams);
            problems.extend(differs("upstream", Some(wanted), upstreams.as_deref()));
        }
        if let Some(wanted) = self.no_route
            && wanted != found.no_route
        {
            let found = found.no_route;
            problems.push(format!("no_route: expected {wanted}, found {found}"));
        }
        problems
    }
}

fn differs(what: &str, wanted: Option<&str>, found: Option<&str>) -> Option<String> {
    let wanted = wanted?;
    let shown = found.unwrap_or("none");
    (found != Some(wanted)).then(|| format!("{what}: expected {wanted}, found {shown}"))
}

impl Report {
    fn unusable(problem: String) -> Self {
        Self {
            problems: vec![problem],
            explanation: String::new(),
        }
    }

    fn print(&self, title: &str, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{title}: FAILED")?;
        for problem in &self.problems {
            writeln!(out, "  {problem}")?;
        }
        for line in self.explanation.lines() {
            writeln!(out, "    {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::explain::sample::fixture;

    fn test(cases: &str) -> (u8, String) {
        let mut out = Vec::new();
        let code = run_text(&fixture::config(), "cases.yaml", cases, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn cases_that_hold_pass() {
        let (code, text) = test(
            r#"
- name: the beta group
  request: { url: "http://a.example.com/api/x", headers: { X-Beta: "1" } }
  expect: { route: beta, upstream: canary, path: /x, no_route: false }
- request: { url: "http://a.example.com/api/x", client: "::1" }
  expect: { route: api, upstream: api, path: /api/x }
- request: { method: POST, url: "http://a.example.com/old" }
  expect: { route: old, status: 308, location: "https://a.example.com/new" }
- request: { url: "http://a.example.com/tea", listener: internal }
  expect: { status: 418 }
- request: { url: "http://a.example.com/strip/.x." }
  expect: { route: strip, status: 400 }
- request: { url: "http://other.example/" }
  expect: { no_route: true, status: 404 }
- request: { url: "/%2e%2e/etc" }
  expect: { status: 400, no_route: false }
"#,
        );
        assert_eq!((code, &*text), (0, "7 passed, 0 failed\n"));
    }

    #[test]
    fn a_failure_shows_both_sides_and_the_reason() {
        let (code, text) = test(
            r#"
- name: nothing is as expected
  request: { url: "http://a.example.com/api/x" }
  expect: { route: beta, upstream: canary, path: /x, status: 200, location: /y, no_route: true }
- request: { url: "http://a.example.com/api/x" }
  expect: { route: api }
- request: { url: "/a/../../b" }
  expect: { route: api, upstream: api }
"#,
        );
        assert_eq!(code, 1);
        assert_eq!(
            text,
            "\
case 1: nothing is as expected: FAILED
  route: expected beta, found api
  status: expected 200, found none
  location: expected /y, found none
  path: expected /x, found /api/x
  upstream: expected canary, found api
  no_route: expected true, found false
      1. beta (host *.example.com, path prefix /api, 1 condition): wants header x-beta to be \"1\", got none
      2. api (host *.example.com, path prefix /api): serves the request
      -  strip: is for paths under /strip
      -  old: is for paths under /old
      -  teapot: is for paths under /tea
case 3: GET /a/../../b: FAILED
  route: expected api, found none
  upstream: expected api, found none
    refused (bad_request): the path climbs above the root
1 passed, 2 failed
"
        );
    }

    #[test]
    fn a_case_that_cannot_fail_or_run_fails() {
        let (code, text) = test(
            r#"
- request: { url: "/" }
  expect: {}
- request: { url: "nowhere" }
  expect: { no_route: true }
"#,
        );
        assert_eq!(code, 1);
        assert!(text.contains("case 1: GET /: FAILED\n  expects nothing\n"));
        assert!(text.contains("case 2: GET nowhere: FAILED\n  `nowhere` is no URL"));
        assert!(text.ends_with("0 passed, 2 failed\n"));
    }

    #[test]
    fn unknown_keys_are_refused_with_their_place() {
        for (cases, wanted) in [
            (
                "- request: { url: / }\n  expect: { rout: x }\n",
                "unknown field `rout`",
            ),
            (
                "- request: { url: /, body: x }\n  expect: {}\n",
                "unknown field `body`",
            ),
            (
                "- request: { url: / }\n  expect: {}\n  skip: true\n",
                "unknown field `skip`",
            ),
            ("", "no cases"),
            ("case: 1", "expected a sequence"),
        ] {
            let (code, text) = test(cases);
            assert_eq!(code, 1);
            assert!(text.starts_with("cases.yaml: "), "{text}");
            assert!(text.contains(wanted), "{text}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let options = Options {
            cases: PathBuf::from("/nonexistent/cases.yaml"),
        };
        let mut out = Vec::new();
        assert_eq!(run(&fixture::config(), &options, &mut out).unwrap(), 1);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("/nonexistent/cases.yaml: "), "{text}");
    }
}
