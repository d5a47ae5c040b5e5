//! What it takes to answer over TLS: which files, and whose certificates. Reading the files is left to `api`.

use std::path::PathBuf;

/// The files of the API's own TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its chain, in PEM.
    pub cert: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
    /// Who may ask; None lets everybody.
    pub clients: Option<Clients>,
}

/// Whose certificates are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// The CAs that sign them, in PEM.
    pub ca: PathBuf,
    /// The common names that they may have; empty takes any.
    pub names: Vec<String>,
}

impl TlsFiles {
    /// The files of these names, of which an empty one is not given.
    ///
    /// # Errors
    /// What is given without what it needs, and the fix. Names without a CA were taken by Heapster, and checked nothing.
    pub fn of(
        cert: &str,
        key: &str,
        client_ca: &str,
        names: Vec<String>,
    ) -> Result<Option<Self>, &'static str> {
        let file = |name: &str| (!name.is_empty()).then(|| PathBuf::from(name));
        let clients = match (file(client_ca), names.is_empty()) {
            (Some(ca), _) => Some(Clients { ca, names }),
            (None, false) => {
                return Err("--allowed_users without --tls_client_ca checks nobody; give the CA of those \
                            certificates, or leave the names out");
            }
            (None, true) => None,
        };
        match (file(cert), file(key)) {
            (Some(cert), Some(key)) => Ok(Some(Self { cert, key, clients })),
            (Some(_), None) => {
                Err("--tls_cert without --tls_key; give the certificate's key, or leave both out")
            }
            (None, Some(_)) => {
                Err("--tls_key without --tls_cert; give the key's certificate, or leave both out")
            }
            (None, None) if clients.is_some() => {
                Err("--tls_client_ca without --tls_cert and --tls_key; certificates are shown over TLS alone")
            }
            (None, None) => Ok(None),
        }
    }
}
