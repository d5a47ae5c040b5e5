//! Bearer tokens that nobody can print, and where they are reread from. Who gets to see them is left to the clients.

use crate::clock::Clock;
use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How long a token that was read from a file is used before it is read again: kubelets renew a projected token well
/// before it expires, and Kubernetes' own clients reread it every minute.
const REREAD: Duration = Duration::from_secs(60);

/// A secret text. It has no way to be printed; what needs it says so by [`Secret::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Where a bearer token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// Nowhere: none is sent.
    None,
    /// It was given once and stays.
    Fixed(Secret),
    /// A file that others rewrite.
    File(PathBuf),
}

/// A token as one scraper uses it.
#[derive(Debug)]
pub struct Token {
    source: TokenSource,
    clock: Clock,
    /// The token last read, and when by the clock; None where it was refused since.
    read: RefCell<Option<(Secret, Option<Duration>)>>,
}

impl Token {
    /// A token from this source.
    pub fn new(source: TokenSource, clock: Clock) -> Self {
        Self { source, clock, read: RefCell::new(None) }
    }

    /// The token. None where there is none, or its file was never readable; a file that is gone for a while leaves the
    /// token that was last read from it.
    pub fn get(&self) -> Option<Secret> {
        let path = match &self.source {
            TokenSource::None => return None,
            TokenSource::Fixed(secret) => return Some(secret.clone()),
            TokenSource::File(path) => path,
        };
        let now = self.clock.uptime();
        let fresh = self
            .read
            .borrow()
            .as_ref()
            .filter(|(_, at)| at.is_some_and(|at| now.saturating_sub(at) < REREAD))
            .cloned();
        if let Some((secret, _)) = fresh {
            return Some(secret);
        }
        // A few hundred bytes from memory: not worth a thread.
        match std::fs::read_to_string(path) {
            Ok(text) if !text.trim().is_empty() => {
                *self.read.borrow_mut() = Some((Secret::new(text.trim()), Some(now)));
            }
            Ok(_) => log::warn!("token file {} is empty", path.display()),
            Err(error) => log::warn!("token file {} cannot be read: {error}", path.display()),
        }
        self.read.borrow().as_ref().map(|(secret, _)| secret.clone())
    }

    /// Reads the file again at once, because somebody refused the token. Whether there is another one now.
    pub fn refused(&self) -> bool {
        let before = self.read.borrow().as_ref().map(|(secret, _)| secret.clone());
        if let Some((_, at)) = self.read.borrow_mut().as_mut() {
            *at = None;
        }
        self.get() != before && matches!(self.source, TokenSource::File(_))
    }
}
