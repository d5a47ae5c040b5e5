//! An HTTP client that sends what curl sent, byte for byte, and undoes nothing of what comes back.

use crate::tape::{Recorded, Reply};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The longest that an answer is waited for.
const BOUND: Duration = Duration::from_secs(30);

/// Asks a server what the original was asked. Blocks.
pub fn ask(server: SocketAddr, request: &Recorded) -> Reply {
    let mut head = format!("{} {} HTTP/1.1\r\nHost: 127.0.0.1:8082\r\n", request.method, request.path);
    if !request.headers.iter().any(|(name, _)| name == "Accept") {
        head.push_str("Accept: */*\r\n");
    }
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("User-Agent: curl/8.14.1\r\nConnection: close\r\n\r\n");
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut whole = Vec::new();
    stream.read_to_end(&mut whole).unwrap_or_else(|error| panic!("{}: {error}", request.path));
    let mut reply = Reply::parse(&whole);
    if reply.header("transfer-encoding") == "chunked" {
        reply.body = joined(&reply.body);
    }
    reply
}

/// The chunks of a body as one.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = chunks.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&chunks[..line]).unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend(&chunks[line + 2..line + 2 + size]);
        chunks = &chunks[line + 2 + size + 2..];
    }
}
