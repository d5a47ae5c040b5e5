//! Troubles of the README that no other test brings about: each is said by the doctor with what would mend it, and has
//! its entry.

use crate::doctor::{assert_wrong, examined, node};
use crate::documents::says;
use heapster::simulator::{ApiServer, Kind, KubeletAnswer, KubeletRequest, Kubelets, Manner};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;

/// What the kubelet at `127.85.0.<last>` answers.
fn answer(ask: &KubeletRequest) -> KubeletAnswer {
    let IpAddr::V4(address) = ask.address else { unreachable!("only IPv4 is bound here") };
    match address.octets()[3] {
        1 => KubeletAnswer::status(302, "Found"),
        2 => KubeletAnswer::json(r#"{"kind":"Status","code":200}"#),
        3 => KubeletAnswer::json("{}").given(Manner::CloseConnection),
        4 => KubeletAnswer::json("[1"),
        5 => KubeletAnswer::json(r#"{"node":{"nodeName":"n5"},"pods":[]}"#).given(Manner::LessThanTold(10)),
        _ => KubeletAnswer::status(503, "upstream connect error"),
    }
}

/// A server of its own for one more address: it tells no length, and its answers end with their connections.
fn lengthless(address: &str, port: u16) {
    let listener = TcpListener::bind((address, port)).unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut asked = BufReader::new(connection.try_clone().unwrap()).lines();
            while asked.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            connection.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"pods\":[]}").unwrap();
        }
    });
}

#[actix_web::test]
async fn what_stands_between_a_kubelet_and_here_is_told() {
    let api = ApiServer::start().unwrap();
    let addresses: Vec<IpAddr> = (1..=6).map(|last| IpAddr::from([127, 85, 0, last])).collect();
    let kubelets = Kubelets::start(&addresses, Arc::new(answer)).unwrap();
    lengthless("127.85.0.7", kubelets.port());
    for last in 1..=7 {
        api.apply(Kind::Node, node(&format!("n{last}"), &format!("127.85.0.{last}"), "True"));
    }
    let (url, port) = (api.url(), kubelets.port());
    let cuts = "look at the kubelet's log, or for a proxy in between that cuts connections";
    let said = [
        "status 302: Found; redirects are not followed, for the token would go along: give the kubelet's own port and \
         scheme"
            .to_owned(),
        "the body is JSON but no summary: it has neither \"node\" nor \"pods\"; no kubelet says that: look at kubeletPort, \
         or for a proxy in between"
            .to_owned(),
        format!("the answer was cut off: the connection was closed before an answer; {cuts}"),
        format!("the body is no JSON object, or was cut off: EOF while parsing a list at line 1 column 2; {cuts}"),
        format!("the answer was cut off: 36 of 46 bytes came; {cuts}"),
        "status 503: upstream connect error; look at the kubelet's log on that node".to_owned(),
        format!("the answer was cut off: it came without its length and not in chunks; {cuts}"),
    ];
    let said: Vec<String> = (1..=7)
        .zip(said)
        .map(|(last, what)| format!("node n{last}: 127.85.0.{last}:{port}: {what}"))
        .collect();
    let found =
        examined(&format!("kubernetes.summary_api:{url}?inClusterConfig=false&kubeletPort={port}")).await;
    assert_wrong(&found, &said.iter().map(String::as_str).collect::<Vec<_>>());
    for entry in [
        "status 302: …; redirects are not followed",
        "the body is JSON but no summary",
        "the answer was cut off",
        "the body is no JSON object, or was cut off",
        "; look at the kubelet's log on that node",
        "no connection: No route to host",
    ] {
        says("## Troubleshooting", entry);
    }
    kubelets.stop().await;
    api.stop().await;
}
