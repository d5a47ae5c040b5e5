//! THE table of routes: every path that is answered, once. The server, the README and the manifests' probes are all held
//! to it. A trailing slash and doubled slashes make no difference.

use super::{health, model, status};
use actix_web::{Resource, web};

/// One route; only GET is answered.
pub struct Route {
    /// Its path. `{metric:.+}` is the rest of the path, slashes included.
    pub path: &'static str,
    /// What it gives.
    pub about: &'static str,
    mount: fn(Resource) -> Resource,
}

impl Route {
    /// The route as actix-web's.
    pub fn resource(&self) -> Resource {
        (self.mount)(web::resource(self.path)).default_service(web::to(super::error::method_not_allowed))
    }

    /// Whether a path without query belongs to it.
    pub fn matches(&self, path: &str) -> bool {
        actix_web::dev::ResourceDef::new(self.path).is_match(path.trim_end_matches('/'))
    }
}

macro_rules! routes {
    ($($path:literal $handler:path, $about:literal;)*) => {
        /// Every route, in the order in which they are tried.
        pub const ROUTES: &[Route] = &[
            $(Route { path: $path, about: $about, mount: |resource| resource.route(web::get().to($handler)) },)*
        ];
    };
}

routes! {
    "/healthz" health::healthz, "whether the data is fresh";
    "/livez" health::livez, "whether the process lives";
    "/readyz" health::readyz, "whether there is something to answer with";
    "/metrics" health::metrics, "what the collector says of itself";
    "/api/v1/status" status::status, "how each cluster and node does, with reasons";
    "/api/v1/model/metrics" model::cluster_metrics, "names of the cluster's metrics";
    "/api/v1/model/metrics/{metric:.+}" model::cluster_series, "one metric of the cluster";
    "/api/v1/model/nodes" model::nodes, "names of the nodes";
    "/api/v1/model/nodes/{node}/metrics" model::node_metrics, "names of a node's metrics";
    "/api/v1/model/nodes/{node}/metrics/{metric:.+}" model::node_series, "one metric of a node";
    "/api/v1/model/nodes/{node}/freecontainers" model::free_containers, "names of a node's free containers";
    "/api/v1/model/nodes/{node}/freecontainers/{container}/metrics" model::free_container_metrics, "names of a free container's metrics";
    "/api/v1/model/nodes/{node}/freecontainers/{container}/metrics/{metric:.+}" model::free_container_series, "one metric of a free container";
    "/api/v1/model/namespaces" model::namespaces, "names of the namespaces";
    "/api/v1/model/namespaces/{namespace}/metrics" model::namespace_metrics, "names of a namespace's metrics";
    "/api/v1/model/namespaces/{namespace}/metrics/{metric:.+}" model::namespace_series, "one metric of a namespace";
    "/api/v1/model/namespaces/{namespace}/pods" model::pods, "names of a namespace's pods";
    "/api/v1/model/namespaces/{namespace}/pods/{pod}/metrics" model::pod_metrics, "names of a pod's metrics";
    "/api/v1/model/namespaces/{namespace}/pods/{pod}/metrics/{metric:.+}" model::pod_series, "one metric of a pod";
    "/api/v1/model/namespaces/{namespace}/pods/{pod}/containers" model::containers, "names of a pod's containers";
    "/api/v1/model/namespaces/{namespace}/pods/{pod}/containers/{container}/metrics" model::container_metrics, "names of a container's metrics";
    "/api/v1/model/namespaces/{namespace}/pods/{pod}/containers/{container}/metrics/{metric:.+}" model::container_series, "one metric of a container of a pod";
}
