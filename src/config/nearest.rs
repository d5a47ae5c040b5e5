//! The name that was probably meant.

/// `did you mean "x"?` for the nearest of `known`, or the list of them all where none is near.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    let typed = plain(typed);
    let scored = known.iter().map(|name| (strsim::damerau_levenshtein(&typed, &plain(name)), *name));
    match scored.min() {
        Some((distance, name)) if distance <= 1 + typed.len().min(name.len()) / 3 => {
            format!("did you mean {name:?}?")
        }
        _ => format!("known: {}", known.join(", ")),
    }
}
