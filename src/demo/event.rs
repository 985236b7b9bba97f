//! What the rest of the demo tells its screen.

/// Something the screen acts on between two live lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Print this.
    Note(String),
    /// The demo ends.
    End,
}
