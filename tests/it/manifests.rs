//! The manifests run what there is: their arguments are parsed by the real command line, their probes are real routes,
//! their rights are what the code asks for.

use crate::documents::{parse, path, says};
use heapster::api::routes::ROUTES;
use heapster::client::kubernetes::Login;
use heapster::config::{Config, Environment};
use heapster::sources::Source;
use heapster::wire::kubernetes_objects::{ApiNamespace, ApiNode, ApiPod};
use heapster::wire::quantity;
use heapster::{sinks, sources};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// What is applied by default, and the folder of what may take its controller's place.
const FOLDER: &str = "manifests";
const INSTEAD: &str = "manifests/deployment";

/// Every object of every manifest in a folder, but not below it, as `kubectl apply -f` takes them.
fn manifests(folder: &str) -> Vec<Json> {
    let mut objects = Vec::new();
    let files = std::fs::read_dir(path(folder)).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(file).unwrap();
        objects.extend(text.split("\n---\n").map(|text| {
            let file = config::File::from_str(text, config::FileFormat::Yaml);
            config::Config::builder().add_source(file).build().unwrap().try_deserialize::<Json>().unwrap()
        }));
    }
    objects
}

/// The one object of a kind among those that are applied by default.
fn object(kind: &str) -> Json {
    let mut of_kind: Vec<Json> =
        manifests(FOLDER).into_iter().filter(|object| object["kind"] == kind).collect();
    assert_eq!(of_kind.len(), 1, "{kind}");
    of_kind.remove(0)
}

/// The two objects that run Heapster: either is applied, not both.
fn controllers() -> [Json; 2] {
    let instead = manifests(INSTEAD);
    let [deployment] = &instead[..] else { panic!("one object in {INSTEAD}") };
    assert_eq!((&deployment["kind"], &deployment["apiVersion"]), (&"Deployment".into(), &"apps/v1".into()));
    assert!(manifests(FOLDER).iter().all(|object| object["kind"] != "Deployment"), "both would be applied");
    [object("ReplicationController"), deployment.clone()]
}

/// What the manifest's command line makes, in an environment as Kubernetes fills it.
fn in_cluster(container: &Json) -> (Config, Vec<Source>) {
    let command: Vec<&str> =
        container["command"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
    assert_eq!(command[0], "/heapster");
    let linked = [("HEAPSTER_PORT", "tcp://10.0.0.1:80"), ("HEAPSTER_SERVICE_HOST", "10.0.0.1")];
    let linked: Environment = linked.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let config = Config::resolve(&parse(&command[1..]), &linked, &|_| unreachable!()).unwrap();
    sinks::build(&config.sinks, &config.labels).unwrap();
    (config.clone(), sources::build(&config.sources).unwrap())
}

#[test]
fn the_manifests_run_what_there_is() {
    let [controller, deployment] = controllers();
    assert_eq!(controller["metadata"]["name"], "monitoring-heapster-controller");
    assert_runs_what_there_is(&controller, &controller["spec"]["selector"]);
    assert_eq!(deployment["metadata"]["name"], "heapster");
    assert_eq!(deployment["spec"]["strategy"]["type"], "Recreate");
    assert_runs_what_there_is(&deployment, &deployment["spec"]["selector"]["matchLabels"]);
    // Whichever is applied, the same pod runs.
    assert_eq!(controller["spec"]["template"], deployment["spec"]["template"]);
}

#[test]
fn the_doctor_of_either_is_told_with_its_own_arguments() {
    for controller in controllers() {
        let container = &controller["spec"]["template"]["spec"]["containers"][0];
        let command = container["command"].as_array().unwrap().iter().map(|each| each.as_str().unwrap());
        let source = command.clone().find(|argument| argument.starts_with("--source=")).unwrap();
        let workload = format!(
            "{}/{}",
            controller["kind"].as_str().unwrap().to_lowercase(),
            controller["metadata"]["name"].as_str().unwrap()
        );
        let run = format!("kubectl -n kube-system exec {workload} -- /heapster doctor \"{source}\"");
        says("## Doctor", &run);
    }
}

fn assert_runs_what_there_is(controller: &Json, selector: &Json) {
    assert_eq!(controller["spec"]["replicas"], 1);
    let pod = &controller["spec"]["template"]["spec"];
    let [container] = &pod["containers"].as_array().unwrap()[..] else { panic!("one container") };
    assert_eq!(container["name"], "heapster");
    assert_eq!(container["image"], concat!("heapster:", env!("CARGO_PKG_VERSION")));
    let (config, sources) = in_cluster(container);
    assert_eq!(sources[0].login, Login::InCluster { server: None, insecure: false, token_over_http: false });
    assert!(sources[0].kubelets.https);

    let port = &container["ports"][0];
    assert_eq!(port["containerPort"], config.listen.port());
    for (probe, path) in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
        let get = &container[probe]["httpGet"];
        assert_eq!((&get["path"], &get["port"]), (&path.into(), &port["name"]));
        assert!(ROUTES.iter().any(|route| route.matches(path)));
    }
    let service = &object("Service")["spec"];
    assert_eq!(service["ports"][0]["port"], 80);
    assert_eq!(service["ports"][0]["targetPort"], config.listen.port());
    let labels = serde_json::json!({ "name": "heapster" });
    let template = &controller["spec"]["template"]["metadata"]["labels"];
    assert!([&service["selector"], selector, template].iter().all(|each| **each == labels));

    assert_eq!(pod["enableServiceLinks"], false);
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > config.shutdown_grace.as_secs());
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    for amount in ["requests", "limits"] {
        let of = |resource: &str| container["resources"][amount][resource].as_str().unwrap().to_owned();
        assert!(quantity::millis(&of("cpu")) > Some(0) && quantity::units(&of("memory")) > Some(0));
    }
    let user = &pod["securityContext"]["runAsUser"];
    let image = std::fs::read_to_string(path("Dockerfile")).unwrap();
    assert!(image.contains(&format!("\nUSER {user}:")) && image.ends_with("\nENTRYPOINT [\"/heapster\"]\n"));
}

fn kind<K: kube::Resource<DynamicType = ()>>() -> (String, String) {
    (K::group(&()).into_owned(), K::plural(&()).into_owned())
}

#[test]
fn the_rights_are_what_is_asked_for() {
    let mut asked = BTreeSet::new();
    for (group, plural) in [kind::<ApiNode>(), kind::<ApiPod>(), kind::<ApiNamespace>()] {
        asked.extend(["get", "list", "watch"].map(|verb| (group.clone(), plural.clone(), verb.to_owned())));
    }
    let [controller, deployment] = controllers();
    let pod = &controller["spec"]["template"]["spec"];
    for source in in_cluster(&pod["containers"][0]).1 {
        // The kubelet asks the API server whether its node's subresource of this name may be read.
        let question = source.format.question(crate::handmade::window(0));
        let subresource = question.path.split('/').nth(1).unwrap();
        let verb = if question.json.is_some() { "create" } else { "get" };
        asked.insert((String::new(), format!("nodes/{subresource}"), verb.to_owned()));
    }
    let texts = |list: &Json| -> Vec<String> {
        list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let role = object("ClusterRole");
    let mut granted = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                granted.extend(
                    texts(&rule["verbs"]).into_iter().map(|verb| (group.clone(), resource.clone(), verb)),
                );
            }
        }
    }
    assert_eq!(granted, asked);

    let account = object("ServiceAccount")["metadata"].clone();
    let binding = object("ClusterRoleBinding");
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    let subject = &binding["subjects"][0];
    assert_eq!((&subject["name"], &subject["namespace"]), (&account["name"], &account["namespace"]));
    for each in [controller, deployment] {
        assert_eq!(each["metadata"]["namespace"], account["namespace"]);
        assert_eq!(each["spec"]["template"]["spec"]["serviceAccountName"], account["name"]);
    }
}
