//! What a newcomer starts first: a backend to balance over.

pub mod backend;
