//! One sink's windows in files, so that they outlive the process: one file a window, written whole, synced and renamed,
//! so that a file is either there or not. What is in a file is left to `rollup::stored`, which of them goes when to
//! `rollup::queue`.
//!
//! A process that is killed loses nothing that was here. A machine that loses its power may lose the name of the newest
//! file; one that is damaged is found out by its checksum.

use crate::model::time::Timestamp;
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What the names of whole files end with.
const WHOLE: &str = "window";
/// What the names of files end with while they are written.
const PART: &str = "part";
/// What the name of the file is that is locked.
const LOCK: &str = "lock";
/// Checksum and length in front of what a file holds.
const HEAD: usize = 12;

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder cannot be made, listed or locked.
    #[error("--spool_dir: {0:?} cannot be used; give a folder that can be written to")]
    Folder(PathBuf, #[source] io::Error),
    /// Another process has it.
    #[error("--spool_dir: {0:?} is used by another process; give each its own, or end the other one first")]
    Taken(PathBuf),
}

/// A file that an earlier process left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub id: u64,
    /// The end of the window.
    pub end: Timestamp,
    /// How many points the sink was to get of it.
    pub points: usize,
    /// Its size in bytes.
    pub size: usize,
}

/// What was found when a spool was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Whole files, oldest first.
    pub whole: Vec<Found>,
    /// Points of files that were not written to their end.
    pub torn_points: usize,
    /// How many such files there were.
    pub torn: usize,
    /// How many files have names that no spool gives.
    pub foreign: usize,
}

/// One sink's files.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    files: BTreeMap<u64, PathBuf>,
    next: u64,
    /// Held open for its lock, which ends with the process however that ends.
    _lock: File,
}

impl Spool {
    /// Opens the spool of the sink of this name below `folder`; removes what was not written to its end.
    ///
    /// # Errors
    /// When the folder cannot be used, or another process uses it.
    pub fn open(folder: &Path, sink: &str) -> Result<(Self, Left), SpoolError> {
        let folder = folder.join(folder_name(sink));
        let failed = |error| SpoolError::Folder(folder.clone(), error);
        fs::create_dir_all(&folder).map_err(failed)?;
        let lock = File::create(folder.join(LOCK)).map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => SpoolError::Taken(folder.clone()),
            TryLockError::Error(error) => failed(error),
        })?;
        let mut left = Left::default();
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let Some((ending, mut found)) = name.to_str().and_then(parse) else {
                left.foreign += usize::from(name != LOCK);
                continue;
            };
            if ending == PART {
                left.torn += 1;
                left.torn_points += found.points;
                fs::remove_file(entry.path()).map_err(failed)?;
                continue;
            }
            found.size = usize::try_from(entry.metadata().map_err(failed)?.len()).unwrap_or(usize::MAX);
            files.insert(found.id, entry.path());
            left.whole.push(found);
        }
        left.whole.sort_unstable_by_key(|found| found.id);
        let next = files.last_key_value().map_or(1, |(id, _)| id + 1);
        Ok((Self { folder, files, next, _lock: lock }, left))
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The number that the next window has, whether it comes into a file or not.
    pub fn next_id(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Writes a window of so many points. Gives the file's size.
    ///
    /// # Errors
    /// When it cannot be written whole, most often because the disk is full. Nothing of it is left then.
    pub fn put(&mut self, id: u64, end: Timestamp, points: usize, bytes: &[u8]) -> io::Result<usize> {
        let name = format!("{id:020}-{}-{points}", end.nanos());
        let (part, whole) =
            (self.folder.join(format!("{name}.{PART}")), self.folder.join(format!("{name}.{WHOLE}")));
        let written = write(&part, bytes).and_then(|()| fs::rename(&part, &whole));
        if let Err(error) = written {
            // Whatever could not be removed is found and counted at the next start.
            let _ = fs::remove_file(&part);
            return Err(error);
        }
        self.files.insert(id, whole);
        Ok(bytes.len() + HEAD)
    }

    /// What a file holds.
    ///
    /// # Errors
    /// When it cannot be read, or is not as it was written: `UnexpectedEof` where bytes are missing at its end.
    pub fn get(&self, id: u64) -> io::Result<Vec<u8>> {
        let path = self.files.get(&id).ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = fs::read(path)?;
        let torn = || io::Error::new(io::ErrorKind::UnexpectedEof, "it is cut short");
        let (head, rest) = bytes.split_first_chunk::<HEAD>().ok_or_else(torn)?;
        if *head != head_of(rest) {
            let length = head.last_chunk().map_or(0, |length| u64::from_le_bytes(*length));
            let short = u64::try_from(rest.len()).is_ok_and(|there| there < length);
            return Err(if short {
                torn()
            } else {
                io::Error::new(io::ErrorKind::InvalidData, "it is damaged")
            });
        }
        bytes.drain(..HEAD);
        Ok(bytes)
    }

    /// Removes a file. None is no mistake.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(&mut self, id: u64) -> io::Result<()> {
        self.files.remove(&id).map_or(Ok(()), fs::remove_file)
    }
}

/// Folders with windows that belong to none of these sinks and that no process uses, and how many windows are in each.
///
/// # Errors
/// When the folder of all spools cannot be listed.
pub fn orphans(folder: &Path, sinks: &[&str]) -> io::Result<Vec<(PathBuf, usize)>> {
    let own: Vec<PathBuf> = sinks.iter().map(|sink| folder.join(folder_name(sink))).collect();
    let mut orphans = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // What is no folder, or cannot be looked into, is not a sink's.
        let Ok(files) = fs::read_dir(&path) else { continue };
        let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
        let windows = names.filter(|name| parse(name).is_some_and(|(ending, _)| ending == WHOLE)).count();
        let taken = || {
            let lock = File::open(path.join(LOCK)).map(|lock| lock.try_lock());
            matches!(lock, Ok(Err(TryLockError::WouldBlock)))
        };
        if windows > 0 && !own.contains(&path) && !taken() {
            orphans.push((path, windows));
        }
    }
    orphans.sort_unstable();
    Ok(orphans)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&head_of(bytes))?;
    file.write_all(bytes)?;
    file.sync_data()
}

fn head_of(bytes: &[u8]) -> [u8; HEAD] {
    let (mut head, length) = ([0; HEAD], u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    let own = crc32fast::hash(bytes).to_le_bytes().into_iter().chain(length.to_le_bytes());
    head.iter_mut().zip(own).for_each(|(to, from)| *to = from);
    head
}

/// The ending of a file's name, and what the name says.
fn parse(name: &str) -> Option<(&str, Found)> {
    let (name, ending) = name.rsplit_once('.').filter(|(_, ending)| [WHOLE, PART].contains(ending))?;
    let (id, rest) = name.split_once('-')?;
    let (end, points) = rest.rsplit_once('-')?;
    let end = Timestamp::from_nanos(end.parse().ok()?);
    Some((ending, Found { id: id.parse().ok()?, end, points: points.parse().ok()?, size: 0 }))
}

/// A sink's name as a folder: what is no letter, digit or dot becomes a dash, and a checksum tells likes apart.
fn folder_name(sink: &str) -> String {
    let plain = |each: char| if each.is_ascii_alphanumeric() || each == '.' { each } else { '-' };
    let shown: String = sink.chars().map(plain).take(80).collect();
    format!("{}-{:08x}", shown.trim_matches(['-', '.']), crc32fast::hash(sink.as_bytes()))
}
