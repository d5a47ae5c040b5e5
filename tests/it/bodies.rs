//! Bodies recorded on real clusters, read in place where they lie beside the checkout.

use std::fs;
use std::path::{Path, PathBuf};

/// A folder beside the checkout. None, and a line that says so, where it is not there.
fn beside(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: there is no ../shared/{folder}");
    None
}

/// A line of the fixtures' index.
#[derive(Debug)]
pub struct Fixture {
    pub path: String,
    pub pods: usize,
    pub containers: usize,
    pub system_containers: usize,
    pub items: usize,
    pub body: Vec<u8>,
}

/// Every JSON fixture of one kind.
pub fn fixtures(what: &str) -> Vec<Fixture> {
    let Some(folder) = beside("fixtures") else { return Vec::new() };
    let index = fs::read_to_string(folder.join("INDEX.tsv")).unwrap();
    let mut lines = index.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    let column = |name: &str| head.iter().position(|title| *title == name).unwrap();
    let [path, kind, pods, containers, system, items] =
        ["path", "what", "pods", "containers", "system_containers", "items"].map(column);
    let of_kind = lines.filter(|line| line[kind] == what && line[path].ends_with(".json"));
    let number = |text: &str| text.parse().unwrap_or(0);
    let found: Vec<Fixture> = of_kind
        .map(|line| Fixture {
            path: format!("fixtures/{}", line[path]),
            pods: number(line[pods]),
            containers: number(line[containers]),
            system_containers: number(line[system]),
            items: number(line[items]),
            body: fs::read(folder.join(line[path])).unwrap(),
        })
        .collect();
    assert!(!found.is_empty(), "the index names no {what}");
    found
}

/// One file of the recordings.
pub fn recording(path: &str) -> Option<Vec<u8>> {
    let folder = beside("recordings")?;
    Some(fs::read(folder.join(path)).unwrap_or_else(|error| panic!("recordings/{path}: {error}")))
}

/// The files of a folder of the recordings, sorted by name, of which `wanted` likes the name.
pub fn recordings(folder: &str, wanted: impl Fn(&str) -> bool) -> Vec<(String, Vec<u8>)> {
    let Some(root) = beside("recordings") else { return Vec::new() };
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_file() && wanted(name) {
            found.push((format!("recordings/{folder}/{name}"), fs::read(&path).unwrap()));
        }
    }
    assert!(!found.is_empty(), "nothing in recordings/{folder}");
    found.sort();
    found
}

/// Every recorded summary: name and body.
pub fn summaries() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = fixtures("summary").into_iter().map(|found| (found.path, found.body)).collect();
    for node in ["node-a", "node-b"] {
        let json = |name: &str| name.ends_with(".json");
        all.extend(recordings(&format!("{node}/port10255"), |name| {
            name.starts_with("GET_stats_summary") && json(name)
        }));
        all.extend(recordings(&format!("{node}/stats-summary-10s"), json));
        all.extend(recordings(&format!("tape/kubelet-{node}"), json));
    }
    all
}
