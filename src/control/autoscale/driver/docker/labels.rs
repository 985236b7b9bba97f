//! The labels by which containers are known.

use std::collections::HashMap;

/// The upstream that a container is a backend of. Without it, none is touched.
pub(super) const UPSTREAM: &str = "evenkeel.upstream";

/// The upstream that a container was made for.
pub(super) const AUTOSCALER: &str = "evenkeel.autoscaler";

/// Labels that Compose gives its containers.
pub(super) const PROJECT: &str = "com.docker.compose.project";
pub(super) const SERVICE: &str = "com.docker.compose.service";
pub(super) const NUMBER: &str = "com.docker.compose.container-number";
pub(super) const ONE_OFF: &str = "com.docker.compose.oneoff";
pub(super) const REPLACES: &str = "com.docker.compose.replace";

pub(super) fn of<'l>(labels: Option<&'l HashMap<String, String>>, label: &str) -> Option<&'l str> {
    labels?.get(label).map(String::as_str)
}
