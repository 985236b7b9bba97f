//! A report for people.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use http::StatusCode;

use super::report::{
    BackendPart, Ending, HealthPart, LivePart, Report, Ruling, StickyPart, UpstreamPart,
};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let request = &self.request;
        writeln!(f, "{} {}", request.method, request.url)?;
        let (Some(host), Some(path)) = (&request.host, &request.path) else {
            return refused(&self.outcome, f);
        };
        if let Some(listener) = &request.listener {
            writeln!(f, "  listener {listener}")?;
        }
        let host = if host.is_empty() { "(none)" } else { host };
        writeln!(f, "  client   {}", request.client)?;
        writeln!(f, "  host     {host}")?;
        writeln!(f, "  path     {path}")?;
        writeln!(f, "\nroutes, the most specific first:")?;
        self.routes(f)?;
        writeln!(f)?;
        self.ending(f)?;
        for upstream in &self.upstreams {
            write!(f, "\n{upstream}")?;
        }
        Ok(())
    }
}

/// What is refused before a route is looked for.
fn refused(outcome: &Ending, f: &mut Formatter<'_>) -> fmt::Result {
    let Ending::Refuse {
        status,
        reason,
        why,
    } = outcome
    else {
        return Ok(());
    };
    let status = StatusCode::from_u16(*status).unwrap_or_default();
    writeln!(f, "refused: {status} ({reason}): {why}")
}

impl Report {
    fn routes(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_here = |ruling: Ruling| ruling != Ruling::Elsewhere;
        let mut count = 0;
        for one in self.routes.iter().filter(|one| is_here(one.ruling)) {
            count += 1;
            let (name, specificity, why) = (&one.name, &one.specificity, &one.why);
            writeln!(f, "{count:>3}. {name} ({specificity}): {why}")?;
        }
        if count == 0 {
            writeln!(f, "  no route is for this host and path")?;
        }
        for one in self.routes.iter().filter(|one| !is_here(one.ruling)) {
            writeln!(f, "  -  {}: {}", one.name, one.why)?;
        }
        match self.routes_left_out {
            0 => Ok(()),
            more => writeln!(f, "  -  and {more} more for another host or path"),
        }
    }

    fn ending(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(route) = &self.route else {
            return writeln!(f, "no route matches: 404 (no_route)");
        };
        writeln!(f, "route {route}")?;
        match &self.outcome {
            Ending::Forward { path } => writeln!(f, "  forwards with path {path}"),
            Ending::Respond { status } => writeln!(f, "  answers {status}"),
            Ending::Redirect { status, location } => {
                writeln!(f, "  redirects with {status} to {location}")
            }
            Ending::Refuse {
                status,
                reason,
                why,
            } => writeln!(f, "  refused: {status} ({reason}): {why}"),
        }
    }
}

impl Display for UpstreamPart {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let share = percent(self.share);
        write!(f, "upstream {}: {share} of the requests", self.name)?;
        match self.chosen_by.as_deref() {
            Some("cookie") => writeln!(f, ", this one by its cookie")?,
            Some("client") => writeln!(f, ", this one by its client's address")?,
            Some("draw") => writeln!(f, ", this one by a draw")?,
            _ => writeln!(f)?,
        }
        writeln!(f, "  algorithm {}{}", self.algorithm, self.source())?;
        if let Some(hashes) = &self.hashes {
            writeln!(f, "  hashes    {hashes}")?;
        }
        if let Some(key) = &self.key {
            writeln!(f, "  key       {key}")?;
        }
        if let Some(sticky) = &self.sticky {
            writeln!(f, "  sticky    {sticky}")?;
        }
        if let Some(checked_by) = &self.checked_by {
            writeln!(f, "  checked   by {checked_by}")?;
        }
        if let Some(health) = &self.health {
            writeln!(f, "  health    {health}")?;
        }
        if let Some(waiting) = self.waiting.filter(|&waiting| waiting > 0) {
            writeln!(f, "  queue     {waiting} requests wait for a slot")?;
        }
        self.list(f)?;
        self.picked(f)
    }
}

impl UpstreamPart {
    fn source(&self) -> String {
        match (self.algorithm_by.as_deref(), &self.algorithm_why) {
            (Some("adaptive"), Some(why)) => format!(", chosen by adaptive: {why}"),
            (Some("request"), _) => ", as the request asks".to_owned(),
            _ => String::new(),
        }
    }

    fn list(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.backends.is_empty() && self.joining.is_empty() {
            return writeln!(f, "  no backends");
        }
        let width = self.backends.iter().map(|one| one.id.len()).max();
        let measure = self.measure.as_deref().unwrap_or_default();
        for backend in &self.backends {
            backend.line(width.unwrap_or_default(), measure, f)?;
        }
        if self.left_out > 0 {
            writeln!(f, "  backends  and {} more", self.left_out)?;
        }
        for joining in &self.joining {
            writeln!(f, "  backends  {joining}")?;
        }
        Ok(())
    }

    fn picked(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(why) = &self.unavailable {
            return writeln!(f, "  picks     none: {why}");
        }
        let Some(pick) = &self.pick else {
            return Ok(());
        };
        let chance = if pick.by_chance { ", by chance" } else { "" };
        writeln!(f, "  picks     {} ({}{chance})", pick.backend, pick.reason)
    }
}

impl Display for StickyPart {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "by cookie {}", self.cookie)?;
        let backend = self.backend.as_deref().unwrap_or_default();
        match self.binding.as_deref() {
            Some("none") => f.write_str(", which the request lacks"),
            Some("void") => f.write_str(", which is void"),
            Some("holds") => write!(f, ", which names {backend}"),
            Some("moves") => {
                let why = self.excluded.as_deref().unwrap_or_default();
                write!(f, ", which names {backend}, but that is out: {why}")
            }
            _ => Ok(()),
        }
    }
}

impl Display for HealthPart {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (primaries, backups) = (self.primaries, self.backups);
        write!(
            f,
            "{} of {} primaries available",
            primaries.available, primaries.of
        )?;
        if backups.of > 0 {
            write!(f, ", {} of {} backups", backups.available, backups.of)?;
        }
        if self.panic {
            let threshold = percent(self.threshold);
            write!(f, "; below {threshold}, so health is ignored")?;
        }
        Ok(())
    }
}

impl BackendPart {
    fn line(&self, width: usize, measure: &str, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "  backend   {:<width$}  weight {}", self.id, self.weight)?;
        if let Some(zone) = &self.zone {
            write!(f, "  zone {zone}")?;
        }
        let LivePart {
            state,
            reason,
            in_flight,
            latency,
            excluded,
            score,
            ..
        } = &self.live;
        let Some(state) = state else {
            let backup = if self.backup {
                "  backup: only when no other qualifies"
            } else {
                ""
            };
            return writeln!(f, "{backup}");
        };
        if self.backup {
            f.write_str("  backup")?;
        }
        let reason = reason.as_deref().unwrap_or_default();
        write!(f, "  {state} ({reason})")?;
        write!(f, "  {} in flight", in_flight.unwrap_or_default())?;
        if let Some(latency) = latency {
            let latency = Duration::try_from_secs_f64(*latency).unwrap_or_default();
            write!(f, "  {latency:.1?}")?;
        }
        match (excluded, score) {
            (Some(excluded), _) => write!(f, "  out: {excluded}")?,
            (None, Some(score)) => write!(f, "  {measure} {}", short(*score))?,
            (None, None) => {}
        }
        writeln!(f)
    }
}

/// A number with three decimals at most, and six if it is small.
fn short(number: f64) -> String {
    let places = if number < 1.0 { 6 } else { 3 };
    let text = format!("{number:.places$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn percent(share: f64) -> String {
    let share = format!("{:.2}", share * 100.0);
    format!("{} %", share.trim_end_matches('0').trim_end_matches('.'))
}
