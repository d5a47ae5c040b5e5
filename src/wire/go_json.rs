//! JSON as Go printed it: what stands in strings, and the lines of go-restful's pretty form. Writing only; what is written
//! is left to the formats.

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter};
use std::io::{Result, Write};

/// Whether a string's JSON is the string itself between quotes.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&'))
}

/// A JSON string with the characters escaped that Go escapes for HTML and JavaScript.
pub fn quoted(text: &str) -> String {
    if is_plain(text) {
        return format!("\"{text}\"");
    }
    let plain = serde_json::Value::from(text).to_string();
    match plain.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        false => plain,
        true => plain
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026")
            .replace('\u{2028}', "\\u2028")
            .replace('\u{2029}', "\\u2029"),
    }
}

/// A finite number as JSON; 0 for what JSON cannot say.
pub fn number(value: f64) -> String {
    serde_json::Number::from_f64(value).map_or_else(|| "0".to_owned(), |number| number.to_string())
}

/// Bytes of most values, so that their room is asked for once.
const USUAL: usize = 1_024;

/// A value in the pretty form: every line but the first begins with one blank and one more for each level. `depth` is
/// the level at which the value itself stands.
///
/// # Errors
/// When the value cannot be told in JSON.
pub fn pretty(value: &impl Serialize, depth: usize) -> serde_json::Result<String> {
    let mut out = Vec::with_capacity(USUAL);
    let form = Pretty { depth, any: false };
    value.serialize(&mut Serializer::with_formatter(&mut out, form))?;
    String::from_utf8(out).map_err(serde::ser::Error::custom)
}

struct Pretty {
    depth: usize,
    any: bool,
}

impl Pretty {
    fn line<W: ?Sized + Write>(&self, out: &mut W) -> Result<()> {
        out.write_all(b"\n ")?;
        (0..self.depth).try_for_each(|_| out.write_all(b" "))
    }

    fn open<W: ?Sized + Write>(&mut self, out: &mut W, with: &[u8]) -> Result<()> {
        self.depth += 1;
        self.any = false;
        out.write_all(with)
    }

    fn close<W: ?Sized + Write>(&mut self, out: &mut W, with: &[u8]) -> Result<()> {
        self.depth = self.depth.saturating_sub(1);
        if self.any {
            self.line(out)?;
        }
        self.any = true;
        out.write_all(with)
    }

    fn next<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        self.line(out)
    }
}

impl Formatter for Pretty {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> Result<()> {
        self.open(out, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> Result<()> {
        self.close(out, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> Result<()> {
        self.next(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> Result<()> {
        self.any = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> Result<()> {
        self.open(out, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> Result<()> {
        self.close(out, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> Result<()> {
        self.next(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> Result<()> {
        out.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> Result<()> {
        self.any = true;
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> Result<()> {
        if is_plain(fragment) {
            return out.write_all(fragment.as_bytes());
        }
        let text = quoted(fragment);
        let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
        out.write_all(inner.as_bytes())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, out: &mut W, escape: CharEscape) -> Result<()> {
        CompactFormatter.write_char_escape(out, escape)
    }
}
