//! The files of the server's TLS: read when it starts, read again when they change. A change that cannot be used leaves
//! what was there before. Handshakes are left to `accept`.

use crate::config::tls::TlsFiles;
use crate::model::time::Timestamp;
use crate::telemetry::{Telemetry, chain};
use crate::wire::rfc3339;
use rustls::crypto::ring;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Why the files cannot be used. Each names the flag, the file and the fix.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error(
        "--{flag}: {path:?} cannot be read; it must be there, and readable for the user that this runs as"
    )]
    Unreadable {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A file holds nothing of what it should hold.
    #[error("--{flag}: {path:?} holds no {what}; give one in PEM, between its BEGIN and END lines")]
    Empty {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What is looked for.
        what: &'static str,
    },
    /// A file is no sound PEM.
    #[error("--{flag}: {path:?} is broken: {error}; give it in PEM, with every BEGIN and END line whole")]
    Broken {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// The key is not the certificate's, or of no known kind.
    #[error(
        "--tls_key: {key:?} is not the key of the certificate in {cert:?}: {error}; give the two that were made together, \
             the server's own certificate first"
    )]
    Unmatched {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        error: String,
    },
}

/// What the files hold.
struct Texts {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

fn read(files: &TlsFiles) -> Result<Texts, TlsError> {
    let read = |flag, path: &Path| {
        std::fs::read(path).map_err(|error| TlsError::Unreadable { flag, path: path.to_owned(), error })
    };
    let client_ca = files.clients.as_ref().map(|clients| read("tls_client_ca", &clients.ca)).transpose()?;
    Ok(Texts { cert: read("tls_cert", &files.cert)?, key: read("tls_key", &files.key)?, client_ca })
}

/// The certificates of a PEM file: one at least.
fn certificates(
    flag: &'static str,
    path: &Path,
    text: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match all {
        Ok(all) if all.is_empty() => {
            Err(TlsError::Empty { flag, path: path.to_owned(), what: "certificate" })
        }
        Ok(all) => Ok(all),
        Err(error) => Err(broken(flag, path, error)),
    }
}

fn broken(flag: &'static str, path: &Path, error: impl std::fmt::Display) -> TlsError {
    TlsError::Broken { flag, path: path.to_owned(), error: error.to_string() }
}

/// What handshakes need, and until when the certificate is valid.
fn build(files: &TlsFiles, texts: &Texts) -> Result<(ServerConfig, i64), TlsError> {
    let chain = certificates("tls_cert", &files.cert, &texts.cert)?;
    let ends = match chain.first().map(|first| X509Certificate::from_der(first)) {
        Some(Ok((_, certificate))) => certificate.validity().not_after.timestamp(),
        _ => return Err(broken("tls_cert", &files.cert, "the first certificate is none")),
    };
    let key = PrivateKeyDer::from_pem_slice(&texts.key).map_err(|error| match error {
        PemError::NoItemsFound => {
            TlsError::Empty { flag: "tls_key", path: files.key.clone(), what: "unencrypted private key" }
        }
        error => broken("tls_key", &files.key, error),
    })?;
    let provider = Arc::new(ring::default_provider());
    let clients: Arc<dyn ClientCertVerifier> = match (&files.clients, &texts.client_ca) {
        (Some(clients), Some(text)) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("tls_client_ca", &clients.ca, text)? {
                roots.add(certificate).map_err(|error| broken("tls_client_ca", &clients.ca, error))?;
            }
            // Probes show none; who needs one is told so by the request's answer.
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
            let verifier = verifier.allow_unauthenticated().build();
            verifier.map_err(|error| broken("tls_client_ca", &clients.ca, error))?
        }
        _ => WebPkiClientVerifier::no_client_auth(),
    };
    let unmatched = |error: rustls::Error| TlsError::Unmatched {
        cert: files.cert.clone(),
        key: files.key.clone(),
        error: error.to_string(),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unmatched)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(unmatched)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((config, ends))
}

/// The files as they were last used.
pub struct Certificates {
    files: TlsFiles,
    current: watch::Sender<Arc<ServerConfig>>,
    telemetry: Telemetry,
    hasher: std::hash::RandomState,
    /// What the files held when they were last looked at, hashed: keys are not kept beyond their use.
    seen: u64,
}

impl Certificates {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// What cannot be used, and why.
    pub fn load(files: TlsFiles, telemetry: Telemetry) -> Result<Self, TlsError> {
        let texts = read(&files);
        let hasher = std::hash::RandomState::new();
        let seen = hash(&hasher, &texts);
        let (config, ends) = build(&files, &texts?)?;
        telemetry.certificate_expiry.set(ends);
        Ok(Self { files, current: watch::Sender::new(Arc::new(config)), telemetry, hasher, seen })
    }

    /// What the next handshake needs, whenever that is.
    pub fn current(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.current.subscribe()
    }

    /// Whose certificates are taken: None asks for none, an empty list takes any.
    pub fn names(&self) -> Option<&[String]> {
        self.files.clients.as_ref().map(|clients| clients.names.as_slice())
    }

    /// Looks at the files for ever, this often. Open connections stay as they are.
    pub async fn keep(mut self, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            let files = self.files.clone();
            // Files may be on a disk that hangs: they have a thread of their own.
            if let Ok(texts) = tokio::task::spawn_blocking(move || read(&files)).await {
                self.look(texts);
            }
        }
    }

    /// Takes what the files hold now, if that is something else and can be used.
    fn look(&mut self, texts: Result<Texts, TlsError>) {
        let seen = hash(&self.hasher, &texts);
        if std::mem::replace(&mut self.seen, seen) == seen {
            return;
        }
        let outcome = match texts.and_then(|texts| build(&self.files, &texts)) {
            Ok((config, ends)) => {
                self.current.send_replace(Arc::new(config));
                self.telemetry.certificate_expiry.set(ends);
                let ends = rfc3339::format(Timestamp::from_seconds(ends));
                log::info!("the files of TLS have changed; the certificate is valid until {ends}");
                "taken"
            }
            Err(error) => {
                log::warn!(
                    "the files of TLS have changed and cannot be used, the old are kept: {}",
                    chain(&error)
                );
                "refused"
            }
        };
        self.telemetry.certificates.of([outcome]).inc();
    }
}

/// What the files hold, as a number; the reason why not, where they cannot be read.
fn hash(hasher: &std::hash::RandomState, texts: &Result<Texts, TlsError>) -> u64 {
    match texts {
        Ok(texts) => hasher.hash_one((&texts.cert, &texts.key, &texts.client_ca)),
        Err(error) => hasher.hash_one(chain(error)),
    }
}
