use axum::body::to_bytes;
use axum::http::HeaderValue;
use regex::Regex;

use super::*;
use crate::control::autoscale::decide::Reason;

fn asset(path: &str) -> &'static Asset {
    let found = ASSETS.iter().find(|asset| asset.path == path);
    found.unwrap_or_else(|| panic!("there is no {path}"))
}

fn header<'r>(response: &'r Response, name: &HeaderName) -> &'r str {
    let value = response.headers().get(name);
    let value = value.unwrap_or_else(|| panic!("it has no {name}"));
    value.to_str().expect("it is ASCII")
}

fn asking(known: &str) -> HeaderMap {
    let known = HeaderValue::try_from(known).expect("it is ASCII");
    HeaderMap::from_iter([(IF_NONE_MATCH, known)])
}

#[tokio::test]
async fn every_file_comes_whole_and_with_its_policy() {
    for asset in ASSETS {
        let response = answer(asset, &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, &CONTENT_TYPE), asset.content_type);
        assert_eq!(header(&response, &CACHE_CONTROL), "no-cache");
        assert_eq!(header(&response, &X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(header(&response, &REFERRER_POLICY), "no-referrer");
        let policy = header(&response, &CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        for loose in ["unsafe", "*", "http:", "https:", "\n", "  "] {
            assert!(!policy.contains(loose), "{policy}");
        }
        let body = to_bytes(response.into_body(), usize::MAX).await;
        assert_eq!(body.expect("it is complete"), asset.content.as_bytes());
    }
}

#[tokio::test]
async fn a_browser_that_has_it_is_told_so() {
    let tag = header(&answer(asset("/"), &HeaderMap::new()), &ETAG).to_owned();
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"other\", {tag}"),
        "*".to_owned(),
    ] {
        let response = answer(asset("/dashboard.css"), &asking(&known));
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(header(&response, &ETAG), tag);
        assert!(response.headers().contains_key(CONTENT_SECURITY_POLICY));
        let body = to_bytes(response.into_body(), usize::MAX).await;
        assert!(body.expect("it is complete").is_empty());
    }
    let response = answer(asset("/"), &asking("\"other\""));
    assert_eq!(response.status(), StatusCode::OK);
}

/// What the files ask for is there, and nobody else is asked.
#[test]
fn the_files_need_each_other_only() {
    let wanted = Regex::new(r##"(?:from '\./|(?:src|href)=")([^'"#][^'"]*)"##).expect("a regex");
    let mut count = 0;
    for asset in ASSETS {
        for found in wanted.captures_iter(asset.content) {
            let name = &found[1];
            count += 1;
            let is_there = ASSETS.iter().any(|one| one.path == format!("/{name}"));
            assert!(
                is_there || name.starts_with("data:"),
                "{}: {name}",
                asset.path
            );
        }
        let mut addresses = asset.content.match_indices("://");
        let is_a_name = |at: usize| {
            let rest = &asset.content[at..];
            rest.starts_with("://www.w3.org/2000/svg")
        };
        assert!(
            addresses.all(|(at, _)| is_a_name(at)),
            "{} names an address",
            asset.path
        );
    }
    assert!(count > 20, "only {count} were found");
}

/// What comes from the API is never parsed.
#[test]
fn no_script_turns_text_into_elements() {
    let parsers = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "DOMParser",
        "createContextualFragment",
        "setHTML",
        "new Function",
    ];
    for asset in ASSETS {
        for parser in parsers {
            assert!(!asset.content.contains(parser), "{}: {parser}", asset.path);
        }
    }
}

#[test]
fn every_reason_of_a_decision_has_its_words() {
    let words = asset("/words.js").content;
    for reason in Reason::ALL {
        let entry = format!("\n  {}: '", reason.label());
        assert!(words.contains(&entry), "{}", reason.label());
    }
}
