//! What the router hands on.

/// The route of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteMatch {
    /// Position in [`crate::config::Config::routes`].
    pub route: usize,
    /// Bytes at the start of the path that the route's path condition covers:
    /// a prefix without its trailing slash (so 0 for `/`), an exact path whole,
    /// 0 for a regex or no condition.
    pub prefix_len: usize,
}
