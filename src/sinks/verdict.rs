//! What a server's answer, or the lack of one, means for the points that it was sent. What is wrong with the points
//! drops them; what is wrong with the server, the way to it or the credentials keeps them for later.

use super::Refused;
use crate::client::post::{Answer, Flaw, PostError, Who};
use crate::rollup::pause;
use std::time::Duration;
use url::Url;

/// How much of a server's words is shown.
const SHOWN: usize = 256;
/// The pause where a server asks for one in words that cannot be read.
const UNREADABLE: Duration = Duration::from_secs(10);

/// What no answer means.
pub fn of_failure(error: &PostError) -> Refused {
    let reason = match error {
        PostError::Unreachable(_) => "unreachable",
        PostError::Untrusted { .. } => "untrusted",
        PostError::Timeout(_) => "timeout",
        PostError::CutOff(_) => "cut_off",
        PostError::TooLong(_) => "too_long",
    };
    Refused::Later { reason, after: None, why: mended(error) }
}

/// Why there is no answer, and what mends it.
pub fn mended(error: &PostError) -> String {
    let cure = match error {
        PostError::Unreachable(_) => "look whether it runs and at the URL",
        PostError::Untrusted { flaw: Flaw::Issuer, .. } => {
            "name the CA that signed its certificate by ca, or give insecuressl=true"
        }
        PostError::Untrusted { flaw: Flaw::Name, .. } => {
            "give a URL with a name that its certificate is for, or insecuressl=true"
        }
        PostError::Untrusted { flaw: Flaw::Time, .. } => {
            "renew its certificate, set this machine's clock, or give insecuressl=true"
        }
        PostError::Untrusted { flaw: Flaw::Other, .. } => {
            "have its certificate made anew, or give insecuressl=true"
        }
        PostError::Timeout(_) | PostError::CutOff(_) | PostError::TooLong(_) => return error.to_string(),
    };
    format!("{error}; {cure}")
}

/// What an answer that is no success means for `points` points.
pub fn of_answer(answer: &Answer, who: &Who, points: usize, now: i64) -> Refused {
    let said = words(answer, who);
    let status = answer.status;
    let after = answer.retry_after.as_deref().map(|text| retry_after(text, now));
    let later =
        |reason, fix: &str| Refused::Later { reason, after, why: format!("status {status}: {said}{fix}") };
    let never = |reason| Refused::Never { reason, dropped: points, why: format!("status {status}: {said}") };
    match status {
        300..=399 => {
            let to = target(answer, who).map(|to| format!(" ({to})")).unwrap_or_default();
            later("redirect", &format!("; redirects are not followed, give the URL that it points to{to}"))
        }
        401 | 403 => later("unauthorized", "; look at user and pw, or token"),
        404 => later("not_found", "; look at the URL, and at db or bucket"),
        408 => later("timeout", ""),
        413 => Refused::TooLarge { why: format!("status {status}: {said}") },
        429 => later("too_many_requests", ""),
        400 => never("bad_request"),
        422 => never("unprocessable"),
        402..=499 => never("refused"),
        _ => later("server_error", ""),
    }
}

/// Where a redirect leads, without what may be a secret: user, password, query and fragment.
fn target(answer: &Answer, who: &Who) -> Option<String> {
    let location = answer.header("location")?;
    let shown = match Url::parse(location) {
        Ok(mut url) if matches!(url.scheme(), "http" | "https") => {
            url.set_query(None);
            url.set_fragment(None);
            url.set_username("").and_then(|()| url.set_password(None)).ok()?;
            url.to_string()
        }
        // A path of the same server. Behind two slashes there is another one, and maybe a user.
        Err(_) if location.starts_with('/') && !location.starts_with("//") => {
            location.split(['?', '#']).next()?.to_owned()
        }
        _ => return None,
    };
    Some(who.hidden_in(&shown).chars().filter(|each| !each.is_control()).take(SHOWN).collect())
}

/// The first words of an answer in one line, without what it was shown.
pub fn words(answer: &Answer, who: &Who) -> String {
    let text = who.hidden_in(&String::from_utf8_lossy(&answer.body));
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|each| !each.is_control()).take(SHOWN).collect()
}

/// How long `Retry-After` says to wait, in seconds or until an instant (RFC 9110 10.2.3).
fn retry_after(text: &str, now: i64) -> Duration {
    let seconds = text.trim().parse::<u64>().ok().or_else(|| {
        let until = chrono::DateTime::parse_from_rfc2822(text.trim()).ok()?.timestamp();
        Some(u64::try_from(until.saturating_sub(now)).unwrap_or(0))
    });
    seconds.map_or(UNREADABLE, |seconds| pause::asked(Duration::from_secs(seconds)))
}
