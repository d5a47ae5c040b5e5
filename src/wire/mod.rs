//! Bytes in, values out, and back: one file a format. Types that a format needs never leave their file.

pub mod batch_text;
pub mod brisk;
pub mod chunks;
pub mod entity_labels;
pub mod exposition;
pub mod go_json;
pub mod influx_past;
pub mod influx_query;
pub mod kubelet_stats;
pub mod kubelet_summary;
pub mod kubernetes_objects;
pub mod lenient;
pub mod line_protocol;
pub mod members;
pub mod metric_export;
pub mod metrics_api;
pub mod model_api;
pub mod model_stats;
pub mod past_api;
pub mod prometheus_names;
pub mod promql;
pub mod quantity;
pub mod remote_write;
pub mod rfc3339;
pub mod telling;
