//! What the log warns of at the start and with the first window: what is given and may be meant otherwise, what cannot be
//! read. Never a secret.

use crate::exporting_lost::Demo;
use heapster::config::uri::Uri;
use heapster::spool::Spool;
use std::collections::BTreeSet;

const NOBODY: &str = "influxdb:http://127.0.0.1:1";

/// What is said in lines with these words, behind the words, once there is one.
async fn said(sink: &str, options: &[&str], words: &str) -> Vec<String> {
    let demo = Demo::start(sink, &[&["--nodes=1", "--pods=1", "--model_resolution=5s"], options].concat());
    crate::support::until(words, async || {
        demo.log.lock().unwrap().iter().any(|line| line.contains(words)).then_some(())
    })
    .await;
    let log = demo.stop();
    assert!(!log.iter().any(|line| line.contains("hunter")), "{log:?}");
    let lines = log.iter().filter(|line| line.contains("WARN"));
    lines.filter_map(|line| Some(line.split_once(words)?.1.to_owned())).collect()
}

#[actix_web::test]
async fn an_option_that_is_given_twice_is_told_without_its_values() {
    let uri = "kubernetes.summary_api:''?clusterName=a&insecure=1&clusterName=b&clusterName=c";
    let uri = Uri::parse(uri, &|_| None).unwrap();
    assert_eq!((uri.repeated(), uri.text("clusterName")), (BTreeSet::from(["clusterName"]), Some("a")));

    let sink = format!("{NOBODY}?db=a&db=b&pw=hunter2&pw=hunter3&pw=hunter4&user=a");
    let past = format!("--historical_source={NOBODY}?token=hunter5&bucket=a&token=hunter6");
    let told = said(&sink, &[&past], "_source: influxdb: ").await;
    let rest = " is given more than once and the first counts; give it once";
    assert_eq!(told, [format!("token{rest}")]);
    let told = said(&sink, &[], "--sink: influxdb: ").await;
    assert_eq!(told, ["db", "pw"].map(|option| format!("{option}{rest}")));
}

#[actix_web::test]
async fn a_file_that_cannot_be_read_is_called_what_its_option_calls_it() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    for (option, name) in [("pw", "password file"), ("bucket=b&token", "token file")] {
        let sink = format!("{NOBODY}?{option}=file://{}", missing.display());
        let told = said(&sink, &[], &format!("{name} {} ", missing.display())).await;
        assert!(told.len() == 1 && told[0].starts_with("cannot be read: "), "{told:?}");
    }
}

#[actix_web::test]
async fn files_in_a_spool_that_are_no_windows_are_told_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(folder.path(), &format!("{NOBODY}/k8s")).unwrap();
    let home = spool.folder().to_owned();
    drop(spool);
    let foreign = ["notes.txt", "1.window"].map(|name| home.join(name));
    for path in &foreign {
        std::fs::write(path, "mine").unwrap();
    }
    let option = format!("--spool_dir={}", folder.path().display());
    let told = said(NOBODY, &[&option], "/k8s: 2 files in its spool ").await;
    let rest = "are no windows and are left alone; remove those that nobody needs";
    assert_eq!(told, [format!("{home:?} {rest}")]);
    assert!(foreign.iter().all(|path| path.exists()));
}
