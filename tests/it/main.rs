//! Every test but the tidy ones, as one binary: pure ones first, then actors on a paused clock, then sockets.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::type_complexity
)]

mod actors;
mod actors_flow;
mod actors_probe;
mod addresses;
mod ailments;
mod answers;
mod binary;
mod bodies;
mod certificates;
mod clusters;
mod databases;
mod doctor;
mod doctor_tls;
mod documents;
mod exporting;
mod exporting_files;
mod exporting_secrets;
mod exposition;
mod fake_sink;
mod handmade;
mod labels;
mod latest;
mod legacy;
mod legacy_broken;
mod legacy_sums;
mod legacy_walk;
mod legacy_whole;
mod lines;
mod logins;
mod manifests;
mod manners;
mod objects;
mod objects_inventory;
mod objects_quantities;
mod openapi;
mod original;
mod packing;
mod packing_blocks;
mod page;
mod programs;
mod prometheus_names;
mod queue;
mod rates;
mod recorded;
mod remote_write;
mod rolling;
mod rolling_nodes;
mod rolling_sums;
mod scraped;
mod secrets;
mod selectors;
mod serving;
mod serving_tls;
mod settings;
mod settings_cli;
mod settings_layers;
mod settings_refused;
mod settings_texts;
mod simulator;
mod simulator_numbers;
mod sinks_influxdb;
mod sinks_killed;
mod sinks_prometheus;
mod sinks_promql;
mod sinks_refusing;
mod sinks_victoria;
mod stored;
mod summaries;
mod summaries_broken;
mod summaries_numbers;
mod summaries_walk;
mod support;
mod tape;
mod tape_answers;
mod tape_client;
mod tape_differences;
mod tape_expected;
mod tape_export;
mod tape_judge;
mod tape_original;
mod tape_player;
mod tape_series;
mod tape_sockets;
mod tape_usage;
mod tls;
mod trouble_cases;
mod troubles;
mod troubles_told;
mod walk;
mod watches;
mod watches_whole;
mod whole;
mod windows;
mod windows_history;
mod windows_rollup;
