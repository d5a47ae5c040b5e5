//! The entities of a summary as they come: node, system containers, pods and their containers. What their figures are is
//! left to `figures`.

use super::figures::{Draft, name};
use super::leaves::keys;
use super::{Piece, Row, Summary, Whose};
use crate::model::metric::Metric;
use crate::wire::lenient::Leaf;
use crate::wire::members::{Elements, List, Members, Object, skip};
use crate::wire::telling::Text;
use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess};
use std::borrow::Cow;

keys!(SummaryKey { Node Pods });
keys!(NodeKey { NodeName StartTime Cpu Memory Io Network Fs Runtime Rlimit Swap SystemContainers });
keys!(PodKey {
    PodRef StartTime Containers Cpu Memory Io Network Volume
    #[serde(rename = "ephemeral-storage")] EphemeralStorage
    #[serde(rename = "process_stats")] ProcessStats
    Swap
});
keys!(ContainerKey { Name StartTime Cpu Memory Io Rootfs Logs Accelerators UserDefinedMetrics Swap });
keys!(ReferenceKey { Name Namespace });
keys!(RuntimeKey { ImageFs ContainerFs });
keys!(CountKey { Maxpid Curproc #[serde(rename = "process_count")] ProcessCount });

/// How much of a summary there is: what is to stay when an entity turns out to be nobody's.
#[derive(Clone, Copy)]
struct Mark {
    subjects: usize,
    rows: usize,
    values: usize,
    custom: usize,
    broken: u64,
}

impl<'a> Summary<'a> {
    fn draft(&mut self) -> Draft<'a> {
        self.drafts.pop().unwrap_or_default()
    }

    fn mark(&self) -> Mark {
        let (subjects, rows, values) = (self.subjects.len(), self.rows.len(), self.values.len());
        Mark { subjects, rows, values, custom: self.custom.len(), broken: self.broken_leaves }
    }

    /// Forgets what was written down since, and counts so many broken leaves instead.
    fn forget(&mut self, since: Mark, broken: u64) {
        self.subjects.truncate(since.subjects);
        self.rows.truncate(since.rows);
        self.values.truncate(since.values);
        self.custom.truncate(since.custom);
        self.broken_leaves = since.broken + broken;
    }

    /// Writes an entity down, in front of those that were written down since: its parts must follow it.
    fn write(&mut self, whose: usize, draft: &mut Draft<'a>, since: Mark) {
        draft.close();
        let (first, behind) = (self.values.len(), self.rows.len());
        self.values.append(&mut draft.whole);
        let parts = self.values.len();
        self.values.append(&mut draft.values);
        self.rows.push(Row { whose, piece: Piece::Whole, values: first..parts });
        let shifted = draft.parts.drain(..).map(|(piece, values)| Row {
            whose,
            piece,
            values: values.start + parts..values.end + parts,
        });
        self.rows.extend(shifted);
        let own = self.rows.len() - behind;
        if behind > since.rows {
            if let Some(rows) = self.rows.get_mut(since.rows..) {
                rows.rotate_right(own);
            }
            for (row, _, _) in self.custom.iter_mut().skip(since.custom) {
                *row += own;
            }
        }
        self.custom.extend(draft.custom.drain(..).map(|(name, value)| (since.rows, name, value)));
        self.broken_leaves += draft.broken;
        self.nameless += draft.nameless;
    }

    fn give_back(&mut self, mut draft: Draft<'a>) {
        draft.clear();
        self.drafts.push(draft);
    }
}

/// The outermost object.
pub(super) struct Body<'s, 'a>(pub &'s mut Summary<'a>);

impl<'a> Members<'a> for Body<'_, 'a> {
    type Key = SummaryKey;

    fn take<A: MapAccess<'a>>(&mut self, key: SummaryKey, map: &mut A) -> Result<(), A::Error> {
        let Self(summary) = self;
        match key {
            SummaryKey::Node => {
                let (since, draft, at) = (summary.mark(), summary.draft(), summary.subjects.len());
                summary.subjects.push(Whose::Node);
                let mut node = Node { summary, draft, name: Leaf::Absent };
                let found = map.next_value_seed(Object(&mut node))?;
                let Node { mut draft, name: claimed, .. } = node;
                summary.has_node_or_pods |= found != Leaf::Absent;
                found.or_count(&mut summary.broken_leaves);
                if found == Leaf::Is(()) {
                    summary.claimed_node = name(claimed, &mut summary.broken_leaves);
                    summary.write(at, &mut draft, since);
                }
                summary.give_back(draft);
            }
            SummaryKey::Pods => {
                let broken = map.next_value_seed(List(&mut Pods(summary)))?;
                summary.has_node_or_pods |= broken.is_some();
                summary.broken_leaves += broken.unwrap_or(0);
            }
            SummaryKey::Other => skip(map)?,
        }
        Ok(())
    }
}

struct Node<'s, 'a> {
    summary: &'s mut Summary<'a>,
    draft: Draft<'a>,
    name: Text<'a>,
}

impl<'a> Members<'a> for Node<'_, 'a> {
    type Key = NodeKey;

    fn take<A: MapAccess<'a>>(&mut self, key: NodeKey, map: &mut A) -> Result<(), A::Error> {
        let draft = &mut self.draft;
        match key {
            NodeKey::NodeName => map.next_value().map(|name| self.name = name),
            NodeKey::StartTime => draft.start(map),
            NodeKey::Cpu => draft.cpu(map),
            NodeKey::Memory => draft.memory(map),
            NodeKey::Io => draft.io(map),
            NodeKey::Network => draft.network(map),
            NodeKey::Fs => draft.fs("/", true, map),
            NodeKey::Runtime => {
                let found = map.next_value_seed(Object(&mut Runtime(draft)))?;
                draft.count(found);
                Ok(())
            }
            NodeKey::Rlimit => {
                let found = map.next_value_seed(Object(&mut Counts(draft)))?;
                draft.count(found);
                Ok(())
            }
            NodeKey::Swap => draft.swap(map),
            NodeKey::SystemContainers => {
                let mut containers = Containers { summary: self.summary, pod: None };
                let broken = map.next_value_seed(List(&mut containers))?;
                self.summary.broken_leaves += broken.unwrap_or(0);
                Ok(())
            }
            NodeKey::Other => skip(map),
        }
    }
}

struct Runtime<'d, 'a>(&'d mut Draft<'a>);

impl<'a> Members<'a> for Runtime<'_, 'a> {
    type Key = RuntimeKey;

    fn take<A: MapAccess<'a>>(&mut self, key: RuntimeKey, map: &mut A) -> Result<(), A::Error> {
        match key {
            RuntimeKey::ImageFs => self.0.fs("imagefs", false, map),
            RuntimeKey::ContainerFs => self.0.fs("containerfs", false, map),
            RuntimeKey::Other => skip(map),
        }
    }
}

/// Processes: `rlimit` of a node, `process_stats` of a pod.
struct Counts<'d, 'a>(&'d mut Draft<'a>);

impl<'a> Members<'a> for Counts<'_, 'a> {
    type Key = CountKey;

    fn take<A: MapAccess<'a>>(&mut self, key: CountKey, map: &mut A) -> Result<(), A::Error> {
        match key {
            CountKey::Maxpid => self.0.value(Metric::ProcessLimit, map),
            CountKey::Curproc | CountKey::ProcessCount => self.0.value(Metric::ProcessCount, map),
            CountKey::Other => skip(map),
        }
    }
}

struct Pods<'s, 'a>(&'s mut Summary<'a>);

struct Pod<'s, 'a> {
    summary: &'s mut Summary<'a>,
    draft: Draft<'a>,
    /// The position that it will have among the subjects.
    at: usize,
    reference: Reference<'a>,
    /// How much of the reference is no use.
    broken: Leaf<()>,
}

#[derive(Default)]
struct Reference<'a> {
    name: Text<'a>,
    namespace: Text<'a>,
}

impl<'a> Elements<'a> for Pods<'_, 'a> {
    fn next<A: SeqAccess<'a>>(&mut self, list: &mut A) -> Result<Option<Leaf<()>>, A::Error> {
        let (since, draft, at) = (self.0.mark(), self.0.draft(), self.0.subjects.len());
        self.0.subjects.push(Whose::Pod(Cow::default(), Cow::default()));
        let (reference, broken) = (Reference::default(), Leaf::Absent);
        let mut pod = Pod { summary: self.0, draft, at, reference, broken };
        let found = list.next_element_seed(Object(&mut pod))?;
        let Pod { mut draft, reference, broken: missing, .. } = pod;
        let mut broken = 0;
        missing.or_count(&mut broken);
        let names = [reference.namespace, reference.name].map(|text| name(text, &mut broken));
        match names {
            [Some(namespace), Some(name)] => {
                if let Some(subject) = self.0.subjects.get_mut(at) {
                    *subject = Whose::Pod(namespace, name);
                }
                self.0.write(at, &mut draft, since);
            }
            _ => {
                self.0.nameless += u64::from(found == Some(Leaf::Is(())));
                self.0.forget(since, broken);
            }
        }
        self.0.give_back(draft);
        Ok(found)
    }
}

impl<'a> Members<'a> for Pod<'_, 'a> {
    type Key = PodKey;

    fn take<A: MapAccess<'a>>(&mut self, key: PodKey, map: &mut A) -> Result<(), A::Error> {
        let draft = &mut self.draft;
        match key {
            PodKey::PodRef => {
                map.next_value_seed(Object(&mut self.reference)).map(|found| self.broken = found)
            }
            PodKey::StartTime => draft.start(map),
            PodKey::Containers => {
                let mut containers = Containers { summary: self.summary, pod: Some(self.at) };
                let broken = map.next_value_seed(List(&mut containers))?;
                self.summary.broken_leaves += broken.unwrap_or(0);
                Ok(())
            }
            PodKey::Cpu => draft.cpu(map),
            PodKey::Memory => draft.memory(map),
            PodKey::Io => draft.io(map),
            PodKey::Network => draft.network(map),
            PodKey::Volume => draft.volumes(map),
            PodKey::EphemeralStorage => draft.fs("ephemeral-storage", true, map),
            PodKey::ProcessStats => {
                let found = map.next_value_seed(Object(&mut Counts(draft)))?;
                draft.count(found);
                Ok(())
            }
            PodKey::Swap => draft.swap(map),
            PodKey::Other => skip(map),
        }
    }
}

impl<'a> Members<'a> for Reference<'a> {
    type Key = ReferenceKey;

    fn take<A: MapAccess<'a>>(&mut self, key: ReferenceKey, map: &mut A) -> Result<(), A::Error> {
        match key {
            ReferenceKey::Name => map.next_value().map(|name| self.name = name),
            ReferenceKey::Namespace => map.next_value().map(|namespace| self.namespace = namespace),
            ReferenceKey::Other => skip(map),
        }
    }
}

/// Containers of a pod, by its position among the subjects, or of none.
struct Containers<'s, 'a> {
    summary: &'s mut Summary<'a>,
    pod: Option<usize>,
}

struct Container<'a> {
    draft: Draft<'a>,
    name: Text<'a>,
}

impl<'a> Elements<'a> for Containers<'_, 'a> {
    fn next<A: SeqAccess<'a>>(&mut self, list: &mut A) -> Result<Option<Leaf<()>>, A::Error> {
        let mut container = Container { draft: self.summary.draft(), name: Leaf::Absent };
        let found = list.next_element_seed(Object(&mut container))?;
        let Container { mut draft, name: own } = container;
        if let Some(own) = name(own, &mut self.summary.broken_leaves) {
            let (since, at) = (self.summary.mark(), self.summary.subjects.len());
            self.summary.subjects.push(match self.pod {
                Some(pod) => Whose::Container(pod, own),
                None => Whose::Free(own),
            });
            self.summary.write(at, &mut draft, since);
        } else {
            self.summary.nameless += u64::from(found == Some(Leaf::Is(())));
        }
        self.summary.give_back(draft);
        Ok(found)
    }
}

impl<'a> Members<'a> for Container<'a> {
    type Key = ContainerKey;

    fn take<A: MapAccess<'a>>(&mut self, key: ContainerKey, map: &mut A) -> Result<(), A::Error> {
        let draft = &mut self.draft;
        match key {
            ContainerKey::Name => map.next_value().map(|name| self.name = name),
            ContainerKey::StartTime => draft.start(map),
            ContainerKey::Cpu => draft.cpu(map),
            ContainerKey::Memory => draft.memory(map),
            ContainerKey::Io => draft.io(map),
            ContainerKey::Rootfs => draft.fs("/", true, map),
            ContainerKey::Logs => draft.fs("logs", true, map),
            ContainerKey::Accelerators => draft.accelerators(map),
            ContainerKey::UserDefinedMetrics => draft.user_metrics(map),
            ContainerKey::Swap => draft.swap(map),
            ContainerKey::Other => skip(map),
        }
    }
}
