//! What the program says while an API server or a program for credentials fails: each reason once, and once that it is
//! over. The reasons themselves are in `troubles`.

use crate::binary::heapster;
use crate::certificates::issuer;
use crate::support::{Collector, until};
use crate::trouble_cases::Server;
use crate::watches::api_server;
use actix_web::rt;
use heapster::simulator::{ApiServer, Fault, Kind};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The program, and what it says on standard error.
struct Running {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Running {
    fn start(source: &str) -> Self {
        Self::start_at("info", source)
    }

    fn start_at(level: &str, source: &str) -> Self {
        let level = format!("--log_level={level}");
        let source = format!("--source={source}");
        let args = [&source, "--port=0", "--listen_ip=127.0.0.1", &level];
        let mut child = heapster(&args).spawn().unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = lines.clone();
        std::thread::spawn(move || errors.lines().for_each(|line| heard.lock().unwrap().push(line.unwrap())));
        Self { child, lines }
    }

    /// What was said so far with these words, without time and level.
    fn said(&self, words: &str) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        let text = |line: &String| line.splitn(3, ' ').nth(2).unwrap().trim_start().to_owned();
        lines.iter().filter(|line| line.contains(words)).map(text).collect()
    }

    async fn says(&self, words: &str, times: usize) {
        until(words, async || (self.said(words).len() >= times).then_some(())).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn fault(code: u16, message: &str) -> Fault {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": "", "code": code});
    Fault::Status(code, status.to_string())
}

fn attempts(api: &ApiServer) -> usize {
    api.requests().iter().filter(|seen| seen.path == "/api/v1/nodes").count()
}

#[actix_web::test]
async fn each_reason_is_said_once_and_once_that_it_is_over() {
    let api = api_server(3);
    api.set_fault_for_all(fault(503, "away"));
    let name = format!("kubernetes.summary_api:{}?inClusterConfig=false", api.url());
    let program = Running::start(&format!("{name}&clusterName=it"));
    // From the start, within the time of the first tries.
    let said = program.says("watching nodes fails", 1);
    tokio::time::timeout(Duration::from_secs(30), said).await.unwrap();
    let tries = attempts(&api);
    until("more tries", async || (attempts(&api) > tries + 1).then_some(())).await;
    let fix = "it cannot serve now: look at its log, at etcd, and at the load balancer before it";
    let kinds = ["nodes", "pods", "namespaces"];
    for kind in kinds {
        let first = format!("it: watching {kind} fails, trying again: status 503: away; {fix}");
        assert_eq!(program.said(&format!("watching {kind}")), [first], "{kind}");
    }
    // Another reason is said too; other words for the same are not.
    api.set_fault(Kind::Node, fault(500, "first"));
    program
        .says("watching nodes fails otherwise now: status 500: first; look at the API server's log", 1)
        .await;
    let tries = attempts(&api);
    api.set_fault(Kind::Node, fault(500, "second"));
    until("more tries", async || (attempts(&api) > tries + 1).then_some(())).await;
    assert_eq!(program.said("watching nodes").len(), 2);
    // Nothing happens to any object, and still it is said of each that its watch is back.
    api.set_fault_for_all(Fault::None);
    program.says("works again", 3).await;
    for kind in kinds {
        assert_eq!(program.said(&format!("watching {kind} works again")).len(), 1, "{kind}");
    }
    // So that the next outage is a new one.
    api.stop().await;
    let refused = "watching pods fails, trying again: no connection: Connection refused";
    until("the next outage", async || {
        let said = program.said("watching pods fails");
        (said.len() > 1 && said[1..].iter().any(|line| line.contains("Connection refused"))).then_some(())
    })
    .await;
    assert!(program.said(refused).len() <= 1);
}

#[actix_web::test]
async fn readiness_names_the_reason() {
    let api = api_server(3);
    api.set_fault(Kind::Node, fault(503, "away"));
    let source = format!("--source=kubernetes.summary_api:{}?inClusterConfig=false", api.url());
    let collector = Collector::start(&[&source]).await;
    let reason = "[-]inventory failed: the API server has not listed its nodes yet: status 503: away; it cannot serve now";
    until("the reason", async || {
        let reply = collector.get("/readyz?verbose").await;
        (reply.status == 500 && reply.body.contains(reason)).then_some(())
    })
    .await;
    assert!(collector.get("/healthz").await.body.contains("not listed its nodes yet: status 503: away"));
    api.set_fault(Kind::Node, Fault::None);
    until("the nodes", async || {
        collector.get("/readyz?verbose").await.body.contains("[+]inventory ok").then_some(())
    })
    .await;
    collector.running.stop().await;
}

#[actix_web::test]
async fn a_program_that_fails_is_said_once_and_once_that_it_gives_again() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
    let status = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": "TOKEN"}});
    // It counts its runs, and gives the token that the file names, or fails where there is none.
    let text = format!(
        "#!/bin/sh\ncd {}\necho >>runs\n[ -f token ] || {{ echo 'SECRET'; echo 'no  ticket' >&2; exit 7; }}\n\
         printf '%s' '{status}' | sed \"s/TOKEN/$(cat token)/\"\n",
        folder.path().display()
    );
    write("program", &text);
    std::fs::set_permissions(path("program"), std::fs::Permissions::from_mode(0o700)).unwrap();
    write("token", "old");
    let api = api_server(3);
    api.require_token(Some("old"));
    let exec = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": path("program"),
        "args": ["--password=SECRET"]}});
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": api.url()}}],
        "users": [{"name": "me", "user": exec}],
    });
    write("kubeconfig", &kubeconfig.to_string());
    let source =
        format!("kubernetes.summary_api:?inClusterConfig=false&auth={}", path("kubeconfig").display());
    let program = Running::start(&source);
    until("all is asked", async || (api.requests().len() >= 6).then_some(())).await;
    let runs = || std::fs::read_to_string(path("runs")).unwrap().lines().count();
    std::fs::remove_file(path("token")).unwrap();
    api.require_token(Some("new"));
    api.set_fault_for_all(Fault::CutStreams);
    let before = runs();
    until("three runs more", async || (runs() >= before + 3).then_some(())).await;
    let line = format!(
        "the kubeconfig's program for credentials, {:?}, failed with exit status: 7, saying \"no ticket\"; run it by hand",
        path("program")
    );
    write("token", "new");
    program.says("gives credentials again", 1).await;
    program.says("works again", 3).await;
    assert_eq!(program.said("program for credentials"), [line]);
    assert_eq!(program.said("gives credentials again").len(), 1);
    assert_eq!(program.said("SECRET"), [""; 0]);
}

#[actix_web::test]
async fn the_doctor_fails_where_nobody_can_read_it() {
    let api = api_server(0);
    let source = format!("--source=kubernetes.summary_api:{}?inClusterConfig=false", api.url());
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for args in [vec!["doctor", &source], vec!["--help"], vec!["--version"]] {
        let mut command = heapster(&args);
        command.stdout(full());
        let output = rt::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{args:?}: {said}");
        assert!(said.contains("standard output cannot be written"), "{args:?}: {said}");
    }
}

#[actix_web::test]
async fn variables_that_lead_nowhere_are_named() {
    let cases = [
        ("10.0.0.1", "abc", "KUBERNETES_SERVICE_PORT is \"abc\", which is no port"),
        ("10.0.0.1", "0", "KUBERNETES_SERVICE_PORT is \"0\", which is no port"),
        ("", "443", "KUBERNETES_SERVICE_HOST is \"\", which is no host"),
    ];
    for (host, port, expected) in cases {
        let mut command = heapster(&["doctor", "--source=kubernetes.summary_api:''"]);
        command.env("KUBERNETES_SERVICE_HOST", host).env("KUBERNETES_SERVICE_PORT", port);
        let output = rt::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 3), "{said}");
        assert!(said.contains(&format!("WRONG  login: {expected}; ")), "{said}");
    }
}

#[actix_web::test]
async fn libraries_say_nothing_of_what_we_say_ourselves() {
    let (ours, theirs) = (issuer("ours"), issuer("theirs"));
    let (port, scheme) = Server::Tls { ours: false, name: "127.0.0.1", valid: true }.start(&ours, &theirs);
    let source = format!("--source=kubernetes.summary_api:{scheme}://127.0.0.1:{port}?inClusterConfig=false");
    let mut command = heapster(&["doctor", &source]);
    let output = rt::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("WRONG  ") && said.contains("UnknownIssuer"), "{said}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");

    // Where everything is asked for, each line that is not ours says whose it is.
    let api = api_server(3);
    api.set_fault_for_all(fault(500, "broken"));
    let source = format!("kubernetes.summary_api:{}?inClusterConfig=false&clusterName=it", api.url());
    let program = Running::start_at("trace", &source);
    program.says("it: watching nodes fails, trying again: status 500: broken", 1).await;
    let tries = attempts(&api);
    until("more tries", async || (attempts(&api) > tries + 1).then_some(())).await;
    assert_eq!(program.said("failed with status"), [""; 0]);
}
