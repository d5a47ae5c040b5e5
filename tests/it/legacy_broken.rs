//! Broken bodies of the legacy source: one bad member costs that member and is counted.

use crate::handmade::cases;
use crate::legacy::{complete, real};
use crate::legacy_walk::Walk;
use crate::summaries_walk::{Multiset, lacking, told};
use heapster::wire::kubelet_stats::{StatsError, read};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Stands for a number that is valid JSON and too large for a double.
const HUGE: &str = "a number too large for a double";

/// What is wrong with a report of the body in which what is at `pointer` became `by`, or is gone.
fn harm(body: &Value, pointer: &str, by: Option<&Value>) -> Option<String> {
    let case = format!("{pointer} = {}", by.map_or("gone".into(), Value::to_string));
    let huge = by.and_then(Value::as_str) == Some(HUGE);
    let mut after = body.clone();
    let (above, last) = pointer.rsplit_once('/').unwrap();
    match (after.pointer_mut(above).unwrap(), by) {
        (Value::Array(list), None) => drop(list.remove(last.parse().unwrap())),
        (Value::Object(map), None) => drop(map.remove(&last.replace("~1", "/").replace("~0", "~")).unwrap()),
        (_, by) => *after.pointer_mut(pointer).unwrap() = by.unwrap().clone(),
    }
    let text = after.to_string().replace(&format!("{HUGE:?}"), "1e400");
    let mut counts = vec![Walk::of(&after).broken];
    if huge {
        // It counts wherever it stands, but where nobody looks it may go unseen.
        *after.pointer_mut(pointer).unwrap() = Value::Null;
        counts.push(Walk::of(&after).broken + 1);
    }
    let walk = Walk::of(&after);
    let (mut values, mut broken) = (Multiset::new(), 0);
    match read(text.as_bytes(), |report| (values, broken) = (told(report), report.broken_leaves)) {
        Err(StatsError::NotStats) if !walk.sampled => return None,
        Err(error) => return Some(format!("{case}: {error:?}")),
        Ok(()) => {}
    }
    let (lost, made_up) = (lacking(&walk.values, &values), lacking(&values, &walk.values));
    if !lost.is_empty() || !made_up.is_empty() {
        return Some(format!("{case}: lost {lost:?}, made up {made_up:?}"));
    }
    (!counts.contains(&broken)).then(|| format!("{case}: {broken} broken leaves instead of {counts:?}"))
}

/// The pointers of all that a value holds.
fn pointers(value: &Value, above: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Array(list) => list.iter().enumerate().map(|(at, child)| (at.to_string(), child)).collect(),
        Value::Object(map) => {
            map.iter().map(|(key, child)| (key.replace('~', "~0").replace('/', "~1"), child)).collect()
        }
        _ => Vec::new(),
    };
    for (key, child) in children {
        let pointer = format!("{above}/{key}");
        found.push(pointer.clone());
        pointers(child, &pointer, found);
    }
}

fn breakages() -> Vec<Option<Value>> {
    let by = [
        json!("x"),
        json!(-1),
        json!({}),
        json!([]),
        json!(true),
        json!(1e300),
        json!(7),
        json!([{}, null, 3]),
        Value::Null,
        json!(HUGE),
    ];
    by.into_iter().map(Some).chain([None]).collect()
}

#[test]
fn any_one_member_of_a_complete_body_may_break() {
    let (body, mut all) = (complete(), Vec::new());
    pointers(&body, "", &mut all);
    let each = all.iter().flat_map(|pointer| breakages().into_iter().map(move |by| (pointer, by)));
    let harmed: Vec<_> = each.filter_map(|(pointer, by)| harm(&body, pointer, by.as_ref())).collect();
    assert_eq!(harmed, Vec::<String>::new());
}

/// The real bodies with two samples of each container, so that there is one to fall back on, and the complete one.
static BODIES: LazyLock<Vec<(Value, Vec<String>)>> = LazyLock::new(|| {
    let mut bodies: Vec<Value> = real().into_iter().map(|(_, body)| body).chain([complete()]).collect();
    for info in bodies.iter_mut().flat_map(|body| body.as_object_mut().unwrap().values_mut()) {
        let samples = info["stats"].as_array_mut().unwrap();
        samples.drain(..samples.len().saturating_sub(2));
    }
    let all = |body: &Value| {
        let mut all = Vec::new();
        pointers(body, "", &mut all);
        all
    };
    bodies.into_iter().map(|body| (body.clone(), all(&body))).collect()
});

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn any_one_member_of_a_real_body_may_break(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), by in prop::sample::select(breakages())) {
        let (body, pointers) = which.get(&BODIES);
        let pointer: &String = at.get(pointers);
        prop_assert_eq!(harm(body, pointer, by.as_ref()), None);
    }
}
