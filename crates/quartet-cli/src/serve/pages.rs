//! The window's pages, which are part of the program, and the headers they are sent with.

use super::replies::Failure;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use quartet_api::types::{Error, ErrorCode, Result};

/// Address and content of every page, sorted by address (build.rs).
static PAGES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// The same as in the window (tauri.conf.json), but for what pages may connect to.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; \
    img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; \
    connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
    frame-src 'none'; frame-ancestors 'none'";

fn find(address: &str) -> Option<&'static [u8]> {
    let address = if address == "/" { "/index.html" } else { address };
    let place = PAGES.binary_search_by(|(known, _)| (*known).cmp(address)).ok()?;
    Some(PAGES[place].1)
}

/// Whether this program was built with pages to show.
pub(super) fn are_built() -> Result<()> {
    match find("/") {
        Some(page) if !page.is_empty() => Ok(()),
        _ => Err(Error::new(
            ErrorCode::NotFound,
            "this program was built without the window's pages",
        )
        .hint("Run `make ui`, then build again.")),
    }
}

/// A page, or what one consists of.
pub(super) async fn page(method: Method, uri: Uri) -> std::result::Result<Response, Failure> {
    let path = uri.path();
    let Some(content) = find(path) else {
        return Err(Error::new(ErrorCode::NotFound, "there is nothing at this address")
            .about(path)
            .into());
    };
    if method != Method::GET && method != Method::HEAD {
        return Err(super::replies::no_such_method().await);
    }
    Ok((StatusCode::OK, [(CONTENT_TYPE, media_type(path))], content).into_response())
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        _ if path == "/" => "text/html; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "wasm" => "application/wasm",
        "txt" | "md" => "text/plain; charset=utf-8",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}

/// Headers of every reply: what a page may load, and that nobody else may read or frame it.
pub(super) fn add_headers(headers: &mut HeaderMap, is_api: bool) {
    let cache = if is_api { "no-store" } else { "no-cache" };
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, cache),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_by_their_exact_address_only() {
        assert!(PAGES.is_sorted_by(|one, other| one.0 < other.0));
        for (address, content) in PAGES {
            assert_eq!(find(address).map(<[u8]>::len), Some(content.len()), "{address}");
            // What pdf.js reads as bytes, and licences, whose names have no ending.
            let is_bytes = [".bcmap", ".pfb", ".icc"].iter().any(|end| address.ends_with(end))
                || !address.contains('.');
            let says_nothing = media_type(address) == "application/octet-stream";
            assert_eq!(says_nothing, is_bytes, "say what {address} is");
        }
        for address in ["", "/../Cargo.toml", "//index.html", "/index.html/", "/%69ndex.html"] {
            assert!(find(address).is_none(), "{address}");
        }
    }
}
