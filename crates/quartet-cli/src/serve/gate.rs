//! Who may ask: only pages that this very server gave out, and only with its token.
//!
//! The Host check keeps out pages that reach 127.0.0.1 under a name of their own (DNS
//! rebinding), the Origin check pages of other sites in the same browser, the token other
//! users and programs of this machine.

use super::replies::Failure;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use quartet_api::types::{Error, ErrorCode, Result};
use rand::TryRngCore;
use rand::rngs::OsRng;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

/// 256 random bits of this start, as 64 hexadecimal digits.
pub(super) struct Token(String);

impl Token {
    /// A fresh one from the operating system's source of randomness.
    pub(super) fn random() -> Result<Self> {
        let mut bytes = [0_u8; 32];
        OsRng
            .try_fill_bytes(&mut bytes)
            .map_err(|error| Error::internal(format!("no randomness: {error}")))?;
        let mut text = String::with_capacity(64);
        for byte in bytes {
            let _ = write!(text, "{byte:02x}");
        }
        Ok(Self(text))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Looks at every byte whatever the first ones are, so that the time taken tells nothing.
    fn equals(&self, other: &[u8]) -> bool {
        let own = self.0.as_bytes();
        if own.len() != other.len() {
            return false;
        }
        let difference = own.iter().zip(other).fold(0_u8, |sum, (a, b)| black_box(sum | (a ^ b)));
        difference == 0
    }
}

/// Whether a route is guarded by the token.
pub(super) fn is_api(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

/// What a request is checked against.
pub(super) struct Gate {
    hosts: Vec<String>,
    origins: Vec<String>,
    token: Token,
}

impl Gate {
    pub(super) fn new(port: u16, token: Token) -> Self {
        let mut hosts = vec![format!("127.0.0.1:{port}"), format!("localhost:{port}")];
        if port == 80 {
            // Browsers leave out the port that is the default.
            hosts.extend(["127.0.0.1".to_owned(), "localhost".to_owned()]);
        }
        let origins = hosts.iter().map(|host| format!("http://{host}")).collect();
        Self { hosts, origins, token }
    }

    fn check(&self, uri: &Uri, headers: &HeaderMap) -> std::result::Result<(), Failure> {
        // A request line may name a host too; it must not be another one.
        let named = uri.authority().is_none_or(|name| self.is_host(name.as_str().as_bytes()));
        let asked = only(headers, &HOST).is_some_and(|host| self.is_host(host));
        if !named || !asked {
            return Err(refused("this server is reached as 127.0.0.1 or localhost only"));
        }
        let own = |origin: &[u8]| self.origins.iter().any(|own| own.as_bytes() == origin);
        if headers.contains_key(ORIGIN) && !only(headers, &ORIGIN).is_some_and(own) {
            return Err(refused("pages of other sites may not ask this server"));
        }
        if is_api(uri.path()) && !self.has_token(headers) {
            let error = Error::new(ErrorCode::InvalidInput, "the token is missing or wrong")
                .hint("Open the address that `quartet serve` printed at this start.");
            return Err(Failure { status: StatusCode::UNAUTHORIZED, error });
        }
        Ok(())
    }

    fn is_host(&self, host: &[u8]) -> bool {
        self.hosts.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(host))
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        only(headers, &AUTHORIZATION).and_then(|value| value.split_at_checked(7)).is_some_and(
            |(scheme, token)| scheme.eq_ignore_ascii_case(b"bearer ") && self.token.equals(token),
        )
    }
}

/// The value of a header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes())
}

fn refused(why: &str) -> Failure {
    let error = Error::new(ErrorCode::InvalidInput, why)
        .hint("Open the address that `quartet serve` printed.");
    Failure { status: StatusCode::FORBIDDEN, error }
}

/// Lets a request pass, or says why not.
pub(super) async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    match gate.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(path: &str, headers: &[(&'static str, &str)]) -> u16 {
        let gate = Gate::new(4000, Token("ab".repeat(32)));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        match gate.check(&path.parse().unwrap(), &map) {
            Ok(()) => 200,
            Err(failure) => failure.status.as_u16(),
        }
    }

    #[test]
    fn hosts_and_origins_are_compared_whole() {
        for host in ["127.0.0.1:4000", "localhost:4000", "LOCALHOST:4000"] {
            assert_eq!(status("/", &[("host", host)]), 200, "{host}");
        }
        for host in [
            "127.0.0.1",
            "localhost:4001",
            "127.0.0.1:4000.example.org",
            "0.0.0.0:4000",
            "[::1]:4000",
            "",
        ] {
            assert_eq!(status("/", &[("host", host)]), 403, "{host}");
        }
        assert_eq!(status("/", &[]), 403);
        assert_eq!(status("/", &[("host", "localhost:4000"), ("host", "localhost:4000")]), 403);
        assert_eq!(status("http://example.org/", &[("host", "localhost:4000")]), 403);
        for (origin, expected) in [
            ("http://127.0.0.1:4000", 200),
            ("http://localhost:4000", 200),
            ("https://localhost:4000", 403),
            ("http://localhost:4000.example.org", 403),
            ("http://127.0.0.1:4001", 403),
            ("null", 403),
            ("", 403),
        ] {
            let headers = [("host", "localhost:4000"), ("origin", origin)];
            assert_eq!(status("/", &headers), expected, "{origin}");
        }
    }

    #[test]
    fn the_api_needs_the_whole_token() {
        let right = "ab".repeat(32);
        let wrong = format!("{}0", &right[..63]);
        for (value, expected) in [
            (format!("Bearer {right}"), 200),
            (format!("bearer {right}"), 200),
            (format!("Bearer {wrong}"), 401),
            (format!("Bearer {right}0"), 401),
            (format!("Bearer {}", &right[..62]), 401),
            (format!("Basic {right}"), 401),
            (right, 401),
            ("Bearer ".to_owned(), 401),
            (String::new(), 401),
        ] {
            let headers = [("host", "localhost:4000"), ("authorization", value.as_str())];
            assert_eq!(status("/api/call/hello", &headers), expected, "{value}");
        }
        assert_eq!(status("/api", &[("host", "localhost:4000")]), 401);
    }

    #[test]
    fn every_start_has_a_token_of_its_own() {
        let (one, other) = (Token::random().unwrap(), Token::random().unwrap());
        assert_eq!(one.text().len(), 64);
        assert_ne!(one.text(), other.text());
    }
}
