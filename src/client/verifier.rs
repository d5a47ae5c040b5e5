//! Verifying kubelets and sinks' servers: by a CA that is read again when its file changes, for the address that was
//! connected to or for a name. Whom that concerns is left to [`super::kubernetes`] and [`super::post`].

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What ends the host in a URL that stands for an IPv6 address: the HTTP library takes none in brackets over TLS.
const IPV6: &str = ".ipv6.invalid";

/// The host that stands for an IPv6 address.
pub(super) fn host_of(address: Ipv6Addr) -> String {
    format!("{:032x}{IPV6}", address.to_bits())
}

fn address_of(host: &str) -> Option<Ipv6Addr> {
    let digits = host.strip_suffix(IPV6).filter(|digits| digits.len() == 32)?;
    u128::from_str_radix(digits, 16).ok().map(Ipv6Addr::from_bits)
}

/// Verifies servers' certificates.
#[derive(Debug)]
pub(super) struct Verifier {
    by_name: bool,
    file: Option<PathBuf>,
    current: Mutex<Current>,
}

/// What is verified by now.
#[derive(Debug)]
struct Current {
    text: Vec<u8>,
    verifier: Arc<WebPkiServerVerifier>,
    failing: bool,
}

fn of_roots(roots: &[Vec<u8>]) -> Option<Arc<WebPkiServerVerifier>> {
    let mut store = RootCertStore::empty();
    for der in roots {
        store.add(CertificateDer::from(der.clone())).ok()?;
    }
    WebPkiServerVerifier::builder(Arc::new(store)).build().ok()
}

impl Verifier {
    /// One that trusts these roots, as DER, or those that a PEM file holds by then. `by_name` takes every
    /// host for a name, also one that stands for an address. None where the roots are no certificates.
    pub fn new(roots: &[Vec<u8>], file: Option<PathBuf>, by_name: bool) -> Option<Self> {
        let current = Current { text: Vec::new(), verifier: of_roots(roots)?, failing: false };
        Some(Self { by_name, file, current: Mutex::new(current) })
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a new connection is verified by. A file that is gone or broken for a while leaves what it held last.
    fn renewed(&self) -> Arc<WebPkiServerVerifier> {
        let mut current = self.current();
        if let Some(path) = &self.file {
            current.read(path);
        }
        current.verifier.clone()
    }
}

impl Current {
    /// Connections are kept open, so that this small file is seldom read.
    fn read(&mut self, path: &Path) {
        let problem = match std::fs::read(path) {
            Ok(text) if text == self.text => None,
            Ok(text) => match super::login::certificates(&text).as_deref().and_then(of_roots) {
                Some(verifier) => {
                    (self.text, self.verifier) = (text, verifier);
                    None
                }
                None => Some("holds no certificate in PEM form".to_owned()),
            },
            Err(error) => Some(format!("cannot be read: {error}")),
        };
        match &problem {
            Some(problem) if !self.failing => {
                log::warn!("CA file {} {problem}; what it held last goes on", path.display());
            }
            None if self.failing => log::info!("CA file {} can be read again", path.display()),
            _ => {}
        }
        self.failing = problem.is_some();
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let address = match server_name {
            ServerName::DnsName(host) if !self.by_name => address_of(host.as_ref()),
            _ => None,
        };
        let name = address.map(|address| ServerName::IpAddress(address.into()));
        let name = name.as_ref().unwrap_or(server_name);
        self.renewed().verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verifier = self.current().verifier.clone();
        verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verifier = self.current().verifier.clone();
        verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current().verifier.supported_verify_schemes()
    }
}
