//! Labels of objects as labels of points: joined, left out, stored, by the rules that flags give.

use heapster::config::cli::parse;
use heapster::config::{Config, Environment};
use heapster::model::entity::Labels;
use heapster::model::label_copier::LabelCopier;

/// An object's labels, one of them with the name that the joined ones have.
fn bike() -> Labels {
    Labels::new([
        ("weight", "10kg"),
        ("name", "bike"),
        ("price", "too_high"),
        ("colour", "red"),
        ("labels", "preorder;configurable"),
    ])
}

/// What these flags come to.
fn copier(flags: &[&str]) -> LabelCopier {
    let typed = parse(flags.iter().map(|flag| (*flag).to_owned()), "", "").unwrap();
    Config::resolve(&typed, &Environment::new(), &|_| unreachable!()).unwrap().labels
}

#[test]
fn labels_are_joined_sorted() {
    let joined = "colour:red,labels:preorder;configurable,name:bike,price:too_high,weight:10kg";
    assert_eq!(copier(&[]), LabelCopier::default());
    assert_eq!(copier(&[]).joined(&bike()), joined);
    assert_eq!(copier(&[]).stored(&bike()).count(), 0);
    for flag in ["--label_separator=-", "--label-seperator=-", "-label_seperator=-"] {
        assert_eq!(copier(&[flag]).joined(&bike()), joined.replace(',', "-"), "{flag}");
    }
    assert_eq!(copier(&[]).joined(&Labels::new([("", ""); 0])), "");
}

#[test]
fn ignored_labels_are_left_out() {
    for flags in
        [&["--ignore_label=colour,weight"][..], &["--ignore_label=colour", "--ignore-label", " weight ,"]]
    {
        let joined = copier(flags).joined(&bike());
        assert_eq!(joined, "labels:preorder;configurable,name:bike,price:too_high", "{flags:?}");
    }
}

#[test]
fn stored_labels_stand_by_themselves_under_their_own_name_or_another() {
    let copier = copier(&[
        "--store_label=name,price",
        "--store_label=copiedlabels=labels",
        "--store_label=unknown",
        "--ignore_label=name",
    ]);
    let (labels, stored) =
        (bike(), [("name", "bike"), ("price", "too_high"), ("copiedlabels", "preorder;configurable")]);
    assert_eq!(copier.stored(&labels).collect::<Vec<_>>(), stored);
    let joined = copier.joined(&labels);
    assert!(
        !joined.contains("name:bike") && joined.contains("price:too_high"),
        "stored, and ignored in the joined ones: {joined}"
    );
}
