//! What changed about a backend that its live state does not know yet.

/// What the live state must hear about.
pub(super) struct News {
    /// The upstream's position.
    pub(super) upstream: usize,
    /// The backend's id.
    pub(super) backend: String,
    pub(super) about: About,
}

#[derive(Clone, Copy)]
pub(super) enum About {
    Deadline,
    Mode,
}
