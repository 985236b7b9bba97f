//! Keys that go with others: with a type, or with a default that gives way.

use super::context::Context;
use crate::config::format::Format;
use crate::config::path::Path;
use crate::config::raw::Written;

/// Notes the keys that the kind of thing at `path` does not have. `keys` are those of some kinds
/// only, and `word` is what `type` calls a kind.
pub(super) fn note_foreign<K: Copy + PartialEq>(
    kind: K,
    keys: &[(&str, &[K])],
    word: fn(K) -> &'static str,
    path: &Path<'_>,
    context: &mut Context<'_>,
) {
    for (key, owners) in keys {
        let is_given = context.is_given(&path.key(key)) && !context.is_null(&path.key(key));
        if is_given && !owners.contains(&kind) {
            let owners: Vec<String> = owners
                .iter()
                .map(|owner| format!("`type: {}`", word(*owner)))
                .collect();
            let owners = match owners.as_slice() {
                [first @ .., last] if !first.is_empty() => {
                    format!("{} and {last}", first.join(", "))
                }
                few => few.concat(),
            };
            let message = format!(
                "has no effect with `type: {}`; it belongs to {owners}",
                word(kind)
            );
            context.add_at_key(path, key, message);
        }
    }
}

/// Notes that `key` is missing, and what it is for, unless its value was there and broken.
pub(super) fn require(
    key: &str,
    is_there: bool,
    purpose: &str,
    path: &Path<'_>,
    context: &mut Context<'_>,
) {
    if !is_there && (!context.is_given(&path.key(key)) || context.is_null(&path.key(key))) {
        context.add(path, format!("the key `{key}` is missing{purpose}"));
    }
}

/// The value as written, the default where there is none; nothing where it is broken, which was
/// noted already.
pub(super) fn or_default<F: Format>(
    written: Option<&Written<F>>,
    default: F::Value,
    path: &Path<'_>,
    key: &str,
    context: &Context<'_>,
) -> Option<F::Value> {
    match written {
        Some(written) => Some(written.value.clone()),
        None if context.is_given(&path.key(key)) => None,
        None => Some(default),
    }
}
