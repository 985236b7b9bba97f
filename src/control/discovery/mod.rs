//! Backends that are found rather than configured: by name, in a file, among containers.
//!
//! Each source of each upstream is a task of its own that looks, tells the
//! reconciler everything it sees, and waits until it is worth looking again. It
//! always tells the whole set and never a change of it, so nothing can get out
//! of step. A look that fails tells nothing to the reconciler: the last set
//! stays, however long the source is away, and that it is away is told in the
//! log, the metrics and the timeline.
//!
//! `ServiceDiscovery` of `pingora-load-balancing` is used for names that are
//! looked up once, and not here: it has no word for a source that is to be
//! asked again sooner or later, nor for backups and labels.

pub use first::first;
pub use resolve::{ResolveError, resolve};
pub use service::Sources;

pub(super) use resolve::look_up;

mod dns;
mod docker;
mod file;
mod finder;
mod first;
mod report;
mod resolve;
mod service;
