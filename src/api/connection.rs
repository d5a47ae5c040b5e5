//! One client's connection, held to its times: whoever neither asks nor takes its answer is cut off. What is spoken over
//! it is left to actix-web.

use super::limits::Limits;
use crate::telemetry::Telemetry;
use socket2::SockRef;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

/// A socket that fails once its client is too slow.
pub struct Watched {
    stream: TcpStream,
    limits: Limits,
    telemetry: Telemetry,
    /// Ends when nothing was written for too long.
    quiet: Pin<Box<Sleep>>,
    stalled: Option<Stall>,
}

/// A client that does not take what is written.
struct Stall {
    ends: Pin<Box<Sleep>>,
    /// Bytes it took meanwhile.
    taken: usize,
}

impl Watched {
    /// Watches a socket.
    pub fn new(stream: TcpStream, limits: Limits, telemetry: Telemetry) -> Self {
        // The kernel takes nothing more before a good part of its buffer is sent: in one of its own choice, megabytes, a
        // client that is not slow would seem to take nothing for long.
        let _ = SockRef::from(&stream).set_send_buffer_size(limits.bytes);
        telemetry.connections.inc();
        Self { stream, limits, telemetry, quiet: Box::pin(sleep(limits.quiet_within)), stalled: None }
    }

    fn cut(&self, reason: &str, within: Duration) -> Poll<io::Error> {
        self.telemetry.refused.of([reason]).inc();
        let within = humantime::format_duration(within);
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, format!("{reason} for {within}")))
    }

    /// Whether the client has gone on too long without an answer.
    fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        ready!(self.quiet.as_mut().poll(cx));
        self.cut("quiet", self.limits.quiet_within)
    }

    /// Whether the client takes its answer too slowly.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let within = self.limits.taken_within;
        let stall = self.stalled.get_or_insert_with(|| Stall { ends: Box::pin(sleep(within)), taken: 0 });
        while stall.ends.as_mut().poll(cx).is_ready() {
            if stall.taken < self.limits.bytes {
                return self.cut("slow_reader", within);
            }
            stall.taken = 0;
            stall.ends.as_mut().set(sleep(within));
        }
        Poll::Pending
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.telemetry.connections.dec();
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Pending => self.poll_quiet(cx).map(Err),
            done => done,
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Pending => self.poll_stalled(cx).map(Err),
            Poll::Ready(Ok(count)) => {
                let quiet = self.limits.quiet_within;
                self.quiet.as_mut().set(sleep(quiet));
                if count == bytes.len() {
                    self.stalled = None;
                } else if let Some(stall) = &mut self.stalled {
                    stall.taken = stall.taken.saturating_add(count);
                }
                Poll::Ready(Ok(count))
            }
            failed => failed,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What HTTP is spoken over.
pub enum Wire {
    /// The socket itself.
    Plain(Box<Watched>),
    /// TLS over the socket.
    Tls(Box<TlsStream<Watched>>),
}

macro_rules! either {
    ($self:ident, $wire:ident => $call:expr) => {
        match $self.get_mut() {
            Wire::Plain(wire) => {
                let $wire = Pin::new(&mut **wire);
                $call
            }
            Wire::Tls(wire) => {
                let $wire = Pin::new(&mut **wire);
                $call
            }
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, wire => wire.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, wire => wire.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, wire => wire.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, wire => wire.poll_shutdown(cx))
    }
}
