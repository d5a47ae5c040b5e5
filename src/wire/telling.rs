//! What every format of a kubelet's answer has in common: leaves of JSON told as values of a report, and what is no use
//! counted. Which leaf is which metric is left to the formats.

use super::lenient::{Leaf, Object};
use crate::model::metric::Metric;
use crate::model::report::Report;
use crate::model::time::Timestamp;
use std::borrow::Cow;

/// A text that may be missing.
pub type Text<'a> = Leaf<Cow<'a, str>>;
/// An object that may be missing.
pub type Child<T> = Leaf<Object<T>>;
/// A list of objects that may be missing.
pub type List<T> = Leaf<Vec<Leaf<Object<T>>>>;

/// The objects of a list; whatever else is in it is counted.
pub fn elements<'s, T>(list: &'s List<T>, report: &mut Report<'_>) -> Vec<&'s Object<T>> {
    let broken = &mut report.broken_leaves;
    list.or_count(broken).into_iter().flatten().filter_map(|element| element.or_count(broken)).collect()
}

/// Tells a number, if it is there.
pub fn value(report: &mut Report<'_>, metric: Metric, leaf: &Leaf<u64>) {
    if let Some(held) = leaf.or_count(&mut report.broken_leaves) {
        report.push(metric, *held);
    }
}

/// Tells an instant, if somebody set it.
pub fn instant(report: &mut Report<'_>, metric: Metric, leaf: &Leaf<Timestamp>) {
    let at = leaf.or_count(&mut report.broken_leaves).and_then(|at| u64::try_from(at.nanos()).ok());
    if let Some(held) = at.filter(|nanos| *nanos > 0) {
        report.push(metric, held);
    }
}
