//! Header edits: what they must not touch.

use std::collections::BTreeMap;

use http::header::{self, HeaderName, HeaderValue};

use super::context::Context;
use crate::config::format::{Format, HeaderNameText, HeaderValueText};
use crate::config::path::Path;
use crate::config::raw::{self, Written};
use crate::config::run::HeaderEdits;

/// Headers that frame a message or belong to one connection (RFC 9110, 7.6.1).
const FRAMING: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What is said of a header that stands twice in a mapping.
pub(super) const SAME_HEADER: &str = "the same header twice; upper and lower case are the same";

/// Which message is edited.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
    /// The request of a health check.
    Check,
}

/// Which of the edits, on which message.
#[derive(Clone, Copy)]
struct Edit {
    side: Side,
    sets: bool,
}

/// The edits as run.
pub(super) fn edits(
    written: raw::HeaderEdits,
    side: Side,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> HeaderEdits {
    let sets = Edit { side, sets: true };
    let other = Edit { side, sets: false };
    let remove = path.key("remove");
    let removed: Vec<HeaderName> = written.remove.into_iter().map(|name| name.value).collect();
    for (index, name) in removed.iter().enumerate() {
        note_forbidden(name, other, &remove.index(index), context);
    }
    HeaderEdits {
        set: values(written.set, sets, &path.key("set"), context),
        add: values(written.add, other, &path.key("add"), context),
        remove: removed,
    }
}

fn values(
    written: BTreeMap<String, Written<HeaderValueText>>,
    edit: Edit,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut all: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(written.len());
    for (key, value) in written {
        let Ok(name) = HeaderNameText::parse(&key) else {
            continue;
        };
        note_forbidden(&name, edit, &path.key(&key), context);
        if all.iter().any(|(earlier, _)| *earlier == name) {
            context.add_at_key(path, &key, SAME_HEADER);
        }
        all.push((name, value.value));
    }
    all
}

/// The headers of a health check as run.
pub(super) fn of_check(
    written: &BTreeMap<String, Written<HeaderValueText>>,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Vec<(HeaderName, HeaderValue)> {
    let edit = Edit {
        side: Side::Check,
        sets: true,
    };
    values(written.clone(), edit, path, context)
}

/// `Host` can be set, but never be repeated or missing.
fn note_forbidden(name: &HeaderName, edit: Edit, path: &Path<'_>, context: &mut Context<'_>) {
    if FRAMING.contains(name) {
        let why = "it frames the message or belongs to one connection";
        context.add(path, format!("`{name}` cannot be changed: {why}"));
    } else if *name == header::HOST && edit.side == Side::Check {
        context.add(path, "`host` has a key of its own, beside `headers`");
    } else if *name == header::HOST && edit.side == Side::Response {
        context.add(path, "`host` is not a response header");
    } else if *name == header::HOST && !edit.sets {
        context.add(path, "`host` can be set, but not added or removed");
    }
}
