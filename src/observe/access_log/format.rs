//! Log lines: JSON, or the combined log format followed by `key=value` pairs.
//!
//! The text format begins as Apache's and nginx's combined format does, so
//! that tools which read those read ours. What a client sent is escaped in
//! both: no request can forge a line or a field.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime};

use http::Version;
use serde::{Serialize, Serializer};

use crate::clock::Moment;
use crate::config::LogFormat;
use crate::observe::metrics::NONE;

use super::entry::Entry;

/// A moment and the wall-clock time at it, which date all other moments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    pub(super) moment: Moment,
    pub(super) wall: SystemTime,
}

impl Anchor {
    fn wall_time(&self, moment: Moment) -> SystemTime {
        let (before, after) = (self.moment.since(moment), moment.since(self.moment));
        let wall = self.wall.checked_sub(before);
        wall.and_then(|wall| wall.checked_add(after))
            .unwrap_or(self.wall)
    }
}

/// Appends the line of `entry` to `out`, line feed included.
pub(super) fn append(format: LogFormat, entry: &Entry, anchor: &Anchor, out: &mut Vec<u8>) {
    let time = anchor.wall_time(entry.started);
    match format {
        LogFormat::Json => serde_json::to_writer(&mut *out, &Line::new(entry, time))
            .expect("a line has string keys, and memory takes every write"),
        LogFormat::Text => out.extend_from_slice(text(entry, time).as_bytes()),
    }
    out.push(b'\n');
}

/// A line, in the order and under the names of its JSON fields.
#[derive(Serialize)]
struct Line<'e> {
    #[serde(serialize_with = "rfc3339")]
    time: SystemTime,
    request_id: Cow<'e, str>,
    client: std::net::IpAddr,
    listener: &'e str,
    method: Cow<'e, str>,
    host: Cow<'e, str>,
    path: Cow<'e, str>,
    protocol: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    route: &'e str,
    upstream: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pick_reason: Option<&'static str>,
    attempts: u32,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    retried: &'e [&'static str],
    bytes_in: u64,
    bytes_out: u64,
    total_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_ms: Option<f64>,
    overhead_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cow<'e, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referer: Option<Cow<'e, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sticky: Option<&'static str>,
}

impl<'e> Line<'e> {
    fn new(entry: &'e Entry, time: SystemTime) -> Self {
        let text = String::from_utf8_lossy;
        Self {
            time,
            request_id: text(&entry.request_id),
            client: entry.client,
            listener: entry.listener.as_deref().unwrap_or(NONE),
            method: text(&entry.method),
            host: text(&entry.host),
            path: text(&entry.path),
            protocol: protocol(entry.version),
            status: entry.status.as_u16(),
            reason: entry.reject.map(crate::reject::Reject::label),
            route: &entry.route,
            upstream: &entry.upstream,
            backend: entry.backend.as_deref(),
            algorithm: entry.pick.map(|pick| pick.algorithm.name()),
            pick_reason: entry.pick.map(|pick| pick.reason),
            attempts: entry.attempts,
            retried: &entry.retried,
            bytes_in: entry.bytes_in,
            bytes_out: entry.bytes_out,
            total_ms: millis(entry.times.total),
            queue_ms: entry.times.queue.map(millis),
            connect_ms: entry.times.connect.map(millis),
            first_byte_ms: entry.times.first_byte.map(millis),
            overhead_ms: millis(entry.times.overhead()),
            user_agent: entry.user_agent.as_deref().map(text),
            referer: entry.referer.as_deref().map(text),
            sticky: entry.sticky,
        }
    }
}

fn text(entry: &Entry, time: SystemTime) -> String {
    let line = Line::new(entry, time);
    let mut out = String::with_capacity(512);
    write_text(&line, &mut out).expect("writing to a string cannot fail");
    out
}

fn write_text(line: &Line<'_>, out: &mut String) -> fmt::Result {
    write!(out, "{} - - [{}] ", line.client, CommonTime(line.time))?;
    write!(out, "\"{} ", Escaped(&line.method))?;
    write!(out, "{} {}\" ", Escaped(&line.path), line.protocol)?;
    write!(out, "{} {}", line.status, line.bytes_out)?;
    let header =
        |value: &'_ Option<Cow<'_, str>>| Escaped(value.as_deref().unwrap_or(NONE)).to_string();
    write!(out, " \"{}\"", header(&line.referer))?;
    write!(out, " \"{}\"", header(&line.user_agent))?;
    write!(out, " host=\"{}\"", Escaped(&line.host))?;
    write!(out, " id=\"{}\"", Escaped(&line.request_id))?;
    write!(out, " listener=\"{}\"", Escaped(line.listener))?;
    write!(out, " route=\"{}\"", Escaped(line.route))?;
    write!(out, " upstream=\"{}\"", Escaped(line.upstream))?;
    pair(out, "backend", line.backend)?;
    pair(out, "reason", line.reason)?;
    pair(out, "algorithm", line.algorithm)?;
    pair(out, "pick_reason", line.pick_reason)?;
    pair(out, "sticky", line.sticky)?;
    write!(out, " attempts={}", line.attempts)?;
    if !line.retried.is_empty() {
        write!(out, " retried={}", line.retried.join(","))?;
    }
    write!(out, " bytes_in={}", line.bytes_in)?;
    pair(out, "total_ms", Some(line.total_ms))?;
    pair(out, "queue_ms", line.queue_ms)?;
    pair(out, "connect_ms", line.connect_ms)?;
    pair(out, "first_byte_ms", line.first_byte_ms)?;
    pair(out, "overhead_ms", Some(line.overhead_ms))
}

fn pair(out: &mut String, key: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(out, " {key}={value}"),
        None => Ok(()),
    }
}

/// Text between double quotes that cannot end them or the line.
struct Escaped<'t>(&'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '"' | '\\' => write!(f, "\\{c}"),
            // Line separators end a line in many viewers without being controls.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                write!(f, "{}", c.escape_default())
            }
            c => f.write_char(c),
        })
    }
}

/// A time as the common log format writes it: `21/Nov/2025:09:00:00 +0000`.
struct CommonTime(SystemTime);

impl fmt::Display for CommonTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let time = humantime::format_rfc3339_seconds(self.0).to_string();
        let (date, clock) = time
            .trim_end_matches('Z')
            .split_once('T')
            .ok_or(fmt::Error)?;
        let mut date = date.splitn(3, '-');
        let (Some(year), Some(month), Some(day)) = (date.next(), date.next(), date.next()) else {
            return Err(fmt::Error);
        };
        let month: usize = month.parse().map_err(|_| fmt::Error)?;
        let month = MONTHS.get(month.wrapping_sub(1)).ok_or(fmt::Error)?;
        write!(f, "{day}/{month}/{year}:{clock} +0000")
    }
}

fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*time))
}

fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}
