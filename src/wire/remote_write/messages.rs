//! The messages of remote write (prometheus/docs `specs/prw`), 1.0 and 2.0, as far as samples need them. Texts are bytes
//! that can be shared: on the wire both look the same.

use prost::bytes::Bytes;

/// 1.0: `prometheus.WriteRequest`.
pub mod one {
    use super::Bytes;

    /// A request.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct WriteRequest {
        /// Its series.
        #[prost(message, repeated, tag = "1")]
        pub timeseries: Vec<TimeSeries>,
    }

    /// A series.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct TimeSeries {
        /// Sorted by name; the metric's own name is that of `__name__`.
        #[prost(message, repeated, tag = "1")]
        pub labels: Vec<Label>,
        /// Oldest first.
        #[prost(message, repeated, tag = "2")]
        pub samples: Vec<Sample>,
    }

    /// A label.
    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub struct Label {
        /// Its name.
        #[prost(bytes = "bytes", tag = "1")]
        pub name: Bytes,
        /// Its value.
        #[prost(bytes = "bytes", tag = "2")]
        pub value: Bytes,
    }

    /// A value.
    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct Sample {
        /// The value itself.
        #[prost(double, tag = "1")]
        pub value: f64,
        /// Of which instant, in milliseconds since the Unix epoch.
        #[prost(int64, tag = "2")]
        pub timestamp: i64,
    }
}

/// 2.0: `io.prometheus.write.v2.Request`.
pub mod two {
    use super::Bytes;

    /// A request.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Request {
        /// Every text of the request, each once; the first is empty.
        #[prost(bytes = "bytes", repeated, tag = "4")]
        pub symbols: Vec<Bytes>,
        /// Its series.
        #[prost(message, repeated, tag = "5")]
        pub timeseries: Vec<TimeSeries>,
    }

    /// A series.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct TimeSeries {
        /// Name, value, name, value and so on, as numbers of symbols; sorted by name.
        #[prost(uint32, repeated, tag = "1")]
        pub labels_refs: Vec<u32>,
        /// Oldest first.
        #[prost(message, repeated, tag = "2")]
        pub samples: Vec<Sample>,
        /// What it is.
        #[prost(message, optional, tag = "5")]
        pub metadata: Option<Metadata>,
        /// When it began: receivers from before the specification had it in each sample look here.
        #[prost(int64, tag = "6")]
        pub created_timestamp: i64,
    }

    /// A value.
    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct Sample {
        /// The value itself.
        #[prost(double, tag = "1")]
        pub value: f64,
        /// Of which instant, in milliseconds since the Unix epoch.
        #[prost(int64, tag = "2")]
        pub timestamp: i64,
        /// When the counter began; 0 where nobody knows.
        #[prost(int64, tag = "3")]
        pub start_timestamp: i64,
    }

    /// What a series is.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
    pub struct Metadata {
        /// 0 where nobody knows, 1 for counters, 2 for gauges.
        #[prost(int32, tag = "1")]
        pub kind: i32,
        /// What it means, as the number of a symbol.
        #[prost(uint32, tag = "3")]
        pub help_ref: u32,
        /// Its unit, as the number of a symbol.
        #[prost(uint32, tag = "4")]
        pub unit_ref: u32,
    }
}
