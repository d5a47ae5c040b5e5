//! One server as sinks and questions about the past reach it: who one is there, and what it answers. What is asked, and what
//! an answer means, is left to them.

use crate::client::credentials::{Secret, Token, TokenSource};
use crate::client::post::{Answer, PostError, Poster, Request, Who};
use crate::clock::Clock;
use std::sync::Arc;
use url::Url;

/// What a secret is to a server.
#[derive(Clone, Debug)]
pub(super) enum Means {
    /// The password of this user.
    Password(String),
    /// A token, behind this word.
    Token(&'static str),
}

/// Who one is towards a server. Clones share what is read of a file.
#[derive(Clone, Debug)]
pub(super) struct Key {
    token: Arc<Token>,
    means: Means,
}

impl Key {
    pub(super) fn new(secret: TokenSource, means: Means, clock: Clock) -> Self {
        let file = match means {
            Means::Password(_) => "password file",
            Means::Token(_) => "token file",
        };
        Self { token: Arc::new(Token::new(secret, clock).with_file_called(file)), means }
    }

    fn who(&self, secret: Option<Secret>) -> Who {
        match (&self.means, secret) {
            (Means::Password(user), Some(secret)) => Who::Basic(user.clone(), secret),
            (Means::Token(word), Some(secret)) => Who::Token(word, secret),
            (_, None) => Who::Anonymous,
        }
    }
}

/// One server. Never leaves its thread.
pub(super) struct Reach {
    poster: Poster,
    key: Key,
    clock: Clock,
}

impl Reach {
    pub(super) const fn new(poster: Poster, key: Key, clock: Clock) -> Self {
        Self { poster, key, clock }
    }

    /// Seconds since the Unix epoch.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().seconds()
    }

    /// Asks, and once more where the secret was refused and there is a newer one. Gives who was answered.
    pub(super) async fn ask(
        &self,
        url: Url,
        headers: Vec<(&'static str, String)>,
        body: Option<Vec<u8>>,
    ) -> Result<(Answer, Who), PostError> {
        let request = Request { url, who: Who::Anonymous, headers, body };
        self.poster.post_as(&self.key.token, |secret| self.key.who(secret), request).await
    }
}

/// A URL with these segments behind its path, and this query alone.
pub(super) fn below(base: &Url, path: &[&str], pairs: &[(&str, &str)]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url.set_query(None);
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    url
}

/// Pairs as a form has them.
pub(super) fn form(pairs: &[(&str, &str)]) -> Vec<u8> {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes()
}

/// What a form is sent as.
pub(super) fn of_form() -> (&'static str, String) {
    ("content-type", "application/x-www-form-urlencoded".to_owned())
}
