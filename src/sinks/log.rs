//! `log`: every window as one record of the log, in the text that Heapster printed. The text is left to `wire`.

use super::{Built, ProblemError, Refused, Sink, Slice};
use crate::config::uri::Uri;
use crate::model::label_copier::LabelCopier;
use crate::wire::batch_text;
use futures_util::future::{LocalBoxFuture, ready};

struct Log(LabelCopier);

/// A sink that logs.
///
/// # Errors
/// When the URI has more than its prefix.
pub fn build(uri: &Uri, labels: &LabelCopier) -> Result<Built, ProblemError> {
    let labels = labels.clone();
    match uri.config()? {
        None => Ok(Built { name: uri.to_string(), waits: false, make: Box::new(|_| Box::new(Log(labels))) }),
        Some(_) => Err(uri.incomplete("takes no URL; give log alone").into()),
    }
}

impl Sink for Log {
    fn put(&self, slice: Slice) -> LocalBoxFuture<'static, Result<(), Refused>> {
        log::info!("{}", batch_text::encode(&slice.window.batch, &self.0));
        Box::pin(ready(Ok(())))
    }
}
