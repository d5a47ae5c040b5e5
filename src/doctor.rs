//! `heapster doctor`: tries everything that collecting needs, once, and says what is wrong and what to do. What collecting
//! then does is left to `topology`.

use crate::client::credentials::Token;
use crate::client::kubelet::{Asked, Deadline, Fetch, Fetched, KubeletClient, Target};
use crate::client::kubernetes::{ApiServer, Right, Told};
use crate::clock::Clock;
use crate::model::entity::Name;
use crate::model::inventory::{Inventory, NodeFacts, PodName, Unusable};
use crate::model::time::Window;
use crate::model::{self, Set};
use crate::rollup::node::{Answer, assemble, unknown_pods};
use crate::rollup::oddity::{Oddity, oddities, skew};
use crate::rollup::schedule::Schedule;
use crate::sources::{Format, Source};
use crate::telemetry::{chain, printable};
use futures_util::StreamExt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How many kubelets are asked at once.
const AT_ONCE: usize = 32;
/// How long the API server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long it may take to list all nodes and pods.
const LISTING: Duration = Duration::from_secs(60);

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
    let Some(inventory) = inventory(source, api_server, report).await else { return };
    let none_is_left = inventory.nodes().all(|node| node.address.is_err());
    if inventory.nodes().next().is_none() {
        report.wrong(match source.node_selector {
            Some(_) => "nodes: there is none; look at nodeSelector",
            None => "nodes: there is none; look whether this is the API server that was meant",
        });
    }
    let deadline = Deadline::new(&source.kubelets, schedule);
    let asked = futures_util::stream::iter(inventory.nodes()).map(|node| {
        let client = KubeletClient::new(access.clone(), api_server.token(), deadline.time);
        let window = schedule.resolution().last_ended(clock.now());
        let visit = Visit { source, client, inventory: &inventory, deadline, window, clock };
        async move { (node.name.clone(), visit.run(node).await) }
    });
    let mut answers: Vec<(Name, Found)> = asked.buffer_unordered(AT_ONCE).collect().await;
    answers.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (node, found) in answers {
        match found {
            Found::Well(what) => report.ok(&format!("node {node}: {what}")),
            // That is the node's own affair, as long as there are others.
            Found::NotReady(why) if !none_is_left => report.note(&format!("node {node}: {why}")),
            Found::Wrong(why) | Found::NotReady(why) => report.wrong(&format!("node {node}: {why}")),
            Found::Odd(socket, oddities) => oddities.iter().for_each(|oddity| {
                report.wrong(&format!("node {node}: {socket}: {}", oddity.advice()));
            }),
        }
    }
}

/// What the API server tells of its nodes and their pods, by the watches that collecting follows. None where it does not
/// tell of the nodes. Its pods only tell whose a kubelet's pods are; that they may be listed is asked before.
async fn inventory(source: &Source, api_server: &ApiServer, report: &mut Report<'_>) -> Option<Inventory> {
    let mut policy = source.nodes.clone();
    policy.rule.loopback = api_server.is_loopback();
    let mut told = api_server.watch(policy, source.node_selector.as_deref());
    let mut inventory = Inventory::default();
    let mut pods_fail = false;
    let complete = async {
        while !inventory.nodes_known() || !(inventory.pods_known() || pods_fail) {
            match told.next().await? {
                Told::Node(change) => inventory.node(change),
                Told::Pod(change) => inventory.pod(change),
                Told::Namespace(_) => {}
                Told::Failed("nodes", why) | Told::Waits("nodes", why) => return Some(why),
                Told::Failed(kind, _) | Told::Waits(kind, _) => pods_fail |= kind == "pods",
                Told::Works(_) => {}
            }
        }
        None
    };
    match tokio::time::timeout(LISTING, complete).await {
        Ok(Some(why)) => report.wrong(&format!("nodes: {why}")),
        Err(_) if !inventory.nodes_known() => {
            report.wrong("nodes: the API server lists them too slowly; look at its load");
        }
        _ => return Some(inventory),
    }
    None
}

/// What was found out about a node.
enum Found {
    /// Its kubelet answers.
    Well(String),
    /// It is not ready.
    NotReady(String),
    /// It is not asked, or does not answer.
    Wrong(String),
    /// The kubelet there answers, and its answer is odd.
    Odd(SocketAddr, Vec<Oddity>),
}

/// Asks one kubelet as a scraper would.
struct Visit<'a> {
    source: &'a Source,
    client: KubeletClient,
    inventory: &'a Inventory,
    deadline: Deadline,
    window: Window,
    clock: &'a Clock,
}

impl Visit<'_> {
    async fn run(&self, node: &NodeFacts) -> Found {
        let address = match node.address {
            Ok(address) => address,
            Err(reason @ Unusable::NotReady) => return Found::NotReady(reason.advice()),
            Err(reason) => return Found::Wrong(reason.advice()),
        };
        let target = Target { name: node.name.clone(), address, port: node.port };
        let socket = SocketAddr::new(address, node.port.unwrap_or(self.source.kubelets.port));
        let mut format = self.source.format.clone();
        let began = self.clock.uptime();
        let ask = |format: &dyn Format| {
            self.client.fetch(&target, &format.question(self.window), self.deadline.time)
        };
        let mut answer = ask(&*format).await;
        if let (true, Some(otherwise)) =
            (answer.as_ref().is_err_and(|error| error.is_unknown()), format.otherwise())
        {
            format = otherwise;
            answer = ask(&*format).await;
        }
        let Fetched { body, date } = match answer {
            Ok(fetched) => fetched,
            Err(error) => {
                let options = &self.source.kubelets;
                let asked = Asked { options, port: node.port, deadline: self.deadline };
                return Found::Wrong(format!("{socket}: {}", error.advice(&asked)));
            }
        };
        let took = self.clock.uptime().saturating_sub(began).as_millis();
        let skew = date.map(|date| skew(date, self.clock.now()));
        let (mut rows, mut odd) = (0, Vec::new());
        let told = format.read(&body, &mut |report| {
            rows = report.rows().len();
            odd = self.judge(report, node, skew);
        });
        match told {
            Ok(()) if !odd.is_empty() => Found::Odd(socket, odd),
            Ok(()) => {
                Found::Well(format!("{socket} answers {} bytes, {rows} rows, in {took} ms", body.len()))
            }
            Err(error) => Found::Wrong(format!("{socket}: {}", error.advice(&body))),
        }
    }

    /// What is odd about a report. Pods that nobody knows are not: one look does not tell for how long.
    fn judge(&self, report: &model::report::Report<'_>, node: &NodeFacts, skew: Option<i64>) -> Vec<Oddity> {
        let Some(inventory) = self.inventory.of_node(&node.name).map(Arc::new) else { return Vec::new() };
        let elsewhere = |pod: &PodName| self.inventory.node_of(pod).is_some_and(|home| *home != node.name);
        let foreign: Set<PodName> = unknown_pods(report, &inventory).into_iter().filter(elsewhere).collect();
        let answer = Answer {
            report,
            inventory: &inventory,
            foreign: &foreign,
            strangers: &Set::default(),
            previous: None,
            window: self.window,
            scraped_at: self.clock.now(),
        };
        oddities(&answer, &assemble(&answer).tally, skew)
    }
}
