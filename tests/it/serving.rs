//! What one client may cost: sizes, counts and times, each over a real socket, with what is said and what is counted.

use crate::support::{BOUND, Collector, NOWHERE, until};
use heapster::api::limits::Limits;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Short times, for limits that are reached by waiting.
const SOON: Duration = Duration::from_millis(300);

/// Everything that comes until the other end closes.
async fn rest(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(BOUND, socket.read_to_end(&mut bytes)).await;
    // Whoever is cut off may see a reset in place of an end.
    let _ = read.expect("the connection stays open");
    String::from_utf8(bytes).unwrap()
}

/// The answer to these bytes on a connection of their own, which the server ends.
async fn ask(address: SocketAddr, bytes: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(bytes.as_bytes()).await.unwrap();
    rest(&mut socket).await
}

fn request(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: here\r\n{headers}\r\n")
}

/// One answer on a connection that stays open.
async fn answer(socket: &mut TcpStream) -> String {
    let (mut text, mut byte) = (String::new(), [0]);
    while !text.ends_with("\r\n\r\n") {
        tokio::time::timeout(BOUND, socket.read_exact(&mut byte)).await.expect("an answer").unwrap();
        text.push(char::from(byte[0]));
    }
    let length =
        text.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.expect("a length")];
    socket.read_exact(&mut body).await.unwrap();
    text + std::str::from_utf8(&body).unwrap()
}

async fn refused(collector: &Collector, reason: &str) -> f64 {
    collector.counted(&["heapster_refused_total{", &format!("\"{reason}\"")]).await
}

#[actix_web::test]
async fn sizes_are_bounded_and_what_is_said_names_nothing_within() {
    let limits = Limits::default();
    let collector = Collector::start(&[NOWHERE]).await;
    let address = collector.running.address;
    let close = "Connection: close\r\n";
    let path = |length: usize| format!("/{}", "x".repeat(length - 1));
    let header = |length: usize| format!("{close}X-Long: {}\r\n", "x".repeat(length));
    let body = |length: u64| format!("{close}Content-Length: {length}\r\n");
    let cases = [
        (request(&path(limits.uri), close), 404, None),
        (request(&path(limits.uri + 1), close), 414, Some("uri")),
        (request(&path(65_000), close), 414, Some("uri")),
        (request("/livez", &header(limits.headers - 100)), 200, None),
        (request("/livez", &header(limits.headers + 1)), 431, Some("headers")),
        (request("/livez", &header(200_000)), 431, None),
        (request("/livez", &body(limits.body)) + &"x".repeat(8 << 10), 200, None),
        (request("/livez", &body(limits.body + 1)) + "xxx", 413, Some("body")),
        (request("/livez", &body(u64::MAX)) + "xxx", 413, Some("body")),
        (
            request("/livez", &format!("{close}Transfer-Encoding: chunked\r\n")) + "3\r\nxxx\r\n0\r\n\r\n",
            411,
            Some("body"),
        ),
        ("nonsense\r\n\r\n".to_owned(), 400, None),
        (request("/\u{1}", close), 400, None),
        ("GET /livez HTTP/1.1\r\nContent-Length: many\r\n\r\n".to_owned(), 400, None),
    ];
    for (bytes, status, reason) in cases {
        let before = match reason {
            Some(reason) => refused(&collector, reason).await,
            None => 0.0,
        };
        let start = &bytes[..bytes.len().min(60)];
        let said = ask(address, &bytes).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{start:?}: {said}");
        for inner in ["::", "actix", "heapster", ".rs", "src/", "Error", "panicked"] {
            assert!(!said.contains(inner), "{start:?}: {inner} is named: {said}");
        }
        if let Some(reason) = reason {
            assert_eq!(refused(&collector, reason).await, before + 1.0, "{start:?}");
            assert!(said.contains("\r\n\r\n4"), "{start:?} has no reason: {said}");
        }
    }
    collector.running.stop().await;
}

#[actix_web::test]
async fn past_so_many_requests_only_probes_are_answered() {
    let none = Limits { requests: 0, ..Limits::default() };
    let collector = Collector::start_with(&[NOWHERE], none).await;
    let address = collector.running.address;
    for path in ["/api/v1/model/nodes/", "/metrics", "/nowhere"] {
        let said = ask(address, &request(path, "Connection: close\r\n")).await;
        assert!(
            said.starts_with("HTTP/1.1 503 ") && said.to_lowercase().contains("\r\nretry-after: 1\r\n"),
            "{said}"
        );
    }
    assert_eq!(collector.get("/livez").await.status, 200);
    collector.running.stop().await;

    let one = Limits { requests: 1, ..Limits::default() };
    let collector = Collector::start_with(&[NOWHERE], one).await;
    for _ in 0..20 {
        assert_eq!(collector.get("/api/v1/model/nodes/").await.status, 200, "a place that is given back");
    }
    assert_eq!(refused(&collector, "requests").await, 0.0);
    collector.running.stop().await;
}

#[actix_web::test]
async fn past_so_many_connections_only_probes_are_answered() {
    let two = Limits { connections: 2, ..Limits::default() };
    let collector = Collector::start_with(&[NOWHERE], two).await;
    let address = collector.running.address;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(request("/livez", "").as_bytes()).await.unwrap();
        assert!(answer(&mut socket).await.starts_with("HTTP/1.1 200 "));
        held.push(socket);
    }
    let said = ask(address, &request("/api/v1/model/nodes/", "")).await;
    assert!(
        said.starts_with("HTTP/1.1 503 ") && said.to_lowercase().contains("\r\nretry-after: 1\r\n"),
        "{said}"
    );
    assert!(ask(address, &request("/livez", "Connection: close\r\n")).await.starts_with("HTTP/1.1 200 "));
    held[0].write_all(request("/api/v1/model/nodes/", "").as_bytes()).await.unwrap();
    assert!(answer(&mut held[0]).await.starts_with("HTTP/1.1 200 "), "who was there before is answered");
    held.clear();
    until("a place for another connection", async || {
        let said = ask(address, &request("/api/v1/model/nodes/", "Connection: close\r\n")).await;
        said.starts_with("HTTP/1.1 200 ").then_some(())
    })
    .await;
    assert!(refused(&collector, "connections").await >= 1.0);
    collector.running.stop().await;
}

#[actix_web::test]
async fn who_asks_too_slowly_is_cut_off() {
    // The HTTP library's clock moves twice a second: less than that would be no time at all.
    let limits = Limits { head_within: SOON * 4, ..Limits::default() };
    let collector = Collector::start_with(&[NOWHERE], limits).await;
    let address = collector.running.address;
    let said = ask(address, "GET /liv").await;
    assert!(said.starts_with("HTTP/1.1 408 "), "a first request whose head does not end: {said:?}");
    assert_eq!(
        ask(address, "").await.split(' ').nth(1),
        Some("408"),
        "a connection on which nothing is asked"
    );
    collector.running.stop().await;

    let limits = Limits { quiet_within: SOON, ..Limits::default() };
    let collector = Collector::start_with(&[NOWHERE], limits).await;
    let mut socket = TcpStream::connect(collector.running.address).await.unwrap();
    socket.write_all(request("/livez", "").as_bytes()).await.unwrap();
    assert!(answer(&mut socket).await.starts_with("HTTP/1.1 200 "));
    socket.write_all(b"GET /livez HTTP/1.1\r\nX-Slow: ").await.unwrap();
    assert_eq!(rest(&mut socket).await, "", "a second one whose head does not end");
    assert_eq!(refused(&collector, "quiet").await, 1.0);
    collector.running.stop().await;

    let limits = Limits { keep_alive: SOON, ..Limits::default() };
    let collector = Collector::start_with(&[NOWHERE], limits).await;
    let mut socket = TcpStream::connect(collector.running.address).await.unwrap();
    socket.write_all(request("/livez", "").as_bytes()).await.unwrap();
    assert!(answer(&mut socket).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(rest(&mut socket).await, "", "an idle connection is closed");
    assert_eq!(refused(&collector, "quiet").await, 0.0);
    collector.running.stop().await;
}

/// A client that asks for more than any buffer between it and the server holds.
async fn greedy(address: SocketAddr, requests: usize) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut socket = socket.connect(address).await.unwrap();
    let last = request("/metrics", "Connection: close\r\n");
    let all = request("/metrics", "").repeat(requests - 1) + &last;
    // The server takes no more questions than it can answer: they wait in the buffers as well.
    let (_, mut writer) = socket.split();
    let _ = tokio::time::timeout(SOON, writer.write_all(all.as_bytes())).await;
    socket
}

#[actix_web::test]
async fn who_does_not_take_its_answer_is_cut_off_and_nobody_else_waits() {
    let limits = Limits { taken_within: SOON, ..Limits::default() };
    let collector = Collector::start_with(&[NOWHERE], limits).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(greedy(collector.running.address, 2_000).await);
    }
    until("three slow readers cut off", async || {
        assert_eq!(collector.get("/livez").await.status, 200);
        (refused(&collector, "slow_reader").await == 3.0).then_some(())
    })
    .await;

    // Whoever takes a byte now and then is cut off as well.
    let mut dripping = greedy(collector.running.address, 2_000).await;
    let mut byte = [0];
    until("a dripping reader cut off", async || {
        // Reads go on from the client's own buffer even after the server has gone.
        let _ = dripping.read(&mut byte).await;
        (refused(&collector, "slow_reader").await == 4.0).then_some(())
    })
    .await;
    collector.running.stop().await;
}

#[actix_web::test]
async fn who_is_no_slower_than_told_is_not_cut_off_whatever_the_kernel_buffers() {
    let limits = Limits { taken_within: SOON, ..Limits::default() };
    let collector = Collector::start_with(&[NOWHERE], limits).await;
    let mut socket = greedy(collector.running.address, 2_000).await;
    // Four times as much as must be taken: far less than the kernel would take in one go of its own accord.
    let mut pace = tokio::time::interval(SOON / 4);
    let mut part = vec![0; limits.bytes];
    for _ in 0..40 {
        pace.tick().await;
        let taken = tokio::time::timeout(BOUND, socket.read_exact(&mut part)).await;
        taken.expect("more of the answer").unwrap();
    }
    assert_eq!(refused(&collector, "slow_reader").await, 0.0);
    collector.running.stop().await;
}

#[actix_web::test]
async fn who_takes_its_answer_steadily_gets_all_of_it() {
    let limits = Limits { taken_within: SOON, bytes: 1, ..Limits::default() };
    let collector = Collector::start_with(&[NOWHERE], limits).await;
    let (mut socket, requests) = (greedy(collector.running.address, 400).await, 400);
    let (mut text, mut part) = (Vec::new(), vec![0; 256 << 10]);
    loop {
        match tokio::time::timeout(BOUND, socket.read(&mut part)).await.expect("an answer").unwrap() {
            0 => break,
            count => text.extend_from_slice(&part[..count]),
        }
    }
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), requests);
    assert_eq!(text.matches("# EOF\n").count(), requests);
    assert_eq!(refused(&collector, "slow_reader").await, 0.0);
    collector.running.stop().await;
}

#[actix_web::test]
async fn clients_of_http_1_0_get_their_answer_whole_and_as_it_is() {
    let collector = Collector::start(&[NOWHERE]).await;
    for path in ["/openapi.json", "/api/v1/metric-export-schema", "/metrics", "/api/v1/model/nodes"] {
        let said = ask(
            collector.running.address,
            &format!("GET {path} HTTP/1.0\r\nAccept-Encoding: gzip\r\nAccept: */*\r\n\r\n"),
        )
        .await;
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        let head = head.to_lowercase();
        assert!(head.starts_with("http/1.0 200 ok"), "{path}: {head}");
        assert!(!head.contains("transfer-encoding") && !head.contains("content-encoding"), "{path}: {head}");
        if head.contains("application/json") {
            serde_json::from_str::<serde_json::Value>(body).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
    }
    collector.running.stop().await;
}

#[actix_web::test]
async fn the_first_compression_that_is_named_counts() {
    let collector = Collector::start(&[NOWHERE]).await;
    let cases = [
        ("deflate, gzip", Some("deflate")),
        ("gzip;q=0.1, deflate;q=1.0", Some("gzip")),
        ("br, GZIP", Some("gzip")),
        ("gzip;q=0, deflate", Some("deflate")),
        ("identity;q=0", None),
        ("*", None),
    ];
    for (accepted, coding) in cases {
        let mut socket = TcpStream::connect(collector.running.address).await.unwrap();
        let headers = format!("Accept-Encoding: {accepted}\r\nConnection: close\r\n");
        socket.write_all(request("/openapi.json", &headers).as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        tokio::time::timeout(BOUND, socket.read_to_end(&mut bytes)).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&bytes).to_lowercase();
        assert!(said.starts_with("http/1.1 200 ok"), "{accepted}: {said}");
        let named = said.lines().find_map(|line| line.strip_prefix("content-encoding: "));
        assert_eq!(named, coding, "{accepted}");
    }
    collector.running.stop().await;
}
