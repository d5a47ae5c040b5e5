//! What is shown of what others say: no secret of ours, and nothing that steers a terminal.

use heapster::client::credentials::Secret;
use heapster::telemetry::printable;
use proptest::prelude::*;

#[test]
fn what_follows_a_scheme_is_left_out() {
    let cases = [
        ("your header was Bearer TOKEN", "your header was Bearer …"),
        ("Authorization: bearer TOKEN, and more", "Authorization: bearer … and more"),
        ("header=Basic  dXNlcg== end", "header=Basic  … end"),
        ("\"Bearer TOKEN\"", "\"Bearer …"),
        ("a bearer", "a bearer"),
        ("", ""),
        ("Unauthorized", "Unauthorized"),
    ];
    for (text, shown) in cases {
        assert_eq!(printable(text), shown, "{text:?}");
    }
}

#[test]
fn nothing_steers_a_terminal_or_feigns_a_line() {
    let shown = printable("a\u{1b}[2Jb\u{202e}c\nd\u{7f}ä—…");
    assert_eq!(shown, "a\\u{1b}[2Jb\\u{202e}c\\u{a}d\\u{7f}ä—…");
}

proptest! {
    #[test]
    fn a_secret_is_hidden_wherever_it_stands(
        secret in "[A-Za-z0-9._-]{8,40}",
        before in "[ a-zäß:=\"]{0,12}",
        after in "[ a-zäß:=\"]{0,12}",
        kept in 8_usize..40,
    ) {
        let hidden = Secret::new(secret.as_str()).hide_in(&format!("{before}{secret}{after}{secret}"));
        prop_assert!(!hidden.contains(&secret[..8]), "{}", hidden);
        // Only the beginning of it is left.
        let cut = &secret[..kept.min(secret.len())];
        let hidden = Secret::new(secret.as_str()).hide_in(&format!("{before}{cut}"));
        prop_assert_eq!(hidden, format!("{before}…"));
    }

    #[test]
    fn any_text_is_shown_without_what_steers(text in any::<String>()) {
        let turns = |c: char| (0x202a..=0x202e).contains(&u32::from(c));
        let steers = printable(&text).chars().any(|c| c.is_control() || turns(c));
        prop_assert!(!steers);
    }
}
