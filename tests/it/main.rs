//! Every test but the tidy ones, as one binary: pure ones first, then actors on a paused clock, then sockets.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions
)]

mod actors;
mod actors_flow;
mod actors_probe;
mod binary;
mod documents;
mod handmade;
mod recorded;
mod simulator;
mod simulator_numbers;
mod support;
mod walk;
mod whole;
