//! Answers that no API server gives: redirects, and pages of whoever else listens there. What mends that is left to
//! [`super::trouble`].

use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Response};
use tower::BoxError;

/// The most characters of an answer that are shown.
const SHOWN: usize = 400;

/// An answer that no API server gives.
#[derive(Debug, thiserror::Error)]
pub(super) enum Foreign {
    /// It leads elsewhere: its status, and where to.
    #[error("status {0}: redirected to {1}")]
    Redirect(u16, String),
    /// It is written in something else: its status, and in what.
    #[error("status {0}: the answer is {1}, not JSON")]
    NotJson(u16, String),
}

/// Refuses answers that no API server gives: redirects, and pages of whoever else listens there. Errors go on, whatever
/// they are written in: their status says enough.
pub(super) fn sound<B>(answer: Result<Response<B>, BoxError>) -> Result<Response<B>, BoxError> {
    let answer = answer?;
    let status = answer.status();
    if status.is_redirection() {
        return Err(Foreign::Redirect(status.as_u16(), target(answer.headers())).into());
    }
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if status.is_success() && !kind.is_empty() && !kind.contains("json") {
        return Err(Foreign::NotJson(status.as_u16(), shown(kind)).into());
    }
    Ok(answer)
}

/// Where a redirect leads: the host alone, for the rest may hold what a login page was told.
fn target(headers: &HeaderMap) -> String {
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok()).unwrap_or_default();
    match url::Url::parse(location) {
        Ok(url) => format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default()),
        Err(_) => "another path".to_owned(),
    }
}

/// One line that is not too long.
pub(super) fn shown(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(SHOWN).collect()
}
