//! The dashboard: a page for people, at `/` of the admin address.
//!
//! It is part of the binary and needs nothing else: no build step, no other
//! origin. The page itself holds no data and is served to anybody; what it
//! shows it asks the API for, with the token that its reader gives it. The
//! policy it comes with lets nothing in but its own files, and forbids scripts
//! to turn text into elements, so that a backend's name stays a name.

use std::sync::LazyLock;

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

/// Only what the page is made of; and no text becomes an element.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// One file of the page.
#[derive(Clone, Copy, Debug)]
struct Asset {
    path: &'static str,
    content_type: &'static str,
    content: &'static str,
}

macro_rules! assets {
    ($($path:literal $file:literal $content_type:ident;)*) => {
        &[$(Asset {
            path: $path,
            content_type: $content_type,
            content: include_str!(concat!("page/", $file)),
        },)*]
    };
}

const ASSETS: &[Asset] = assets! {
    "/" "index.html" HTML;
    "/dashboard.css" "dashboard.css" STYLE;
    "/dashboard.js" "dashboard.js" SCRIPT;
    "/actions.js" "actions.js" SCRIPT;
    "/api.js" "api.js" SCRIPT;
    "/chart.js" "chart.js" SCRIPT;
    "/dom.js" "dom.js" SCRIPT;
    "/format.js" "format.js" SCRIPT;
    "/headline.js" "headline.js" SCRIPT;
    "/live.js" "live.js" SCRIPT;
    "/scaling.js" "scaling.js" SCRIPT;
    "/timeline.js" "timeline.js" SCRIPT;
    "/upstreams.js" "upstreams.js" SCRIPT;
    "/words.js" "words.js" SCRIPT;
};

/// One tag for all files: they only work together, and change together.
static TAG: LazyLock<HeaderValue> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in ASSETS {
        hash.update(asset.content);
    }
    let digest = hash.finalize();
    let number = digest.iter().take(8);
    let number = number.fold(0u64, |all, &byte| (all << 8) | u64::from(byte));
    let tag = format!("\"{number:016x}\"");
    HeaderValue::try_from(tag).expect("hexadecimal digits are visible ASCII")
});

/// Whether a file of the page is there.
#[cfg(test)]
pub(super) fn has(path: &str) -> bool {
    ASSETS.iter().any(|asset| asset.path == path)
}

/// The page's files.
pub(super) fn router<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    ASSETS.iter().fold(Router::new(), |router, asset| {
        router.route(
            asset.path,
            get(move |headers: HeaderMap| async move { answer(asset, &headers) }),
        )
    })
}

/// The file, or word that the browser has it already. It asks each time: another binary has
/// another page.
fn answer(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let tag = TAG.clone();
    let kept = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .any(|known| holds(known, &tag));
    let always: [(HeaderName, HeaderValue); 5] = [
        (ETAG, tag),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    if kept {
        return (StatusCode::NOT_MODIFIED, always).into_response();
    }
    let content_type = [(CONTENT_TYPE, asset.content_type)];
    (always, content_type, asset.content).into_response()
}

/// Whether a list of tags has this one. Caches between may have weakened it.
fn holds(list: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(list), Ok(tag)) = (list.to_str(), tag.to_str()) else {
        return false;
    };
    let mut tags = list.split(',').map(str::trim);
    tags.any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests;
