//! JSON text with one-space indentation, or none, written straight into a buffer. What it says is left to `summary`.
//!
//! Keys and strings must not need escaping: all that a synthetic cluster is named is letters, digits and dashes.

use super::objects::rfc3339;
use crate::model::time::Timestamp;

const SEPARATOR: &[u8] = b",\n                ";
const SECONDS_PER_DAY: i64 = 86_400;

/// A key, quoted and with its colon, so that it is copied in one go. Made by `key!`.
#[derive(Clone, Copy)]
pub struct Key(pub(super) &'static str);

macro_rules! key {
    ($name:literal) => {
        $crate::simulator::summary_text::Key(concat!("\"", $name, "\": "))
    };
}
pub(super) use key;

/// A JSON document that is being written.
pub struct Text<'a> {
    out: &'a mut Vec<u8>,
    pretty: bool,
    depth: usize,
    /// Whether the innermost object or array has no member yet.
    empty: bool,
    /// The day that `date` is the text of, in days since the epoch, and `2026-11-21T`.
    day: i64,
    date: [u8; 11],
}

impl<'a> Text<'a> {
    /// A document at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>, pretty: bool) -> Self {
        Self { out, pretty, depth: 0, empty: true, day: 0, date: *b"1970-01-01T" }
    }

    /// Opens an object or array; `bracket` is `{` or `[`.
    pub fn open(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.depth += 1;
        self.empty = true;
    }

    /// Closes what was opened last; `bracket` is `}` or `]`.
    pub fn close(&mut self, bracket: u8) {
        self.depth = self.depth.saturating_sub(1);
        if self.pretty && !self.empty {
            self.out.extend_from_slice(SEPARATOR.get(1..2 + self.depth).unwrap_or_default());
        }
        self.empty = false;
        self.out.push(bracket);
    }

    /// Begins the next element of an array.
    pub fn element(&mut self) {
        let from = usize::from(self.empty);
        let to = if self.pretty { 2 + self.depth } else { 1 };
        self.out.extend_from_slice(SEPARATOR.get(from..to).unwrap_or_default());
        self.empty = false;
    }

    /// Begins the next member of an object.
    pub fn key(&mut self, Key(key): Key) {
        self.element();
        let shown = if self.pretty { key.len() } else { key.len().saturating_sub(1) };
        self.out.extend_from_slice(key.as_bytes().get(..shown).unwrap_or_default());
    }

    /// A member with a string.
    pub fn string(&mut self, key: Key, value: &str) {
        self.key(key);
        self.quoted(value);
    }

    /// A member with a whole number.
    pub fn number(&mut self, key: Key, value: u64) {
        self.key(key);
        self.digits(value);
    }

    /// A member with a number of hundredths, written without needless zeros: 0, 0.5, 12.34.
    pub fn hundredths(&mut self, key: Key, value: u64) {
        self.key(key);
        self.digits(value / 100);
        let (tenths, rest) = (value / 10 % 10, value % 10);
        if tenths + rest > 0 {
            self.out.push(b'.');
            self.digits(tenths);
        }
        if rest > 0 {
            self.digits(rest);
        }
    }

    /// A member with an instant, in whole seconds: `"2026-11-21T19:21:26Z"`.
    pub fn time(&mut self, key: Key, at: Timestamp) {
        self.key(key);
        let (day, second) =
            (at.seconds().div_euclid(SECONDS_PER_DAY), at.seconds().rem_euclid(SECONDS_PER_DAY));
        if day != self.day {
            let text = rfc3339(at);
            self.date = text.as_bytes().first_chunk().copied().unwrap_or(*b"1970-01-01T");
            self.day = day;
        }
        self.out.push(b'"');
        self.out.extend_from_slice(&self.date);
        let [h, m, s] = [second / 3600, second / 60 % 60, second % 60];
        let [a, b, c, d, e, f] = [h / 10, h % 10, m / 10, m % 10, s / 10, s % 10].map(digit);
        self.out.extend_from_slice(&[a, b, b':', c, d, b':', e, f, b'Z', b'"']);
    }

    fn quoted(&mut self, text: &str) {
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
    }

    fn digits(&mut self, mut value: u64) {
        if value < 10 {
            return self.out.push(digit(i64::try_from(value).unwrap_or(0)));
        }
        let mut text = [0_u8; 20];
        let mut length = 0;
        for slot in text.iter_mut().rev() {
            *slot = digit(i64::try_from(value % 10).unwrap_or(0));
            value /= 10;
            length += 1;
            if value == 0 {
                break;
            }
        }
        self.out.extend_from_slice(text.get(text.len() - length..).unwrap_or_default());
    }
}

/// The character of a digit from 0 to 9.
fn digit(value: i64) -> u8 {
    b'0' + u8::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pretty: bool, with: impl FnOnce(&mut Text<'_>)) -> String {
        let mut out = Vec::new();
        with(&mut Text::new(&mut out, pretty));
        String::from_utf8(out).unwrap()
    }

    fn document(text: &mut Text<'_>) {
        text.open(b'{');
        text.number(key!("n"), u64::MAX);
        text.key(key!("list"));
        text.open(b'[');
        text.element();
        text.open(b'{');
        text.hundredths(key!("x"), 1205);
        text.close(b'}');
        text.close(b']');
        text.key(key!("none"));
        text.open(b'[');
        text.close(b']');
        text.time(key!("t"), Timestamp::from_seconds(1_795_288_886));
        text.close(b'}');
    }

    #[test]
    fn documents_are_indented_by_one_space() {
        let lines = [
            "{",
            " \"n\": 18446744073709551615,",
            " \"list\": [",
            "  {",
            "   \"x\": 12.05",
            "  }",
            " ],",
            " \"none\": [],",
            " \"t\": \"2026-11-21T19:21:26Z\"",
            "}",
        ];
        assert_eq!(written(true, document), lines.join("\n"));
    }

    #[test]
    fn compact_documents_have_no_white_space() {
        let text = r#"{"n":18446744073709551615,"list":[{"x":12.05}],"none":[],"t":"2026-11-21T19:21:26Z"}"#;
        assert_eq!(written(false, document), text);
    }

    #[test]
    fn hundredths_lose_their_trailing_zeros() {
        let texts = [0, 5, 50, 100, 1_234].map(|n| written(false, |text| text.hundredths(key!("x"), n)));
        assert_eq!(texts, [r#""x":0"#, r#""x":0.05"#, r#""x":0.5"#, r#""x":1"#, r#""x":12.34"#]);
    }
}
