//! `log`: every window as one record of the log, in the text that Heapster printed. The text is left to `wire`.

use super::{Maker, Sink, SinkError};
use crate::config::uri::{Uri, UriError};
use crate::model::label_copier::LabelCopier;
use crate::rollup::cluster::Batch;
use crate::wire::batch_text;
use futures_util::future::{LocalBoxFuture, ready};
use std::sync::Arc;

struct Log(LabelCopier);

/// A sink that logs.
///
/// # Errors
/// When the URI has more than its prefix.
pub fn build(uri: &Uri, labels: &LabelCopier) -> Result<Maker, UriError> {
    let labels = labels.clone();
    match uri.config()? {
        None => Ok(Box::new(|| Box::new(Log(labels)))),
        Some(_) => Err(uri.incomplete("takes no URL; give log alone")),
    }
}

/// A sink that does nothing, for `metric`: that one is always there.
///
/// # Errors
/// When the URI has more than its prefix.
pub fn none(uri: &Uri, labels: &LabelCopier) -> Result<Maker, UriError> {
    build(uri, labels)
}

impl Sink for Log {
    fn export(&mut self, batch: Arc<Batch>) -> LocalBoxFuture<'_, Result<(), SinkError>> {
        log::info!("{}", batch_text::encode(&batch, &self.0));
        Box::pin(ready(Ok(())))
    }
}
