//! The forms of text that values take: durations, sizes, addresses, patterns.
//!
//! A form is named in the schema (`format`) and parsed here and nowhere else,
//! so what the schema promises, what `check` refuses and what runs agree.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use ipnet::IpNet;
use regex::Regex;

use super::run::{HostPattern, LogPath};
use super::units::{Percent, Secret};

/// Bytes a compiled regular expression may take.
const REGEX_SIZE_LIMIT: usize = 1 << 20;
/// Bytes of the longest regular expression.
const MAX_REGEX: usize = 4096;
/// Bytes of the longest host name (RFC 1035, 2.3.4).
const MAX_HOST: usize = 253;
/// Bytes of the longest path.
const MAX_PATH: usize = 8192;
/// Bytes of the longest name.
const MAX_NAME: usize = 64;

/// A form of text.
pub(crate) trait Format {
    /// What the text stands for.
    type Value: Clone + std::fmt::Debug;
    /// Its `format` in the schema.
    const NAME: &'static str;
    /// What a message says is expected.
    const EXPECTED: &'static str;
    /// A pattern that every valid text matches, where one says more than `NAME`.
    const PATTERN: Option<&'static str> = None;
    /// Whether messages must not show the value.
    const SECRET: bool = false;

    /// The value, or what more there is to say than that `EXPECTED` was expected.
    fn parse(text: &str) -> Result<Self::Value, String>;

    /// The value as a number, where a range can be asked of it.
    fn magnitude(_value: &Self::Value) -> Option<f64> {
        None
    }
}

/// What the walk over the document needs to know of a form.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) expected: &'static str,
    /// The value's magnitude, or why the text is not of this form.
    pub(crate) check: fn(&str) -> Result<Option<f64>, String>,
}

const fn rule<F: Format>() -> Rule {
    Rule {
        name: F::NAME,
        expected: F::EXPECTED,
        check: |text| F::parse(text).map(|value| F::magnitude(&value)),
    }
}

const RULES: &[Rule] = &[
    rule::<DurationText>(),
    rule::<SizeText>(),
    rule::<SizeLimit>(),
    rule::<PercentText>(),
    rule::<Name>(),
    rule::<SocketAddress>(),
    rule::<Cidr>(),
    rule::<BackendAddress>(),
    rule::<HostText>(),
    rule::<Authority>(),
    rule::<DnsName>(),
    rule::<UrlPath>(),
    rule::<Target>(),
    rule::<RegexText>(),
    rule::<HeaderNameText>(),
    rule::<HeaderValueText>(),
    rule::<Token>(),
    rule::<MethodText>(),
    rule::<MediaType>(),
    rule::<SigningSecret>(),
    rule::<BearerToken>(),
    rule::<FilePath>(),
    rule::<LogTarget>(),
];

/// The rule of the form called `name`.
pub(crate) fn rule_named(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

fn nothing_more<T>() -> Result<T, String> {
    Err(String::new())
}

/// `250ms`, `5s`, `1h30m`.
#[derive(Clone, Debug)]
pub(crate) struct DurationText;

impl Format for DurationText {
    type Value = Duration;
    const NAME: &'static str = "duration";
    const EXPECTED: &'static str = "a duration such as 250ms, 5s or 1h30m";
    const PATTERN: Option<&'static str> = Some("^([0-9]+(us|ms|s|m|h|d))+$");

    fn parse(text: &str) -> Result<Duration, String> {
        if text.is_empty() {
            return nothing_more();
        }
        let mut total = Duration::ZERO;
        let mut rest = text;
        while !rest.is_empty() {
            let (number, unit, after) = number_and_unit(rest)?;
            let micros_each: u64 = match unit {
                "us" => 1,
                "ms" => 1_000,
                "s" => 1_000_000,
                "m" => 60_000_000,
                "h" => 3_600_000_000,
                "d" => 86_400_000_000,
                "" => return Err("the unit is missing".to_owned()),
                _ => return Err("the units are us, ms, s, m, h and d".to_owned()),
            };
            total = number
                .checked_mul(micros_each)
                .and_then(|micros| total.checked_add(Duration::from_micros(micros)))
                .ok_or("too long")?;
            rest = after;
        }
        Ok(total)
    }

    fn magnitude(value: &Duration) -> Option<f64> {
        Some(value.as_secs_f64())
    }
}

/// The digits `text` starts with, the letters after them, and the rest.
fn number_and_unit(text: &str) -> Result<(u64, &str, &str), String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let letters = rest
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(letters);
    match number.parse() {
        Ok(number) => Ok((number, unit, rest)),
        Err(_) if number.is_empty() => nothing_more(),
        Err(_) => Err("the number is too large".to_owned()),
    }
}

/// `32KiB`, `10MB`.
#[derive(Clone, Debug)]
pub(crate) struct SizeText;

impl Format for SizeText {
    type Value = u64;
    const NAME: &'static str = "size";
    const EXPECTED: &'static str = "a size such as 512B, 32KiB or 10MiB";
    const PATTERN: Option<&'static str> = Some("^[0-9]+(B|KB|MB|GB|KiB|MiB|GiB)$");

    fn parse(text: &str) -> Result<u64, String> {
        let (number, unit, after) = number_and_unit(text)?;
        if !after.is_empty() {
            return nothing_more();
        }
        let bytes_each: u64 = match unit {
            "B" => 1,
            "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "" => return Err("the unit is missing".to_owned()),
            _ => return Err("the units are B, KB, MB, GB, KiB, MiB and GiB".to_owned()),
        };
        number
            .checked_mul(bytes_each)
            .ok_or_else(|| "the number is too large".to_owned())
    }

    fn magnitude(value: &u64) -> Option<f64> {
        Some(*value as f64)
    }
}

/// A size, or `unlimited`.
#[derive(Clone, Debug)]
pub(crate) struct SizeLimit;

impl Format for SizeLimit {
    type Value = Option<u64>;
    const NAME: &'static str = "size-limit";
    const EXPECTED: &'static str = "a size such as 32KiB or 10MiB, or `unlimited`";
    const PATTERN: Option<&'static str> = Some("^([0-9]+(B|KB|MB|GB|KiB|MiB|GiB)|unlimited)$");

    fn parse(text: &str) -> Result<Option<u64>, String> {
        if text == "unlimited" {
            return Ok(None);
        }
        SizeText::parse(text).map(Some)
    }

    fn magnitude(value: &Option<u64>) -> Option<f64> {
        value.map(|bytes| bytes as f64)
    }
}

/// `20%`.
#[derive(Clone, Debug)]
pub(crate) struct PercentText;

impl Format for PercentText {
    type Value = Percent;
    const NAME: &'static str = "percent";
    const EXPECTED: &'static str = "a percentage from 0% to 100%, such as 20%";
    const PATTERN: Option<&'static str> = Some("^[0-9]+(\\.[0-9]+)?%$");

    fn parse(text: &str) -> Result<Percent, String> {
        let digits = |c: char| c.is_ascii_digit() || c == '.';
        let number = text.strip_suffix('%').ok_or("the % is missing")?;
        if !number.starts_with(|c: char| c.is_ascii_digit()) || !number.chars().all(digits) {
            return nothing_more();
        }
        let hundredths = number.parse().map_err(|_| String::new())?;
        Percent::from_hundredths(hundredths).ok_or_else(String::new)
    }
}

/// A name that can be a metrics label.
#[derive(Clone, Debug)]
pub(crate) struct Name;

impl Format for Name {
    type Value = String;
    const NAME: &'static str = "name";
    const EXPECTED: &'static str = "a name of 1 to 64 letters, digits, `-`, `_` and `.`";
    const PATTERN: Option<&'static str> = Some("^[A-Za-z0-9_.-]{1,64}$");

    fn parse(text: &str) -> Result<String, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > MAX_NAME || !text.chars().all(allowed) {
            return nothing_more();
        }
        Ok(text.to_owned())
    }
}

/// An address to bind.
#[derive(Clone, Debug)]
pub(crate) struct SocketAddress;

impl Format for SocketAddress {
    type Value = SocketAddr;
    const NAME: &'static str = "socket-address";
    const EXPECTED: &'static str = "IP:PORT, such as 0.0.0.0:5000 or [::]:5000";

    fn parse(text: &str) -> Result<SocketAddr, String> {
        let address: SocketAddr = text.parse().map_err(|_| reason_no_socket(text))?;
        if address.port() == 0 {
            return Err("the port is 0".to_owned());
        }
        Ok(address)
    }
}

fn reason_no_socket(text: &str) -> String {
    if text.parse::<IpAddr>().is_ok() {
        return "the port is missing".to_owned();
    }
    match text.rsplit_once(':') {
        Some((host, _)) if !host.starts_with('[') && host.parse::<Ipv6Addr>().is_ok() => {
            "an IPv6 address stands in brackets".to_owned()
        }
        Some((host, port)) if port.parse::<u16>().is_err() && is_ip(host) => {
            "the port must be a number from 1 to 65535".to_owned()
        }
        Some((host, _)) if !is_ip(host) => "the host must be an IP address".to_owned(),
        _ => String::new(),
    }
}

fn is_ip(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    bare.unwrap_or(host).parse::<IpAddr>().is_ok()
}

/// A network.
#[derive(Clone, Debug)]
pub(crate) struct Cidr;

impl Format for Cidr {
    type Value = IpNet;
    const NAME: &'static str = "cidr";
    const EXPECTED: &'static str = "an IP address or network such as 10.0.0.0/8";

    fn parse(text: &str) -> Result<IpNet, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(IpNet::from(address));
        }
        let network: IpNet = text.parse().map_err(|_| String::new())?;
        if network.trunc() != network {
            return Err(format!(
                "bits beyond the prefix are set; write {}",
                network.trunc()
            ));
        }
        Ok(network)
    }
}

/// Where a backend listens.
#[derive(Clone, Debug)]
pub(crate) struct BackendAddress;

impl Format for BackendAddress {
    type Value = String;
    const NAME: &'static str = "backend-address";
    const EXPECTED: &'static str =
        "HOST:PORT, such as 10.0.0.1:8080, [::1]:8080 or app.internal:8080";

    fn parse(text: &str) -> Result<String, String> {
        if text.contains("://") {
            return Err("a scheme does not belong here; see `protocol` and `tls`".to_owned());
        }
        let (host, port) = text.rsplit_once(':').ok_or("the port is missing")?;
        if host.parse::<Ipv6Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok() {
            return Err("an IPv6 address stands in brackets".to_owned());
        }
        match port.parse::<u16>() {
            Ok(1..) if port.chars().all(|c| c.is_ascii_digit()) => {}
            _ => return Err("the port must be a number from 1 to 65535".to_owned()),
        }
        if let Some(address) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            let address: Ipv6Addr = address.parse().map_err(|_| String::new())?;
            return Ok(format!("[{address}]:{port}"));
        }
        host_name(host).map(|host| format!("{host}:{port}"))
    }
}

/// A host name or IPv4 address in lower case.
fn host_name(host: &str) -> Result<String, String> {
    let host = host.to_ascii_lowercase();
    let looks_like_ip = !host.is_empty() && host.chars().all(|c| c.is_ascii_digit() || c == '.');
    if looks_like_ip {
        return match host.parse::<IpAddr>() {
            Ok(_) => Ok(host),
            Err(_) => Err("not a valid IPv4 address".to_owned()),
        };
    }
    let name = host.strip_suffix('.').unwrap_or(&host);
    if name.len() > MAX_HOST || !name.split('.').all(is_label) {
        return Err("not a valid host name".to_owned());
    }
    Ok(host)
}

/// Underscores are not host name characters, but container names have them.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// A host condition.
#[derive(Clone, Debug)]
pub(crate) struct HostText;

impl Format for HostText {
    type Value = HostPattern;
    const NAME: &'static str = "host-pattern";
    const EXPECTED: &'static str = "a host such as api.example.org, or *.example.org";

    fn parse(text: &str) -> Result<HostPattern, String> {
        if let Some(address) = text.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            let address: Ipv6Addr = address.parse().map_err(|_| String::new())?;
            return Ok(HostPattern::Exact(format!("[{address}]")));
        }
        if text.contains(':') {
            return Err("hosts are compared without the port".to_owned());
        }
        let (wild, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if rest.contains('*') {
            return Err("`*` stands only for the first labels, as in *.example.org".to_owned());
        }
        let host = host_name(rest)?;
        let host = host.strip_suffix('.').unwrap_or(&host);
        Ok(if wild {
            HostPattern::Suffix(format!(".{host}"))
        } else {
            HostPattern::Exact(host.to_owned())
        })
    }
}

/// A host with or without a port.
#[derive(Clone, Debug)]
pub(crate) struct Authority;

impl Format for Authority {
    type Value = String;
    const NAME: &'static str = "authority";
    const EXPECTED: &'static str = "a host with or without a port, such as example.org:8443";

    fn parse(text: &str) -> Result<String, String> {
        if text.contains("://") {
            return Err("the scheme has its own key".to_owned());
        }
        if text.ends_with(']') || !text.contains(':') {
            return BackendAddress::parse(&format!("{text}:1"))
                .map(|with_port| with_port[..with_port.len() - 2].to_owned());
        }
        BackendAddress::parse(text)
    }
}

/// A DNS name.
#[derive(Clone, Debug)]
pub(crate) struct DnsName;

impl Format for DnsName {
    type Value = String;
    const NAME: &'static str = "dns-name";
    const EXPECTED: &'static str = "a host name such as backend.example.org";

    fn parse(text: &str) -> Result<String, String> {
        if is_ip(text) {
            return Err("an IP address is not a name".to_owned());
        }
        if text.contains(':') {
            return Err("the port does not belong here".to_owned());
        }
        host_name(text)
    }
}

/// A path to compare or to send.
#[derive(Clone, Debug)]
pub(crate) struct UrlPath;

impl Format for UrlPath {
    type Value = String;
    const NAME: &'static str = "url-path";
    const EXPECTED: &'static str = "a path that starts with `/`, such as /api";

    fn parse(text: &str) -> Result<String, String> {
        path_reason(text)?;
        if text.contains('?') {
            return Err("the query does not belong to the path".to_owned());
        }
        if text.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err("`.` and `..` are resolved before paths are compared".to_owned());
        }
        Ok(text.to_owned())
    }
}

/// A path with or without a query.
#[derive(Clone, Debug)]
pub(crate) struct Target;

impl Format for Target {
    type Value = String;
    const NAME: &'static str = "url-target";
    const EXPECTED: &'static str = "a path that starts with `/`, such as /new?from=old";

    fn parse(text: &str) -> Result<String, String> {
        path_reason(text)?;
        Ok(text.to_owned())
    }
}

fn path_reason(text: &str) -> Result<(), String> {
    if !text.starts_with('/') {
        return nothing_more();
    }
    if text.len() > MAX_PATH {
        return Err(format!("longer than {MAX_PATH} bytes"));
    }
    if text.contains('#') {
        return Err("a fragment never reaches a server".to_owned());
    }
    if let Some(bad) = text.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(format!("{bad:?} must be percent-encoded"));
    }
    Ok(())
}

/// A regular expression.
#[derive(Clone, Debug)]
pub(crate) struct RegexText;

impl Format for RegexText {
    type Value = Regex;
    const NAME: &'static str = "regex";
    const EXPECTED: &'static str = "a regular expression";

    fn parse(text: &str) -> Result<Regex, String> {
        if text.len() > MAX_REGEX {
            return Err(format!("longer than {MAX_REGEX} bytes"));
        }
        regex::RegexBuilder::new(text)
            .size_limit(REGEX_SIZE_LIMIT)
            .build()
            .map_err(|error| regex_reason(&error))
    }
}

/// The last line of the error: the others repeat the expression and point into it.
fn regex_reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// A header's name.
#[derive(Clone, Debug)]
pub(crate) struct HeaderNameText;

impl Format for HeaderNameText {
    type Value = HeaderName;
    const NAME: &'static str = "header-name";
    const EXPECTED: &'static str = "a header name such as X-Version";

    fn parse(text: &str) -> Result<HeaderName, String> {
        HeaderName::from_bytes(text.as_bytes()).map_err(|_| String::new())
    }
}

/// A header's value.
#[derive(Clone, Debug)]
pub(crate) struct HeaderValueText;

impl Format for HeaderValueText {
    type Value = HeaderValue;
    const NAME: &'static str = "header-value";
    const EXPECTED: &'static str = "a header value, text without control characters";

    fn parse(text: &str) -> Result<HeaderValue, String> {
        HeaderValue::from_str(text).map_err(|_| String::new())
    }
}

/// A cookie's name (a token, RFC 9110, 5.6.2).
#[derive(Clone, Debug)]
pub(crate) struct Token;

impl Format for Token {
    type Value = String;
    const NAME: &'static str = "token";
    const EXPECTED: &'static str = "a cookie name of letters, digits, `-`, `_` and the like";

    fn parse(text: &str) -> Result<String, String> {
        if text.is_empty() || text.len() > MAX_NAME || !text.chars().all(is_token_char) {
            return nothing_more();
        }
        Ok(text.to_owned())
    }
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// A method.
#[derive(Clone, Debug)]
pub(crate) struct MethodText;

impl Format for MethodText {
    type Value = Method;
    const NAME: &'static str = "method";
    const EXPECTED: &'static str = "a method such as GET or POST";

    fn parse(text: &str) -> Result<Method, String> {
        if text.chars().any(|c| c.is_ascii_lowercase()) {
            return Err("methods are written in upper case".to_owned());
        }
        if matches!(text, "TRACE" | "CONNECT") {
            return Err("TRACE and CONNECT are never forwarded".to_owned());
        }
        Method::from_bytes(text.as_bytes()).map_err(|_| String::new())
    }
}

/// A media type without parameters.
#[derive(Clone, Debug)]
pub(crate) struct MediaType;

impl Format for MediaType {
    type Value = String;
    const NAME: &'static str = "media-type";
    const EXPECTED: &'static str = "a media type such as application/json";

    fn parse(text: &str) -> Result<String, String> {
        if text.contains(';') {
            return Err("parameters are ignored and do not belong here".to_owned());
        }
        let token = |part: &str| !part.is_empty() && part.chars().all(is_token_char);
        match text.split_once('/') {
            Some((kind, subtype)) if token(kind) && token(subtype) => Ok(text.to_ascii_lowercase()),
            _ => nothing_more(),
        }
    }
}

/// A key that signs.
#[derive(Clone, Debug)]
pub(crate) struct SigningSecret;

impl Format for SigningSecret {
    type Value = Secret;
    const NAME: &'static str = "signing-secret";
    const EXPECTED: &'static str = "a secret of at least 16 bytes";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Secret, String> {
        if text.len() < 16 {
            return Err(format!("it has {}", text.len()));
        }
        Ok(Secret::new(text.to_owned()))
    }
}

/// A token that a client shows.
#[derive(Clone, Debug)]
pub(crate) struct BearerToken;

impl Format for BearerToken {
    type Value = Secret;
    const NAME: &'static str = "bearer-token";
    const EXPECTED: &'static str = "a token of visible ASCII characters without spaces";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Secret, String> {
        if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
            return nothing_more();
        }
        Ok(Secret::new(text.to_owned()))
    }
}

/// A file's path.
#[derive(Clone, Debug)]
pub(crate) struct FilePath;

impl Format for FilePath {
    type Value = PathBuf;
    const NAME: &'static str = "file-path";
    const EXPECTED: &'static str = "the path of a file";

    fn parse(text: &str) -> Result<PathBuf, String> {
        if text.is_empty() || text.contains('\0') {
            return nothing_more();
        }
        Ok(PathBuf::from(text))
    }
}

/// Where log lines go.
#[derive(Clone, Debug)]
pub(crate) struct LogTarget;

impl Format for LogTarget {
    type Value = LogPath;
    const NAME: &'static str = "log-target";
    const EXPECTED: &'static str = "`stdout`, `stderr` or the path of a file";

    fn parse(text: &str) -> Result<LogPath, String> {
        match text {
            "stdout" => Ok(LogPath::Stdout),
            "stderr" => Ok(LogPath::Stderr),
            path => FilePath::parse(path).map(LogPath::File),
        }
    }
}
