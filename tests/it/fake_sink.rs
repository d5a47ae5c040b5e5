//! A sink's server that fails on purpose, in every way that real ones do. It keeps what it was asked and what it took.

use flate2::read::GzDecoder;
use heapster::clock::Clock;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What it does with a request.
pub enum Manner {
    /// Answers with a status, headers and a body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Says nothing until the other side gives up.
    Hang,
    /// Closes the connection without a word.
    Cut,
    /// Answers with a status and the half of a body.
    HalfBody(u16),
}

impl Manner {
    /// An answer without headers of its own.
    pub fn status(status: u16, body: &str) -> Self {
        Self::Answer(status, Vec::new(), body.to_owned())
    }

    /// What an InfluxDB answers when all is well.
    pub fn good() -> Self {
        Self::status(204, "")
    }
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// When, by the clock of this server.
    pub at: Duration,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    /// The same as it came.
    pub raw: Vec<u8>,
}

impl Asked {
    /// The lines that were written; none for a question.
    pub fn lines(&self) -> Vec<&str> {
        if self.path.contains("/write") { self.body.lines().collect() } else { Vec::new() }
    }
}

type Script = dyn Fn(usize, &Asked) -> Manner + Send + Sync;

#[derive(Default)]
struct Kept {
    asked: Vec<Asked>,
    took: Vec<String>,
    writes: usize,
    /// Whether it asks its script of questions as well.
    questions: bool,
    /// What ended each TLS handshake that came to nothing.
    unmet: Vec<String>,
}

/// The server. Ends with the test.
pub struct FakeSink {
    pub port: u16,
    at: SocketAddr,
    scheme: &'static str,
    kept: Arc<Mutex<Kept>>,
    ends: Arc<AtomicBool>,
    listens: Option<JoinHandle<()>>,
}

/// The answer of an InfluxDB with the policy that Heapster made.
pub const POLICIES: &str = r#"{"results":[{"statement_id":0,"series":[{"columns":["name","duration","shardGroupDuration","replicaN","default"],"values":[["default","0s","168h0m0s",1,true]]}]}]}"#;

impl FakeSink {
    /// One on a port of its own, which asks `script` what to do with each write, numbered from 0, and has a database.
    pub fn start(script: impl Fn(usize, &Asked) -> Manner + Send + Sync + 'static) -> Self {
        Self::at(0, script)
    }

    /// One that asks `script` what to do with whatever comes.
    pub fn answering(script: impl Fn(usize, &Asked) -> Manner + Send + Sync + 'static) -> Self {
        Self::at(0, script).with_questions()
    }

    /// The same, that asks its script what to do with whatever comes.
    pub fn with_questions(self) -> Self {
        self.kept.lock().unwrap().questions = true;
        self
    }

    /// One on this port.
    pub fn at(port: u16, script: impl Fn(usize, &Asked) -> Manner + Send + Sync + 'static) -> Self {
        Self::over(None, (Ipv4Addr::LOCALHOST, port).into(), script)
    }

    /// One that speaks TLS as this says, at this address. It asks `script` what to do with each write.
    pub fn secure(
        tls: ServerConfig,
        at: SocketAddr,
        script: impl Fn(usize, &Asked) -> Manner + Send + Sync + 'static,
    ) -> Self {
        Self::over(Some(Arc::new(tls)), at, script)
    }

    fn over(
        tls: Option<Arc<ServerConfig>>,
        at: SocketAddr,
        script: impl Fn(usize, &Asked) -> Manner + Send + Sync + 'static,
    ) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind(at).unwrap();
        let at = listener.local_addr().unwrap();
        let (kept, ends) = (Arc::<Mutex<Kept>>::default(), Arc::new(AtomicBool::new(false)));
        let (shared, ended, script) =
            (kept.clone(), ends.clone(), Arc::<Script>::from(Box::new(script) as Box<Script>));
        let clock = Clock::system();
        let listens = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                let (kept, script, clock) = (shared.clone(), script.clone(), clock.clone());
                let (tls, stream) = (tls.clone(), stream.unwrap());
                std::thread::spawn(move || match tls {
                    Some(tls) => serve_secure(stream, tls, &kept, &*script, &clock),
                    None => serve(&stream, &kept, &*script, &clock),
                });
            }
        });
        Self { port: at.port(), at, scheme, kept, ends, listens: Some(listens) }
    }

    /// Its URL.
    pub fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.at)
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.kept.lock().unwrap().asked.clone()
    }

    /// What ended each TLS handshake that came to nothing.
    pub fn unmet(&self) -> Vec<String> {
        self.kept.lock().unwrap().unmet.clone()
    }

    /// Every line that it said yes to.
    pub fn took(&self) -> Vec<String> {
        self.kept.lock().unwrap().took.clone()
    }
}

impl Drop for FakeSink {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Wakes the one that listens.
        let _ = TcpStream::connect(self.at);
        let _ = self.listens.take().map(JoinHandle::join);
    }
}

/// Speaks TLS until the handshake is done, and serves what comes then.
fn serve_secure(
    mut socket: TcpStream,
    tls: Arc<ServerConfig>,
    kept: &Mutex<Kept>,
    script: &Script,
    clock: &Clock,
) {
    let mut tls = ServerConnection::new(tls).unwrap();
    while tls.is_handshaking() {
        if let Err(error) = tls.complete_io(&mut socket) {
            kept.lock().unwrap().unmet.push(error.to_string());
            return;
        }
    }
    let whole = socket.try_clone().unwrap();
    converse(StreamOwned::new(tls, socket), kept, script, clock);
    let _ = whole.shutdown(Shutdown::Both);
}

fn serve(socket: &TcpStream, kept: &Mutex<Kept>, script: &Script, clock: &Clock) {
    converse(socket, kept, script, clock);
    let _ = socket.shutdown(Shutdown::Both);
}

fn converse(stream: impl Read + Write, kept: &Mutex<Kept>, script: &Script, clock: &Clock) {
    let mut input = BufReader::new(stream);
    while let Some(asked) = receive(&mut input, clock) {
        let manner = {
            let mut kept = kept.lock().unwrap();
            kept.asked.push(asked.clone());
            if asked.path.contains("/write") || kept.questions {
                kept.writes += 1;
                let manner = script(kept.writes - 1, &asked);
                // A status that says yes is a yes, even if the body is cut off.
                if matches!(manner, Manner::Answer(200..=299, ..) | Manner::HalfBody(200..=299)) {
                    kept.took.extend(asked.lines().into_iter().map(str::to_owned));
                }
                manner
            } else {
                Manner::status(200, POLICIES)
            }
        };
        let out = input.get_mut();
        let sent = match manner {
            Manner::Answer(status, headers, body) => {
                let headers: String =
                    headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let length =
                    if status == 204 { String::new() } else { format!("content-length: {}\r\n", body.len()) };
                write!(out, "HTTP/1.1 {status} X\r\n{headers}{length}\r\n{body}")
            }
            Manner::HalfBody(status) => {
                let _ = write!(out, "HTTP/1.1 {status} X\r\ncontent-length: 100\r\n\r\nhalf of it");
                break;
            }
            Manner::Hang => {
                let _ = input.read(&mut [0; 1]);
                break;
            }
            Manner::Cut => break,
        };
        if sent.is_err() {
            break;
        }
    }
}

fn receive(input: &mut impl BufRead, clock: &Clock) -> Option<Asked> {
    let mut line = String::new();
    input.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    let mut text = String::new();
    if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        GzDecoder::new(&*body).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8_lossy(&body).into_owned();
    }
    Some(Asked { at: clock.uptime(), path, headers, body: text, raw: body })
}
