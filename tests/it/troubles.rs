//! What is said of an API server that gives no answer, by how one logged in: over real sockets, each with what would mend
//! it, and each a row of the README's table.

use crate::certificates::{Issuer, issuer};
use crate::documents::table;
use crate::trouble_cases::{SYSTEM, Server, cases, raw};
use crate::watches::pass;
use actix_web::rt;
use heapster::client::kubernetes::{ApiServer, Login, Pod, Right};
use heapster::clock::Clock;
use serde_json::json;
use std::path::PathBuf;

/// A folder with what logins need.
struct Home(tempfile::TempDir);

impl Home {
    fn new(ca: &Issuer) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        std::fs::write(home.path("ca.crt"), ca.pem()).unwrap();
        std::fs::write(home.path("token"), "mounted").unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Every way to log in to a server: as a pod, as a pod with a URL, by a kubeconfig, by a URL alone.
    async fn logins(&self, scheme: &str, port: u16) -> Vec<ApiServer> {
        let url = format!("{scheme}://127.0.0.1:{port}");
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": {"server": url, "certificate-authority": self.path("ca.crt")}}],
            "users": [{"name": "me", "user": {"token": "t"}}],
        });
        std::fs::write(self.path("kubeconfig"), kubeconfig.to_string()).unwrap();
        let server = || url.parse().unwrap();
        let (insecure, token_over_http, mounted_token) = (false, false, false);
        let logins = [
            Login::InCluster { server: None, insecure, token_over_http },
            Login::InCluster { server: Some(server()), insecure, token_over_http },
            Login::Kubeconfig(self.path("kubeconfig")),
            Login::Bare { server: server(), insecure, mounted_token },
        ];
        let pod = Pod {
            server: Some(("127.0.0.1".to_owned(), port.to_string())),
            folder: self.0.path().to_owned(),
        };
        let mut all = Vec::new();
        for login in logins {
            all.push(ApiServer::in_pod(&login, &pod, &Clock::system()).await.unwrap());
        }
        all
    }
}

#[actix_web::test]
async fn every_trouble_is_told_with_its_cure_for_each_login() {
    let (ours, theirs) = (issuer("ours"), issuer("theirs"));
    let home = Home::new(&ours);
    for (_, server, said, fixes) in cases() {
        let (port, scheme) = server.start(&ours, &theirs);
        for (login, fix) in home.logins(scheme, port).await.into_iter().zip(fixes) {
            if fix.is_empty() {
                continue;
            }
            let line = login.version().await.unwrap_err().to_string();
            // Where the system's CAs are to verify, none of our certificates is looked at further.
            let early = fix == SYSTEM || scheme == "https" && line.ends_with(SYSTEM);
            let (start, whole) = said.strip_suffix('…').map_or((said, true), |start| (start, false));
            match whole || early {
                _ if early => assert_eq!(
                    line,
                    format!("no connection: invalid peer certificate: UnknownIssuer; {SYSTEM}")
                ),
                true => assert_eq!(line, format!("{said}; {fix}")),
                false => assert!(line.starts_with(start) && line.ends_with(&format!("; {fix}")), "{line}"),
            }
            assert!(!line.contains("SECRET"), "{line}");
        }
    }
}

/// What the README has beside the cases, and who holds it.
const BESIDE: [&str; 6] = [
    SILENT,
    UNCONNECTED,
    NO_HOST,
    "status 403: … is forbidden",
    "rights cannot be asked for",
    "KUBERNETES_SERVICE_PORT is \"abc\", which is no port",
];
const SILENT: &str = "no answer within 15s";
const UNCONNECTED: &str = "no connection within 10s";
const NO_HOST: &str = "failed to lookup address information";

#[actix_web::test]
async fn a_server_that_is_silent_or_not_to_be_found_is_told() {
    let ours = issuer("ours");
    let home = Home::new(&ours);
    let mut kept = Vec::new();
    let port = raw(move |stream| kept.push(stream));
    // A handshake that is never answered.
    let asked = home.logins("https", port).await.remove(0);
    let said = rt::spawn(async move { asked.version().await.unwrap_err().to_string() });
    pass(11).await;
    let fix = "look for a firewall, and at KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT";
    assert_eq!(said.await.unwrap(), format!("{UNCONNECTED}; {fix}"));
    // A request that is never answered.
    let source = format!("kubernetes.summary_api:http://127.0.0.1:{port}?inClusterConfig=false");
    let found = rt::spawn(async move { crate::doctor::examined(&source).await });
    pass(16).await;
    let fix = "it hangs or is overloaded, or a firewall drops what it says: look at the API server's log";
    let line = format!("API server http://127.0.0.1:{port}/: {SILENT}; {fix}");
    crate::doctor::assert_wrong(&found.await.unwrap(), &[&line]);
    // A host that no DNS has to be asked for: its first label is too long.
    let server = format!("http://{}.invalid", "x".repeat(64)).parse().unwrap();
    let login = Login::Bare { server, insecure: false, mounted_token: false };
    let line =
        ApiServer::new(&login, &Clock::system()).await.unwrap().version().await.unwrap_err().to_string();
    let fix = "there is no such host: look at the URL of --source, and at this machine's DNS";
    assert!(line.starts_with(&format!("no connection: {NO_HOST}: ")), "{line}");
    assert!(line.ends_with(&format!("; {fix}")), "{line}");
}

#[actix_web::test]
async fn a_refused_review_is_told_with_the_role_that_allows_it() {
    let home = Home::new(&issuer("ours"));
    let server = Server::Answers("403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let (port, scheme) = server.start(&issuer("a"), &issuer("b"));
    let right = Right { verb: "list", resource: "nodes", subresource: None };
    for login in home.logins(scheme, port).await.into_iter().skip(1) {
        let said = login.may(&right).await.unwrap_err().to_string();
        let fix = "everyone who is logged in has this right by the ClusterRole system:basic-user: bind it to the account, \
                   or ask kubectl auth can-i";
        assert_eq!(said, format!("status 403: no; {fix}"));
    }
}

#[test]
fn the_readme_tells_of_every_trouble() {
    let rows = table("### The API server");
    let told: Vec<&str> = rows.iter().map(|row| row.split('`').nth(1).unwrap()).collect();
    let mut expected: Vec<&str> = cases().iter().map(|(told, ..)| *told).collect();
    expected.dedup();
    expected.extend(BESIDE);
    assert_eq!(told, expected);
}
