//! THE tables of routes: every path that is answered, once. The server, the README and the manifests' probes are all held
//! to it. What a request must be like for any of them is left to [`super::manners`].

use super::{export, health, listings, manners, model, openapi, page, past, resource_metrics, status};
use actix_web::dev::HttpServiceFactory;
use actix_web::guard::fn_guard;
use actix_web::{Resource, Scope, web};

/// What a route answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// JSON, to clients that take it.
    Json,
    /// Text, to whoever asks.
    Text,
}

/// One route; only GET is answered.
pub struct Route {
    /// Its path. `{metric:.+}` is the rest of the path, slashes included.
    pub path: &'static str,
    /// What it gives.
    pub about: &'static str,
    /// In which form.
    pub speaks: Speaks,
    mount: fn(Resource) -> Resource,
}

impl Route {
    /// The route as actix-web's, below a path that its own begins with.
    fn resource(&self, root: &str) -> impl HttpServiceFactory + 'static {
        let path = self.path.strip_prefix(root).unwrap_or(self.path);
        let resource =
            (self.mount)(web::resource(path)).default_service(web::to(manners::method_not_allowed));
        match self.speaks {
            Speaks::Text => resource,
            Speaks::Json => resource.route(web::get().to(manners::not_acceptable)),
        }
    }

    /// What its path begins with that is the same for everybody.
    fn root(&self) -> &'static str {
        self.path.split_once("/{").map_or(self.path, |(root, _)| root)
    }

    /// Whether a path without query belongs to it.
    pub fn matches(&self, path: &str) -> bool {
        let path = if path == "/" { path } else { path.trim_end_matches('/') };
        actix_web::dev::ResourceDef::new(self.path).is_match(path)
    }

    /// Its path as it is shown: without how much `{metric}` takes.
    pub fn shown(&self) -> String {
        self.path.replace("{metric:.+}", "{metric}")
    }
}

/// The routes as actix-web's, those below one root together: a path is held against the patterns below its own root and
/// no other, which are regular expressions, one after the other.
pub fn services(routes: &[&Route]) -> Vec<Scope> {
    let mut roots: Vec<&str> = routes.iter().map(|route| route.root()).collect();
    roots.sort_unstable();
    roots.dedup();
    // The longest first: a root may be the beginning of another one.
    roots.reverse();
    let scope = |root: &&str| {
        let below = routes.iter().filter(|route| route.root() == *root);
        below.fold(web::scope(root), |scope, route| scope.service(route.resource(root)))
    };
    roots.iter().map(scope).collect()
}

macro_rules! routes {
    ($(#[$doc:meta])* $name:ident: $($path:literal $speaks:ident $handler:path, $about:literal;)*) => {
        $(#[$doc])*
        pub const $name: &[Route] = &[
            $(Route {
                path: $path,
                about: $about,
                speaks: Speaks::$speaks,
                mount: |resource| resource.route(routes!(@get $speaks).to($handler)),
            },)*
        ];
    };
    (@get Json) => { web::get().guard(fn_guard(|asked| manners::takes_json(asked.head()))) };
    (@get Text) => { web::get() };
}

routes! {
    /// Every route that is always there, in the order in which they are tried.
    ROUTES:
    "/" Text page::page, "a page: what runs here, how it does, and every route";
    "/openapi.json" Json openapi::openapi, "every route for machines, as OpenAPI 3.1";
    "/healthz" Text health::healthz, "whether the data is fresh";
    "/healthz/healthz" Text health::healthz_alone, "the same, with nothing but the reason";
    "/livez" Text health::livez, "whether the process lives";
    "/readyz" Text health::readyz, "whether there is something to answer with";
    "/metrics" Text health::metrics, "what the collector says of itself";
    "/api/v1/status" Json status::status, "how each cluster and node does, with reasons";
    "/api/v1/model" Json listings::root, "what lies below, as Heapster 0.18 told it";
    "/api/v1/model/stats" Json listings::cluster_stats, "figures of the cluster over minute, hour and day";
    "/api/v1/model/debug/allkeys" Json model::all_keys, "keys of all entities, as Heapster wrote them";
    "/api/v1/model/metrics" Json model::cluster_metrics, "names of the cluster's metrics";
    "/api/v1/model/metrics/{metric:.+}" Json model::cluster_series, "one metric of the cluster";
    "/api/v1/model/nodes" Json model::nodes, "names of the nodes";
    "/api/v1/model/nodes/{node}" Json listings::node, "what lies below a node";
    "/api/v1/model/nodes/{node}/stats" Json listings::node_stats, "figures of a node";
    "/api/v1/model/nodes/{node}/metrics" Json model::node_metrics, "names of a node's metrics";
    "/api/v1/model/nodes/{node}/metrics/{metric:.+}" Json model::node_series, "one metric of a node";
    "/api/v1/model/nodes/{node}/freecontainers" Json model::free_containers, "names of a node's free containers";
    "/api/v1/model/nodes/{node}/freecontainers/{container}" Json listings::container, "what lies below a free container";
    "/api/v1/model/nodes/{node}/freecontainers/{container}/stats" Json listings::free_container_stats, "figures of a free container";
    "/api/v1/model/nodes/{node}/freecontainers/{container}/metrics" Json model::free_container_metrics, "names of a free container's metrics";
    "/api/v1/model/nodes/{node}/freecontainers/{container}/metrics/{metric:.+}" Json model::free_container_series, "one metric of a free container";
    "/api/v1/model/nodes/{node}/pods" Json model::node_pods, "names of a node's pods, as `namespace/pod`";
    "/api/v1/model/namespaces" Json model::namespaces, "names of the namespaces";
    "/api/v1/model/namespaces/{namespace}" Json listings::namespace, "what lies below a namespace";
    "/api/v1/model/namespaces/{namespace}/stats" Json listings::namespace_stats, "figures of a namespace";
    "/api/v1/model/namespaces/{namespace}/metrics" Json model::namespace_metrics, "names of a namespace's metrics";
    "/api/v1/model/namespaces/{namespace}/metrics/{metric:.+}" Json model::namespace_series, "one metric of a namespace";
    "/api/v1/model/namespaces/{namespace}/pods" Json model::pods, "names of a namespace's pods";
    "/api/v1/model/namespaces/{namespace}/pod-list/{pods}/metrics/{metric:.+}" Json model::pod_list, "one metric of several pods, given as `pod,pod`";
    "/api/v1/model/namespaces/{namespace}/pods/{pod}" Json listings::pod, "what lies below a pod";
    "/api/v1/model/namespaces/{namespace}/pods/{pod}/stats" Json listings::pod_stats, "figures of a pod";
    "/api/v1/model/namespaces/{namespace}/pods/{pod}/metrics" Json model::pod_metrics, "names of a pod's metrics";
    "/api/v1/model/namespaces/{namespace}/pods/{pod}/metrics/{metric:.+}" Json model::pod_series, "one metric of a pod";
    "/api/v1/model/namespaces/{namespace}/pods/{pod}/containers" Json model::containers, "names of a pod's containers";
    "/api/v1/model/namespaces/{namespace}/pods/{pod}/containers/{container}" Json listings::container, "what lies below a container";
    "/api/v1/model/namespaces/{namespace}/pods/{pod}/containers/{container}/stats" Json listings::container_stats, "figures of a container of a pod";
    "/api/v1/model/namespaces/{namespace}/pods/{pod}/containers/{container}/metrics" Json model::container_metrics, "names of a container's metrics";
    "/api/v1/model/namespaces/{namespace}/pods/{pod}/containers/{container}/metrics/{metric:.+}" Json model::container_series, "one metric of a container of a pod";
    "/api/v1/metric-export" Json export::metrics, "newest points of nodes, pods and containers with all their labels";
    "/api/v1/metric-export-schema" Json export::schema, "what those points are";
    "/api/v1/export/prometheus" Text export::prometheus, "newest point of every series, for Prometheus to scrape";
    "/apis/metrics/v1alpha1/nodes" Json resource_metrics::nodes, "cpu and memory of the nodes";
    "/apis/metrics/v1alpha1/nodes/{node}" Json resource_metrics::node, "cpu and memory of a node";
    "/apis/metrics/v1alpha1/pods" Json resource_metrics::pods, "cpu and memory of the pods";
    "/apis/metrics/v1alpha1/namespaces/{namespace}/pods" Json resource_metrics::pods_of, "cpu and memory of a namespace's pods";
    "/apis/metrics/v1alpha1/namespaces/{namespace}/pods/{pod}" Json resource_metrics::pod, "cpu and memory of a pod";
    "/apis/metrics.k8s.io/v1alpha1/nodes" Json resource_metrics::nodes, "cpu and memory of the nodes";
    "/apis/metrics.k8s.io/v1alpha1/nodes/{node}" Json resource_metrics::node, "cpu and memory of a node";
    "/apis/metrics.k8s.io/v1alpha1/pods" Json resource_metrics::pods, "cpu and memory of the pods";
    "/apis/metrics.k8s.io/v1alpha1/namespaces/{namespace}/pods" Json resource_metrics::pods_of, "cpu and memory of a namespace's pods";
    "/apis/metrics.k8s.io/v1alpha1/namespaces/{namespace}/pods/{pod}" Json resource_metrics::pod, "cpu and memory of a pod";
}

routes! {
    /// Those that are there with a historical source.
    HISTORICAL:
    "/api/v1/historical/metrics" Json past::metrics, "names of the cluster's metrics";
    "/api/v1/historical/metrics/{metric:.+}" Json past::series, "one metric of the cluster";
    "/api/v1/historical/metrics-aggregated/{aggregations}/{metric:.+}" Json past::aggregated, "the same in buckets";
    "/api/v1/historical/nodes" Json past::nodes, "names of the nodes";
    "/api/v1/historical/nodes/{node}/metrics" Json past::metrics, "names of a node's metrics";
    "/api/v1/historical/nodes/{node}/metrics/{metric:.+}" Json past::series, "one metric of a node";
    "/api/v1/historical/nodes/{node}/metrics-aggregated/{aggregations}/{metric:.+}" Json past::aggregated, "the same in buckets";
    "/api/v1/historical/nodes/{node}/freecontainers" Json past::free_containers, "names of a node's free containers";
    "/api/v1/historical/nodes/{node}/freecontainers/{container}/metrics" Json past::metrics, "names of a free container's metrics";
    "/api/v1/historical/nodes/{node}/freecontainers/{container}/metrics/{metric:.+}" Json past::series, "one metric of a free container";
    "/api/v1/historical/nodes/{node}/freecontainers/{container}/metrics-aggregated/{aggregations}/{metric:.+}" Json past::aggregated, "the same in buckets";
    "/api/v1/historical/namespaces" Json past::namespaces, "names of the namespaces";
    "/api/v1/historical/namespaces/{namespace}/metrics" Json past::metrics, "names of a namespace's metrics";
    "/api/v1/historical/namespaces/{namespace}/metrics/{metric:.+}" Json past::series, "one metric of a namespace";
    "/api/v1/historical/namespaces/{namespace}/metrics-aggregated/{aggregations}/{metric:.+}" Json past::aggregated, "the same in buckets";
    "/api/v1/historical/namespaces/{namespace}/pods" Json past::pods, "names of a namespace's pods";
    "/api/v1/historical/namespaces/{namespace}/pod-list/{pods}/metrics/{metric:.+}" Json past::series, "one metric of several pods, given as `pod,pod`";
    "/api/v1/historical/namespaces/{namespace}/pod-list/{pods}/metrics-aggregated/{aggregations}/{metric:.+}" Json past::aggregated, "the same in buckets";
    "/api/v1/historical/namespaces/{namespace}/pods/{pod}/metrics" Json past::metrics, "names of a pod's metrics";
    "/api/v1/historical/namespaces/{namespace}/pods/{pod}/metrics/{metric:.+}" Json past::series, "one metric of a pod";
    "/api/v1/historical/namespaces/{namespace}/pods/{pod}/metrics-aggregated/{aggregations}/{metric:.+}" Json past::aggregated, "the same in buckets";
    "/api/v1/historical/namespaces/{namespace}/pods/{pod}/containers" Json past::containers, "names of a pod's containers";
    "/api/v1/historical/namespaces/{namespace}/pods/{pod}/containers/{container}/metrics" Json past::metrics, "names of a container's metrics";
    "/api/v1/historical/namespaces/{namespace}/pods/{pod}/containers/{container}/metrics/{metric:.+}" Json past::series, "one metric of a container of a pod";
    "/api/v1/historical/namespaces/{namespace}/pods/{pod}/containers/{container}/metrics-aggregated/{aggregations}/{metric:.+}" Json past::aggregated, "the same in buckets";
    "/api/v1/historical/pod-id/{pod_id}/metrics/{metric:.+}" Json past::series, "one metric of a pod by its uid";
    "/api/v1/historical/pod-id/{pod_id}/metrics-aggregated/{aggregations}/{metric:.+}" Json past::aggregated, "the same in buckets";
    "/api/v1/historical/pod-id/{pod_id}/containers/{container}/metrics/{metric:.+}" Json past::series, "one metric of a container by its pod's uid";
    "/api/v1/historical/pod-id/{pod_id}/containers/{container}/metrics-aggregated/{aggregations}/{metric:.+}" Json past::aggregated, "the same in buckets";
    "/api/v1/historical/pod-id-list/{pod_ids}/metrics/{metric:.+}" Json past::series, "one metric of several pods, given as `uid,uid`";
    "/api/v1/historical/pod-id-list/{pod_ids}/metrics-aggregated/{aggregations}/{metric:.+}" Json past::aggregated, "the same in buckets";
}
