//! What this process itself knows of containers, whatever a list says.

use std::collections::BTreeSet;

/// Containers that were seen, made and ended here. Bounded by what the lists have had.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Ids of those that were there when they were last looked at, or were made since.
    there: BTreeSet<String>,
    /// Ids of those that were ended, for as long as lists have them.
    ended: BTreeSet<String>,
    /// The name of one that was asked for, and of which no answer is known yet.
    asked: Option<String>,
    /// Whether there was a look.
    has_looked: bool,
}

impl Memory {
    /// Those that are `listed`, and the others that are known, in the order of their ids.
    pub(super) fn with(&self, listed: &BTreeSet<String>) -> Vec<String> {
        self.there.union(listed).cloned().collect()
    }

    /// Exactly these are there, by a look that went by what is `listed`.
    pub(super) fn keep<'i>(
        &mut self,
        there: impl Iterator<Item = &'i str>,
        listed: &BTreeSet<String>,
    ) {
        self.has_looked = true;
        self.there = there.map(str::to_owned).collect();
        self.ended.retain(|id| listed.contains(id));
    }

    /// Whether this one has come since the last look, and not from here.
    pub(super) fn is_news(&self, id: &str) -> bool {
        self.has_looked && !self.knows(id)
    }

    pub(super) fn knows(&self, id: &str) -> bool {
        self.there.contains(id)
    }

    /// One with this name is asked for from now on; whether it was before, and nothing is known of
    /// what came of that.
    pub(super) fn begin(&mut self, name: &str) -> bool {
        self.asked.replace(name.to_owned()).as_deref() == Some(name)
    }

    /// Nothing was made.
    pub(super) fn answered(&mut self) {
        self.asked = None;
    }

    pub(super) fn made(&mut self, id: &str) {
        self.there.insert(id.to_owned());
        self.asked = None;
    }

    pub(super) fn ended(&mut self, id: &str) {
        self.there.remove(id);
        self.ended.insert(id.to_owned());
    }

    pub(super) fn was_ended(&self, id: &str) -> bool {
        self.ended.contains(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn what_was_made_is_looked_at_until_it_is_gone() {
        let mut memory = Memory::default();
        memory.made("b");
        assert_eq!(memory.with(&ids(&["a"])), ["a", "b"]);
        assert!(!memory.is_news("c"), "there was no look yet");
        memory.keep(["a"].into_iter(), &ids(&["a"]));
        assert!(memory.is_news("c") && !memory.is_news("a"));
        assert_eq!(memory.with(&ids(&["c"])), ["a", "c"]);
    }

    #[test]
    fn what_was_ended_is_remembered_for_as_long_as_it_is_listed() {
        let mut memory = Memory::default();
        memory.made("a");
        memory.ended("a");
        assert!(memory.was_ended("a") && !memory.knows("a"));
        memory.keep([].into_iter(), &ids(&["a"]));
        assert!(memory.was_ended("a"));
        memory.keep([].into_iter(), &ids(&[]));
        assert!(!memory.was_ended("a"));
    }

    #[test]
    fn a_call_without_an_answer_is_known_by_its_name() {
        let mut memory = Memory::default();
        assert!(!memory.begin("web-2"));
        assert!(memory.begin("web-2"), "nothing was answered");
        memory.answered();
        assert!(!memory.begin("web-2"));
        memory.made("a");
        assert!(!memory.begin("web-2"));
    }
}
