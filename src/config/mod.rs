//! The configuration: the file as written, the configuration as run, and every error on the way.
//!
//! [`load()`] is the only way from one to the other. It parses the file into a
//! tree that knows the place of every key, substitutes `${NAME}`, checks the
//! tree against the schema generated from the types of the file as written,
//! and converts those into [`Config`]. Each step reports all it finds and goes
//! on with what is sound, so one run shows every error with its place.

pub use algorithm::{Algorithm, Choice};
pub use load::{FileKind, load, load_checking_files, read_file};
pub use problem::{Errors, Place, Problem};
pub use run::{
    AccessLog, Action, ActiveCheck, Admin, Autoscaler, Backend, ClientCert, Config, Discovery,
    DnsSource, DockerSource, Driver, Ejection, Endpoint, EngineTls, FileSource, Forecast,
    ForecastMode, HashKey, HeaderEdits, Health, HostPattern, HttpProbe, Listener, LogFormat,
    LogPath, Match, Metrics, Outlier, Passive, PathPattern, Probe, Prometheus, Protocol, Queue,
    RedirectTarget, Retry, RetryOn, Rewrite, Route, ScaleTarget, SecureCookie, Server, Signal,
    SignalKind, Source, SourceKind, Split, Steps, Sticky, Timeouts, Upstream, UpstreamTls,
    ValuePattern,
};
pub use targets::load_backends;
pub use units::{Percent, Secret};

pub(crate) use format::{BackendAddress, DurationText, Format};
pub(crate) use problem::{did_you_mean, quoted};

mod algorithm;
mod convert;
pub mod docs;
mod format;
mod load;
pub mod mask;
mod node;
mod path;
mod problem;
mod raw;
mod run;
pub mod schema;
mod shape;
mod substitute;
mod targets;
mod tree;
mod units;

#[cfg(test)]
mod tests;
