//! Held to the original: each of its 594 recorded answers beside ours to the same request, at the same instant of the
//! same tape.

use crate::documents::{assert_table, says};
use crate::tape_differences::{DIFFERENCES, Difference, HEADING, matches};
use crate::tape_expected::Oracle;
use crate::tape_judge::{Bench, judge};
use crate::tape_player::ask_all;
use crate::tape_series::Reasons;

/// How many answers were recorded.
const ANSWERS: usize = 594;

#[actix_web::test]
async fn every_recorded_answer_is_equal_or_different_on_purpose() {
    let oracle = Oracle::new();
    let cases = ask_all().await;
    let bench = Bench::new(&oracle);
    let mut failures = Vec::new();
    let mut found: Vec<(String, Reasons)> = Vec::new();
    for case in &cases {
        let request = case.request();
        match judge(&bench, case) {
            Err(why) => failures.push(format!("{request}: {why}")),
            Ok(reasons) => found.push((request, reasons)),
        }
    }
    for (request, reasons) in &found {
        let listed: Vec<_> =
            DIFFERENCES.iter().filter(|one| one.has(request)).map(|one| one.reason).collect();
        let unlisted = reasons.iter().filter(|reason| !listed.contains(reason));
        failures.extend(unlisted.map(|reason| format!("{request}: {reason} is not in the table")));
        if reasons.is_empty() && !listed.is_empty() {
            failures.push(format!("{request}: is equal, and the table has it for {listed:?}"));
        }
    }
    for one in DIFFERENCES {
        let used = |pattern: &&&str| {
            found.iter().any(|(request, reasons)| reasons.contains(&one.reason) && matches(pattern, request))
        };
        let idle = one.of.iter().filter(|pattern| !used(pattern));
        failures.extend(
            idle.map(|pattern| format!("{}: {pattern} matches no case that differs by it", one.reason)),
        );
        let equal = |pattern: &&&str| {
            found.iter().any(|(request, reasons)| reasons.is_empty() && matches(pattern, request))
        };
        let idle = one.unless.iter().copied().flatten().filter(|pattern| !equal(pattern));
        failures.extend(idle.map(|pattern| format!("{}: {pattern} matches no equal case", one.reason)));
    }
    let count = |reason| found.iter().filter(|(_, reasons)| reasons.contains(&reason)).count();
    let equal = found.iter().filter(|(_, reasons)| reasons.is_empty()).count();
    let failing = cases.len() - found.len();
    println!("equal {equal}, different on purpose {}, failing {failing}", found.len() - equal);
    DIFFERENCES.iter().for_each(|one| println!("{:4} {}", count(one.reason), one.reason));
    assert_eq!(cases.len(), ANSWERS);
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    let told = format!(
        "{equal} of its {ANSWERS} answers are equal: the status, the type, every value, every stamp. {} differ on purpose",
        ANSWERS - equal
    );
    says(HEADING, &told);
    let row = |one: &Difference| {
        format!("| {} | {} | {} | {} |", one.what, one.theirs, one.ours, count(one.reason))
    };
    assert_table(HEADING, &DIFFERENCES.iter().map(row).collect::<Vec<_>>());
}
