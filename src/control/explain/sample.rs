//! A request as a person writes it, taken through the same stages as a real one.
//!
//! Nothing is sent: the result is the decision, which `evenkeel explain` and the
//! API tell and `evenkeel test` compares.

use std::borrow::Cow;
use std::net::IpAddr;

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use thiserror::Error;

use crate::clock::Moment;
use crate::config::{Action, Config};
use crate::reject::Reject;
use crate::request::{BadHost, Facts, normalize_host, normalize_path};
use crate::route::{Explanation, RouteMatch, Router, redirect, rewrite};

#[cfg(test)]
pub(crate) mod fixture;

/// A request that owns what [`Facts`] borrows; host and path as a client sends them.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) listener: usize,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) client: IpAddr,
}

/// When, and by what chance, a sample comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occasion {
    /// The present moment.
    pub(crate) now: Moment,
    /// Seconds since 1970.
    pub(crate) unix_now: u64,
    /// Randomness.
    pub(crate) random: u64,
}

/// Why a sample is no request at all.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum BadSample {
    #[error("`{0}` is no method")]
    Method(String),
    #[error("`{0}` is no URL: expected http://HOST/PATH, https://HOST/PATH or /PATH")]
    Url(String),
    #[error("`{0}` is no header: expected 'NAME: VALUE'")]
    Header(String),
    #[error("there is no listener `{0}`; there are {1}")]
    Listener(String, String),
}

/// What would become of a sample.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Refused before routing, and why.
    Refused(Reject, String),
    /// Routing had its say.
    Routed(Box<Routed>),
}

/// What routing says.
#[derive(Debug)]
pub(crate) struct Routed {
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) explanation: Explanation,
    /// `None` when no route matches.
    pub(crate) outcome: Option<(RouteMatch, Outcome)>,
}

/// What the route does with the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Forwards it with this path.
    Forward(String),
    /// Refuses it, because the rewritten path is none.
    Unrewritable(String),
    /// Answers it with this status.
    Respond(u16),
    /// Redirects it with this status to this location.
    Redirect(u16, String),
}

impl Sample {
    /// A sample for the listener of this name, by default the first.
    pub(crate) fn new(
        config: &Config,
        method: &str,
        url: &str,
        listener: Option<&str>,
    ) -> Result<Self, BadSample> {
        let method =
            Method::from_bytes(method.as_bytes()).map_err(|_| BadSample::Method(method.into()))?;
        let uri: Uri = url.parse().map_err(|_| BadSample::Url(url.into()))?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        if !url.starts_with('/') && !is_http {
            return Err(BadSample::Url(url.into()));
        }
        let mut headers = HeaderMap::new();
        if let Some(authority) = uri.authority() {
            let host = HeaderValue::from_str(authority.as_str());
            headers.insert(HOST, host.map_err(|_| BadSample::Url(url.into()))?);
        }
        Ok(Self {
            listener: listener.map_or(Ok(0), |name| find_listener(config, name))?,
            method,
            uri,
            headers,
            client: IpAddr::from([127, 0, 0, 1]),
        })
    }

    /// Adds a header as people write it, `NAME: VALUE`; a host replaces the URL's.
    pub(crate) fn add_line(&mut self, line: &str) -> Result<(), BadSample> {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| BadSample::Header(line.to_owned()))?;
        self.add_header(name, value)
    }

    /// Adds a header to those there are; a host replaces the URL's.
    pub(crate) fn add_header(&mut self, name: &str, value: &str) -> Result<(), BadSample> {
        let parsed = HeaderName::from_bytes(name.trim().as_bytes())
            .ok()
            .zip(HeaderValue::from_str(value.trim()).ok());
        let (name, value) = parsed.ok_or_else(|| BadSample::Header(format!("{name}: {value}")))?;
        if name == HOST {
            self.headers.insert(name, value);
        } else {
            self.headers.append(name, value);
        }
        Ok(())
    }

    /// Takes the sample through normalisation, routing, rewrite and redirect.
    pub(crate) fn decide(&self, config: &Config, router: &Router) -> Decision {
        match self.normalized() {
            Ok((host, path)) => {
                let facts = self.facts(&host, &path);
                Decision::Routed(Box::new(route(config, router, &facts)))
            }
            Err((reject, why)) => Decision::Refused(reject, why),
        }
    }

    fn normalized(&self) -> Result<(Cow<'_, str>, Cow<'_, str>), (Reject, String)> {
        if self.method == Method::TRACE || self.method == Method::CONNECT {
            let why = format!("{} is never forwarded", self.method);
            return Err((Reject::MethodNotAllowed, why));
        }
        let host = match self.headers.get(HOST) {
            Some(host) => host
                .to_str()
                .map_err(|_| BadHost::Name)
                .and_then(normalize_host)
                .map_err(|bad| (Reject::BadHost, bad.to_string()))?,
            None => Cow::Borrowed(""),
        };
        let path =
            normalize_path(self.uri.path()).map_err(|bad| (Reject::BadRequest, bad.to_string()))?;
        Ok((host, path))
    }

    /// What the stages may see of it, with `host` and `path` in normal form.
    pub(crate) fn facts<'s>(&'s self, host: &'s str, path: &'s str) -> Facts<'s> {
        Facts {
            listener: self.listener,
            method: &self.method,
            host,
            path,
            query: self.uri.query(),
            headers: &self.headers,
            client: self.client,
        }
    }
}

fn route(config: &Config, router: &Router, facts: &Facts<'_>) -> Routed {
    let outcome = router
        .find(facts)
        .map(|matched| (matched, outcome(config, matched, facts)));
    Routed {
        host: facts.host.to_owned(),
        path: facts.path.to_owned(),
        explanation: router.explain(facts),
        outcome,
    }
}

fn find_listener(config: &Config, name: &str) -> Result<usize, BadSample> {
    let names = || {
        config
            .listeners
            .iter()
            .map(|listener| listener.name.as_str())
    };
    names().position(|one| one == name).ok_or_else(|| {
        let known: Vec<_> = names().collect();
        BadSample::Listener(name.to_owned(), known.join(", "))
    })
}

fn outcome(config: &Config, matched: RouteMatch, facts: &Facts<'_>) -> Outcome {
    let route = &config.routes[matched.route];
    match &route.action {
        Action::Respond { status, .. } => Outcome::Respond(status.as_u16()),
        Action::Redirect { status, to } => {
            Outcome::Redirect(status.as_u16(), redirect::location(to, facts))
        }
        Action::Forward(_) => match &route.rewrite {
            None => Outcome::Forward(facts.path.to_owned()),
            Some(rule) => match rewrite::rewrite(facts.path, matched, rule) {
                Ok(path) => Outcome::Forward(path.into_owned()),
                Err(bad) => Outcome::Unrewritable(bad.to_string()),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(method: &str, url: &str, listener: Option<&str>) -> String {
        let sample = Sample::new(&fixture::config(), method, url, listener);
        sample.map(|_| ()).unwrap_err().to_string()
    }

    fn refusal(method: &str, url: &str, host: Option<&str>) -> Reject {
        let config = fixture::config();
        let mut sample = Sample::new(&config, method, url, None).unwrap();
        if let Some(host) = host {
            sample.add_header("Host", host).unwrap();
        }
        match sample.decide(&config, &Router::new(&config.routes)) {
            Decision::Refused(reject, _) => reject,
            Decision::Routed(routed) => panic!("{url} was routed: {routed:?}"),
        }
    }

    #[test]
    fn what_is_no_request_says_so() {
        assert_eq!(bad("G T", "/", None), "`G T` is no method");
        let wanted = "is no URL: expected http://HOST/PATH, https://HOST/PATH or /PATH";
        for url in [
            "",
            "example.com",
            "ftp://example.com/",
            "http://",
            "http:/x y",
        ] {
            assert_eq!(bad("GET", url, None), format!("`{url}` {wanted}"));
        }
        assert_eq!(
            bad("GET", "/", Some("wob")),
            "there is no listener `wob`; there are web, internal"
        );
        let mut sample = Sample::new(&fixture::config(), "GET", "/", None).unwrap();
        let bad = sample.add_header("a b", "c").unwrap_err();
        assert_eq!(bad, BadSample::Header("a b: c".to_owned()));
    }

    #[test]
    fn what_the_balancer_refuses_is_refused() {
        assert_eq!(refusal("TRACE", "/", None), Reject::MethodNotAllowed);
        assert_eq!(refusal("GET", "/../x", None), Reject::BadRequest);
        assert_eq!(refusal("GET", "http://a..b/", None), Reject::BadHost);
        assert_eq!(refusal("GET", "http://a.b/", Some("x y")), Reject::BadHost);
    }

    #[test]
    fn a_host_header_replaces_the_urls() {
        let config = fixture::config();
        let mut sample = Sample::new(&config, "GET", "http://127.0.0.1:5000/api", None).unwrap();
        sample.add_header("host", "A.Example.com:80").unwrap();
        let Decision::Routed(routed) = sample.decide(&config, &Router::new(&config.routes)) else {
            panic!("the request is sound");
        };
        assert_eq!(routed.host, "a.example.com");
        let forwarded = Outcome::Forward("/api".to_owned());
        assert_eq!(routed.outcome.map(|(_, outcome)| outcome), Some(forwarded));
    }
}
