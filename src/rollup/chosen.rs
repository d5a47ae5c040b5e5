//! Which rows of one node's answer count, whose they are, and where in the node's table they stand: the table of the
//! last answer where it holds the same, in whatever order the kubelet tells it today. Values are left to [`super::node`].

use super::block::{Row, Rows};
use super::node::{Answer, MAX_ROWS, Tally};
use crate::model::entity::{Entity, Labels, Name};
use crate::model::inventory::NodeInventory;
use crate::model::metric::Metric;
use crate::model::pool::Pool;
use crate::model::report::{Part, Subject};
use crate::model::{Map, Set};
use std::sync::Arc;

/// A row that counts, and its position in the report; None where only the inventory knows of it.
pub(super) struct Chosen<'a> {
    subject: Subject<'a>,
    part: Part<'a>,
    source: Option<usize>,
}

/// The rows that count. Of two runs of one entity the one that started later counts, of equal ones the later in the body
/// (heapster#1838). Containers that a reported pod declares but that do not run get a row too, and so does a pod of which
/// only containers were reported.
pub(super) fn choose<'a>(answer: &Answer<'a>, tally: &mut Tally) -> Vec<Chosen<'a>> {
    let (report, inventory) = (answer.report, answer.inventory);
    let mut run = 0;
    let mut runs = Vec::with_capacity(report.rows().len());
    let mut newest = Map::<Subject<'_>, (Option<u64>, usize)>::default();
    newest.reserve(report.rows().len() / 3);
    for row in report.rows() {
        if row.part == Part::Whole {
            run += 1;
            let start = report.value(row, Metric::StartTime);
            let best = newest.entry(row.subject).or_insert((start, run));
            if start >= best.0 {
                *best = (start, run);
            }
        }
        runs.push(run);
    }
    let is_foreign = |subject: Subject<'_>| {
        !answer.foreign.is_empty() && subject.pod().is_some_and(|pod| answer.foreign.contains(&pod))
    };
    let is_stranger = |subject: Subject<'_>| {
        !answer.strangers.is_empty() && subject.pod().is_some_and(|pod| answer.strangers.contains(&pod))
    };
    let mut chosen: Vec<Chosen<'a>> = Vec::with_capacity(report.rows().len() + 8);
    // The parts of a subject follow it: most rows are judged as the row before.
    let mut judged: Option<(Subject<'_>, Option<usize>)> = None;
    for (source, (row, run)) in report.rows().iter().zip(runs).enumerate() {
        let best = match judged {
            Some((subject, best)) if subject == row.subject => best,
            _ => newest.get(&row.subject).map(|(_, best)| *best),
        };
        judged = Some((row.subject, best));
        if is_foreign(row.subject) {
            tally.foreign_rows += 1;
        } else if is_stranger(row.subject) {
            tally.unknown_rows += 1;
        } else if best.is_some_and(|best| best != run) {
            tally.superseded_rows += 1;
        } else if chosen.len() >= MAX_ROWS {
            tally.rows_over_limit += 1;
        } else {
            chosen.push(Chosen { subject: row.subject, part: row.part, source: Some(source) });
        }
    }
    let counted = newest.keys().filter(|subject| !is_foreign(**subject) && !is_stranger(**subject));
    let pods: Set<(&str, &str)> = counted.filter_map(|subject| subject.pod()).collect();
    let mut add = |subject| chosen.push(Chosen { subject, part: Part::Whole, source: None });
    for (namespace, name) in pods {
        if !newest.contains_key(&Subject::Pod(namespace, name)) {
            add(Subject::Pod(namespace, name));
        }
        let Some(facts) = inventory.pod(namespace, name) else { continue };
        for container in facts.containers.iter() {
            let subject = Subject::Container(namespace, name, &container.name);
            if !newest.contains_key(&subject) {
                add(subject);
            }
        }
    }
    chosen
}

/// The table of these rows, and for each row of the report its place there.
pub(super) fn table(chosen: &[Chosen<'_>], answer: &Answer<'_>) -> (Arc<Rows>, Vec<Option<Row>>) {
    let before = answer.previous.map(|previous| &previous.layout.rows);
    let kept = before.and_then(|rows| Some((rows.clone(), places(rows, chosen, answer)?)));
    let (rows, places) = kept.unwrap_or_else(|| {
        let before = before.map(|rows| &**rows);
        let mut namer = Namer { inventory: answer.inventory, before, strangers: Map::default() };
        let mut labeller = Labeller::with(before);
        let keys: Vec<(Entity, Option<Labels>)> =
            chosen.iter().map(|each| (namer.entity(each.subject), labeller.labels(each.part))).collect();
        let (rows, places) = Rows::placed(keys.iter().map(|(entity, labels)| (entity, labels.as_ref())));
        (Arc::new(rows), places)
    });
    let mut row_of = vec![None; answer.report.rows().len()];
    for (each, place) in chosen.iter().zip(places) {
        if let Some(slot) = each.source.and_then(|source| row_of.get_mut(source)) {
            *slot = place;
        }
    }
    (rows, row_of)
}

/// The place of each chosen row in these rows. None where they hold another one, or one more, or a pod by a name of their
/// own that the inventory has by now: names are to be there once.
fn places(rows: &Rows, chosen: &[Chosen<'_>], answer: &Answer<'_>) -> Option<Vec<Option<Row>>> {
    let mut taken = vec![false; rows.len()];
    let mut distinct = 0;
    let mut last = None;
    let mut places = Vec::with_capacity(chosen.len());
    for each in chosen {
        let span = match &last {
            Some((subject, span)) if *subject == each.subject => std::ops::Range::clone(span),
            _ => rows.span(each.subject.of_node(&answer.inventory.node.name)),
        };
        let row = span
            .clone()
            .find(|row| rows.key(*row).is_some_and(|(_, labels)| each.part.has_labels(labels)))?;
        if let (Subject::Pod(namespace, name), Part::Whole) = (each.subject, each.part)
            && let Some(facts) = answer.inventory.pod(namespace, name)
            && let [_, Some(pod), _] = rows.names(rows.pair(row)?.0)
            && !Name::ptr_eq(pod, &facts.name)
        {
            return None;
        }
        last = Some((each.subject, span));
        let seen = taken.get_mut(row)?;
        distinct += usize::from(!std::mem::replace(seen, true));
        places.push(Some(row));
    }
    (distinct == rows.len()).then_some(places)
}

/// Makes labels, those of each part once, and shares with the table before what is in that.
#[derive(Default)]
struct Labeller<'a> {
    sets: Pool<Labels>,
    made: Map<Part<'a>, Option<Labels>>,
}

impl<'a> Labeller<'a> {
    fn with(before: Option<&Rows>) -> Self {
        let mut labeller = Self::default();
        for labels in before.iter().flat_map(|rows| rows.labels()) {
            labeller.sets.share(labels);
        }
        labeller
    }

    fn labels(&mut self, part: Part<'a>) -> Option<Labels> {
        let sets = &mut self.sets;
        self.made.entry(part).or_insert_with(|| Some(sets.share(&part.labels()?))).clone()
    }
}

/// Makes entities with the inventory's own names where it knows them, else with those of the table before, so that they
/// are shared.
struct Namer<'a> {
    inventory: &'a NodeInventory,
    before: Option<&'a Rows>,
    strangers: Map<(&'a str, &'a str), (Name, Name)>,
}

impl<'a> Namer<'a> {
    fn entity(&mut self, subject: Subject<'a>) -> Entity {
        let node = || self.inventory.node.name.clone();
        match subject {
            Subject::Node => Entity::Node(node()),
            Subject::Free(name) => {
                Entity::FreeContainer { node: node(), container: self.container(subject, name) }
            }
            Subject::Pod(namespace, name) => {
                let (namespace, pod) = self.pod(namespace, name);
                Entity::Pod { namespace, pod }
            }
            Subject::Container(namespace, name, container) => {
                let known = self.inventory.pod(namespace, name);
                let known = known.and_then(|pod| pod.containers.iter().find(|c| *c.name == *container));
                let container =
                    known.map_or_else(|| self.container(subject, container), |facts| facts.name.clone());
                let (namespace, pod) = self.pod(namespace, name);
                Entity::PodContainer { namespace, pod, container }
            }
        }
    }

    /// The subject's names in the table before.
    fn held(&self, subject: Subject<'_>) -> [Option<&'a Name>; 3] {
        let entity = subject.of_node(&self.inventory.node.name);
        let names = self.before.and_then(|rows| Some(rows.names(rows.position(entity, usize::MAX)?)));
        names.unwrap_or_default()
    }

    /// The name of a container that the inventory does not know.
    fn container(&self, subject: Subject<'_>, name: &str) -> Name {
        match self.held(subject) {
            [_, Some(container), None] | [.., Some(container)] => container.clone(),
            _ => name.into(),
        }
    }

    /// Pods that the inventory does not know have the names of the table before, or have new ones made once.
    fn pod(&mut self, namespace: &'a str, name: &'a str) -> (Name, Name) {
        if let Some(facts) = self.inventory.pod(namespace, name) {
            return (facts.namespace.clone(), facts.name.clone());
        }
        if let Some(made) = self.strangers.get(&(namespace, name)) {
            return made.clone();
        }
        let names = match self.held(Subject::Pod(namespace, name)) {
            [Some(namespace), Some(pod), _] => (namespace.clone(), pod.clone()),
            _ => (namespace.into(), name.into()),
        };
        self.strangers.insert((namespace, name), names.clone());
        names
    }
}
