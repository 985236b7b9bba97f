//! What a panic does: it is logged, and where it leaves half a process, it ends it.
//!
//! A panic while a request is served ends that request alone. One while
//! Pingora opens its sockets would leave a process that runs without them.

use std::panic;

/// How Pingora's panic over a socket it cannot open begins.
const NO_LISTENER: &str = "Failed to build listeners";

/// Logs panics from here on.
pub(super) fn install() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        tracing::error!(%panic, "panic: please report this as a bug");
        if panic
            .payload_as_str()
            .is_some_and(|text| text.starts_with(NO_LISTENER))
        {
            default(panic);
            std::process::exit(2);
        }
    }));
}
