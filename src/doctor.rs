//! `heapster doctor`: tries everything that collecting needs, once, and says what is wrong and what to do. What collecting
//! then does is left to `topology`.

use crate::client::credentials::Token;
use crate::client::kubelet::{Fetch, Fetched, KubeletAccess, KubeletClient, Target};
use crate::client::kubernetes::{ApiServer, Right};
use crate::clock::Clock;
use crate::model::inventory::NodeFacts;
use crate::model::time::Window;
use crate::rollup::schedule::Schedule;
use crate::sources::{Format, Source};
use crate::telemetry::{chain, printable};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;

/// How many kubelets are asked at once.
const AT_ONCE: usize = 32;
/// How long the API server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is said, line by line, and whether anything was wrong.
pub struct Report<'o> {
    out: &'o mut dyn FnMut(&str),
    wrong: usize,
    /// What must not be said, whoever says it.
    token: Option<Arc<Token>>,
}

impl Report<'_> {
    fn say(&mut self, kind: &str, what: &str) {
        let what = self.token.as_ref().map_or_else(|| what.to_owned(), |token| token.hide_in(what));
        (self.out)(&format!("{kind:<6} {}", printable(&what)));
    }

    fn ok(&mut self, what: &str) {
        self.say("ok", what);
    }

    fn note(&mut self, what: &str) {
        self.say("note", what);
    }

    fn wrong(&mut self, what: &str) {
        self.wrong += 1;
        self.say("WRONG", what);
    }
}

/// Examines every source, saying each line by `out`. Returns how many things are wrong.
pub async fn examine(
    sources: Vec<Source>,
    schedule: Schedule,
    clock: Clock,
    out: &mut dyn FnMut(&str),
) -> usize {
    let mut report = Report { out, wrong: 0, token: None };
    for source in sources {
        (report.out)(&format!("source {}", printable(&source.name)));
        report.token = None;
        if let Some(api_server) = api_server(&source, &clock, &mut report).await {
            rights(&source, &api_server, schedule.resolution().last_ended(clock.now()), &mut report).await;
            kubelets(&source, &api_server, schedule, &clock, &mut report).await;
        }
    }
    let (wrong, out) = (report.wrong, report.out);
    match wrong {
        0 => out("nothing is wrong"),
        1 => out("1 thing is wrong"),
        more => out(&format!("{more} things are wrong")),
    }
    wrong
}

async fn api_server(source: &Source, clock: &Clock, report: &mut Report<'_>) -> Option<ApiServer> {
    let api_server = match ApiServer::new(&source.login, clock).await {
        Ok(api_server) => api_server,
        Err(error) => {
            report.wrong(&format!("login: {}", chain(&error)));
            return None;
        }
    };
    report.token = Some(api_server.token());
    let url = &api_server.url;
    match tokio::time::timeout(PATIENCE, api_server.version()).await {
        Ok(Ok(version)) => report.ok(&format!("API server {url} answers: {version}")),
        Ok(Err(error)) => {
            report.wrong(&format!("API server {url}: {error}"));
            return None;
        }
        Err(_) => {
            report.wrong(&format!("API server {url}: {}", api_server.silent(PATIENCE)));
            return None;
        }
    }
    Some(api_server)
}

async fn rights(source: &Source, api_server: &ApiServer, window: Window, report: &mut Report<'_>) {
    let kinds = ["nodes", "pods", "namespaces"];
    let mut rights: Vec<Right> = kinds
        .into_iter()
        .flat_map(|resource| ["list", "watch"].map(|verb| Right { verb, resource, subresource: None }))
        .collect();
    if source.kubelets.https {
        let posts = source.format.question(window).json.is_some();
        rights.push(Right { verb: "get", resource: "nodes", subresource: Some("stats") });
        rights.extend(posts.then_some(Right {
            verb: "create",
            resource: "nodes",
            subresource: Some("stats"),
        }));
    }
    for right in rights {
        match tokio::time::timeout(PATIENCE, api_server.may(&right)).await {
            Ok(Ok(true)) => report.ok(&format!("right to {right}")),
            Ok(Ok(false)) => {
                report.wrong(&format!("no right to {right}; add to the ClusterRole {}", right.rule()))
            }
            Ok(Err(error)) => {
                report.note(&format!("rights cannot be asked for: {error}"));
                return;
            }
            Err(_) => report.note(&format!("right to {right}: {}", api_server.silent(PATIENCE))),
        }
    }
}

async fn kubelets(
    source: &Source,
    api_server: &ApiServer,
    schedule: Schedule,
    clock: &Clock,
    report: &mut Report<'_>,
) {
    let access = match api_server.kubelets(&source.kubelets) {
        Ok(access) => access,
        Err(error) => return report.wrong(&format!("kubelets: {}", chain(&error))),
    };
    if access.tls.is_some() && !access.sends_token {
        report.note(
            "kubelets are not verified, for there is no CA, and get no token; name their CA by kubeletCA",
        );
    } else if access.tls.is_some() && api_server.is_nobody_to_kubelets(&source.kubelets) {
        report.note(
            "kubelets are asked as nobody: the login has neither a token nor a client certificate that they would know",
        );
    }
    let mut policy = source.nodes.clone();
    policy.rule.loopback = api_server.is_loopback();
    let nodes = api_server.nodes(&policy, source.node_selector.as_deref());
    let nodes = match tokio::time::timeout(PATIENCE, nodes).await {
        Ok(Ok(nodes)) => nodes,
        Ok(Err(error)) => return report.wrong(&format!("nodes: {error}")),
        Err(_) => return report.wrong(&format!("nodes: {}", api_server.silent(PATIENCE))),
    };
    if nodes.is_empty() {
        report.wrong("nodes: there is none; look at nodeSelector");
    }
    let timeout = source.kubelets.timeout.map_or(schedule.deadline(), |own| own.min(schedule.deadline()));
    let asked = futures_util::stream::iter(nodes).map(|node| {
        let (access, format, clock) = (access.clone(), source.format.clone(), clock.clone());
        let token = api_server.token();
        async move { kubelet(node, access, token, format, schedule, &clock, timeout).await }
    });
    let mut answers: Vec<(String, Result<String, String>)> = asked.buffer_unordered(AT_ONCE).collect().await;
    answers.sort();
    for (node, answer) in answers {
        match answer {
            Ok(what) => report.ok(&format!("node {node}: {what}")),
            Err(why) => report.wrong(&format!("node {node}: {why}")),
        }
    }
}

/// Asks one kubelet as a scraper would. The node's name, and what it said or what is wrong.
async fn kubelet(
    node: NodeFacts,
    access: KubeletAccess,
    token: Arc<Token>,
    format: Arc<dyn Format>,
    schedule: Schedule,
    clock: &Clock,
    timeout: Duration,
) -> (String, Result<String, String>) {
    let name = node.name.to_string();
    let address = match node.address {
        Ok(address) => address,
        Err(reason) => return (name, Err(reason.advice().to_owned())),
    };
    let target = Target { name: node.name, address, port: node.port };
    let shown = std::net::SocketAddr::new(address, node.port.unwrap_or(access.port));
    let client = KubeletClient::new(access, token, timeout);
    let window = schedule.resolution().last_ended(clock.now());
    let mut format = format;
    let began = clock.uptime();
    let mut answer = client.fetch(&target, &format.question(window), timeout).await;
    if let (true, Some(otherwise)) =
        (answer.as_ref().is_err_and(|error| error.is_unknown()), format.otherwise())
    {
        format = otherwise;
        answer = client.fetch(&target, &format.question(window), timeout).await;
    }
    let Fetched { body, .. } = match answer {
        Ok(fetched) => fetched,
        Err(error) => return (name, Err(format!("{shown}: {}", error.advice()))),
    };
    let took = clock.uptime().saturating_sub(began).as_millis();
    let (mut rows, mut broken) = (0, 0);
    let told = format.read(&body, &mut |report| (rows, broken) = (report.rows().len(), report.broken_leaves));
    match told {
        Ok(()) if broken > 0 => (name, Err(format!("{shown}: numbers in its answer are broken: {broken}"))),
        Ok(()) => (name, Ok(format!("{shown} answers {} bytes, {rows} rows, in {took} ms", body.len()))),
        Err(error) => (name, Err(format!("{shown}: {}", error.advice(&body)))),
    }
}
