//! Series as Prometheus' remote write has them, 1.0 and 2.0: protobuf in a block of snappy. Writing only; who is asked to
//! take them, and what is answered, is left to the sink.

pub mod messages;

use super::prometheus_names::{Family, Label, Type};
use crate::model::Map;
use crate::model::time::{NANOS_PER_SECOND, Timestamp};
use messages::{one, two};
use prost::Message;
use prost::bytes::Bytes;

/// What says that a series has ended: a number that is none, of these very bits.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
/// The label of a metric's own name. It comes before every other: no label begins with a capital or a digit.
const NAME: &str = "__name__";

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.0.
    One,
    /// 2.0.
    Two,
}

impl Version {
    /// The media type of its requests.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::One => "application/x-protobuf",
            Self::Two => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        }
    }

    /// What the header of the version says.
    pub const fn header(self) -> &'static str {
        match self {
            Self::One => "0.1.0",
            Self::Two => "2.0.0",
        }
    }
}

/// A value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The value, or [`STALE`].
    pub value: f64,
    /// Of which instant.
    pub at: Timestamp,
    /// When the counter began, where it is one and that is known.
    pub start: Option<Timestamp>,
}

/// Labels as one request holds them.
#[derive(Clone, Debug)]
pub struct LabelSet(Held);

#[derive(Clone, Debug)]
enum Held {
    One(Vec<one::Label>),
    Two(Vec<u32>),
}

/// A family as one request holds it.
#[derive(Clone, Debug)]
pub struct Named {
    name: one::Label,
    refs: [u32; 2],
    metadata: two::Metadata,
}

/// One request being written.
pub struct Writer(Body);

enum Body {
    One(one::WriteRequest),
    Two { request: two::Request, known: Map<Bytes, u32> },
}

impl Writer {
    /// An empty request.
    pub fn new(version: Version) -> Self {
        Self(match version {
            Version::One => Body::One(one::WriteRequest::default()),
            Version::Two => {
                let mut body = Body::Two { request: two::Request::default(), known: Map::default() };
                body.symbol("");
                body
            }
        })
    }

    /// Holds a family.
    pub fn family(&mut self, family: &Family) -> Named {
        let name = family.series();
        let kind = match family.kind {
            Type::Unknown => 0,
            Type::Counter => 1,
            Type::Gauge => 2,
        };
        let refs = [self.0.symbol(NAME), self.0.symbol(&name)];
        let metadata = two::Metadata {
            kind,
            help_ref: self.0.symbol(family.help),
            unit_ref: self.0.symbol(family.unit),
        };
        Named { name: label((NAME, &name)), refs, metadata }
    }

    /// Holds labels, which are sorted.
    pub fn labels(&mut self, labels: &[Label<'_>]) -> LabelSet {
        LabelSet(match &mut self.0 {
            Body::One(_) => Held::One(labels.iter().copied().map(label).collect()),
            body @ Body::Two { .. } => Held::Two(
                labels.iter().flat_map(|(name, value)| [body.symbol(name), body.symbol(value)]).collect(),
            ),
        })
    }

    /// Adds a series with one sample. What another request holds cannot be added; none is lost that way, for requests are
    /// written one after the other.
    pub fn push(&mut self, family: &Named, labels: &LabelSet, sample: Sample) {
        let (value, timestamp) = (sample.value, millis(sample.at));
        match (&mut self.0, &labels.0) {
            (Body::One(request), Held::One(labels)) => {
                let mut all = Vec::with_capacity(labels.len() + 1);
                all.push(family.name.clone());
                all.extend_from_slice(labels);
                let samples = vec![one::Sample { value, timestamp }];
                request.timeseries.push(one::TimeSeries { labels: all, samples });
            }
            (Body::Two { request, .. }, Held::Two(labels)) => {
                let mut labels_refs = Vec::with_capacity(labels.len() + 2);
                labels_refs.extend_from_slice(&family.refs);
                labels_refs.extend_from_slice(labels);
                // What began after it was measured was measured by another clock.
                let start = sample.start.map(millis).filter(|start| *start <= timestamp).unwrap_or(0);
                request.timeseries.push(two::TimeSeries {
                    labels_refs,
                    samples: vec![two::Sample { value, timestamp, start_timestamp: start }],
                    metadata: Some(family.metadata),
                    created_timestamp: start,
                });
            }
            _ => {}
        }
    }

    /// How many series were added.
    pub fn len(&self) -> usize {
        match &self.0 {
            Body::One(request) => request.timeseries.len(),
            Body::Two { request, .. } => request.timeseries.len(),
        }
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The request as it is sent. Empty where it is beyond the 4 GiB that snappy knows.
    pub fn finish(self) -> Vec<u8> {
        let body = match self.0 {
            Body::One(request) => request.encode_to_vec(),
            Body::Two { request, .. } => request.encode_to_vec(),
        };
        snap::raw::Encoder::new().compress_vec(&body).unwrap_or_default()
    }
}

impl Body {
    /// The number of a text; 0 where texts have none.
    fn symbol(&mut self, text: &str) -> u32 {
        let Self::Two { request, known } = self else { return 0 };
        if let Some(number) = known.get(text.as_bytes()) {
            return *number;
        }
        let number = u32::try_from(request.symbols.len()).unwrap_or(0);
        let text = Bytes::copy_from_slice(text.as_bytes());
        request.symbols.push(text.clone());
        known.insert(text, number);
        number
    }
}

fn label((name, value): Label<'_>) -> one::Label {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    one::Label { name: bytes(name), value: bytes(value) }
}

fn millis(at: Timestamp) -> i64 {
    at.nanos().div_euclid(NANOS_PER_SECOND / 1_000)
}
