//! What opens a sink's server is shown to that server and to nobody else, and may change while the process runs.

use crate::exporting::{ROOM, Watched, lines};
use crate::fake_sink::{Asked, FakeSink, Manner};
use base64::Engine;
use heapster::config::uri::Uri;
use heapster::model::label_copier::LabelCopier;
use heapster::sinks;

const SECRET: &str = "hunter2-and-more";

/// User and password as a request shows them.
fn shown(asked: &Asked) -> String {
    let text = asked.headers["authorization"].strip_prefix("Basic ").unwrap();
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
}

#[actix_web::test]
async fn a_server_that_repeats_what_it_was_shown_gives_nothing_away() {
    let repeat = |asked: &Asked| format!("{:?} {SECRET} {}", asked.headers, shown(asked));
    let server = FakeSink::start(move |n, asked| match n {
        0 => Manner::status(401, &repeat(asked)),
        1 => Manner::status(400, &repeat(asked)),
        _ => Manner::good(),
    });
    let uri = format!("influxdb:{}?user=root&pw={SECRET}", server.base());
    let mut watched = Watched::start(&uri, ROOM, None);
    watched.export(0).await;
    let state = watched.waits_for("a refusal", |state| state.last_error.is_some()).await;
    let rest = watched.settled().await;
    for state in [state, rest] {
        let text = format!("{state:?}");
        let asked = server.asked();
        let header = asked[0].headers["authorization"].strip_prefix("Basic ").unwrap();
        assert!(!text.contains(SECRET) && !text.contains(header), "{text}");
        assert!(text.contains('…'), "its other words are there: {text}");
    }
    assert_eq!(shown(&server.asked()[0]), format!("root:{SECRET}"));
    assert!(!watched.telemetry.exposition().unwrap().contains(SECRET));
}

#[actix_web::test]
async fn a_password_in_a_file_is_read_again_once_it_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "old-password\n").unwrap();
    let server = FakeSink::start(|_, asked| match shown(asked) {
        known if known == "grace:new-password" => Manner::good(),
        _ => Manner::status(401, r#"{"error":"authorization failed"}"#),
    });
    let uri = format!("influxdb:{}?user=grace&pw=file://{}", server.base(), file.path().display());
    let mut watched = Watched::start(&uri, ROOM, None);
    watched.export(0).await;
    let state = watched.waits_for("a refusal", |state| state.failures > 0).await;
    assert!(
        state
            .last_error
            .unwrap()
            .starts_with("unauthorized: status 401: {\"error\":\"authorization failed\"}")
    );
    std::fs::write(file.path(), "new-password\n").unwrap();
    let state = watched.settled().await;
    assert_eq!((state.ledger.lost(), state.ledger.delivered), (0, state.ledger.made));
    assert_eq!(server.took().len(), lines(0..1).len());
}

#[actix_web::test]
async fn the_second_api_is_spoken_with_a_token() {
    let server = FakeSink::start(|_, _| Manner::good());
    let uri = format!("influxdb:{}/behind/a/proxy?org=my org&bucket=k8s&token={SECRET}", server.base());
    let mut watched = Watched::start(&uri, ROOM, None);
    watched.export(0).await;
    let state = watched.settled().await;
    assert_eq!(state.name, format!("influxdb:{}/behind/a/proxy/my org/k8s", server.base()));
    let asked = server.asked();
    assert_eq!(asked.len(), 1, "there is no database to be made");
    assert_eq!(asked[0].path, "/behind/a/proxy/api/v2/write?org=my+org&bucket=k8s&precision=ns");
    assert_eq!(asked[0].headers["authorization"], format!("Token {SECRET}"));
    assert_eq!(asked[0].headers["content-encoding"], "gzip");
    assert_eq!(asked[0].headers["user-agent"], format!("heapster/{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(server.took().len(), lines(0..1).len());
}

#[actix_web::test]
async fn a_password_from_the_environment_may_hold_any_character() {
    let odd = "a&b=c?d#e%20f+g h$i\"j";
    let server = FakeSink::start(|_, _| Manner::good());
    let variable = |name: &str| (name == "PASSWORD").then(|| odd.to_owned());
    let uri = Uri::parse(&format!("influxdb:{}?pw=$PASSWORD&db=x", server.base()), &variable).unwrap();
    assert_eq!(uri.text("pw"), Some(odd));
    assert_eq!(uri.text("db"), Some("x"));
    assert!(!format!("{uri} {uri:?}").contains("a&b"));
    assert!(uri.check_options(sinks::KINDS[0].options.iter().map(|option| option.name)).is_ok());
}

#[test]
fn mistakes_in_a_uri_are_told_without_its_secrets() {
    let cases = [
        ("influxdb:http://user:hunter2@db:8086", "takes no user in the URL"),
        (
            "influxdb:http://db?pw=hunter2&concurrency=0",
            "concurrency=\"0\" is no number of requests at once: give 1 to 64",
        ),
        (
            "influxdb:http://db?pw=hunter2&concurrency=65",
            "concurrency=\"65\" is no number of requests at once: give 1 to 64",
        ),
        ("influxdb:http://db?pw=hunter2&retention=5m", "1h at least"),
        ("influxdb:http://db?pw=hunter2&retention=forever", "no retention"),
        ("influxdb:http://db?pw=hunter2&withfields=maybe", "give true or false"),
        ("influxdb:http://db?pw=hunter2&timeout=1ms", "100ms to 10m"),
        ("influxdb:http://db?passwd=hunter2", "no such option \"passwd\""),
        (
            "influxdb:http://db?pw=x&hunter2=1",
            "no such option as the one behind pw; in a value & is written %26",
        ),
        ("influxdb:http://db?token=hunter2", "no bucket"),
        ("influxdb:http://db?bucket=b&token=hunter2&pw=hunter2", "give those of one"),
        ("influxdb:ftp://db?pw=hunter2", "no scheme that is spoken here"),
        ("influxdb:https://db?pw=hunter2&ca=/no/such/file", "TLS cannot be spoken"),
        ("influxdb:http://db?pw=hunter2&secure=1&ca=x&insecuressl=1", "trusts any certificate; give one"),
        ("influxdb:http://db?pw=hunter2&ca=x", "has ca, but speaks no TLS; give an https URL"),
        ("prometheus:http://db?token=hunter2&ca=x", "has ca, but speaks no TLS; give an https URL"),
        ("graphite:tcp://carbon?pw=hunter2", "not supported yet"),
        ("influx:http://db?pw=hunter2", "did you mean"),
    ];
    for (uri, words) in cases {
        let built = sinks::build(&[Uri::parse(uri, &|_| None).unwrap()], &LabelCopier::default());
        let error = built.err().unwrap_or_else(|| panic!("{uri} is taken"));
        let text = heapster::telemetry::chain(&error);
        assert!(text.contains(words) && !text.contains("hunter2"), "{uri}: {text}");
    }
}

#[test]
fn sinks_of_one_place_are_told_apart() {
    let uris = [
        "influxdb:",
        "influxdb:http://localhost:8086",
        "influxdb:?db=other",
        "influxdb:?secure=true",
        "log",
        "log",
        "metric",
    ];
    let uris: Vec<Uri> = uris.iter().map(|uri| Uri::parse(uri, &|_| None).unwrap()).collect();
    let names: Vec<String> =
        sinks::build(&uris, &LabelCopier::default()).unwrap().into_iter().map(|built| built.name).collect();
    let expected = [
        "influxdb:http://localhost:8086/k8s",
        "influxdb:http://localhost:8086/k8s#2",
        "influxdb:http://localhost:8086/other",
        "influxdb:https://localhost:8086/k8s",
        "log",
        "log#2",
    ];
    assert_eq!(names, expected);
}
