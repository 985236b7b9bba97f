//! The path on its way to the backend.

use std::borrow::Cow;

use super::found::RouteMatch;
use crate::config::Rewrite;
use crate::request::{BadPath, normalize_path};

/// The path that `rewrite` makes of `path`, which is normalised and matched
/// as `matched`. The query is not part of it and stays.
///
/// The result is a normalised path again: a regex that deletes characters could
/// otherwise turn a harmless name into `..`. Such a result, which a client can
/// provoke, is the error, and the answer to it is a 400.
pub fn rewrite<'a>(
    path: &'a str,
    matched: RouteMatch,
    rewrite: &'a Rewrite,
) -> Result<Cow<'a, str>, BadPath> {
    match rewrite {
        Rewrite::Path(path) => tidy(Cow::Borrowed(path)),
        Rewrite::Prefix(new) => {
            let rest = path.get(matched.prefix_len..).unwrap_or_default();
            tidy(replace_prefix(new, rest))
        }
        Rewrite::Regex {
            pattern,
            replacement,
        } => tidy(pattern.replace_all(path, replacement.as_str())),
    }
}

/// `rest` is empty or starts with a slash, so `new` needs none at its end.
fn replace_prefix<'a>(new: &'a str, rest: &'a str) -> Cow<'a, str> {
    if rest.is_empty() {
        return Cow::Borrowed(new);
    }
    match new.trim_end_matches('/') {
        "" => Cow::Borrowed(rest),
        new => Cow::Owned([new, rest].concat()),
    }
}

/// The normal form of `path`, which may lack its leading slash.
fn tidy(path: Cow<'_, str>) -> Result<Cow<'_, str>, BadPath> {
    let path = if path.starts_with('/') {
        path
    } else {
        Cow::Owned(["/", &path].concat())
    };
    match path {
        Cow::Borrowed(path) => normalize_path(path),
        Cow::Owned(path) => match normalize_path(&path)? {
            Cow::Owned(normal) => Ok(Cow::Owned(normal)),
            Cow::Borrowed(_) => Ok(Cow::Owned(path)),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    fn prefix(prefix_len: usize) -> RouteMatch {
        RouteMatch {
            route: 0,
            prefix_len,
        }
    }

    #[track_caller]
    fn becomes(path: &str, prefix_len: usize, rule: &Rewrite, new: &str) {
        let rewritten = rewrite(path, prefix(prefix_len), rule);
        assert_eq!(rewritten.as_deref(), Ok(new), "{path}");
    }

    fn regex(pattern: &str, replacement: &str) -> Rewrite {
        Rewrite::Regex {
            pattern: Regex::new(pattern).unwrap(),
            replacement: replacement.to_owned(),
        }
    }

    #[test]
    fn a_prefix_is_replaced_with_one_slash_in_between() {
        let root = Rewrite::Prefix("/".to_owned());
        becomes("/api/users", 4, &root, "/users");
        becomes("/api/", 4, &root, "/");
        becomes("/api", 4, &root, "/");
        for new in ["/v2", "/v2/"] {
            let rule = Rewrite::Prefix(new.to_owned());
            becomes("/api/users/", 4, &rule, "/v2/users/");
            becomes("/users", 0, &rule, "/v2/users");
            becomes("/", 0, &rule, "/v2/");
            becomes("/api", 4, &rule, new);
        }
        becomes("/api", 4, &Rewrite::Prefix(String::new()), "/");
        becomes("/api/x", 4, &Rewrite::Prefix("v2".to_owned()), "/v2/x");
    }

    #[test]
    fn taking_a_prefix_off_allocates_nothing() {
        let root = Rewrite::Prefix("/".to_owned());
        let rewritten = rewrite("/api/users", prefix(4), &root);
        assert!(matches!(rewritten, Ok(Cow::Borrowed("/users"))));
    }

    #[test]
    fn a_path_replaces_the_whole() {
        becomes(
            "/a/b",
            2,
            &Rewrite::Path("/index.html".to_owned()),
            "/index.html",
        );
    }

    #[test]
    fn a_regex_replaces_every_match_with_its_groups() {
        becomes(
            "/u/42/x",
            0,
            &regex(r"^/u/(\d+)", "/users/$1"),
            "/users/42/x",
        );
        becomes("/a-b-c", 0, &regex("-", "_"), "/a_b_c");
        becomes("/a", 0, &regex("^/a$", ""), "/");
        becomes("/a/b", 0, &regex("^/a/", ""), "/b");
        becomes("/a/b", 0, &regex("b", "/b"), "/a/b");
        becomes("/a", 0, &regex("nothing", ""), "/a");
    }

    #[test]
    fn a_regex_cannot_make_a_dot_segment() {
        becomes("/a/.x./b", 0, &regex("x", ""), "/b");
        let climbing = rewrite("/.x./b", prefix(0), &regex("x", "")).map(Cow::into_owned);
        assert_eq!(climbing, Err(BadPath::AboveRoot));
    }

    proptest! {
        #[test]
        fn a_replaced_prefix_is_a_normal_path(
            segments in prop::collection::vec("[a-z]{1,3}", 0..5),
            covered in 0..5_usize,
            new in "(/[a-z]{0,2}){0,3}",
        ) {
            let covered = covered.min(segments.len());
            let join = |part: &[String]| part.iter().flat_map(|one| ["/", one]).collect::<String>();
            let path = if segments.is_empty() { "/".to_owned() } else { join(&segments) };
            let rule = Rewrite::Prefix(new);
            let rewritten = rewrite(&path, prefix(join(&segments[..covered]).len()), &rule).unwrap();
            prop_assert!(rewritten.starts_with('/'));
            prop_assert!(!rewritten.contains("//"));
            prop_assert!(rewritten.ends_with(&join(&segments[covered..])));
        }
    }
}
