//! RFC 3339 instants, read and written. The form that kubelets write is read without a calendar library; every other
//! form is left to chrono.

use crate::model::time::{NANOS_PER_SECOND, Timestamp};
use chrono::{DateTime, SecondsFormat};

/// The instant that `text` names. None where it is no RFC 3339 instant, or one before 1678 or after 2261.
pub fn parse(text: &str) -> Option<Timestamp> {
    plain(text.as_bytes()).or_else(|| {
        let instant = DateTime::parse_from_rfc3339(text).ok()?;
        instant.timestamp_nanos_opt().map(Timestamp::from_nanos)
    })
}

/// The instant that `text` names, or the nearest that the type reaches. None where it is no RFC 3339 instant.
pub fn parse_nearest(text: &str) -> Option<Timestamp> {
    parse(text).or_else(|| {
        let instant = DateTime::parse_from_rfc3339(text).ok()?;
        let past = instant.timestamp() < 0;
        Some(Timestamp::from_nanos(if past { i64::MIN } else { i64::MAX }))
    })
}

/// An instant as Go writes it: UTC, a fraction only where there is one, no trailing zeros in it.
pub fn format(at: Timestamp) -> String {
    let instant = DateTime::from_timestamp_nanos(at.nanos());
    if at.nanos().rem_euclid(NANOS_PER_SECOND) == 0 {
        return instant.to_rfc3339_opts(SecondsFormat::Secs, true);
    }
    let text = instant.to_rfc3339_opts(SecondsFormat::Nanos, true);
    format!("{}Z", text.trim_end_matches('Z').trim_end_matches('0'))
}

/// `YYYY-MM-DDThh:mm:ssZ` from 1970 on, and nothing else.
fn plain(text: &[u8]) -> Option<Timestamp> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, b'Z'] = text
    else {
        return None;
    };
    let year = number(&[y1, y2, y3, y4])?;
    let (month, day) = (number(&[m1, m2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => 31,
    };
    let valid = (1970..=2261).contains(&year)
        && (1..=12).contains(&month)
        && (1..=last).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 59;
    valid.then(|| {
        let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
        Timestamp::from_seconds(seconds)
    })
}

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar. The year is taken to begin in March, so that the
/// leap day is its last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |n, digit| digit.is_ascii_digit().then(|| n * 10 + i64::from(digit - b'0')))
}
