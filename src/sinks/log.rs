//! `log`: every window as one record of the log, in the text that Heapster printed. The text is left to `wire`.

use super::{Built, ProblemError, Refused, Sink, Slice};
use crate::config::uri::Uri;
use crate::wire::batch_text;
use futures_util::future::{LocalBoxFuture, ready};

struct Log;

/// A sink that logs.
///
/// # Errors
/// When the URI has more than its prefix.
pub fn build(uri: &Uri) -> Result<Built, ProblemError> {
    match uri.config()? {
        None => Ok(Built { name: uri.to_string(), waits: false, make: Box::new(|_| Box::new(Log)) }),
        Some(_) => Err(uri.incomplete("takes no URL; give log alone").into()),
    }
}

impl Sink for Log {
    fn put(&self, slice: Slice) -> LocalBoxFuture<'static, Result<(), Refused>> {
        log::info!("{}", batch_text::encode(&slice.window.batch));
        Box::pin(ready(Ok(())))
    }
}
