//! The house rules, as tests: how the source is written, and who may import whom. What the program does is left to `it`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of one file.
const LINES: usize = 400;
/// The lowest floor on which actors and sockets are known.
const EDGES: u8 = 2;
/// The imports that stay on one floor beside those of the edges: whole windows are written from the packed blocks, never
/// from a copy of them.
const SIDEWAYS: [(&str, &str); 3] = [
    ("src/wire/batch_text.rs", "rollup"),
    ("src/wire/exposition.rs", "rollup"),
    ("src/wire/metric_export.rs", "rollup"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder, with its path from the crate's root.
fn files(folder: &str, skip: &dyn Fn(&str) -> bool) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            if skip(&name) {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else {
                found.push((name, path));
            }
        }
    }
    found.sort();
    found
}

/// Every Rust file of a folder with its text.
fn rust(folder: &str) -> Vec<(String, String)> {
    let files = files(folder, &|_| false).into_iter().filter(|(name, _)| name.ends_with(".rs"));
    files.map(|(name, path)| (name, fs::read_to_string(path).unwrap())).collect()
}

/// The lines that are neither comments nor tests in their file, numbered from 1.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The module of the crate's root that a file belongs to.
fn module(file: &str) -> &str {
    let inside = file.strip_prefix("src/").unwrap();
    inside.split(['/', '.']).next().unwrap()
}

/// Fails with every offence at once.
fn assert_none(rule: &str, offences: impl IntoIterator<Item = String>) {
    let offences: Vec<String> = offences.into_iter().collect();
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

/// The table of floors in `src/lib.rs`: module and floor.
fn floors() -> BTreeMap<String, u8> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let mut floors = BTreeMap::new();
    for row in text.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let mut cells = row.split(" | ");
        let (Some(Ok(floor)), Some(modules)) = (cells.next().map(str::parse), cells.next()) else { continue };
        let names = modules.split(", ").map(|name| name.trim_matches(['[', ']', '`', ' ']).to_owned());
        floors.extend(names.map(|name| (name, floor)));
    }
    assert!(floors.len() > 10, "the table of floors in src/lib.rs cannot be read");
    floors
}

/// The modules of the crate's root that a line of code names behind `crate::`.
fn named(line: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => names.push(leading_word(rest)),
            Some(list) => {
                let (mut depth, mut start) = (0, 0);
                for (at, each) in list.char_indices() {
                    match each {
                        '{' => depth += 1,
                        '}' | ',' if depth == 0 => {
                            names.push(leading_word(list[start..at].trim()));
                            start = at + 1;
                        }
                        '}' => depth -= 1,
                        _ => {}
                    }
                }
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn leading_word(text: &str) -> String {
    text.chars().take_while(|each| each.is_alphanumeric() || *each == '_').collect()
}

#[test]
fn every_file_says_first_what_it_is() {
    let silent = ["src", "tests"].map(rust).concat();
    let silent = silent.into_iter().filter(|(_, text)| !text.starts_with("//! "));
    assert_none("no //! on the first line", silent.map(|(name, _)| name));
}

#[test]
fn no_file_is_long() {
    let long = ["src", "tests"].map(rust).concat();
    let long = long.into_iter().map(|(name, text)| (name, text.lines().count()));
    let long = long.filter(|(_, count)| *count > LINES);
    assert_none("more than 400 lines", long.map(|(name, count)| format!("{name}: {count}")));
}

#[test]
fn every_module_has_a_floor() {
    let floors = floors();
    let homeless = rust("src").into_iter().map(|(name, _)| module(&name).to_owned());
    let homeless = homeless.filter(|module| module != "lib" && !floors.contains_key(module));
    assert_none("not in the table of floors", homeless);
}

#[test]
fn imports_go_down() {
    let floors = floors();
    let mut offences = Vec::new();
    for (file, text) in rust("src") {
        let from = module(&file);
        // The binary names what it starts; the crate's root declares every module.
        if matches!(from, "main" | "lib") {
            continue;
        }
        // One statement a line, so that a list over several lines is seen whole.
        let whole: Vec<&str> = code(&text).map(|(_, line)| line.trim()).collect();
        for statement in whole.join(" ").split(';') {
            for to in named(statement) {
                let (Some(above), Some(below)) = (floors.get(from), floors.get(&to)) else { continue };
                // What travels is stamped, counted and fetched: the edges may use each other.
                let edges = (*above, *below) == (EDGES, EDGES);
                let allowed = above > below || edges || from == to || SIDEWAYS.contains(&(&*file, &*to));
                if !allowed {
                    offences.push(format!("{file}: crate::{to}"));
                }
            }
        }
    }
    offences.dedup();
    assert_none("imports that do not go down", offences);
}

#[test]
fn actors_do_not_know_each_other() {
    let actors = rust("src/actors").into_iter().filter(|(file, _)| file != "src/actors/mod.rs");
    // A room of several files may look at its own door.
    let knowing = actors.filter(|(file, text)| {
        let inner = file.matches('/').count() > 2 && !file.ends_with("/mod.rs");
        let up = if inner { "super::super" } else { "super::" };
        code(text).any(|(_, line)| line.contains(up) || line.contains("crate::actors"))
    });
    assert_none("an actor that imports from its neighbours", knowing.map(|(file, _)| file));
}

#[test]
fn actors_and_sockets_stay_above() {
    let floors = floors();
    let pure =
        rust("src").into_iter().filter(|(file, _)| floors.get(module(file)).is_some_and(|f| *f < EDGES));
    let words = ["actix", "awc", "tokio", "std::net::Tcp", "std::fs"];
    let knowing = pure.flat_map(|(file, text)| {
        let words = words.into_iter().filter(|word| code(&text).any(|(_, line)| line.contains(word)));
        words.map(|word| format!("{file}: {word}")).collect::<Vec<_>>()
    });
    assert_none("actors, sockets or files below floor 2", knowing);
    let actix =
        rust("src").into_iter().filter(|(_, text)| code(text).any(|(_, line)| line.contains("actix")));
    let allowed =
        ["messages", "telemetry", "client", "api", "actors", "topology", "simulator", "demo", "main"];
    let actix = actix.filter(|(file, _)| !allowed.contains(&module(file)));
    assert_none("actix where no actor and no socket is", actix.map(|(file, _)| file));
}

#[test]
fn only_the_clock_asks_the_time() {
    let words = ["SystemTime::now", "Instant::now", "Utc::now", "Local::now"];
    let others = rust("src").into_iter().filter(|(file, _)| file != "src/clock.rs");
    assert_none("asks the time", others.flat_map(|(file, text)| offending(&file, &text, &words)));
}

#[test]
fn banned_words_are_absent() {
    let words = [
        "do_send",
        "run_interval",
        "unsafe",
        "todo!",
        "unimplemented!",
        "dbg!",
        ".unwrap()",
        ".expect(\"",
        ".expect(&format!",
    ];
    let offences = rust("src").into_iter().flat_map(|(file, text)| offending(&file, &text, &words));
    assert_none("banned", offences);
}

fn offending(file: &str, text: &str, words: &[&str]) -> Vec<String> {
    let lines = code(text).filter(|(_, line)| words.iter().any(|word| line.contains(word)));
    lines.map(|(number, line)| format!("{file}:{number}: {}", line.trim())).collect()
}

/// What is logged is part of a line, so it starts small and has no full stop. Names keep their capitals.
#[test]
fn logs_are_no_sentences() {
    let mut offences = Vec::new();
    for (file, text) in rust("src") {
        let text: Vec<&str> = code(&text).map(|(_, line)| line.trim()).collect();
        let text = text.join(" ");
        for level in ["error", "warn", "info", "debug", "trace"] {
            for (at, call) in text.match_indices(&format!("log::{level}!(")) {
                let message = text[at + call.len()..].split_once('"').unwrap().1.split('"').next().unwrap();
                let word: String = message.chars().take_while(|each| each.is_alphabetic()).collect();
                let name = word == "Heapster" || word.len() > 1 && word.chars().all(char::is_uppercase);
                let small = message.starts_with(|first: char| first.is_lowercase() || first == '{');
                if !(small || name) || message.ends_with('.') {
                    offences.push(format!("{file}: {message:?}"));
                }
            }
        }
    }
    assert_none("log messages that read as sentences", offences);
}

/// Nothing tells of the machine that it was written on. What a cluster said is kept as it was said.
#[test]
fn no_path_of_a_machine() {
    let skipped = |name: &str| {
        let top = name.split('/').next().unwrap();
        matches!(top, ".git" | ".ci")
            || top.starts_with("target")
            || name.ends_with(".lock")
            || name.starts_with("tests/data")
    };
    let machine = ["tmp", "work", "root", "home", "Users"].map(|folder| format!("/{folder}/"));
    let mut offences = Vec::new();
    for (name, path) in files(".", &|name| skipped(name.trim_start_matches("./"))) {
        let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        let lines = (1..).zip(text.lines());
        let told = lines.filter(|(_, line)| machine.iter().any(|folder| line.contains(folder)));
        offences.extend(told.map(|(number, _)| format!("{name}:{number}")));
    }
    assert_none("paths of a machine", offences);
}

#[test]
fn nothing_hides_an_import_or_keeps_state_for_all() {
    let found = rust("src").into_iter().flat_map(|(file, text)| {
        let hidden = ["super::super", "use crate::*", "crate as "];
        let shared = ["Mutex", "RwLock", "OnceLock", "LazyLock", "Atomic", " mut "];
        let bad = |line: &str| {
            let global = line.trim_start().trim_start_matches("pub ").starts_with("static ");
            hidden.iter().any(|word| line.contains(word))
                || (global && shared.iter().any(|word| line.contains(word)))
        };
        let lines = code(&text).filter(|(_, line)| bad(line)).map(|(at, _)| format!("{file}:{at}"));
        lines.collect::<Vec<_>>()
    });
    assert_none("an import that hides where it comes from, or state for all", found);
}
