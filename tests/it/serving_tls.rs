//! The API over TLS, with certificates made here: who is let in and what is said to the others, files that change, and
//! clients that do not speak as they should.

use crate::certificates::{Issuer, certificate, expired, issuer};
use crate::support::{BOUND, Collector, NOWHERE, Reply, resolved, until};
use heapster::api::limits::Limits;
use heapster::clock::Clock;
use heapster::telemetry::chain;
use heapster::{sinks, sources, topology};
use rcgen::{CertificateParams, DnType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion, version};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const SOON: Duration = Duration::from_millis(300);
const HERE: &str = "127.0.0.1";

/// How often files are looked at in these tests.
fn quick() -> Limits {
    Limits { reread: Duration::from_millis(20), ..Limits::default() }
}

/// A certificate and its key, in PEM.
type Pair = (String, String);

fn named(issuer: &Issuer, name: &str) -> Pair {
    certificate(issuer, &[], |params| name_it(params, name))
}

fn name_it(params: &mut CertificateParams, name: &str) {
    params.distinguished_name.push(DnType::CommonName, name);
}

/// A folder with the files of a server.
struct Home(tempfile::TempDir);

impl Home {
    fn new(server: &Pair, clients: &Issuer) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.write("cert.pem", &server.0);
        home.write("key.pem", &server.1);
        home.write("ca.pem", &clients.pem());
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        // As Kubernetes does it: never half of a file.
        std::fs::write(self.path("new"), text).unwrap();
        std::fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    fn flags(&self) -> Vec<String> {
        let file = |flag: &str, name: &str| format!("--{flag}={}", self.path(name).display());
        vec![NOWHERE.to_owned(), file("tls_cert", "cert.pem"), file("tls_key", "key.pem")]
    }

    /// A collector with these files; `users` asks for certificates and says of whom.
    async fn collector(&self, users: Option<&str>, limits: Limits) -> Collector {
        let mut flags = self.flags();
        if let Some(users) = users {
            flags.push(format!("--tls_client_ca={}", self.path("ca.pem").display()));
            flags.push(format!("--allowed_users={users}"));
        }
        Collector::start_with(&flags.iter().map(String::as_str).collect::<Vec<_>>(), limits).await
    }
}

fn client(
    trusted: &Issuer,
    shown: Option<&Pair>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots);
    match shown {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    }
}

/// Asks over a connection of its own; what went wrong where there is no answer.
async fn ask(collector: &Collector, client: ClientConfig, path: &str) -> Result<Reply, String> {
    let connector = awc::Connector::new().rustls_0_23(Arc::new(client));
    let client = awc::Client::builder().connector(connector).timeout(BOUND).finish();
    let url = format!("{}{path}", collector.base);
    let mut reply = client.get(url).send().await.map_err(|error| chain(&error))?;
    let body = reply.body().await.map_err(|error| error.to_string())?;
    let (status, body) = (reply.status().as_u16(), String::from_utf8(body.to_vec()).unwrap());
    Ok(Reply { status, kind: String::new(), body })
}

const ALL: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

/// The value of a line of `/metrics`; the client may need a certificate.
async fn metric(collector: &Collector, client: &ClientConfig, line: &str) -> f64 {
    let text = ask(collector, client.clone(), "/metrics").await.unwrap().body;
    let found = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
    found.unwrap_or(0.0)
}

#[actix_web::test]
async fn whose_certificate_opens_what() {
    let (ours, clients, theirs) = (issuer("ours"), issuer("clients"), issuer("theirs"));
    let home = Home::new(&certificate(&ours, &[HERE], |_| {}), &clients);
    let nameless =
        certificate(&clients, &[], |params| params.distinguished_name = rcgen::DistinguishedName::new());
    let late = certificate(&clients, &[], |params| {
        expired(params);
        name_it(params, "alice");
    });
    let (alice, blank, bob) = (named(&clients, "alice"), named(&clients, "alice "), named(&clients, "bob b"));
    let foreign = named(&theirs, "alice");
    let (unauthorized, forbidden) = (Ok((401, "Unauthorized\n")), Ok((403, "Forbidden\n")));
    let open = Ok((200, ""));
    type Outcome = Result<(u16, &'static str), &'static str>;
    let cases: [(Option<&str>, &str, Option<&Pair>, Outcome); 18] = [
        (None, "nobody is asked", None, open),
        (None, "nobody is asked, shown all the same", Some(&foreign), open),
        (Some(""), "none", None, unauthorized),
        (Some(""), "any of the CA", Some(&alice), open),
        (Some(""), "nameless", Some(&nameless), open),
        (Some(""), "foreign", Some(&foreign), Err("")),
        (Some(""), "expired", Some(&late), Err("")),
        (Some("alice"), "none", None, unauthorized),
        (Some("alice"), "allowed", Some(&alice), open),
        (Some("alice"), "a blank more", Some(&blank), forbidden),
        (Some("alice"), "another", Some(&bob), forbidden),
        (Some("alice"), "nameless", Some(&nameless), forbidden),
        (Some("alice"), "foreign of that name", Some(&foreign), Err("")),
        (Some("alice"), "expired of that name", Some(&late), Err("")),
        (Some("carol, bob b ,alice"), "the last of three", Some(&alice), open),
        (Some("carol, bob b ,alice"), "a blank within", Some(&bob), open),
        (Some("Alice"), "another case", Some(&alice), forbidden),
        (Some("ali"), "a part of it", Some(&alice), forbidden),
    ];
    for (users, case, shown, expected) in cases {
        let collector = home.collector(users, quick()).await;
        let shut: &[&str] = &["/api/v1/model/nodes/", "/metrics", "/api/v1/status"];
        for versions in [&[&version::TLS12][..], &[&version::TLS13]] {
            for path in shut.iter().chain(&["/livez"]) {
                let answer = ask(&collector, client(&ours, shown, versions), path).await;
                match (expected, answer) {
                    (Err(_), Err(_)) => {}
                    (Ok(_), Ok(reply)) if *path == "/livez" => {
                        assert_eq!(reply.status, 200, "{users:?}, {case}")
                    }
                    (Ok((status, body)), Ok(reply)) => {
                        assert_eq!(reply.status, status, "{users:?}, {case}: {path}");
                        assert!(status == 200 || reply.body == body, "{users:?}, {case}: {:?}", reply.body);
                    }
                    (expected, answer) => panic!("{users:?}, {case}: {expected:?} but {answer:?}"),
                }
            }
        }
        collector.running.stop().await;
    }
}

#[actix_web::test]
async fn probes_are_open_and_nothing_else_by_their_name() {
    let (ours, clients) = (issuer("ours"), issuer("clients"));
    let home = Home::new(&certificate(&ours, &[HERE], |_| {}), &clients);
    let collector = home.collector(Some("alice"), quick()).await;
    let status = async |path: &str| ask(&collector, client(&ours, None, ALL), path).await.unwrap().status;
    for path in ["/livez", "/livez/", "/livez?verbose", "/readyz", "/healthz", "/healthz?verbose"] {
        assert_ne!(status(path).await, 401, "{path}");
    }
    for path in [
        "/",
        "/nowhere",
        "/healthz/../metrics",
        "/livez/../api/v1/status",
        "/livez//../metrics",
        "//metrics",
        "/livez/x",
        "/metrics?/livez",
        "/healthz%2F..%2Fmetrics",
        "/LIVEZ",
    ] {
        assert_eq!(status(path).await, 401, "{path}");
    }
    let alice = client(&ours, Some(&named(&clients, "alice")), ALL);
    assert!(metric(&collector, &alice, "heapster_refused_total{reason=\"no_certificate\"}").await >= 10.0);
    collector.running.stop().await;
}

/// A connection that stays open, and how it was made.
async fn connect(address: SocketAddr, client: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(client)).connect(ServerName::try_from(HERE).unwrap(), stream).await
}

/// Asks on a connection that stays open; the status.
async fn again(stream: &mut TlsStream<TcpStream>) -> u16 {
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n").await.unwrap();
    let (mut text, mut part) = (String::new(), [0; 1_024]);
    while !text.ends_with("\r\n\r\nok") {
        let count = tokio::time::timeout(BOUND, stream.read(&mut part)).await.expect("an answer").unwrap();
        assert!(count > 0, "the connection is lost after {text:?}");
        text.push_str(std::str::from_utf8(&part[..count]).unwrap());
    }
    text.split(' ').nth(1).unwrap().parse().unwrap()
}

#[actix_web::test]
async fn certificates_that_change_are_shown_to_the_next_and_lose_nobody() {
    let (old, new, clients, others) = (issuer("old"), issuer("new"), issuer("clients"), issuer("others"));
    let until_2031 = certificate(&old, &[HERE], |params| params.not_after = rcgen::date_time_ymd(2031, 1, 1));
    let until_2032 = certificate(&new, &[HERE], |params| params.not_after = rcgen::date_time_ymd(2032, 1, 1));
    let (alice, other_alice) = (named(&clients, "alice"), named(&others, "alice"));
    let home = Home::new(&until_2031, &clients);
    let collector = home.collector(Some("alice"), quick()).await;
    let address = collector.running.address;
    let by = |trusted: &Issuer, shown: &Pair| client(trusted, Some(shown), ALL);
    let changes = async |client: &ClientConfig, outcome: &str| {
        metric(&collector, client, &format!("heapster_certificate_changes_total{{outcome=\"{outcome}\"}}"))
            .await
    };
    let expiry = "heapster_certificate_expiry_timestamp_seconds";
    let mut kept = connect(address, by(&old, &alice)).await.unwrap();
    assert_eq!(again(&mut kept).await, 200);
    assert_eq!(metric(&collector, &by(&old, &alice), expiry).await, 1_924_992_000.0);

    // The key alone is not the certificate's: the old pair stays, however often the files are looked at.
    home.write("key.pem", &until_2032.1);
    until("a change that cannot be used", async || {
        (changes(&by(&old, &alice), "refused").await == 1.0).then_some(())
    })
    .await;
    assert_eq!(again(&mut kept).await, 200);
    home.write("cert.pem", &until_2032.0);
    until("the new certificate", async || connect(address, by(&new, &alice)).await.ok()).await;
    assert!(connect(address, by(&old, &alice)).await.is_err(), "the old one is shown no more");
    assert_eq!(again(&mut kept).await, 200, "who was there before has lost nothing");
    assert_eq!(metric(&collector, &by(&new, &alice), expiry).await, 1_956_528_000.0);
    assert_eq!(changes(&by(&new, &alice), "taken").await, 1.0);

    // The CA of the clients changes as well.
    home.write("ca.pem", &others.pem());
    let theirs = by(&new, &other_alice);
    until("the new CA of clients", async || ask(&collector, theirs.clone(), "/metrics").await.ok()).await;
    assert!(ask(&collector, by(&new, &alice), "/metrics").await.is_err(), "of the CA that was");
    assert_eq!(again(&mut kept).await, 200);

    // Neither what is gone nor what is empty takes anything away.
    for (count, broken) in [(2.0, None), (3.0, Some(""))] {
        match broken {
            None => std::fs::remove_file(home.path("cert.pem")).unwrap(),
            Some(text) => home.write("cert.pem", text),
        }
        until("another change that cannot be used", async || {
            (changes(&theirs, "refused").await == count).then_some(())
        })
        .await;
    }
    home.write("cert.pem", &until_2032.0);
    until("the files as they were", async || (changes(&theirs, "taken").await == 3.0).then_some(())).await;
    assert_eq!(changes(&theirs, "refused").await, 3.0, "each is told once");
    assert_eq!(again(&mut kept).await, 200);
    collector.running.stop().await;
}

#[actix_web::test]
async fn plain_http_is_told_that_tls_is_spoken() {
    let ours = issuer("ours");
    let home = Home::new(&certificate(&ours, &[HERE], |_| {}), &ours);
    let collector = home.collector(None, quick()).await;
    let reply = crate::support::get(&collector.base.replace("https", "http")).await;
    assert_eq!(reply.status, 400);
    assert!(reply.body.contains("https://"), "{}", reply.body);
    let both = client(&ours, None, ALL);
    for (versions, expected) in
        [(&version::TLS12, ProtocolVersion::TLSv1_2), (&version::TLS13, ProtocolVersion::TLSv1_3)]
    {
        let mut only = client(&ours, None, &[versions]);
        only.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = connect(collector.running.address, only).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(expected));
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]), "HTTP/2 is not offered");
    }
    assert_eq!(metric(&collector, &both, "heapster_refused_total{reason=\"plain_http\"}").await, 1.0);
    collector.running.stop().await;
}

#[actix_web::test]
async fn a_handshake_that_does_not_end_is_cut_off_and_keeps_nobody_waiting() {
    let ours = issuer("ours");
    let home = Home::new(&certificate(&ours, &[HERE], |_| {}), &ours);
    let collector = home.collector(None, Limits { head_within: SOON * 4, ..quick() }).await;
    let address = collector.running.address;
    let mut silent = Vec::new();
    for at in 0..600 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Half of them begin a record that never ends.
        if at % 2 == 0 {
            stream.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        }
        silent.push(stream);
    }
    let trusting = client(&ours, None, ALL);
    assert_eq!(ask(&collector, trusting.clone(), "/livez").await.unwrap().status, 200);
    for stream in &mut silent {
        let mut rest = Vec::new();
        tokio::time::timeout(BOUND, stream.read_to_end(&mut rest)).await.expect("it stays open").unwrap();
        assert!(rest.is_empty(), "{rest:?}");
    }
    let late = metric(&collector, &trusting, "heapster_refused_total{reason=\"handshake_late\"}").await;
    assert_eq!(late, 600.0);

    let mut garbage = TcpStream::connect(address).await.unwrap();
    garbage.write_all(&[22, 3, 1, 0, 4, 0xff, 0xff, 0xff, 0xff]).await.unwrap();
    let _ = garbage.read_to_end(&mut Vec::new()).await;
    assert!(metric(&collector, &trusting, "heapster_refused_total{reason=\"handshake\"}").await >= 1.0);
    collector.running.stop().await;
}

#[actix_web::test]
async fn files_that_cannot_be_used_are_told_with_flag_file_and_fix() {
    let ours = issuer("ours");
    let (server, other) = (certificate(&ours, &[HERE], |_| {}), certificate(&ours, &[HERE], |_| {}));
    let half = &server.0[..server.0.len() / 2];
    let spoiled = server.0.replace("-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nAAAA");
    let cases: [(&str, Option<&str>, &str, &str); 13] = [
        ("cert.pem", None, "tls_cert", "cannot be read"),
        ("key.pem", None, "tls_key", "cannot be read"),
        ("ca.pem", None, "tls_client_ca", "cannot be read"),
        ("cert.pem", Some(""), "tls_cert", "no certificate"),
        ("key.pem", Some(""), "tls_key", "no unencrypted private key"),
        ("ca.pem", Some(""), "tls_client_ca", "no certificate"),
        ("cert.pem", Some("nonsense"), "tls_cert", "no certificate"),
        ("cert.pem", Some(half), "tls_cert", "BEGIN"),
        ("cert.pem", Some(&spoiled), "tls_cert", "broken"),
        ("ca.pem", Some(&spoiled), "tls_client_ca", "broken"),
        ("cert.pem", Some(&server.1), "tls_cert", "no certificate"),
        ("key.pem", Some(&server.0), "tls_key", "no unencrypted private key"),
        ("key.pem", Some(&other.1), "tls_key", "made together"),
    ];
    for (name, text, flag, said) in cases {
        let home = Home::new(&server, &ours);
        match text {
            None => std::fs::remove_file(home.path(name)).unwrap(),
            Some(text) => home.write(name, text),
        }
        let mut flags = home.flags();
        flags.push(format!("--tls_client_ca={}", home.path("ca.pem").display()));
        let config = resolved(&flags.iter().map(String::as_str).collect::<Vec<_>>());
        let sources = sources::build(&config.sources).unwrap();
        let sinks = sinks::build(&config.sinks, &config.labels).unwrap();
        let error = topology::start(&config, sources, sinks, None, Clock::system()).await.err();
        let error = chain(&error.unwrap_or_else(|| panic!("{flag} {said}: it starts")));
        for word in [&format!("--{flag}"), name, said] {
            assert!(error.contains(word), "{word:?} is not said: {error}");
        }
        assert!(!error.contains("PRIVATE") && !error.contains('\n'), "{error}");
    }
}
