//! How a table of kinds tells of its options: one line each, for `--help` and the README. Which there are is left to
//! `sources` and `sinks`.

/// An option of a kind.
#[derive(Clone, Copy, Debug)]
pub struct OptionLine {
    /// Its name.
    pub name: &'static str,
    /// Its default.
    pub default: &'static str,
    /// What it is.
    pub about: &'static str,
}

/// One line of a table and its options, as `--help` shows them.
pub fn describe(prefix: &str, about: &str, options: &[OptionLine]) -> String {
    let options = options.iter().map(|option| {
        let default =
            if option.default.is_empty() { String::new() } else { format!(" [default: {}]", option.default) };
        format!("      {:<18} {}{default}\n", option.name, option.about)
    });
    format!("  {prefix}: {about}\n{}", options.collect::<String>())
}
