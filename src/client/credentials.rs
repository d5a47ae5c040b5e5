//! Bearer tokens that nobody can print, and where they are read again from. Who gets to see them is left to the clients.

use super::plugin::Plugin;
use crate::clock::Clock;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a token that was read from a file is used before it is read again: kubelets renew a projected token well
/// before it expires, and Kubernetes' own clients reread it every minute.
const REREAD: Duration = Duration::from_secs(60);

/// So many characters of a secret give it away: fewer are a word like any other, and no secret.
const TELLING: usize = 8;

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

    /// A text of somebody who was told the secret, without it: also where only its beginning is left.
    pub fn hide_in(&self, text: &str) -> String {
        let telling = self.0.char_indices().nth(TELLING - 1);
        let Some(begins) = telling.and_then(|(at, last)| self.0.get(..at + last.len_utf8())) else {
            return text.to_owned();
        };
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(begins) {
            out.push_str(before);
            out.push('…');
            let more = self.0.get(begins.len()..).unwrap_or_default();
            let same = more.chars().zip(after.chars()).take_while(|(a, b)| a == b);
            rest = after.get(same.map(|(c, _)| c.len_utf8()).sum()..).unwrap_or_default();
        }
        out.push_str(rest);
        out
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Where a bearer token comes from.
#[derive(Debug)]
pub enum TokenSource {
    /// Nowhere: none is sent.
    None,
    /// It was given once and stays.
    Fixed(Secret),
    /// A file that others rewrite.
    File(PathBuf),
    /// A program that a kubeconfig names.
    Plugin(Box<Plugin>),
}

/// The token that a file holds.
///
/// # Errors
/// What is wrong with the file, as the end of a sentence.
pub fn secret_of(text: &str) -> Result<Secret, &'static str> {
    let bare = text.trim();
    if bare.is_empty() {
        return Err("is empty");
    }
    if !bare.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("holds more than one word: there are blanks, lines or other bytes in it");
    }
    Ok(Secret::new(bare))
}

/// The token of one source: its API server's client and all of its scrapers share it.
#[derive(Debug)]
pub struct Token {
    source: TokenSource,
    file_name: &'static str,
    clock: Clock,
    file: Mutex<File>,
}

/// What is known of a token file.
#[derive(Debug, Default)]
struct File {
    read: Option<Secret>,
    /// When it was last tried, by the clock; None where it is to be tried at once.
    tried: Option<Duration>,
    failing: bool,
}

impl Token {
    /// A token from this source.
    pub fn new(source: TokenSource, clock: Clock) -> Self {
        Self { source, file_name: "token file", clock, file: Mutex::default() }
    }

    /// The same, whose file is called this in the log.
    pub fn with_file_called(self, file_name: &'static str) -> Self {
        Self { file_name, ..self }
    }

    /// Whether there is somewhere to have a token from.
    pub const fn is_there(&self) -> bool {
        !matches!(self.source, TokenSource::None)
    }

    /// The token. None where there is none, or it could never be had; a file that is gone for a while, or a program that
    /// fails for a while, leaves the token that it gave last.
    pub async fn get(&self) -> Option<Secret> {
        match &self.source {
            TokenSource::None => None,
            TokenSource::Fixed(secret) => Some(secret.clone()),
            TokenSource::File(path) => self.read(path),
            TokenSource::Plugin(plugin) => plugin.token(self.clock.uptime()).await,
        }
    }

    /// Fetches the token anew, because somebody refused `sent`. Whether there is another one now: others may have had
    /// the same refused before.
    pub async fn refused(&self, sent: &Secret) -> bool {
        let is_other = |token: Option<Secret>| token.is_some_and(|token| token != *sent);
        match &self.source {
            TokenSource::None | TokenSource::Fixed(_) => false,
            TokenSource::File(path) => {
                self.file().tried = None;
                is_other(self.read(path))
            }
            TokenSource::Plugin(plugin) => {
                let now = self.clock.uptime();
                is_other(plugin.token(now).await) || is_other(plugin.run_again(now).await)
            }
        }
    }

    /// A text of somebody who was told the token, without it.
    pub fn hide_in(&self, text: &str) -> String {
        let secret = match &self.source {
            TokenSource::None => None,
            TokenSource::Fixed(secret) => Some(secret.clone()),
            TokenSource::File(_) => self.file().read.clone(),
            TokenSource::Plugin(plugin) => plugin.last(),
        };
        secret.map_or_else(|| text.to_owned(), |secret| secret.hide_in(text))
    }

    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, path: &Path) -> Option<Secret> {
        let now = self.clock.uptime();
        let mut file = self.file();
        if file.tried.is_none_or(|tried| now.saturating_sub(tried) >= REREAD) {
            file.tried = Some(now);
            // A few hundred bytes from memory: not worth a thread.
            let problem = match std::fs::read_to_string(path) {
                Ok(text) => match secret_of(&text) {
                    Ok(secret) => {
                        file.read = Some(secret);
                        None
                    }
                    Err(problem) => Some(problem.to_owned()),
                },
                Err(error) => Some(format!("cannot be read: {error}")),
            };
            let (name, path) = (self.file_name, path.display());
            match &problem {
                Some(problem) if !file.failing => log::warn!("{name} {path} {problem}"),
                None if file.failing => log::info!("{name} {path} can be read again"),
                _ => {}
            }
            file.failing = problem.is_some();
        }
        file.read.clone()
    }
}
