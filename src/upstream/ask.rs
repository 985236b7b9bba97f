//! What a request brings to a selection.

use crate::clock::Moment;
use crate::config::Algorithm;
use crate::request::Facts;

/// One request for a backend.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The request, for the hash key.
    pub facts: &'a Facts<'a>,
    /// The algorithm asked for; `None`, or one the upstream was not built with, is the configured one.
    pub algorithm: Option<Algorithm>,
    /// The backends this request has been to.
    pub tried: &'a Tried,
    /// Value of the sticky cookie, as the client sent it.
    pub sticky: Option<&'a str>,
    /// The present moment.
    pub now: Moment,
    /// Wall-clock seconds since 1970, for the sticky cookie's expiry.
    pub unix_now: u64,
    /// Randomness for this selection.
    pub random: u64,
    /// Whether the request holds a [`Ticket`](super::Ticket); one that does not is sent behind those that wait.
    pub queued: bool,
}

/// The members a request has been to; inline, so that a retry allocates nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    members: [u16; Tried::CAPACITY],
    len: u8,
}

impl Tried {
    /// The first attempt and at most ten more.
    pub const CAPACITY: usize = 11;

    /// Nothing tried yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            members: [0; Self::CAPACITY],
            len: 0,
        }
    }

    /// Notes a member, by its position in [`Upstream::members`](super::Upstream::members).
    ///
    /// The configuration allows no more attempts than fit; one beyond is not noted.
    pub fn insert(&mut self, member: usize) {
        let Ok(index) = u16::try_from(member) else {
            return;
        };
        if self.contains(member) {
            return;
        }
        if let Some(slot) = self.members.get_mut(usize::from(self.len)) {
            *slot = index;
            self.len += 1;
        }
    }

    /// Whether the request has been to this member.
    #[must_use]
    pub fn contains(&self, member: usize) -> bool {
        self.members[..self.len()]
            .iter()
            .any(|&tried| usize::from(tried) == member)
    }

    /// How many members the request has been to.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether this is the first attempt.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::Tried;

    #[test]
    fn holds_as_many_as_there_are_attempts() {
        let mut tried = Tried::new();
        assert!(tried.is_empty() && !tried.contains(0));
        for member in [3, 3, 70_000] {
            tried.insert(member);
        }
        assert_eq!(tried.len(), 1);
        for member in 0..20 {
            tried.insert(member);
        }
        assert_eq!(tried.len(), Tried::CAPACITY);
        assert!(tried.contains(3) && tried.contains(0) && !tried.contains(19));
    }
}
