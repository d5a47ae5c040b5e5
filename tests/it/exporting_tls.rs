//! Sinks and questions about the past over TLS, with certificates made here: a server that is not who it should be is sent
//! nothing, and what was meant for it waits until that is mended.

use crate::certificates::{Clients, Issuer, certificate, expired, issuer, server};
use crate::exporting::{ROOM, Watched};
use crate::fake_sink::{FakeSink, Manner};
use crate::sinks_prometheus::{export, series, two_nodes};
use crate::support::{Collector, NOWHERE, until};
use heapster::config::uri::Uri;
use heapster::messages::SinkState;
use heapster::model::label_copier::LabelCopier;
use heapster::sinks;
use heapster::telemetry::chain;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

const HERE: &str = "127.0.0.1";
const SECRET: &str = "hunter2-and-more";
/// The two kinds of sinks that have a server, and what is said of each beside.
const KINDS: [(&str, &str); 2] = [("influxdb", "db=k8s"), ("prometheus", "version=1")];

/// A certificate and its key, in PEM.
type Pair = (String, String);

/// A folder with the file of a CA.
struct Home(tempfile::TempDir);

impl Home {
    fn new(ca: &Issuer) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.trusts(ca);
        home
    }

    fn ca(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    fn trusts(&self, ca: &Issuer) {
        std::fs::write(self.ca(), ca.pem()).unwrap();
    }

    /// The option that names it.
    fn option(&self) -> String {
        format!("ca={}", self.ca().display())
    }
}

/// A server that takes everything, with this certificate, on this port.
fn start(pair: &Pair, port: u16) -> FakeSink {
    start_at((Ipv4Addr::LOCALHOST, port).into(), pair)
}

fn start_at(socket: SocketAddr, pair: &Pair) -> FakeSink {
    FakeSink::secure(server(pair, Clients::Unasked), socket, |_, _| Manner::good())
}

/// The URI of a sink that writes there, who shows a secret. InfluxDB's has an option for TLS.
fn uri((kind, beside): (&str, &str), base: &str, options: &str) -> String {
    match kind {
        "influxdb" => {
            let plain = base.replace("https:", "http:");
            format!("influxdb:{plain}?secure=true&user=me&pw={SECRET}&{beside}&{options}")
        }
        _ => format!("{kind}:{base}?user=me&pw={SECRET}&{beside}&{options}"),
    }
}

/// All that was made has come to this server, and every request has shown the secret.
fn assert_arrived((kind, _): (&str, &str), server: &FakeSink, state: &SinkState) {
    let (asked, ledger) = (server.asked(), &state.ledger);
    let writes = asked.iter().filter(|asked| asked.path.contains("/write"));
    let came: usize = match kind {
        "influxdb" => writes.map(|write| write.lines().len()).sum(),
        _ => writes.map(|write| series(write).len()).sum(),
    };
    let all = ledger.made + ledger.recovered;
    assert_eq!((came as u64, ledger.delivered, ledger.lost()), (all, all, 0), "{kind}");
    assert!(all > 0 && asked.iter().all(|asked| asked.headers["authorization"].starts_with("Basic ")));
}

/// A window was made, and this server was refused with these words: nothing came to it, and all of the window waits.
async fn assert_refused(watched: &Watched, server: &FakeSink, words: &[&str]) {
    let state = watched.waits_for("a refusal", |state| state.failures > 0).await;
    let said = state.last_error.clone().unwrap();
    assert!(said.starts_with("untrusted: no connection: invalid peer certificate: "), "{said}");
    assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
    assert!(!format!("{state:?}").contains(SECRET), "{state:?}");
    assert!(server.asked().is_empty(), "something was sent: {:?}", server.asked());
    // The server may hear of it later than the client says it.
    let unmet = until("a refused handshake", async || Some(server.unmet()).filter(|unmet| !unmet.is_empty()));
    let unmet = unmet.await;
    assert!(unmet.iter().all(|end| end.contains("received fatal alert")), "{unmet:?}");
    assert_eq!((state.ledger.queued, state.ledger.lost()), (state.ledger.made, 0));
    assert!(watched.telemetry.sink_requests.of([&state.name, "untrusted"]).get() > 0);
}

#[actix_web::test]
async fn a_server_that_the_ca_has_signed_gets_everything() {
    let ours = issuer("ours");
    let home = Home::new(&ours);
    for kind in KINDS {
        let server = start(&certificate(&ours, &[HERE], |_| {}), 0);
        let watched = Watched::start(&uri(kind, &server.base(), &home.option()), ROOM, None);
        export(&watched, two_nodes(0)).await;
        let state = watched.settled().await;
        assert_arrived(kind, &server, &state);
        assert_eq!((state.failures, state.last_error), (0, None));
    }
}

/// What is wrong with a server: its certificate, and what is said of it.
fn flaws(ours: &Issuer, theirs: &Issuer) -> [(Pair, &'static [&'static str]); 3] {
    [
        (
            certificate(theirs, &[HERE], |_| {}),
            &["UnknownIssuer", "; name the CA that signed its certificate by ca, or give insecuressl=true"],
        ),
        (
            certificate(ours, &["db.example"], |_| {}),
            &[
                "not valid for name \"127.0.0.1\"",
                "db.example",
                "; give a URL with a name that its certificate is for",
            ],
        ),
        (
            certificate(ours, &[HERE], expired),
            &["it was valid until 2021-01-01T00:00:00Z", "; renew its certificate, set this machine's clock"],
        ),
    ]
}

#[actix_web::test]
async fn what_waits_for_an_untrusted_server_comes_once_it_is_trusted() {
    let (ours, theirs) = (issuer("ours"), issuer("theirs"));
    let home = Home::new(&ours);
    let cases = flaws(&ours, &theirs).into_iter().flat_map(|flaw| KINDS.map(|kind| (kind, flaw.clone())));
    let run = async |(kind, (pair, words)): (_, (Pair, &[&str]))| {
        let server = start(&pair, 0);
        let watched = Watched::start(&uri(kind, &server.base(), &home.option()), ROOM, None);
        export(&watched, two_nodes(0)).await;
        assert_refused(&watched, &server, words).await;
        let port = server.port;
        drop(server);
        // The server has got another certificate.
        let server = start(&certificate(&ours, &[HERE], |_| {}), port);
        assert_arrived(kind, &server, &watched.settled().await);
    };
    futures_util::future::join_all(cases.map(run)).await;
}

#[actix_web::test]
async fn whoever_says_that_none_is_to_be_verified_delivers_what_waited() {
    let (ours, theirs) = (issuer("ours"), issuer("theirs"));
    let home = Home::new(&ours);
    let cases = flaws(&ours, &theirs).into_iter().flat_map(|flaw| KINDS.map(|kind| (kind, flaw.clone())));
    let run = async |(kind, (pair, words)): (_, (Pair, &[&str]))| {
        let (server, spool) = (start(&pair, 0), tempfile::tempdir().unwrap());
        let refused = Watched::start(&uri(kind, &server.base(), &home.option()), ROOM, Some(spool.path()));
        export(&refused, two_nodes(0)).await;
        assert_refused(&refused, &server, words).await;
        let queued = refused.checked().ledger.queued;
        refused.kill();
        // It is started anew with the option.
        let trusting = uri(kind, &server.base(), "insecuressl=true");
        let watched = Watched::start(&trusting, ROOM, Some(spool.path()));
        let state = watched.waits_for("what waited", |state| state.ledger.delivered > 0).await;
        assert_eq!((state.ledger.made, state.ledger.recovered), (0, queued));
        assert_arrived(kind, &server, &watched.settled().await);
    };
    futures_util::future::join_all(cases.map(run)).await;
}

#[actix_web::test]
async fn a_ca_that_is_renewed_in_its_file_needs_no_restart() {
    let (ours, theirs) = (issuer("ours"), issuer("theirs"));
    for kind in KINDS {
        let home = Home::new(&ours);
        let server = start(&certificate(&theirs, &[HERE], |_| {}), 0);
        let watched = Watched::start(&uri(kind, &server.base(), &home.option()), ROOM, None);
        export(&watched, two_nodes(0)).await;
        assert_refused(&watched, &server, &["UnknownIssuer"]).await;
        home.trusts(&theirs);
        assert_arrived(kind, &server, &watched.settled().await);
    }
}

#[actix_web::test]
async fn without_a_ca_those_of_the_system_count() {
    let theirs = issuer("theirs");
    for kind in KINDS {
        let server = start(&certificate(&theirs, &[HERE], |_| {}), 0);
        let text = uri(kind, &server.base(), "");
        let parsed = Uri::parse(&text, &|_| None).unwrap();
        if let Err(error) = sinks::build(&[parsed], &LabelCopier::default()) {
            println!("skipped: this machine has no CAs: {}", chain(&error));
            return;
        }
        let watched = Watched::start(&text, ROOM, None);
        export(&watched, two_nodes(0)).await;
        assert_refused(&watched, &server, &["UnknownIssuer", "by ca"]).await;
    }
}

#[actix_web::test]
async fn a_server_at_an_ipv6_address_is_verified_by_it() {
    if let Err(error) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        println!("skipped: this machine has no ::1: {error}");
        return;
    }
    let ours = issuer("ours");
    let home = Home::new(&ours);
    for kind in KINDS {
        for (names, options, refused) in [
            (["::1"], home.option(), None),
            (["::2"], home.option(), Some("not valid for name \"::1\"")),
            (["::2"], "insecuressl=true".to_owned(), None),
        ] {
            let server = start_at((Ipv6Addr::LOCALHOST, 0).into(), &certificate(&ours, &names, |_| {}));
            let watched = Watched::start(&uri(kind, &server.base(), &options), ROOM, None);
            export(&watched, two_nodes(0)).await;
            if let Some(words) = refused {
                assert_refused(&watched, &server, &[words]).await;
                continue;
            }
            assert_arrived(kind, &server, &watched.settled().await);
            let host = format!("[::1]:{}", server.port);
            assert!(server.asked().iter().all(|asked| asked.headers["host"] == host));
        }
    }
}

#[test]
fn a_file_without_a_ca_is_refused_at_start() {
    let home = Home::new(&issuer("ours"));
    std::fs::write(home.ca(), "no certificate").unwrap();
    for kind in KINDS {
        let uri = Uri::parse(&uri(kind, "https://db:1", &home.option()), &|_| None).unwrap();
        let said = chain(&sinks::build(&[uri], &LabelCopier::default()).err().unwrap());
        assert!(said.contains(&*home.ca().to_string_lossy()) && !said.contains(SECRET), "{said}");
    }
}

#[actix_web::test]
async fn a_database_is_asked_about_the_past_only_once_it_is_trusted() {
    let (ours, theirs) = (issuer("ours"), issuer("theirs"));
    let home = Home::new(&ours);
    // Both kinds tell one node.
    let answer = |path: &str| match path.contains("/values") {
        true => "{\"status\":\"success\",\"data\":[\"n\"]}",
        false => {
            "{\"results\":[{\"series\":[{\"name\":\"uptime\",\"columns\":[\"key\",\"value\"],\
             \"values\":[[\"nodename\",\"n\"]]}]}]}"
        }
    };
    let refused = "Unable to list all nodes: unable to run query: unable to connect to database";
    let told = (200, "[\n  \"n\"\n ]");
    for (kind, beside) in [("influxdb", "policy=p"), ("prometheus", "")] {
        for (signer, names, options, expected) in [
            (&ours, [HERE], home.option(), told),
            (&theirs, [HERE], home.option(), (500, refused)),
            (&ours, ["db.example"], home.option(), (500, refused)),
            (&theirs, ["db.example"], "insecuressl=true".to_owned(), told),
        ] {
            let tls = server(&certificate(signer, &names, |_| {}), Clients::Unasked);
            let database = FakeSink::secure(tls, (Ipv4Addr::LOCALHOST, 0).into(), move |_, asked| {
                Manner::status(200, answer(&asked.path))
            })
            .with_questions();
            let asked = uri((kind, beside), &database.base(), &options);
            let collector = Collector::start(&[NOWHERE, &format!("--historical_source={asked}")]).await;
            let reply = collector.get("/api/v1/historical/nodes").await;
            assert_eq!((reply.status, reply.body.as_str()), expected, "{asked}");
            let is_told = expected == told;
            assert_eq!(database.asked().len(), usize::from(is_told));
            // The server may hear of a refused handshake later than the client says it.
            until("a handshake as it should end", async || {
                (database.unmet().len() == usize::from(!is_told)).then_some(())
            })
            .await;
            assert!(database.asked().iter().all(|asked| asked.headers.contains_key("authorization")));
            collector.running.stop().await;
        }
    }
}
