//! The house rules, as tests.

fn main() {}
