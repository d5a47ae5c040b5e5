//! Source and sink URIs: the documents' samples, the grammar, options, environment, and that no password is shown.

use heapster::config::uri::{Uri, UriError};
use heapster::sources::{KINDS, NOT_YET};
use proptest::prelude::*;

fn unset(_: &str) -> Option<String> {
    None
}

fn parse(text: &str) -> Result<Uri, UriError> {
    let uri = Uri::parse(text, &unset)?;
    uri.config()?;
    Ok(uri)
}

fn url(uri: &Uri) -> Option<String> {
    uri.config().unwrap().map(|url| url.as_str().trim_end_matches('/').to_owned())
}

/// Every option of the Kubernetes sources.
const OPTIONS: [&str; 6] =
    ["inClusterConfig", "kubeletPort", "kubeletHttps", "insecure", "auth", "useServiceAccount"];

#[test]
fn samples_of_the_documents() {
    let sample =
        parse("kubernetes:http://kubernetes-ro?inClusterConfig=false&useServiceAccount=true&auth=").unwrap();
    assert_eq!(
        (sample.prefix.as_str(), url(&sample).as_deref()),
        ("kubernetes", Some("http://kubernetes-ro"))
    );
    assert!(!sample.flag("inClusterConfig", true).unwrap());
    assert!(sample.flag("useServiceAccount", false).unwrap());
    assert_eq!(sample.text("auth"), None, "an empty value is as good as none");
    sample.check_options(OPTIONS).unwrap();

    let sample = parse("influxdb:http://monitoring-influxdb:80").unwrap();
    assert_eq!(
        (sample.prefix.as_str(), url(&sample).as_deref()),
        ("influxdb", Some("http://monitoring-influxdb"))
    );

    let sample = parse("kubernetes.summary_api:''").unwrap();
    assert_eq!((sample.prefix.as_str(), sample.config().unwrap()), ("kubernetes.summary_api", None));
    sample.check_options([]).unwrap();
}

#[test]
fn sources_of_the_documents_are_known_by_name() {
    for prefix in ["kubernetes", "kubernetes.summary_api"] {
        let built = KINDS.iter().any(|kind| kind.prefix == prefix);
        assert!(built || NOT_YET.contains(&prefix), "{prefix}");
    }
    let summary = KINDS.iter().find(|kind| kind.prefix == "kubernetes.summary_api").unwrap();
    let names: Vec<_> = summary.options.iter().map(|option| option.name).collect();
    for option in OPTIONS {
        assert!(names.contains(&option), "{option}");
    }
}

#[test]
fn examples_of_the_original() {
    for (text, prefix, expected) in [
        ("gcm", "gcm", None),
        ("gcm:", "gcm", None),
        ("gcm:?metrics=all", "gcm", None),
        ("gcm?metrics=all", "gcm", None),
        ("influxdb:http://host:8086?key=val&key2=val2", "influxdb", Some("http://host:8086")),
        ("kubernetes", "kubernetes", None),
        ("kubernetes:https://kubernetes.default", "kubernetes", Some("https://kubernetes.default")),
        ("kubernetes:https://kubernetes.default:443", "kubernetes", Some("https://kubernetes.default")),
        ("kubernetes:http://10.0.0.1:8080?inClusterConfig=false", "kubernetes", Some("http://10.0.0.1:8080")),
        ("kubernetes:?inClusterConfig=false&auth=/etc/kc", "kubernetes", None),
        ("kubernetes:https://[2001:db8::1]:6443", "kubernetes", Some("https://[2001:db8::1]:6443")),
    ] {
        let uri = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((uri.prefix.as_str(), url(&uri).as_deref()), (prefix, expected), "{text}");
    }
    let summary =
        "kubernetes.summary_api:''?useServiceAccount=true&kubeletHttps=true&kubeletPort=10250&insecure=true";
    let summary = parse(summary).unwrap();
    assert_eq!(summary.config(), Ok(None));
    assert_eq!(summary.port("kubeletPort", 10_255).unwrap(), 10_250);
    for option in ["useServiceAccount", "kubeletHttps", "insecure"] {
        assert!(summary.flag(option, false).unwrap(), "{option}");
    }
    assert_eq!(parse("gcm?metrics=all").unwrap().text("metrics"), Some("all"));
    assert_eq!(
        parse("kubernetes:?inClusterConfig=false&auth=/etc/kc").unwrap().text("auth"),
        Some("/etc/kc")
    );
}

#[test]
fn quotes_around_nothing_or_around_the_whole_are_no_part_of_it() {
    for text in ["x:''", "x:\"\"", "x:", "x:'' ", "x:''?a=b", "x:\"\"?a=b", "x:?a=b"] {
        assert_eq!(parse(text).unwrap().config(), Ok(None), "{text}");
    }
    for text in
        ["x:'https://host?a=b'", "x:\"https://host?a=b\"", "x:'https://host'?a=b", "x:https://host?a=b"]
    {
        let uri = parse(text).unwrap();
        assert_eq!((url(&uri).as_deref(), uri.text("a")), (Some("https://host"), Some("b")), "{text}");
    }
}

#[test]
fn what_is_no_uri_is_refused_in_one_line() {
    for text in [
        "",
        ":",
        ":foo",
        " :foo",
        "?a=b",
        "x:%zz",
        "x:http://%zz",
        "x:http://host:99999",
        "x:http://host:port",
        "x:10.0.0.1:8080",
        "x:kubedb:8080",
        "x:foo",
        "x://host",
        "x:http://",
        "x:ftp://host",
        "x:/path",
        "x:http://ho st",
    ] {
        let message = parse(text).expect_err(text).to_string();
        assert!(!message.contains('\n') && message.contains("give "), "{text}: {message}");
    }
}

#[test]
fn environment_is_filled_in() {
    let variable = |name: &str| match name {
        "HOST" | "KUBERNETES_SERVICE_HOST" => Some("10.0.0.1".to_owned()),
        "PORT" => Some("6443".to_owned()),
        "ODD" => Some("a$HOST".to_owned()),
        _ => None,
    };
    for (text, expected) in [
        ("k:https://$KUBERNETES_SERVICE_HOST:443?inClusterConfig=false", Some("https://10.0.0.1")),
        ("k:https://$HOST:$PORT", Some("https://10.0.0.1:6443")),
        ("k:https://${HOST}:${PORT}/", Some("https://10.0.0.1:6443")),
        ("k:$UNSET", None),
        ("k:${UNSET}''", None),
    ] {
        assert_eq!(url(&Uri::parse(text, &variable).unwrap()).as_deref(), expected, "{text}");
    }
    let option = |text: &str| Uri::parse(text, &variable).unwrap().text("a").map(str::to_owned);
    assert_eq!(option("k:?a=$HOST.").as_deref(), Some("10.0.0.1."));
    assert_eq!(option("k:?a=x${UNSET}y").as_deref(), Some("xy"));
    assert_eq!(option("k:?a=$UNSET"), None);
    assert_eq!(option("k:?a=$ODD").as_deref(), Some("a$HOST"), "what was filled in is not filled in again");
    assert_eq!(option("k:?a=${HOST").as_deref().map(|text| text.contains("10.0.0.1")), Some(false));
    assert_eq!(Uri::parse("$HOST:", &variable).map(|uri| uri.prefix).ok().as_deref(), Some("$HOST"));
}

#[test]
fn first_of_several_occurrences_counts() {
    let uri = parse("x:?port=1&port=2&flag=&flag=true&name=a%20b+c%26d").unwrap();
    assert_eq!(uri.port("port", 9).unwrap(), 1);
    assert!(!uri.flag("flag", false).unwrap(), "the first, though empty: as good as not given");
    assert_eq!(uri.text("name"), Some("a b c&d"));
    assert_eq!(uri.text("missing"), None);
}

#[test]
fn truth_values_are_those_of_go() {
    let flag =
        |value: &str| parse(&format!("x:?f={value}")).unwrap().flag("f", false).map_err(|e| e.to_string());
    for value in ["1", "t", "T", "TRUE", "true", "True"] {
        assert_eq!(flag(value), Ok(true), "{value}");
        assert!(parse(&format!("x:?f={value}")).unwrap().flag("other", true).unwrap());
    }
    for value in ["0", "f", "F", "FALSE", "false", "False", ""] {
        assert_eq!(flag(value), Ok(false), "{value:?}");
    }
    for value in ["yes", "no", "on", "tRUE", "2", "-1", "truee"] {
        let message = flag(value).unwrap_err();
        assert!(
            message.contains("f=") && message.contains(value) && message.contains("true or false"),
            "{message}"
        );
    }
}

#[test]
fn ports_are_one_to_65535() {
    let port =
        |value: &str| parse(&format!("x:?p={value}")).unwrap().port("p", 10_255).map_err(|e| e.to_string());
    for (value, expected) in [("", 10_255), ("1", 1), ("65535", 65_535), ("10250", 10_250)] {
        assert_eq!(port(value), Ok(expected), "{value:?}");
    }
    for value in ["0", "65536", "-1", "http", "1.5", "99999999999999999999"] {
        let message = port(value).unwrap_err();
        assert!(message.contains(value) && message.contains("65535"), "{message}");
    }
}

#[test]
fn unknown_option_is_named_with_the_nearest() {
    for (typo, meant) in
        [("kubletPort", "kubeletPort"), ("incluster_config", "inClusterConfig"), ("InSecure", "insecure")]
    {
        let message =
            parse(&format!("kubernetes:?{typo}=1")).unwrap().check_options(OPTIONS).unwrap_err().to_string();
        assert!(
            message.contains(typo) && message.contains(meant) && message.contains("kubernetes"),
            "{message}"
        );
    }
    let message = parse("x:?zzzzzzzz=1").unwrap().check_options(OPTIONS).unwrap_err().to_string();
    for option in OPTIONS {
        assert!(message.contains(option), "where none is near all are named: {message}");
    }
    parse("x:?auth=a&auth=b").unwrap().check_options(OPTIONS).unwrap();
}

const SECRET: &str = "hunter2";

#[test]
fn printed_uri_shows_neither_password_nor_options() {
    for text in [
        "influxdb:http://root:hunter2@db:8086/path?pw=hunter2",
        "influxdb:http://hunter2@db:8086",
        "influxdb:http://root:$PASSWORD@db:8086?token=$PASSWORD",
        "influxdb:http://db:8086?password=hunter2#hunter2",
    ] {
        let uri = Uri::parse(text, &|name| (name == "PASSWORD").then(|| SECRET.to_owned())).unwrap();
        for shown in [uri.to_string(), format!("{uri:?}"), format!("{uri:#?}"), format!("{:?}", vec![&uri])] {
            assert!(!shown.contains(SECRET) && shown.contains("influxdb:http://db:8086"), "{shown}");
        }
    }
    assert_eq!(parse("gcm:?key=hunter2").unwrap().to_string(), "gcm");
}

/// Whether an error about this text tells the password.
fn tells_secret(text: &str) -> Option<String> {
    let uri = Uri::parse(text, &|name| (name == "PASSWORD").then(|| SECRET.to_owned()));
    let error = uri.and_then(|uri| uri.config().map(|_| ())).expect_err(text);
    let told = format!("{error} {error:?}");
    told.contains(SECRET).then(|| format!("{text}: {error}"))
}

#[test]
fn errors_about_urls_show_no_password() {
    let texts = [
        "influxdb:ftp://root:hunter2@db:8086",
        "influxdb:http://root:hunter2@db:99999",
        "influxdb:http://root:hunter2@d b",
        "influxdb:http://root:x@hunter2@db:99999",
        "influxdb:http://root:$PASSWORD@db:99999?token=$PASSWORD",
        "influxdb:http://db:99999?token=hunter2",
    ];
    assert_eq!(texts.into_iter().filter_map(tells_secret).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn errors_about_uris_without_prefix_or_scheme_show_no_password() {
    let texts = [
        "http://root:hunter2@db:8086",
        "influxdb:root:hunter2@db:8086",
        "influxdb://root:hunter2@db:8086",
        ":http://root:hunter2@db:8086",
        "?token=hunter2",
        ":?token=hunter2",
    ];
    assert_eq!(texts.into_iter().filter_map(tells_secret).collect::<Vec<_>>(), Vec::<String>::new());
}

proptest! {
    #![proptest_config(crate::handmade::cases(2_000))]

    #[test]
    fn any_text_is_a_uri_or_an_error_in_one_line(text in "[^\\n\\r]{0,40}") {
        match parse(&text) {
            Ok(uri) => prop_assert!(!uri.prefix.trim().is_empty() && text.starts_with(&uri.prefix)),
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
        }
    }

    #[test]
    fn options_come_through_whatever_they_hold(value in "\\PC{1,20}") {
        let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let uri = parse(&format!("x:http://host?a={encoded}&b=1")).unwrap();
        prop_assert_eq!((uri.text("a"), uri.text("b")), (Some(value.as_str()), Some("1")));
    }
}
