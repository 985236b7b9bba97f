//! The forms of text that values take: durations, sizes, addresses, patterns.
//!
//! A form is named in the schema (`format`) and parsed here and nowhere else,
//! so what the schema promises, what `check` refuses and what runs agree.

use form::rule;

pub(crate) use form::{Format, Rule};
pub(crate) use http::{
    HeaderNameText, HeaderValueText, MediaType, MethodText, RegexText, StatusRange, Target, Token,
    UrlPath,
};
pub(crate) use network::{
    Authority, BackendAddress, Cidr, DnsName, EngineAddress, HostText, SocketAddress,
};
pub(crate) use quantity::{DurationText, PercentText, SizeLimit, SizeText};
pub(crate) use text::{BearerToken, FilePath, LogTarget, Name, SigningSecret};
pub(crate) use url::{BaseUrl, HttpUrl};

mod form;
mod http;
mod network;
mod quantity;
mod text;
mod url;

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
    rule::<EngineAddress>(),
    rule::<HttpUrl>(),
    rule::<BaseUrl>(),
    rule::<UrlPath>(),
    rule::<Target>(),
    rule::<RegexText>(),
    rule::<HeaderNameText>(),
    rule::<HeaderValueText>(),
    rule::<Token>(),
    rule::<MethodText>(),
    rule::<MediaType>(),
    rule::<StatusRange>(),
    rule::<SigningSecret>(),
    rule::<BearerToken>(),
    rule::<FilePath>(),
    rule::<LogTarget>(),
];

/// The rule of the form called `name`.
pub(crate) fn rule_named(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

#[cfg(test)]
mod tests;
