//! The tape: what the original Heapster read of a real cluster in six minutes, and what it said. Only reading it; playing
//! it is left to `tape_player`.

use flate2::read::GzDecoder;
use heapster::model::time::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::OnceLock;

/// How long the original's windows were (`--metric-resolution`).
pub const RESOLUTION: std::time::Duration = std::time::Duration::from_secs(10);

/// The recorded files by their names.
pub struct Tape(BTreeMap<String, Vec<u8>>);

/// A request that the original made, or an answer that it was asked for.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When it was sent.
    pub at: Timestamp,
    /// When its answer was in; None where there was none.
    pub done: Option<Timestamp>,
    /// The answer's member; None where there was none.
    pub file: Option<String>,
}

/// One of the original's answers, and the request that it answered.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The member's name without its ending.
    pub name: String,
    pub method: String,
    /// Path and query, as they were sent.
    pub path: String,
    /// The headers that were given on purpose.
    pub headers: Vec<(String, String)>,
    pub reply: Reply,
}

/// A status, headers and a body.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Reply {
    /// What came over the wire, taken apart; `whole` ends where the answer does.
    pub fn parse(whole: &[u8]) -> Self {
        let end = whole.windows(4).position(|four| four == b"\r\n\r\n").expect("headers have an end");
        let head = std::str::from_utf8(&whole[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(':').unwrap());
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
        Self { status, headers, body: whole[end + 4..].to_vec() }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as it was before it was compressed.
    pub fn plain(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        match self.header("content-encoding") {
            "" => return self.body.clone(),
            "gzip" => GzDecoder::new(&self.body[..]).read_to_end(&mut plain).unwrap(),
            "deflate" => flate2::read::ZlibDecoder::new(&self.body[..]).read_to_end(&mut plain).unwrap(),
            other => panic!("content-encoding {other}"),
        };
        plain
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.plain()).unwrap()
    }

    /// The body as JSON; None where it says that it is none.
    pub fn json(&self) -> Option<Value> {
        let is_json = self.header("content-type").starts_with("application/json");
        is_json.then(|| serde_json::from_slice(&self.plain()).unwrap())
    }
}

/// Seconds since the Unix epoch as the recording writes them, to the microsecond that they were measured to.
pub fn instant(seconds: &Value) -> Timestamp {
    Timestamp::from_nanos((seconds.as_f64().unwrap() * 1e6).round() as i64 * 1_000)
}

impl Tape {
    pub fn open() -> &'static Tape {
        static TAPE: OnceLock<Tape> = OnceLock::new();
        TAPE.get_or_init(|| {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tape/tape.tar.gz");
            let mut archive = Vec::new();
            GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut archive).unwrap();
            Tape(members(&archive))
        })
    }

    pub fn bytes(&self, member: &str) -> &[u8] {
        self.0.get(member).unwrap_or_else(|| panic!("the tape has no {member}"))
    }

    pub fn text(&self, member: &str) -> &str {
        std::str::from_utf8(self.bytes(member)).unwrap()
    }

    pub fn json(&self, member: &str) -> Value {
        serde_json::from_slice(self.bytes(member)).unwrap_or_else(|error| panic!("{member}: {error}"))
    }

    /// The lines of a member, each as JSON.
    pub fn lines(&self, member: &str) -> impl Iterator<Item = Value> {
        self.text(member).lines().map(|line| serde_json::from_str(line).unwrap())
    }

    /// Everything that was asked of a target, `kubelet-node-a` or `heapster`, in the order of asking.
    pub fn asked(&self, to: &str) -> Vec<Entry> {
        let lines = self.lines("index.jsonl").filter(|line| line["to"] == to);
        let mut entries: Vec<Entry> = lines
            .map(|line| Entry {
                at: instant(&line["at"]),
                done: line.get("done").map(instant),
                file: line["file"].as_str().map(str::to_owned),
            })
            .collect();
        entries.sort_by_key(|entry| entry.at);
        entries
    }

    /// The 594 answers, in the order in which they were asked for.
    pub fn answers(&self) -> Vec<Recorded> {
        const FOLDER: &str = "heapster-answers-at-end";
        let index = self.text(&format!("{FOLDER}/INDEX.txt")).lines();
        let answers = index.map(|line| {
            let [file, _, _, command] = line.splitn(4, " | ").collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            let (options, url) = command.rsplit_once(' ').unwrap();
            let path = url.strip_prefix("http://127.0.0.1:8082").unwrap();
            let options = options.strip_prefix("curl -i").unwrap().trim();
            let mut method = "GET";
            let mut headers = Vec::new();
            match options.split_once(' ') {
                None if options.is_empty() => {}
                None if options == "-I" => method = "HEAD",
                Some(("-X", given)) => method = given,
                Some(("-H", header)) => {
                    let (name, value) = header.split_once(": ").unwrap();
                    headers.push((name.to_owned(), value.to_owned()));
                }
                _ => panic!("{line}"),
            }
            Recorded {
                name: file.strip_suffix(".http").unwrap().to_owned(),
                method: method.to_owned(),
                path: path.to_owned(),
                headers,
                reply: Reply::parse(self.bytes(&format!("{FOLDER}/{file}"))),
            }
        });
        answers.collect()
    }
}

/// The regular files of a tar archive: blocks of 512 bytes, a header before each file, names in two parts (POSIX ustar).
fn members(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut at = 0;
    while let Some(header) = archive.get(at..at + 512).filter(|header| header[0] != 0) {
        let text = |from: usize, length: usize| {
            let field = &header[from..from + length];
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(length);
            std::str::from_utf8(&field[..end]).unwrap().trim()
        };
        let size = usize::from_str_radix(text(124, 12), 8).unwrap();
        let (name, prefix) = (text(0, 100), text(345, 155));
        let name = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        if header[156] == b'0' {
            found.insert(name, archive[at + 512..at + 512 + size].to_vec());
        }
        at += 512 + size.div_ceil(512) * 512;
    }
    found
}

#[test]
fn the_tape_is_whole() {
    let tape = Tape::open();
    for entry in tape.lines("index.jsonl").filter(|line| line["to"] != "apiserver") {
        if let Some(file) = entry["file"].as_str() {
            let bytes = tape.bytes(file).len();
            assert_eq!(entry["bytes"].as_u64().unwrap_or(bytes as u64), bytes as u64, "{file}");
        }
    }
    assert_eq!(tape.answers().len(), 594);
    assert_eq!(tape.0.keys().filter(|name| name.ends_with(".http")).count(), 594);
}
