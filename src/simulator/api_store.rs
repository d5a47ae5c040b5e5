//! The objects of the simulated API server, with their resource versions and a bounded log of what happened to them. HTTP
//! is left to `api_routes`, streams to `api_watch`.

use super::selector::{Meta, Selector};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// Events kept of each kind; a watch that begins before them has expired.
pub const EVENTS_KEPT: usize = 2_000;

/// The kinds that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `nodes`
    Node,
    /// `pods`
    Pod,
    /// `namespaces`
    Namespace,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Node, Self::Pod, Self::Namespace];

    /// As in an object's `kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::Pod => "Pod",
            Self::Namespace => "Namespace",
        }
    }

    /// As in a path.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Node => "nodes",
            Self::Pod => "pods",
            Self::Namespace => "namespaces",
        }
    }

    /// The kind that a path names.
    pub fn of_plural(plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.plural() == plural)
    }
}

/// An object as it is kept.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What it can be selected by.
    pub meta: Arc<Meta>,
    /// Its JSON without `kind` and `apiVersion`, as in a list.
    pub text: Arc<str>,
}

/// Something that happened to an object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The resource version that it made.
    pub version: u64,
    /// The object after it; as it was, when it was deleted.
    pub object: Stored,
    /// What the object could be selected by before it, unless it is new.
    pub before: Option<Arc<Meta>>,
    /// Whether the object is gone.
    pub deleted: bool,
}

impl Change {
    /// The event type that a watch with `selector` sees: an object that enters or leaves the selection is added or
    /// deleted to it.
    pub fn seen_by(&self, selector: &Selector) -> Option<&'static str> {
        let before = self.before.as_ref().is_some_and(|meta| selector.takes(meta));
        let after = !self.deleted && selector.takes(&self.object.meta);
        match (before, after) {
            (false, true) => Some("ADDED"),
            (true, true) => Some("MODIFIED"),
            (true, false) => Some("DELETED"),
            (false, false) => None,
        }
    }
}

/// All objects of one kind.
#[derive(Debug, Default)]
pub struct Shelf {
    objects: BTreeMap<String, Stored>,
    log: VecDeque<Change>,
    /// The earliest version that a watch may begin after.
    horizon: u64,
    /// The version of the last change that the log has lost.
    lost: u64,
}

impl Shelf {
    /// The earliest resource version that a watch may begin after.
    pub fn horizon(&self) -> u64 {
        self.horizon
    }

    /// Whether an open watch that has told all up to `version` has missed a change.
    pub fn has_lost_after(&self, version: u64) -> bool {
        version < self.lost
    }

    /// What happened after `version`, oldest first.
    pub fn since(&self, version: u64) -> impl Iterator<Item = &Change> {
        let first = self.log.partition_point(|change| change.version <= version);
        self.log.range(first..)
    }

    /// The object with `key`: its name, after its namespace and a slash where it has one.
    pub fn get(&self, key: &str) -> Option<&Stored> {
        self.objects.get(key)
    }

    /// The objects after `key`, in the order of their keys.
    pub fn after(&self, key: Option<&str>) -> impl Iterator<Item = (&str, &Stored)> {
        let from = key.map_or(Bound::Unbounded, Bound::Excluded);
        self.objects.range::<str, _>((from, Bound::Unbounded)).map(|(key, stored)| (key.as_str(), stored))
    }

    fn note(&mut self, change: Change) {
        self.log.push_back(change);
        while self.log.len() > EVENTS_KEPT {
            if let Some(forgotten) = self.log.pop_front() {
                self.horizon = forgotten.version.max(self.horizon);
                self.lost = forgotten.version;
            }
        }
    }
}

/// All objects and the version of the last change.
#[derive(Debug, Default)]
pub struct Store {
    nodes: Shelf,
    pods: Shelf,
    namespaces: Shelf,
    version: u64,
}

impl Store {
    /// The objects of a kind.
    pub fn shelf(&self, kind: Kind) -> &Shelf {
        match kind {
            Kind::Node => &self.nodes,
            Kind::Pod => &self.pods,
            Kind::Namespace => &self.namespaces,
        }
    }

    fn shelf_mut(&mut self, kind: Kind) -> &mut Shelf {
        match kind {
            Kind::Node => &mut self.nodes,
            Kind::Pod => &mut self.pods,
            Kind::Namespace => &mut self.namespaces,
        }
    }

    /// The resource version of the last change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Creates or replaces an object. Returns its resource version.
    pub fn apply(&mut self, kind: Kind, object: Value) -> u64 {
        self.version += 1;
        let version = self.version;
        let (key, object) = shelved(object, version);
        let shelf = self.shelf_mut(kind);
        let before = shelf.objects.insert(key, object.clone()).map(|old| old.meta);
        shelf.note(Change { version, object, before, deleted: false });
        version
    }

    /// Deletes an object. Returns the resource version of that, or none when there is no such object.
    pub fn delete(&mut self, kind: Kind, namespace: Option<&str>, name: &str) -> Option<u64> {
        let shelf = self.shelf_mut(kind);
        let old = shelf.objects.remove(&key(namespace, name))?;
        self.version += 1;
        let version = self.version;
        let object = serde_json::from_str(&old.text).unwrap_or_default();
        let change =
            Change { version, object: shelved(object, version).1, before: Some(old.meta), deleted: true };
        self.shelf_mut(kind).note(change);
        Some(version)
    }

    /// Replaces all objects of a kind, as though they had always been there: no events, and all watches from before have
    /// expired, open ones too. Objects keep the resource versions they bring; `version` is that of the list, if it brings one.
    pub fn fill(&mut self, kind: Kind, objects: impl Iterator<Item = Value>, version: Option<u64>) {
        let mut filled = BTreeMap::new();
        for object in objects {
            let brought = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
            let own = brought.and_then(|text| text.parse().ok()).unwrap_or(self.version + 1);
            self.version = self.version.max(own);
            let (key, stored) = shelved(object, own);
            filled.insert(key, stored);
        }
        self.version = self.version.max(version.unwrap_or(0)).max(1);
        let horizon = self.version;
        *self.shelf_mut(kind) = Shelf { objects: filled, log: VecDeque::new(), horizon, lost: horizon };
    }

    /// Forgets what happened to a kind, so that a watch from before now has expired. Open ones that are up to date go on.
    pub fn compact(&mut self, kind: Kind) {
        let horizon = self.version;
        let shelf = self.shelf_mut(kind);
        shelf.lost = shelf.log.back().map_or(shelf.lost, |last| last.version);
        shelf.horizon = horizon;
        shelf.log.clear();
    }
}

/// The key of an object.
pub fn key(namespace: Option<&str>, name: &str) -> String {
    namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}

/// An object at `version` as it is kept, and its key.
fn shelved(object: Value, version: u64) -> (String, Stored) {
    let mut object = match object {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    object.remove("kind");
    object.remove("apiVersion");
    let metadata = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert("resourceVersion".into(), version.to_string().into());
    }
    let object = Value::Object(object);
    let meta = Meta::of(&object);
    let key = key(meta.namespace.as_deref(), &meta.name);
    (key, Stored { meta: Arc::new(meta), text: object.to_string().into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, app: &str) -> Value {
        json!({ "metadata": { "name": name, "namespace": "shop", "labels": { "app": app } } })
    }

    #[test]
    fn versions_rise_and_changes_are_told_by_selector() {
        let mut store = Store::default();
        let first = store.apply(Kind::Pod, pod("a", "web"));
        let second = store.apply(Kind::Pod, pod("a", "db"));
        let third = store.delete(Kind::Pod, Some("shop"), "a").unwrap();
        assert!(first < second && second < third);
        let web = Selector::default().with_labels("app=web").unwrap();
        let seen: Vec<_> = store.shelf(Kind::Pod).since(0).map(|change| change.seen_by(&web)).collect();
        assert_eq!(seen, [Some("ADDED"), Some("DELETED"), None]);
        let all = Selector::default();
        let seen: Vec<_> = store.shelf(Kind::Pod).since(first).map(|change| change.seen_by(&all)).collect();
        assert_eq!(seen, [Some("MODIFIED"), Some("DELETED")]);
        assert!(store.delete(Kind::Pod, Some("shop"), "a").is_none());
    }

    #[test]
    fn the_log_is_bounded() {
        let mut store = Store::default();
        for _ in 0..EVENTS_KEPT + 5 {
            store.apply(Kind::Pod, pod("a", "web"));
        }
        assert_eq!(store.shelf(Kind::Pod).since(0).count(), EVENTS_KEPT);
        assert_eq!(store.shelf(Kind::Pod).horizon(), 5);
        assert_eq!(store.shelf(Kind::Node).horizon(), 0);
    }

    #[test]
    fn a_list_keeps_the_versions_it_brings() {
        let mut store = Store::default();
        let mut brought = pod("a", "web");
        brought["metadata"]["resourceVersion"] = "769".into();
        store.fill(Kind::Pod, [brought].into_iter(), Some(817));
        assert_eq!(store.version(), 817);
        assert!(store.shelf(Kind::Pod).get("shop/a").unwrap().text.contains(r#""resourceVersion":"769""#));
        assert_eq!(store.shelf(Kind::Pod).horizon(), 817);
    }
}
