//! Every way to log in to an API server, against one that speaks TLS with certificates made here: for each what it was
//! shown, and what was said where nothing came of it.

use crate::certificates::{Clients, Issuer, certificate, issuer, server};
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use heapster::client::kubelet::{Fetch, KubeletClient, KubeletOptions, MAX_BODY, Question, Target};
use heapster::client::kubernetes::{ApiServer, Login, Pod};
use heapster::clock::Clock;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Who a request said it was of: its header, and the certificate that its connection showed.
type Shown = (Option<String>, Option<Vec<u8>>);

/// An API server: what it was shown, and the one header that it takes, if it cares.
#[derive(Clone, Default)]
struct Seen {
    shown: Arc<Mutex<Vec<Shown>>>,
    takes: Arc<Mutex<Option<String>>>,
}

impl Seen {
    fn headers(&self) -> Vec<String> {
        self.shown.lock().unwrap().drain(..).map(|(header, _)| header.unwrap_or_default()).collect()
    }

    fn take_only(&self, header: &str) {
        *self.takes.lock().unwrap() = Some(header.to_owned());
    }
}

#[derive(Clone)]
struct Peer(Vec<u8>);

/// Starts one on 127.0.0.1. It answers its version to whoever asks.
fn start(pair: &(String, String), clients: Clients<'_>) -> (u16, Seen, ServerHandle) {
    let config = server(pair, clients);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let state = seen.clone();
    let answer = |request: HttpRequest, seen: web::Data<Seen>| async move {
        let header = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let peer = request.conn_data::<Peer>().map(|peer| peer.0.clone());
        seen.shown.lock().unwrap().push((header.clone(), peer));
        if seen.takes.lock().unwrap().as_ref().is_some_and(|takes| Some(takes) != header.as_ref()) {
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": format!("you sent {}", header.unwrap_or_default()), "reason": "Unauthorized", "code": 401});
            return HttpResponse::Unauthorized().json(status);
        }
        HttpResponse::Ok().json(json!({"major": "1", "minor": "36", "gitVersion": "v1.36.2", "gitCommit": "",
            "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}))
    };
    let server = HttpServer::new(move || {
        App::new().app_data(web::Data::new(state.clone())).default_service(web::to(answer))
    });
    let server = server.on_connect(|connection, data| {
        type Tls = actix_tls::accept::rustls_0_23::TlsStream<actix_web::rt::net::TcpStream>;
        let shown = connection.downcast_ref::<Tls>().and_then(|tls| tls.get_ref().1.peer_certificates());
        if let Some(certificate) = shown.and_then(|chain| chain.first()) {
            data.insert(Peer(certificate.to_vec()));
        }
    });
    let server = server.workers(1).disable_signals().listen_rustls_0_23(listener, config).unwrap().run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (port, seen, handle)
}

/// A folder with what a user has of a cluster.
struct Home {
    folder: tempfile::TempDir,
    clock: Clock,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: Clock::system() }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn write_program(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, &format!("#!/bin/sh\n{text}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    /// A kubeconfig of this user for the API server at `port`, verified by `ca`.
    fn kubeconfig(&self, port: u16, ca: &Issuer, user: &Value) -> Login {
        let ca = self.write("ca.pem", &ca.pem());
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": {
                "server": format!("https://127.0.0.1:{port}"), "certificate-authority": ca,
            }}],
            "users": [{"name": "me", "user": user}],
        });
        Login::Kubeconfig(self.write("kubeconfig", &text.to_string()))
    }

    async fn ask(&self, login: &Login) -> Result<String, String> {
        let api = ApiServer::new(login, &self.clock).await.map_err(|error| error.to_string())?;
        api.version().await.map_err(|error| error.to_string())
    }
}

fn options(port: u16) -> KubeletOptions {
    KubeletOptions {
        port,
        https: true,
        by_name: false,
        insecure: false,
        ca: None,
        identity: None,
        timeout: None,
        max_body: MAX_BODY,
    }
}

/// What a program prints that gives this.
fn credential(status: &Value) -> String {
    json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status})
        .to_string()
}

fn program(path: &PathBuf) -> Value {
    json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": path, "interactiveMode": "Never",
    }})
}

fn ok() -> Result<String, String> {
    Ok("v1.36.2".to_owned())
}

#[actix_web::test]
async fn whatever_a_kubeconfig_names_is_what_the_api_server_is_shown() {
    let (ours, clients) = (issuer("ours"), issuer("clients"));
    let (port, seen, handle) = start(&certificate(&ours, &["127.0.0.1"], |_| {}), Clients::May(&clients));
    let home = Home::new();
    let (own, key) = certificate(&clients, &["me"], |_| {});
    let shown_certificate = {
        use rustls::pki_types::pem::PemObject;
        rustls::pki_types::CertificateDer::from_pem_slice(own.as_bytes()).unwrap().to_vec()
    };
    let token = home.write("token", "from-file\n");
    let gives_token =
        home.write_program("gives-token", &format!("echo '{}'", credential(&json!({"token": "made"}))));
    let status = json!({"clientCertificateData": own, "clientKeyData": key});
    let credentials = home.write("credential.json", &credential(&status));
    let gives_certificate =
        home.write_program("gives-certificate", &format!("cat {}", credentials.display()));
    let cases: [(&str, Value, Option<&str>, bool); 9] = [
        ("nothing", json!({}), None, false),
        ("token", json!({"token": "fixed"}), Some("Bearer fixed"), false),
        ("a token file", json!({"tokenFile": token}), Some("Bearer from-file"), false),
        ("both", json!({"token": "fixed", "tokenFile": token}), Some("Bearer from-file"), false),
        ("basic", json!({"username": "me", "password": "secret"}), Some("Basic bWU6c2VjcmV0"), false),
        (
            "certificate",
            json!({"client-certificate": home.write("own.pem", &own), "client-key": home.write("key.pem", &key)}),
            None,
            true,
        ),
        ("program with token", program(&gives_token), Some("Bearer made"), false),
        ("program with certificate", program(&gives_certificate), None, true),
        (
            "id token",
            json!({"auth-provider": {"name": "oidc", "config": {"id-token": "told"}}}),
            Some("Bearer told"),
            false,
        ),
    ];
    for (case, user, header, shows) in cases {
        assert_eq!(home.ask(&home.kubeconfig(port, &ours, &user)).await, ok(), "{case}");
        let shown: Vec<Shown> = seen.shown.lock().unwrap().drain(..).collect();
        let certificate = shows.then(|| shown_certificate.clone());
        assert_eq!(shown, [(header.map(str::to_owned), certificate)], "{case}");
    }
    handle.stop(false).await;
}

#[actix_web::test]
async fn a_login_that_comes_to_nothing_says_why() {
    let (ours, theirs) = (issuer("ours"), issuer("theirs"));
    let (port, seen, handle) = start(&certificate(&ours, &["127.0.0.1"], |_| {}), Clients::Unasked);
    let home = Home::new();
    let secret = "MOST-SECRET";
    let fails = home.write_program("fails", &format!("echo {secret}; exit 3"));
    let prints = home.write_program("prints", &format!("echo {secret}"));
    let dates = credential(&json!({"token": "t", "expirationTimestamp": secret}));
    let dates = home.write_program("dates", &format!("echo '{dates}'"));
    let missing = home.folder.path().join("missing");
    let two_lines = home.write("two-lines", &format!("{secret}\n{secret}\n"));
    let cases = [
        ("fails", program(&fails), "fails\", failed with exit status: 3; run it by hand"),
        ("prints", program(&prints), ", printed none; run it by hand"),
        ("dates", program(&dates), ", printed none; run it by hand"),
        ("two lines", json!({"tokenFile": two_lines}), "holds more than one word"),
        ("empty", json!({"tokenFile": home.write("empty", "\n")}), "empty\" is empty; give a file"),
        ("is missing", program(&missing), "cannot be started; see that it is installed"),
        ("no file", json!({"tokenFile": missing}), "missing\" cannot be read"),
    ];
    for (case, user, said) in cases {
        let error = home.ask(&home.kubeconfig(port, &ours, &user)).await.unwrap_err();
        assert!(error.contains(said) && !error.contains(secret), "{case}: {error}");
    }
    for broken in [
        "users:\n- user:\n    token: {S}\n   password: {S}",
        "users: [{user: {password: {x: {S}}}}]",
        "{S}: \t{S}",
    ] {
        let path = home.write("broken", &broken.replace("{S}", secret));
        let error = home.ask(&Login::Kubeconfig(path)).await.unwrap_err();
        let told = error.contains("broken\" cannot be used: ") && error.lines().count() == 1;
        assert!(told && !error.contains(secret), "{error}");
    }
    let error = home.ask(&home.kubeconfig(port, &theirs, &json!({"token": secret}))).await.unwrap_err();
    assert!(error.contains("name its CA in the kubeconfig") && !error.contains(secret), "{error}");
    assert_eq!(seen.headers(), [""; 0], "nothing is shown to a server that is not verified");
    seen.take_only("Bearer good");
    let error = home.ask(&home.kubeconfig(port, &ours, &json!({"token": secret}))).await.unwrap_err();
    assert!(error.contains("renew the token") && !error.contains(secret), "{error}");
    assert_eq!(seen.headers(), [format!("Bearer {secret}")], "what cannot be renewed is not sent twice");
    // A kubelet that repeats what it was sent.
    let login = home.kubeconfig(port, &ours, &json!({"token": secret}));
    let api = ApiServer::new(&login, &home.clock).await.unwrap();
    let client =
        KubeletClient::new(api.kubelets(&options(port)).unwrap(), api.token(), Duration::from_secs(60));
    let target = Target { name: "n".into(), address: "127.0.0.1".parse().unwrap(), port: None };
    let question = Question { path: "/stats/summary/", json: None };
    let error = client.fetch(&target, &question, Duration::from_secs(5)).await.unwrap_err().to_string();
    assert!(error.contains("you sent Bearer …") && !error.contains(secret), "{error}");
    handle.stop(false).await;
}

#[actix_web::test]
async fn a_refused_token_is_had_anew_at_once_from_file_or_program() {
    let ours = issuer("ours");
    let (port, seen, handle) = start(&certificate(&ours, &["127.0.0.1"], |_| {}), Clients::Unasked);
    let home = Home::new();
    let file = home.write("token", "old\n");
    let prints = home.write_program(
        "prints",
        &format!("printf '{}' \"$(cat {})\"", credential(&json!({"token": "%s"})), file.display()),
    );
    for user in [json!({"tokenFile": file}), program(&prints)] {
        home.write("token", "old\n");
        let api = ApiServer::new(&home.kubeconfig(port, &ours, &user), &home.clock).await.unwrap();
        seen.take_only("Bearer old");
        assert_eq!(api.version().await.unwrap(), "v1.36.2");
        home.write("token", "new\n");
        assert_eq!(api.version().await.unwrap(), "v1.36.2");
        assert_eq!(seen.headers(), ["Bearer old", "Bearer old"], "nobody refused it yet: {user}");
        seen.take_only("Bearer new");
        assert_eq!(api.version().await.unwrap(), "v1.36.2");
        assert_eq!(seen.headers(), ["Bearer old", "Bearer new"], "{user}");
        assert_eq!(api.version().await.unwrap(), "v1.36.2");
        assert_eq!(seen.headers(), ["Bearer new"], "{user}");

        // Kubelets are asked with the same token.
        let kubelets = api.kubelets(&options(port)).unwrap();
        let client = KubeletClient::new(kubelets, api.token(), Duration::from_secs(60));
        let target = Target { name: "n".into(), address: "127.0.0.1".parse().unwrap(), port: None };
        let question = Question { path: "/stats/summary/", json: None };
        client.fetch(&target, &question, Duration::from_secs(5)).await.unwrap();
        assert_eq!(seen.headers(), ["Bearer new"], "{user}");

        // Nothing better is to be had: once is enough.
        seen.take_only("Bearer other");
        assert!(api.version().await.unwrap_err().to_string().contains("renew the token"));
        assert_eq!(seen.headers(), ["Bearer new"], "{user}");
        std::fs::remove_file(&file).unwrap();
        seen.take_only("Bearer new");
        assert_eq!(api.version().await.unwrap(), "v1.36.2", "{user}");
        assert_eq!(seen.headers(), ["Bearer new"], "{user}");
    }
    handle.stop(false).await;
}

#[actix_web::test]
async fn a_pod_uses_its_mounted_account_and_follows_its_files() {
    let (first, second) = (issuer("first"), issuer("second"));
    let (port, seen, handle) = start(&certificate(&first, &["127.0.0.1"], |_| {}), Clients::Unasked);
    let home = Home::new();
    let server = |port: u16| Some(("127.0.0.1".to_owned(), port.to_string()));
    let pod = Pod { server: server(port), folder: home.folder.path().to_owned() };
    let login = Login::InCluster { server: None, insecure: false, token_over_http: false };
    let new = async |pod: &Pod| ApiServer::in_pod(&login, pod, &home.clock).await;
    let why = async |pod: &Pod| new(pod).await.err().map(|error| error.to_string()).unwrap_or_default();

    assert!(why(&Pod { server: None, ..pod.clone() }).await.contains("inClusterConfig=false"));
    assert!(why(&pod).await.contains("ca.crt\" cannot be read"));
    home.write("ca.crt", "not yet written");
    assert!(why(&pod).await.contains("ca.crt\" holds no certificate"));
    home.write("ca.crt", &first.pem());
    assert!(why(&pod).await.contains("token\" cannot be read"));
    home.write("token", "mounted");

    let api = new(&pod).await.unwrap();
    assert_eq!(api.url, format!("https://127.0.0.1:{port}/"));
    assert_eq!(api.version().await.unwrap(), "v1.36.2");
    assert_eq!(seen.headers(), ["Bearer mounted"]);
    // The kubelet renews the token in place.
    home.write("token", "renewed");
    seen.take_only("Bearer renewed");
    assert_eq!(api.version().await.unwrap(), "v1.36.2");
    assert_eq!(seen.headers(), ["Bearer mounted", "Bearer renewed"]);
    handle.stop(false).await;

    // A server of another CA is believed once the mounted CA is that one. A client that is running reads it again within
    // a minute, which is the library's own.
    let (port, seen, handle) = start(&certificate(&second, &["127.0.0.1"], |_| {}), Clients::Unasked);
    let pod = Pod { server: server(port), ..pod };
    let api = new(&pod).await.unwrap();
    assert!(api.version().await.unwrap_err().to_string().contains("UnknownIssuer"));
    assert_eq!(seen.headers(), [""; 0]);
    home.write("ca.crt", &second.pem());
    assert_eq!(new(&pod).await.unwrap().version().await.unwrap(), "v1.36.2");
    assert_eq!(seen.headers(), ["Bearer renewed"]);
    handle.stop(false).await;
}

#[actix_web::test]
async fn a_password_in_a_url_is_shown_as_basic_authentication() {
    let api = heapster::simulator::ApiServer::start().unwrap();
    api.require_token(Some("nobody has it"));
    let server = api.url().replace("http://", "http://me:pass%20word@").parse().unwrap();
    let login = Login::Bare { server, insecure: false, mounted_token: false };
    let home = Home::new();
    let error = home.ask(&login).await.unwrap_err();
    assert!(!error.contains("word"), "{error}");
    // "me:pass word" in base64.
    let shown: Vec<_> = api
        .requests()
        .into_iter()
        .filter_map(|request| request.header("authorization").map(str::to_owned))
        .collect();
    assert_eq!(shown, ["Basic bWU6cGFzcyB3b3Jk"]);
    api.stop().await;
}

#[actix_web::test]
async fn a_kubeconfig_that_skips_verification_gives_kubelets_no_token() {
    let (ours, theirs) = (issuer("ours"), issuer("theirs"));
    let (port, seen, handle) = start(&certificate(&theirs, &["127.0.0.1"], |_| {}), Clients::Unasked);
    let home = Home::new();
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {
            "server": format!("https://127.0.0.1:{port}"), "insecure-skip-tls-verify": true,
        }}],
        "users": [{"name": "me", "user": {"token": "mine"}}],
    });
    let login = Login::Kubeconfig(home.write("kubeconfig", &text.to_string()));
    let api = ApiServer::new(&login, &home.clock).await.unwrap();
    assert_eq!(api.version().await.unwrap(), "v1.36.2");
    assert_eq!(seen.headers(), ["Bearer mine"]);
    let plain = options(port);
    let told = KubeletOptions { insecure: true, ..plain.clone() };
    let verified = KubeletOptions { ca: Some(home.write("theirs.pem", &theirs.pem())), ..plain.clone() };
    let other = KubeletOptions { ca: Some(home.write("ours.pem", &ours.pem())), ..plain.clone() };
    for (options, shown) in
        [(plain, Some("")), (told, Some("Bearer mine")), (verified, Some("Bearer mine")), (other, None)]
    {
        let client =
            KubeletClient::new(api.kubelets(&options).unwrap(), api.token(), Duration::from_secs(60));
        let target = Target { name: "n".into(), address: "127.0.0.1".parse().unwrap(), port: None };
        let question = Question { path: "/stats/summary/", json: None };
        let answer = client.fetch(&target, &question, Duration::from_secs(5)).await;
        assert_eq!(answer.is_ok(), shown.is_some(), "{options:?}");
        assert_eq!(seen.headers(), shown.into_iter().collect::<Vec<_>>(), "{options:?}");
    }
    handle.stop(false).await;
}
