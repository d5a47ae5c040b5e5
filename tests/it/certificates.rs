//! Certificates made here, and what servers are made of with them.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::sync::Arc;

pub type Issuer = CertifiedIssuer<'static, KeyPair>;

pub fn issuer(name: &str) -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for these names and its key, both in PEM.
pub fn certificate(
    issuer: &Issuer,
    names: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> (String, String) {
    let mut params =
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "system:node:node-1");
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

pub fn expired(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
}

/// Whether a server asks its clients for a certificate of an issuer.
pub enum Clients<'i> {
    Unasked,
    May(&'i Issuer),
    Must(&'i Issuer),
}

/// What a server with this certificate and key is made of.
pub fn server((certificate, key): &(String, String), clients: Clients<'_>) -> ServerConfig {
    let roots = |issuer: &Issuer| {
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).unwrap();
        WebPkiClientVerifier::builder(Arc::new(roots))
    };
    let builder = ServerConfig::builder();
    let builder = match clients {
        Clients::Unasked => builder.with_no_client_auth(),
        Clients::May(issuer) => {
            builder.with_client_cert_verifier(roots(issuer).allow_unauthenticated().build().unwrap())
        }
        Clients::Must(issuer) => builder.with_client_cert_verifier(roots(issuer).build().unwrap()),
    };
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
}
