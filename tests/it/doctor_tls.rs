//! What `heapster doctor` says of kubelets that speak TLS, with certificates made here.

use crate::certificates::{Clients, Issuer, certificate, expired, issuer, server};
use crate::doctor::{SUMMARY, assert_wrong, examined, node};
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use heapster::simulator::{ApiServer, Kind};
use std::net::TcpListener;

const TLS: &str = "127.83.0.20";

/// Starts a kubelet that speaks TLS, without the legacy API, and asks for a certificate of `clients` where that is given.
fn tls(issuer: &Issuer, name: &str, is_expired: bool, clients: Option<&Issuer>) -> (u16, ServerHandle) {
    let pair =
        if is_expired { certificate(issuer, &[name], expired) } else { certificate(issuer, &[name], |_| {}) };
    let config = server(&pair, clients.map_or(Clients::Unasked, Clients::Must));
    let listener = TcpListener::bind((TLS, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = || {
        let answer = || async { HttpResponse::Ok().content_type("application/json").body(SUMMARY) };
        App::new().route("/stats/summary/", web::get().to(answer))
    };
    let server = HttpServer::new(app).workers(1).disable_signals();
    let server = server.listen_rustls_0_23(listener, config).unwrap().run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (port, handle)
}

#[actix_web::test]
async fn what_is_wrong_with_tls_is_told_with_its_cure() {
    let (ours, theirs) = (issuer("ours"), issuer("theirs"));
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, ours.pem()).unwrap();
    // The beginning and the end of what is said; between them stand times where a certificate has expired.
    let cases: [((u16, ServerHandle), Option<[&str; 2]>); 5] = [
        (tls(&ours, TLS, false, None), None),
        (
            tls(&theirs, TLS, false, None),
            Some([
                "no connection: invalid peer certificate: UnknownIssuer",
                "; another CA than that of kubeletCA signed it: name the one that did",
            ]),
        ),
        (
            tls(&ours, "node-1", false, None),
            Some([
                "no connection: invalid peer certificate: certificate not valid for name \"127.83.0.20\"; \
                 certificate is only valid for DnsName(\"node-1\")",
                "; give kubeletServerName=node if the certificate is for the node's name, have kubelets' serving \
                 certificates signed with their addresses, or give kubeletInsecure=true",
            ]),
        ),
        (
            tls(&ours, TLS, true, None),
            Some([
                "no connection: invalid peer certificate: certificate expired: ",
                "; renew the kubelet's serving certificate, or set this machine's clock",
            ]),
        ),
        (
            tls(&ours, TLS, false, Some(&theirs)),
            Some([
                "the answer was cut off: I/O error: received fatal alert: CertificateRequired",
                "; the kubelet asks for a client certificate: give kubeletCert and kubeletKey",
            ]),
        ),
    ];
    let api = ApiServer::start().unwrap();
    api.apply(Kind::Node, node("n", TLS, "True"));
    let url = api.url();
    for ((port, handle), expected) in cases {
        let source = format!(
            "kubernetes.summary_api:{url}?inClusterConfig=false&kubeletHttps=true&kubeletPort={port}"
        );
        let found = examined(&format!("{source}&kubeletCA={}", ca.display())).await;
        assert!(found.1.contains(&"ok     right to get nodes/stats".to_owned()), "{found:?}");
        match expected {
            Some([start, end]) => {
                let line = found.1.iter().find(|line| line.starts_with("WRONG")).unwrap();
                let start = format!("WRONG  node n: {TLS}:{port}: {start}");
                assert!(line.starts_with(&start) && line.ends_with(end), "{line}");
                let alone = line.strip_prefix("WRONG  ").unwrap();
                assert_wrong(&found, &[alone]);
            }
            None => {
                assert_wrong(&found, &[]);
                // Without a CA nothing is wrong, but it is said.
                let found = examined(&source).await;
                assert_wrong(&found, &[]);
                let note = "note   kubelets are not verified, for there is no CA, and get no token; name their CA by \
                            kubeletCA";
                assert!(found.1.contains(&note.to_owned()), "{found:?}");
            }
        }
        handle.stop(false).await;
    }
    // What the kubelets will ask the API server is asked before them.
    api.delete(Kind::Node, None, "n");
    api.deny("get nodes/stats");
    api.deny("create nodes/stats");
    let rule = |verb: &str| {
        format!(
            "no right to {verb} nodes/stats; add to the ClusterRole \
             {{apiGroups: [\"\"], resources: [nodes/stats], verbs: [{verb}]}}"
        )
    };
    let none = "nodes: there is none; look whether this is the API server that was meant";
    let source = |kind: &str| format!("{kind}:{url}?inClusterConfig=false&kubeletHttps=true");
    assert_wrong(&examined(&source("kubernetes.summary_api")).await, &[&rule("get"), none]);
    assert_wrong(&examined(&source("kubernetes")).await, &[&rule("get"), &rule("create"), none]);
    api.stop().await;
}
