//! What options mean that several sinks have. Which of them a sink has is left to it.

use crate::client::credentials::{Secret, TokenSource};
use crate::client::post::Trust;
use crate::config::uri::{Uri, UriError};
use std::time::Duration;
use url::Url;

/// The most requests at once: more would only wait for each other at the server.
const MOST_AT_ONCE: usize = 64;

/// The server's URL, or the one that is asked where none is given.
pub(super) fn server(uri: &Uri, default: &str) -> Result<Url, UriError> {
    let base = match uri.config()? {
        Some(url) => url.clone(),
        None => Url::parse(default).map_err(|_| uri.incomplete("has no server; give http://HOST:PORT"))?,
    };
    if !base.username().is_empty() || base.password().is_some() {
        return Err(uri.incomplete("takes no user in the URL; give ?user=…&pw=…"));
    }
    Ok(base)
}

/// How the server at this URL is to be verified. A CA that would verify nobody is a mistake.
pub(super) fn trust(uri: &Uri, server: &Url) -> Result<Trust, UriError> {
    let (insecure, ca) = (uri.flag("insecuressl", false)?, uri.text("ca").map(Into::into));
    if ca.is_some() && insecure {
        return Err(uri.incomplete("has ca beside insecuressl=true, which trusts any certificate; give one"));
    }
    if ca.is_some() && server.scheme() != "https" {
        return Err(uri.incomplete("has ca, but speaks no TLS; give an https URL"));
    }
    Ok(Trust { insecure, ca })
}

/// How many requests there may be at once.
pub(super) fn concurrency(uri: &Uri) -> Result<usize, UriError> {
    match uri.text("concurrency").map_or(Ok(1), str::parse) {
        Ok(count @ 1..=MOST_AT_ONCE) => Ok(count),
        _ => Err(bad(uri, "concurrency", "is no number of requests at once: give 1 to 64")),
    }
}

/// How long one request may take, where that is given.
pub(super) fn timeout(uri: &Uri) -> Result<Option<Duration>, UriError> {
    let range = Duration::from_millis(100)..=Duration::from_secs(600);
    let timeout = uri.text("timeout").map(|text| {
        let timeout = humantime::parse_duration(text).ok().filter(|timeout| range.contains(timeout));
        timeout.ok_or_else(|| bad(uri, "timeout", "is no timeout: give 100ms to 10m"))
    });
    timeout.transpose()
}

/// A secret as it was given, or in the file that was given.
pub(super) fn secret(text: &str) -> TokenSource {
    match text.strip_prefix("file://") {
        Some(path) => TokenSource::File(path.into()),
        None => TokenSource::Fixed(Secret::new(text)),
    }
}

pub(super) fn bad(uri: &Uri, option: &str, problem: &'static str) -> UriError {
    uri.bad_option(option, uri.text(option).unwrap_or_default(), problem)
}
