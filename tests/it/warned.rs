//! What the log warns of at the start and with the first window: what is given and may be meant otherwise, what cannot be
//! read. Never a secret.

use crate::exporting_lost::Demo;

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
async fn a_file_that_cannot_be_read_is_called_what_its_option_calls_it() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    for (option, name) in [("pw", "password file"), ("bucket=b&token", "token file")] {
        let sink = format!("{NOBODY}?{option}=file://{}", missing.display());
        let told = said(&sink, &[], &format!("{name} {} ", missing.display())).await;
        assert!(told.len() == 1 && told[0].starts_with("cannot be read: "), "{told:?}");
    }
}
