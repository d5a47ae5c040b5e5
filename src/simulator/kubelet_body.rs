//! How a kubelet's body goes over the wire, whole or broken. Waiting before the headers is left to `kubelet`.

use super::kubelet::Manner;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::{Stream, StreamExt, stream};
use std::io;
use std::time::Duration;

/// Bodies beyond this many bytes are sent in chunks without their length, as Go's HTTP server does.
const KNOWN_LENGTH: usize = 2048;
/// Bytes of such a chunk. Each connection keeps a buffer of a few of them, and there may be thousands.
const PIECE: usize = 16 * 1024;
/// Time for the bytes before a cut to leave the machine.
const BEFORE_CUT: Duration = Duration::from_millis(20);

/// The response with a body given in a manner.
pub(super) fn body(mut response: HttpResponseBuilder, body: Bytes, manner: Manner) -> HttpResponse {
    match manner {
        Manner::HangInBody(sent) => {
            response.streaming(pieces([body.slice(..sent.min(body.len()))]).chain(stream::pending()))
        }
        Manner::CutAfter(sent) => response.streaming(cut(body.slice(..sent.min(body.len())))),
        Manner::LessThanTold(by) => {
            let told = u64::try_from(body.len().saturating_add(by)).unwrap_or(u64::MAX);
            response.no_chunking(told).streaming(cut(body))
        }
        // An error before the first piece closes the connection before the headers are flushed.
        Manner::CloseConnection => response.streaming(stream::iter([Err::<Bytes, _>(broken())])),
        Manner::Drip(size, pause) => {
            let drops = stream::unfold(body, move |mut rest| async move {
                if rest.is_empty() {
                    return None;
                }
                tokio::time::sleep(pause).await;
                let piece = rest.split_to(size.max(1).min(rest.len()));
                Some((Ok::<_, io::Error>(piece), rest))
            });
            response.streaming(drops)
        }
        _ if body.len() > KNOWN_LENGTH => response.streaming(stream::unfold(body, |mut rest| async move {
            let piece = rest.split_to(PIECE.min(rest.len()));
            (!piece.is_empty()).then_some((Ok::<_, io::Error>(piece), rest))
        })),
        _ => response.body(body),
    }
}

fn pieces<const N: usize>(pieces: [Bytes; N]) -> impl Stream<Item = io::Result<Bytes>> {
    stream::iter(pieces.map(Ok))
}

/// These bytes, then the end of the connection.
fn cut(body: Bytes) -> impl Stream<Item = io::Result<Bytes>> {
    pieces([body]).chain(stream::once(async {
        tokio::time::sleep(BEFORE_CUT).await;
        Err(broken())
    }))
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection is cut on purpose")
}
