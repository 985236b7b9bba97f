//! Header changes from the configuration, on requests and on responses.

use http::HeaderMap;
use pingora_core::Result;
use pingora_http::ResponseHeader;

use crate::config::HeaderEdits;

/// Changes a request's headers: remove, then set, then add.
pub(super) fn request(headers: &mut HeaderMap, edits: &HeaderEdits) {
    for name in &edits.remove {
        headers.remove(name);
    }
    for (name, value) in &edits.set {
        headers.insert(name.clone(), value.clone());
    }
    for (name, value) in &edits.add {
        headers.append(name.clone(), value.clone());
    }
}

/// Changes a response's headers: remove, then set, then add.
pub(super) fn response(header: &mut ResponseHeader, edits: &HeaderEdits) -> Result<()> {
    for name in &edits.remove {
        header.remove_header(name);
    }
    for (name, value) in &edits.set {
        header.insert_header(name.clone(), value.clone())?;
    }
    for (name, value) in &edits.add {
        header.append_header(name.clone(), value.clone())?;
    }
    Ok(())
}
