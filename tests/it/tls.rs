//! Kubelets over TLS, with certificates made here: for each case what was sent to whom, and what was said of it.

use crate::certificates::{Clients, Issuer, certificate, expired, issuer, server};
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use heapster::client::kubelet::{
    Fetch, FetchError, KubeletClient, KubeletOptions, MAX_BODY, Question, Target,
};
use heapster::client::kubernetes::{ApiServer, Login};
use heapster::clock::Clock;
use serde_json::json;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A kubelet that speaks TLS, and what it was shown.
struct TlsKubelet {
    address: IpAddr,
    port: u16,
    seen: Arc<Mutex<Vec<Option<String>>>>,
    token: Arc<Mutex<String>>,
    server: ServerHandle,
}

const ADDRESS: &str = "127.81.0.1";

/// Starts a kubelet. It wants `token` of whoever shows any, and a certificate of `clients` where that is given.
fn kubelet(pair: &(String, String), clients: Option<&Issuer>) -> TlsKubelet {
    kubelet_at(SocketAddr::new(ADDRESS.parse().unwrap(), 0), pair, clients).unwrap()
}

/// The same anywhere. None where this machine has no such address.
fn kubelet_at(socket: SocketAddr, pair: &(String, String), clients: Option<&Issuer>) -> Option<TlsKubelet> {
    let config = server(pair, clients.map_or(Clients::Unasked, Clients::Must));
    let listener = TcpListener::bind(socket).ok()?;
    let (address, port) = (socket.ip(), listener.local_addr().unwrap().port());
    let (seen, token) = (Arc::<Mutex<Vec<_>>>::default(), Arc::new(Mutex::new("good".to_owned())));
    let state = (seen.clone(), token.clone());
    let answer = |request: HttpRequest,
                  state: web::Data<(Arc<Mutex<Vec<Option<String>>>>, Arc<Mutex<String>>)>| async move {
        let shown = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        state.0.lock().unwrap().push(shown.clone());
        let host = request.headers().get("host").unwrap().to_str().unwrap();
        let by_name = host.starts_with("node-1:");
        assert!(by_name || host.parse::<SocketAddr>().is_ok(), "{host}");
        let wanted = format!("Bearer {}", state.1.lock().unwrap());
        if request.path() == "/elsewhere" {
            return HttpResponse::Found().insert_header(("location", "/stats/summary/")).finish();
        }
        match shown {
            Some(shown) if shown != wanted => HttpResponse::Unauthorized().body("Unauthorized"),
            _ => HttpResponse::Ok().content_type("application/json").body(r#"{"node":{},"pods":[]}"#),
        }
    };
    let server = HttpServer::new(move || {
        App::new().app_data(web::Data::new(state.clone())).default_service(web::to(answer))
    });
    let server = server.workers(1).disable_signals().listen_rustls_0_23(listener, config).unwrap().run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Some(TlsKubelet { address, port, seen, token, server: handle })
}

fn options() -> KubeletOptions {
    KubeletOptions {
        port: 10_250,
        https: true,
        by_name: false,
        insecure: false,
        ca: None,
        identity: None,
        timeout: None,
        max_body: MAX_BODY,
    }
}

/// A folder with a kubeconfig, the cluster's CA and a token file.
struct Home {
    folder: tempfile::TempDir,
    clock: Clock,
}

impl Home {
    fn new(ca: Option<&Issuer>) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap(), clock: Clock::system() };
        home.write("token", "good\n");
        let mut cluster = json!({"server": "https://127.0.0.1:1"});
        if let Some(ca) = ca {
            cluster["certificate-authority"] = home.write("ca.pem", &ca.pem()).to_string_lossy().into();
        }
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "me", "user": {"tokenFile": home.path("token")}}],
        });
        home.write("kubeconfig", &kubeconfig.to_string());
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    async fn client(&self, options: &KubeletOptions) -> KubeletClient {
        let api = ApiServer::new(&Login::Kubeconfig(self.path("kubeconfig")), &self.clock).await.unwrap();
        let access = api.kubelets(options).unwrap();
        KubeletClient::new(access, api.token(), Duration::from_secs(60))
    }
}

impl TlsKubelet {
    async fn ask(&self, client: &KubeletClient, path: &'static str) -> Result<usize, FetchError> {
        let target = Target { name: "node-1".into(), address: self.address, port: Some(self.port) };
        let question = Question { path, json: None };
        client.fetch(&target, &question, Duration::from_secs(5)).await.map(|fetched| fetched.body.len())
    }

    /// What a new client with these options gets, what was said if nothing, and the tokens that the kubelet saw.
    async fn once(
        &self,
        home: &Home,
        options: &KubeletOptions,
    ) -> (Result<usize, String>, Vec<Option<String>>) {
        let client = home.client(options).await;
        let answer = self.ask(&client, "/stats/summary/").await.map_err(|error| error.to_string());
        (answer, self.seen.lock().unwrap().drain(..).collect())
    }
}

const BODY: usize = 21;

fn good() -> Option<String> {
    Some("Bearer good".to_owned())
}

#[actix_web::test]
async fn certificates_are_verified_by_address_or_by_name() {
    let (ours, theirs) = (issuer("ours"), issuer("theirs"));
    let home = Home::new(Some(&ours));
    let by_name = KubeletOptions { by_name: true, ..options() };
    let refused: fn(&[&str]) -> Option<Vec<String>> =
        |words| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let cases = [
        ("by address", certificate(&ours, &[ADDRESS], |_| {}), options(), None),
        (
            "another address",
            certificate(&ours, &["127.81.0.9"], |_| {}),
            options(),
            refused(&["127.81.0.1", "127.81.0.9"]),
        ),
        (
            "a name, asked by address",
            certificate(&ours, &["node-1"], |_| {}),
            options(),
            refused(&["127.81.0.1", "node-1"]),
        ),
        ("by name", certificate(&ours, &["node-1"], |_| {}), by_name.clone(), None),
        (
            "another name",
            certificate(&ours, &["node-2"], |_| {}),
            by_name.clone(),
            refused(&["node-1", "node-2"]),
        ),
        ("only a common name", certificate(&ours, &[], |_| {}), by_name, refused(&["node-1"])),
        ("another CA", certificate(&theirs, &[ADDRESS], |_| {}), options(), refused(&["UnknownIssuer"])),
        ("expired", certificate(&ours, &[ADDRESS], expired), options(), refused(&["expired"])),
    ];
    for (case, certificate, options, refused) in cases {
        let kubelet = kubelet(&certificate, None);
        let (answer, seen) = kubelet.once(&home, &options).await;
        match refused {
            None => assert_eq!((answer, seen), (Ok(BODY), vec![good()]), "{case}"),
            Some(words) => {
                let said = answer.expect_err(case);
                assert!(words.iter().all(|word| said.contains(word.as_str())), "{case}: {said}");
                assert!(seen.is_empty(), "{case}: a token was sent: {seen:?}");
            }
        }
        // Whoever says that none is to be verified gets an answer from each.
        let insecure = KubeletOptions { insecure: true, ..options };
        assert_eq!(kubelet.once(&home, &insecure).await, (Ok(BODY), vec![good()]), "{case}, insecure");
        kubelet.server.stop(false).await;
    }
}

#[actix_web::test]
async fn kubelets_at_ipv6_addresses_are_verified_as_others_are() {
    let ours = issuer("ours");
    let home = Home::new(Some(&ours));
    let by_name = KubeletOptions { by_name: true, ..options() };
    let cases: [(&[&str], KubeletOptions, Option<&[&str]>); 6] = [
        (&["::1"], options(), None),
        (&["node-1"], by_name.clone(), None),
        (&["::2"], options(), Some(&["\"::1\"", "0::2"])),
        (&["node-1"], options(), Some(&["\"::1\"", "node-1"])),
        (&["::1"], by_name, Some(&["\"node-1\"", "0::1"])),
        (&["00000000000000000000000000000001.ipv6.invalid"], options(), Some(&["\"::1\""])),
    ];
    for (names, options, refused) in cases {
        let pair = certificate(&ours, names, |_| {});
        let Some(kubelet) = kubelet_at("[::1]:0".parse().unwrap(), &pair, None) else {
            println!("skipped: this machine has no ::1");
            return;
        };
        let (answer, seen) = kubelet.once(&home, &options).await;
        match refused {
            None => assert_eq!((answer, seen), (Ok(BODY), vec![good()]), "{names:?}"),
            Some(words) => {
                let said = answer.unwrap_err();
                assert!(words.iter().all(|word| said.contains(word)), "{names:?}: {said}");
                assert!(seen.is_empty(), "{names:?}: a token was sent: {seen:?}");
            }
        }
        let insecure = KubeletOptions { insecure: true, ..options };
        assert_eq!(kubelet.once(&home, &insecure).await, (Ok(BODY), vec![good()]), "{names:?}, insecure");
        kubelet.server.stop(false).await;
    }
}

#[actix_web::test]
async fn a_ca_file_is_read_again_for_every_new_connection() {
    let (ours, theirs) = (issuer("ours"), issuer("theirs"));
    let home = Home::new(Some(&ours));
    let file = "kubelets.pem";
    let options = KubeletOptions { ca: Some(home.write(file, &ours.pem())), ..options() };
    let client = home.client(&options).await;
    let ask = async |issuer: &Issuer| {
        let kubelet = kubelet(&certificate(issuer, &[ADDRESS], |_| {}), None);
        let answer = kubelet.ask(&client, "/").await;
        kubelet.server.stop(false).await;
        answer.map_err(|error| error.to_string())
    };
    assert_eq!(ask(&ours).await, Ok(BODY));
    let said = ask(&theirs).await.unwrap_err();
    assert!(said.contains("UnknownIssuer"), "{said}");
    home.write(file, &theirs.pem());
    assert_eq!(ask(&theirs).await, Ok(BODY));
    assert!(ask(&ours).await.is_err());
    // A file that is broken or gone leaves what it held.
    home.write(file, "no certificate");
    assert_eq!(ask(&theirs).await, Ok(BODY));
    std::fs::remove_file(home.path(file)).unwrap();
    assert_eq!(ask(&theirs).await, Ok(BODY));
}

#[actix_web::test]
async fn kubelets_may_have_a_ca_of_their_own_and_ask_for_a_certificate() {
    let (ours, theirs, clients) = (issuer("ours"), issuer("theirs"), issuer("clients"));
    let home = Home::new(Some(&ours));
    let kubelet = kubelet(&certificate(&theirs, &[ADDRESS], |_| {}), Some(&clients));
    let ca = Some(home.write("theirs.pem", &theirs.pem()));
    let without = KubeletOptions { ca: ca.clone(), ..options() };
    let (answer, seen) = kubelet.once(&home, &without).await;
    let said = answer.unwrap_err();
    assert!(said.to_lowercase().contains("certificate"), "{said}");
    assert!(seen.is_empty());
    let (certificate, key) = certificate(&clients, &["heapster"], |_| {});
    let identity = Some((home.write("cert.pem", &certificate), home.write("key.pem", &key)));
    let with = KubeletOptions { ca, identity, ..options() };
    assert_eq!(kubelet.once(&home, &with).await, (Ok(BODY), vec![good()]));
    kubelet.server.stop(false).await;

    let api = ApiServer::new(&Login::Kubeconfig(home.path("kubeconfig")), &home.clock).await.unwrap();
    for (name, text) in [("missing.pem", None), ("empty.pem", Some("no certificate here"))] {
        let path = text.map_or_else(|| home.path(name), |text| home.write(name, text));
        let error = api.kubelets(&KubeletOptions { ca: Some(path), ..options() }).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[actix_web::test]
async fn a_token_goes_only_to_whom_it_may_and_is_renewed_without_a_lost_turn() {
    let ours = issuer("ours");
    let kubelet = kubelet(&certificate(&ours, &[ADDRESS], |_| {}), None);
    // Nobody to verify by and nobody said that it need not be: the answer is taken, the token kept.
    let (answer, seen) = kubelet.once(&Home::new(None), &options()).await;
    assert_eq!((answer, seen), (Ok(BODY), vec![None]));

    let home = Home::new(Some(&ours));
    let client = home.client(&options()).await;
    let seen =
        || -> Vec<String> { kubelet.seen.lock().unwrap().drain(..).map(Option::unwrap_or_default).collect() };
    let summary = "/stats/summary/";
    assert_eq!(kubelet.ask(&client, summary).await.unwrap(), BODY);
    assert_eq!(seen(), ["Bearer good"]);
    // The kubelet wants the renewed one, which lies in the file already: one refusal, no lost turn.
    home.write("token", "renewed\n");
    *kubelet.token.lock().unwrap() = "renewed".to_owned();
    assert_eq!(kubelet.ask(&client, summary).await.unwrap(), BODY);
    assert_eq!(seen(), ["Bearer good", "Bearer renewed"]);
    // The file is gone for a while: the last token goes on.
    std::fs::remove_file(home.path("token")).unwrap();
    assert_eq!(kubelet.ask(&client, summary).await.unwrap(), BODY);
    assert_eq!(seen(), ["Bearer renewed"]);
    // A wrong one is told as such, and not tried twice.
    *kubelet.token.lock().unwrap() = "other".to_owned();
    let error = kubelet.ask(&client, summary).await.unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 401, .. }), "{error}");
    assert_eq!(seen(), ["Bearer renewed"]);
    // A redirect is an answer like any other: nothing is sent to where it points.
    *kubelet.token.lock().unwrap() = "renewed".to_owned();
    let error = kubelet.ask(&client, "/elsewhere").await.unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 302, .. }), "{error}");
    assert_eq!(seen(), ["Bearer renewed"]);
    kubelet.server.stop(false).await;
}
