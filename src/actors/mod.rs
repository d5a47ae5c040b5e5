//! Who runs: shells that receive messages, hand them to the rooms below, and send on what comes of them. They never
//! import each other; `topology` hands each the addresses it needs.

pub mod aggregator;
pub mod discovery;
pub mod exporter;
pub mod scraper;
