//! Heapster: collects the usage of every node, pod and container of a Kubernetes cluster, keeps 15 minutes of every
//! metric at every level, and answers over REST.
//!
//! Data flows one way, and the modules show it:
//!
//! ```text
//! API server ──list, watch──▶ Discovery ──starts, stops──▶ Scraper (one a node) ──Scraped──▶ Aggregator ──Export──▶ Exporter (one a sink)
//!                                  └──────────InventoryChanged─────────────────────────────▶ │ ▲
//!                                                                          Ask ──────────────┘ │ answer
//!                                                            web handlers ◀────────────────────┘   GET /api/v1/model/…
//! ```
//!
//! # Floors
//! Imports go strictly down; `tests/tidy.rs` holds it.
//!
//! | floor | modules | what lives there |
//! |---|---|---|
//! | 6 | [`demo`], [`doctor`], `main` | what a user starts |
//! | 5 | [`topology`], [`simulator`] | the whole: who is built of whom, and in which order it ends; a cluster to try it on |
//! | 4 | [`actors`], [`api`] | who runs: shells that forward to the floors below, and never know each other |
//! | 3 | [`sources`], [`sinks`] | plugs: one file a kind and one line in its table |
//! | 2 | [`clock`], [`messages`], [`telemetry`], [`client`], [`spool`] | edges: time, what travels, logs and counters, sockets, files |
//! | 1 | [`rollup`], [`wire`], [`config`] | pure: no clock, no socket, no actor |
//! | 0 | [`model`] | values: entities, the catalogue of metrics, windows, the inventory |
//!
//! # The life of a point
//! 1. `actors::discovery` follows the API server's watches into [`model::inventory`] and keeps one `actors::scraper` for
//!    each usable node.
//! 2. At its turn ([`rollup::schedule`]) the scraper asks the kubelet ([`client::kubelet`]); the source's format
//!    ([`sources`], [`wire`]) decodes the body into a [`model::report::Report`].
//! 3. [`rollup::node`] makes of it one immutable packed [`rollup::block::Block`]: rates against the block before, requests
//!    and limits from the inventory, sums of pods, and what the node adds to its namespaces. The block is the message,
//!    and the newest of each node is kept as it came.
//! 4. `actors::aggregator` hands it to [`rollup::Rollup`], which keeps it, tells the one before by what differs from it
//!    ([`rollup::past`]), and closes the window once every node has answered or the time is up: then there are points of
//!    namespaces and cluster, and the window goes to the sinks.
//! 5. A web handler asks [`rollup::query`] by message and writes the answer in the form of [`wire::model_api`]. Asked for
//!    a list, or for many entities at once, the aggregator hands out rows or its newest blocks ([`rollup::latest`]); they
//!    are read and written beside the threads that answer, piece by piece while they are sent ([`wire::metric_export`],
//!    [`wire::metrics_api`], [`wire::exposition`]).
//! 6. What is older than the retention is asked of the database behind a sink: `api` asks [`sinks::asked`], which asks in
//!    InfluxQL or PromQL ([`wire::influx_past`], [`wire::promql`]), and the answer has the model's form.
//!
//! A new metric is one line of [`model::metric`]. A new source or sink is one file, one format, one line of its table.
//!
//! # Deliberately absent
//! Global state. Locks held across an await. Anything changed after it was published. Anything dropped uncounted. A clock
//! or IO below floor 2, an actor below floor 4. Storage beyond the retention: longer history belongs to the databases
//! behind the sinks.

pub mod actors;
pub mod api;
pub mod client;
pub mod clock;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod messages;
pub mod model;
pub mod rollup;
pub mod simulator;
pub mod sinks;
pub mod sources;
pub mod spool;
pub mod telemetry;
pub mod topology;
pub mod wire;
