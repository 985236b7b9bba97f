//! What is still to be said to whoever gave a command, when the snapshot is published.

use super::command::{Answer, Command, Refusal, Reported, Told};
use super::found::Taken;

/// An answer, and where it goes.
pub(super) enum Reply {
    Reported(Answer<Reported>, Result<Reported, Refusal>),
    Done(Answer<()>, Result<(), Refusal>),
    Recalled(Answer<Told>, Result<Told, Refusal>),
    Taken(Answer<Taken>, Result<Taken, Refusal>),
}

impl Reply {
    /// The command is not carried out.
    pub(super) fn refused(command: Command, refusal: Refusal) -> Self {
        match command {
            Command::Report(_, answer) => Self::Reported(answer, Err(refusal)),
            Command::Recall(_, answer) => Self::Recalled(answer, Err(refusal)),
            Command::Find(_, answer) => Self::Taken(answer, Err(refusal)),
            Command::Leave(_, answer)
            | Command::Amend(_, _, answer)
            | Command::Forget(_, answer)
            | Command::Steer(_, _, answer)
            | Command::Hold(answer) => Self::Done(answer, Err(refusal)),
            Command::Provided(_, command) => Self::refused(*command, refusal),
        }
    }

    /// Says it. Whoever asked may be gone.
    pub(super) fn send(self) {
        match self {
            Self::Reported(answer, result) => drop(answer.send(result)),
            Self::Done(answer, result) => drop(answer.send(result)),
            Self::Recalled(answer, result) => drop(answer.send(result)),
            Self::Taken(answer, result) => drop(answer.send(result)),
        }
    }
}
