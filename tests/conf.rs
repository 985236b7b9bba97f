//! The configuration from the outside: what we ship loads, what is broken is told exactly.

#[path = "conf/broken.rs"]
mod broken;
#[path = "conf/compose.rs"]
mod compose;
#[path = "conf/mutations.rs"]
mod mutations;
#[path = "conf/shipped.rs"]
mod shipped;
