//! Label selectors of Kubernetes, the whole grammar (apimachinery `pkg/labels/selector.go`): read, and held against
//! labels. What is selected is left to whoever asks.

use std::fmt;
use std::str::FromStr;

/// What labels must be like: every requirement must be met. Without any it takes everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    wanted: Wanted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Present,
    Absent,
    /// Present and one of these.
    In(Vec<String>),
    /// Absent or none of these.
    NotIn(Vec<String>),
    Above(i64),
    Below(i64),
}

/// Why a text is no selector. The words are those that the API server uses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSelector {
    /// Something else than what may stand there.
    #[error("{}found '{found}', expected: {expected}", if *.within { "unable to parse requirement: " } else { "" })]
    Found {
        /// What stands there.
        found: String,
        /// What may.
        expected: &'static str,
        /// Whether a requirement had begun.
        within: bool,
    },
    /// A label's name that none can have.
    #[error("unable to parse requirement: {0:?} is no name of a label")]
    Key(String),
    /// A value that no label can have.
    #[error("unable to parse requirement: {0:?} is no value of a label")]
    Value(String),
    /// A bound that is no number.
    #[error("unable to parse requirement: {0:?} is no whole number, which '<' and '>' need")]
    Bound(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Sign(&'static str),
    End,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Sign(sign) => f.write_str(sign),
            Self::End => Ok(()),
        }
    }
}

/// Signs, the longer ones before those that they begin with.
const SIGNS: [&str; 9] = ["!=", "==", "!", "(", ")", ",", "=", "<", ">"];
const OPERATORS: &str = "'=', '!=', '==', 'in', notin'";

struct Reader<'a> {
    rest: &'a str,
    within: bool,
}

impl<'a> Reader<'a> {
    fn split(&self) -> (Token<'a>, &'a str) {
        let rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(*sign)) {
            return (Token::Sign(sign), rest.get(sign.len()..).unwrap_or_default());
        }
        let ends = |each: char| " \t\r\n!(),=<>".contains(each);
        let (word, rest) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
        (if word.is_empty() { Token::End } else { Token::Word(word) }, rest)
    }

    fn peek(&self) -> Token<'a> {
        self.split().0
    }

    fn next(&mut self) -> Token<'a> {
        let (token, rest) = self.split();
        self.rest = rest;
        token
    }

    fn found(&self, found: Token<'_>, expected: &'static str) -> BadSelector {
        BadSelector::Found { found: found.to_string(), expected, within: self.within }
    }

    fn word(&mut self) -> Result<&'a str, BadSelector> {
        match self.next() {
            Token::Word(word) => Ok(word),
            other => Err(self.found(other, "identifier")),
        }
    }

    fn requirement(&mut self) -> Result<Requirement, BadSelector> {
        let absent = self.peek() == Token::Sign("!");
        if absent {
            self.next();
        }
        let key = self.word()?;
        if !is_key(key) {
            return Err(BadSelector::Key(key.to_owned()));
        }
        let wanted = match self.peek() {
            _ if absent => Wanted::Absent,
            Token::End | Token::Sign(",") => Wanted::Present,
            _ => self.wanted()?,
        };
        Ok(Requirement { key: key.to_owned(), wanted })
    }

    fn wanted(&mut self) -> Result<Wanted, BadSelector> {
        match self.next() {
            Token::Sign("=" | "==") => Ok(Wanted::In(vec![self.value()?])),
            Token::Sign("!=") => Ok(Wanted::NotIn(vec![self.value()?])),
            Token::Word("in") => Ok(Wanted::In(self.set()?)),
            Token::Word("notin") => Ok(Wanted::NotIn(self.set()?)),
            Token::Sign(">") => Ok(Wanted::Above(self.bound()?)),
            Token::Sign("<") => Ok(Wanted::Below(self.bound()?)),
            other => Err(self.found(other, OPERATORS)),
        }
    }

    /// A value; none is the empty one.
    fn value(&mut self) -> Result<String, BadSelector> {
        match self.peek() {
            Token::End | Token::Sign("," | ")") => Ok(String::new()),
            _ => {
                let value = self.word()?;
                if is_value(value) { Ok(value.to_owned()) } else { Err(BadSelector::Value(value.to_owned())) }
            }
        }
    }

    /// Values in parentheses; nothing is the empty one here too.
    fn set(&mut self) -> Result<Vec<String>, BadSelector> {
        let opens = self.next();
        if opens != Token::Sign("(") {
            return Err(self.found(opens, "'('"));
        }
        let mut values = vec![self.value()?];
        loop {
            match self.next() {
                Token::Sign(",") => values.push(self.value()?),
                Token::Sign(")") => return Ok(values),
                other => return Err(self.found(other, "',' or ')'")),
            }
        }
    }

    fn bound(&mut self) -> Result<i64, BadSelector> {
        let bound = self.word()?;
        bound.parse().map_err(|_| BadSelector::Bound(bound.to_owned()))
    }
}

impl FromStr for Selector {
    type Err = BadSelector;

    fn from_str(text: &str) -> Result<Self, BadSelector> {
        let mut reader = Reader { rest: text, within: false };
        let mut requirements = Vec::new();
        if reader.peek() == Token::End {
            return Ok(Self(requirements));
        }
        let mut expected = "!, identifier, or 'end of string'";
        loop {
            reader.within = false;
            match reader.peek() {
                Token::Word(_) | Token::Sign("!") => {}
                other => return Err(reader.found(other, expected)),
            }
            reader.within = true;
            requirements.push(reader.requirement()?);
            reader.within = false;
            expected = "identifier after ','";
            match reader.next() {
                Token::End => return Ok(Self(requirements)),
                Token::Sign(",") => {}
                other => return Err(reader.found(other, "',' or 'end of string'")),
            }
        }
    }
}

impl Selector {
    /// Whether it takes everything.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it takes an object with these labels, which `label` looks up.
    pub fn takes<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.0.iter().all(|requirement| requirement.wanted.is_met_by(label(&requirement.key)))
    }
}

impl Wanted {
    fn is_met_by(&self, found: Option<&str>) -> bool {
        let whole = || found?.parse::<i64>().ok();
        match self {
            Self::Present => found.is_some(),
            Self::Absent => found.is_none(),
            Self::In(values) => found.is_some_and(|found| values.iter().any(|value| value == found)),
            Self::NotIn(values) => found.is_none_or(|found| values.iter().all(|value| value != found)),
            Self::Above(bound) => whole().is_some_and(|whole| whole > *bound),
            Self::Below(bound) => whole().is_some_and(|whole| whole < *bound),
        }
    }
}

/// Whether a text can be a label's name: `name` or `prefix/name`.
fn is_key(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let is_part = |part: &str| {
        let inner = |each: u8| each.is_ascii_lowercase() || each.is_ascii_digit() || each == b'-';
        !part.is_empty() && part.bytes().all(inner) && !part.starts_with('-') && !part.ends_with('-')
    };
    let is_prefix = |prefix: &str| prefix.len() <= 253 && prefix.split('.').all(is_part);
    !name.is_empty() && is_value(name) && prefix.is_none_or(is_prefix)
}

/// Whether a text can be a label's value.
fn is_value(text: &str) -> bool {
    let inner = |each: u8| each.is_ascii_alphanumeric() || b"-_.".contains(&each);
    let outer = |each: Option<u8>| each.is_none_or(|each| each.is_ascii_alphanumeric());
    let mut bytes = text.bytes();
    text.len() <= 63 && text.bytes().all(inner) && outer(bytes.next()) && outer(bytes.next_back())
}
