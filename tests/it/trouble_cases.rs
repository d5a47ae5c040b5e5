//! API servers that something is wrong with, and what is said of each. Who is told so is in `troubles`.

use crate::certificates::{Clients, Issuer, certificate, expired, server};
use actix_web::{App, HttpResponse, HttpServer, rt, web};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// An API server that something is wrong with.
pub enum Server {
    /// It gives this answer, in plain HTTP.
    Answers(&'static str),
    /// The same, asked over TLS.
    Plain,
    /// It closes every connection at once; asked over TLS or not.
    Closes(bool),
    /// It is not there.
    Nobody,
    /// It speaks TLS with a certificate of ours or another's, for this name, valid or not.
    Tls { ours: bool, name: &'static str, valid: bool },
    /// The same, all well, asked over plain HTTP.
    AskedPlainly,
    /// It asks for a certificate.
    Asks,
    /// It breaks the connection in the middle of an answer over TLS, without a goodbye.
    Cuts,
}

/// What is wrong: the README's words for it, the server, what is said (an `…` at its end where more follows), and what
/// mends it for a pod, a pod that is given a URL, a kubeconfig, and a URL alone. Empty where it cannot come to that.
pub type Case = (&'static str, Server, &'static str, [&'static str; 4]);

/// Nobody comes so far whose credentials are not even asked for.
const NEVER: &str = "";
pub const SYSTEM: &str =
    "the system's CAs did not sign its certificate: give auth=KUBECONFIG with the CA in it, or insecure=true";
const CUT: &str = "look at the API server's log, or for a proxy in between that cuts connections";

fn all(fix: &'static str) -> [&'static str; 4] {
    [NEVER, fix, fix, fix]
}

pub fn cases() -> Vec<Case> {
    use Server::{Answers, AskedPlainly, Asks, Closes, Cuts, Nobody, Plain, Tls};
    vec![
        (
            "status 302: redirected to",
            Answers(
                "302 Found\r\nLocation: https://login.example/in?state=SECRET\r\nContent-Length: 0\r\n\r\n",
            ),
            "status 302: redirected to https://login.example",
            [
                NEVER,
                "redirects are not followed, for the credentials would go along: the URL of --source must lead to the \
                 API server itself",
                "redirects are not followed, for the credentials would go along: the kubeconfig's server must lead to \
                 the API server itself",
                "redirects are not followed, for the credentials would go along: the URL of --source must lead to the \
                 API server itself",
            ],
        ),
        (
            "the answer is text/html, not JSON",
            Answers("200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"),
            "status 200: the answer is text/html, not JSON",
            SOMEBODY_ELSE,
        ),
        (
            "the answer is none of an API server",
            Answers("200 OK\r\nContent-Length: 6\r\n\r\n<html>"),
            "the answer is none of an API server: expected value at line 1 column 1",
            SOMEBODY_ELSE,
        ),
        (
            "the answer is none of an API server",
            Answers("200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"),
            "the answer is none of an API server: it names no version",
            SOMEBODY_ELSE,
        ),
        (
            "status 400: Client sent an HTTP request to an HTTPS server.",
            Answers(
                "400 Bad Request\r\nContent-Length: 48\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
            ),
            "status 400: Client sent an HTTP request to an HTTPS server.",
            [
                NEVER,
                "the port speaks TLS: give https:// in the URL of --source",
                "the port speaks TLS: give https:// in the kubeconfig's server",
                "the port speaks TLS: give https:// in the URL of --source",
            ],
        ),
        (
            "status 401: Unauthorized",
            Answers("401 Unauthorized\r\nContent-Length: 12\r\n\r\nUnauthorized"),
            "status 401: Unauthorized",
            NOBODY_KNOWN,
        ),
        (
            "status 401: Unauthorized",
            Answers(
                "403 Forbidden\r\nContent-Length: 41\r\n\r\nUser \"system:anonymous\" cannot get path \"/",
            ),
            "status 403: User \"system:anonymous\" cannot get path \"",
            NOBODY_KNOWN,
        ),
        (
            "status 403: … cannot get path \"/version\"",
            Answers("403 Forbidden\r\nContent-Length: 14\r\n\r\nUser \"me\" must"),
            "status 403: User \"me\" must",
            all("the account may not read /version: bind it to the ClusterRole system:public-info-viewer"),
        ),
        (
            "status 404",
            Answers("404 Not Found\r\nContent-Length: 19\r\n\r\n404 page not found\n"),
            "status 404: 404 page not found",
            [
                NEVER,
                "no API server, or one without this API: look at the URL of --source",
                "no API server, or one without this API: look at the kubeconfig's server",
                "no API server, or one without this API: look at the URL of --source",
            ],
        ),
        (
            "status 429",
            Answers("429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"),
            "status 429",
            all("it is asked too much: look at its API Priority and Fairness"),
        ),
        (
            "status 500",
            Answers("500 Oh\r\nContent-Length: 9\r\n\r\netcd gone"),
            "status 500: etcd gone",
            all("look at the API server's log"),
        ),
        (
            "status 502",
            Answers("502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"),
            "status 502: an HTML page",
            all("look at the proxy or load balancer before the API server"),
        ),
        (
            "status 503",
            Answers("503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
            "status 503",
            all("it cannot serve now: look at its log, at etcd, and at the load balancer before it"),
        ),
        (
            "no connection: Connection refused",
            Nobody,
            "no connection: Connection refused (os error 111)",
            [
                "nothing listens there: look at KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT",
                "nothing listens there: look at the URL of --source",
                "nothing listens there: look at the kubeconfig's server",
                "nothing listens there: look at the URL of --source",
            ],
        ),
        (
            "invalid peer certificate: UnknownIssuer",
            Tls { ours: false, name: "127.0.0.1", valid: true },
            "no connection: invalid peer certificate: UnknownIssuer",
            [
                "the CA mounted in the pod did not sign its certificate: see that KUBERNETES_SERVICE_HOST is its own \
                 cluster's, or give insecure=true",
                "the CA mounted in the pod did not sign its certificate: see that the URL of --source is its own \
                 cluster's, or give insecure=true",
                "name its CA in the kubeconfig by certificate-authority, or give insecure-skip-tls-verify: true there",
                SYSTEM,
            ],
        ),
        (
            "certificate not valid for name",
            Tls { ours: true, name: "api.example", valid: true },
            "no connection: invalid peer certificate: certificate not valid for name \"127.0.0.1\"; certificate is only \
             valid for DnsName(\"api.example\")",
            [
                "give a URL with one of these names in --source, have it signed for KUBERNETES_SERVICE_HOST too, or \
                 give insecure=true",
                "give one of these names in the URL of --source, or insecure=true",
                "give one of these names in the kubeconfig as server or as tls-server-name",
                NEVER,
            ],
        ),
        (
            "certificate expired",
            Tls { ours: true, name: "127.0.0.1", valid: false },
            "no connection: invalid peer certificate: certificate expired: it was valid until 2021-01-01T00:00:00Z, and \
             here it is 2…",
            ["renew the API server's certificate, or set this machine's clock"; 4],
        ),
        (
            "received fatal alert: CertificateRequired",
            Asks,
            "no connection: received fatal alert: CertificateRequired",
            [
                "the API server asks for a client certificate: a pod has none: give inClusterConfig=false&auth=KUBECONFIG \
                 with client-certificate and client-key in it",
                "the API server asks for a client certificate: a pod has none: give inClusterConfig=false&auth=KUBECONFIG \
                 with client-certificate and client-key in it",
                "the API server asks for a client certificate: give client-certificate and client-key in the kubeconfig's \
                 user",
                NEVER,
            ],
        ),
        (
            "received corrupt message of type InvalidContentType",
            Plain,
            "no connection: received corrupt message of type InvalidContentType",
            [
                "the port does not speak TLS: give the port that does, or http:// where that is meant; look at \
                 KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT",
                "the port does not speak TLS: give the port that does, or http:// where that is meant; look at the URL \
                 of --source",
                "the port does not speak TLS: give the port that does, or http:// where that is meant; look at the \
                 kubeconfig's server",
                "the port does not speak TLS: give the port that does, or http:// where that is meant; look at the URL \
                 of --source",
            ],
        ),
        ("no answer in HTTP", AskedPlainly, "no answer in HTTP, and the connection was closed", HTTPS),
        ("no answer in HTTP", Closes(false), "no answer in HTTP, and the connection was closed", HTTPS),
        (
            "cut off within the TLS handshake",
            Closes(true),
            "no connection: it was cut off within the TLS handshake",
            [CUT; 4],
        ),
        (
            "the connection was cut off",
            Answers("200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"),
            "the connection was cut off",
            all(CUT),
        ),
        ("the connection was cut off", Cuts, "the connection was cut off", [CUT, CUT, CUT, NEVER]),
    ]
}

const SOMEBODY_ELSE: [&str; 4] = [
    NEVER,
    "something else than an API server answers, such as a login page or a proxy: look at the URL of --source",
    "something else than an API server answers, such as a login page or a proxy: look at the kubeconfig's server",
    "something else than an API server answers, such as a login page or a proxy: look at the URL of --source",
];
const NOBODY_KNOWN: [&str; 4] = [
    NEVER,
    "the pod's token is not sent over plain HTTP: give https://, or useServiceAccount=true",
    "the API server does not know the credentials: renew the token or the client certificate in the kubeconfig",
    "no credentials are sent: give auth=KUBECONFIG, or in a pod leave inClusterConfig out",
];
const HTTPS: [&str; 4] = [
    NEVER,
    "if the port speaks TLS, give https:// in the URL of --source",
    "if the port speaks TLS, give https:// in the kubeconfig's server",
    "if the port speaks TLS, give https:// in the URL of --source",
];

/// Does this with every connection, and says on which port.
pub fn raw(mut each: impl FnMut(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(|stream| each(stream.unwrap())));
    port
}

impl Server {
    /// Its port, and how it is asked. It lasts as long as the test.
    pub fn start(&self, ours: &Issuer, theirs: &Issuer) -> (u16, &'static str) {
        match *self {
            Self::Answers(answer) => {
                let answers = move |mut stream: TcpStream| {
                    // Who asks over TLS may have gone: what it saw is looked at there.
                    let _ = stream.read(&mut [0; 4_096]);
                    let _ = stream.write_all(format!("HTTP/1.1 {answer}").as_bytes());
                };
                (raw(answers), "http")
            }
            Self::Plain => (Self::Answers("400 Bad Request\r\n\r\n").start(ours, theirs).0, "https"),
            Self::Closes(tls) => (raw(drop), if tls { "https" } else { "http" }),
            Self::Nobody => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                (listener.local_addr().unwrap().port(), "https")
            }
            Self::Tls { ours: by_ours, name, valid } => {
                let issuer = if by_ours { ours } else { theirs };
                let change = if valid { |_: &mut _| {} } else { expired };
                (tls(&certificate(issuer, &[name], change), Clients::Unasked), "https")
            }
            Self::AskedPlainly => {
                (Self::Tls { ours: true, name: "a", valid: true }.start(ours, theirs).0, "http")
            }
            Self::Cuts => {
                let config = Arc::new(server(&certificate(ours, &["127.0.0.1"], |_| {}), Clients::Unasked));
                let cuts = move |stream| {
                    let connection = rustls::ServerConnection::new(config.clone()).unwrap();
                    let mut stream = rustls::StreamOwned::new(connection, stream);
                    // Who does not believe the certificate is gone by now.
                    let _ = stream.read(&mut [0; 4_096]);
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{");
                };
                (raw(cuts), "https")
            }
            Self::Asks => (tls(&certificate(ours, &["127.0.0.1"], |_| {}), Clients::Must(ours)), "https"),
        }
    }
}

fn tls(pair: &(String, String), clients: Clients<'_>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = || App::new().default_service(web::to(|| async { HttpResponse::Ok().finish() }));
    let server_of = HttpServer::new(app).workers(1).disable_signals();
    rt::spawn(server_of.listen_rustls_0_23(listener, server(pair, clients)).unwrap().run());
    port
}
