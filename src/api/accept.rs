//! From a socket that somebody opened to one that HTTP is spoken over: the handshake, and who the client is. Which
//! certificates there are is left to `certificates`.

use super::connection::{Watched, Wire};
use super::limits::Limits;
use crate::telemetry::Telemetry;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Who is at the other end.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    /// The common name of the verified certificate, empty where it has none; None without a certificate.
    pub(super) name: Option<String>,
    /// Whether there are more connections than are answered.
    pub(super) surplus: bool,
}

/// A connection and who is at its other end.
pub(super) struct Connection {
    wire: Wire,
    pub(super) peer: Peer,
    /// Given back with the connection.
    _place: Option<OwnedSemaphorePermit>,
}

/// Where connections come in; shared by the workers.
#[derive(Clone)]
pub(super) struct Door {
    limits: Limits,
    places: Arc<Semaphore>,
    tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    telemetry: Telemetry,
}

/// What a client is told that speaks plain HTTP where TLS is spoken.
const SPEAKS_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 54\r\n\
    Connection: close\r\n\r\n400: HTTPS is spoken here; ask again with https://...\n";

impl Door {
    pub(super) fn new(
        limits: Limits,
        tls: Option<watch::Receiver<Arc<ServerConfig>>>,
        telemetry: Telemetry,
    ) -> Self {
        Self { limits, places: Arc::new(Semaphore::new(limits.connections)), tls, telemetry }
    }

    /// Lets a client in. None where it does not speak as it should; that is counted.
    pub(super) async fn enter(self, stream: TcpStream) -> Option<(Connection, Option<SocketAddr>)> {
        let address = stream.peer_addr().ok();
        // Without it small answers wait for the client's acknowledgement; where it fails, the next read will too.
        let _ = stream.set_nodelay(true);
        let place = self.places.clone().try_acquire_owned().ok();
        let mut peer = Peer { name: None, surplus: place.is_none() };
        let wire = match &self.tls {
            None => Wire::Plain(Box::new(Watched::new(stream, self.limits, self.telemetry.clone()))),
            Some(tls) => {
                let config = tls.borrow().clone();
                let greeted = tokio::time::timeout(self.limits.head_within, self.greet(stream, config)).await;
                let (wire, name) = match greeted.unwrap_or(Err("handshake_late")) {
                    Ok(greeted) => greeted,
                    Err(reason) => {
                        self.telemetry.refused.of([reason]).inc();
                        return None;
                    }
                };
                peer.name = name;
                wire
            }
        };
        Some((Connection { wire, peer, _place: place }, address))
    }

    /// The handshake of TLS; the common name that the client has shown.
    async fn greet(
        &self,
        mut stream: TcpStream,
        config: Arc<ServerConfig>,
    ) -> Result<(Wire, Option<String>), &'static str> {
        let mut first = [0];
        stream.peek(&mut first).await.map_err(|_| "handshake")?;
        if first.iter().any(u8::is_ascii_uppercase) {
            // It is on its way out: what it said is read so that it gets to see the answer.
            let _ = stream.read(&mut [0; 4_096]).await;
            let _ = stream.write_all(SPEAKS_TLS).await;
            let _ = stream.shutdown().await;
            return Err("plain_http");
        }
        let watched = Watched::new(stream, self.limits, self.telemetry.clone());
        let stream = TlsAcceptor::from(config).accept(watched).await.map_err(|error| why(&error))?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[CertificateDer<'_>]>::first);
        let name = shown.map(|certificate| common_name(certificate).unwrap_or_default());
        Ok((Wire::Tls(Box::new(stream)), name))
    }
}

fn why(error: &io::Error) -> &'static str {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    match error {
        Some(rustls::Error::InvalidCertificate(_)) => "client_certificate",
        _ => "handshake",
    }
}

/// The common name of a certificate's subject; of several the last, as Go takes it.
fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let name = certificate.subject().iter_common_name().last()?.as_str().ok()?;
    Some(name.to_owned())
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}
