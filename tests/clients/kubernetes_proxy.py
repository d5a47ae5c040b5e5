"""Asks Heapster as old dashboards did: with Python's Kubernetes client, through the API server's proxy of services.

Arguments: the API server's URL, and Heapster's own, with which every answer is compared.
"""

import gzip
import json
import sys
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

from kubernetes import client

API, HEAPSTER = sys.argv[1], sys.argv[2]
NAME, NAMESPACE = "http:heapster:", "kube-system"
CONFIGURATION = client.Configuration(host=API)
core = client.CoreV1Api(client.ApiClient(CONFIGURATION))
asked = 0


def proxied(path):
    """The body at a path, by the client's own method for it."""
    global asked
    asked += 1
    answer = core.connect_get_namespaced_service_proxy_with_path(NAME, NAMESPACE, path, _preload_content=False)
    assert answer.status == 200, (path, answer.status)
    return answer.data


def questioned(path, query, headers=None):
    """The answer at a path with a query, for which the client has no method of its own."""
    global asked
    asked += 1
    where = "/api/v1/namespaces/{namespace}/services/{name}/proxy/" + path
    parts = {"namespace": NAMESPACE, "name": NAME}
    asking = core.api_client.param_serialize("GET", where, parts, query, headers or {})
    answer = core.api_client.call_api(*asking)
    answer.read()
    return answer


def direct(path):
    with urllib.request.urlopen(f"{HEAPSTER}/{path}", timeout=10) as answer:
        return answer.read()


def same(path):
    """A list that stays as it is from one window to the next."""
    through, own = json.loads(proxied(path)), json.loads(direct(path))
    assert through == own and through, (path, through, own)
    return through


def series(path, query=()):
    answer = json.loads(questioned(path, list(query)).data)
    points = answer["metrics"]
    assert points, path
    assert points[-1]["timestamp"] == answer["latestTimestamp"], path
    return points


def refused(status, path, query=()):
    answer = questioned(path, list(query))
    assert answer.status == status, (path, answer.status)
    return answer.data.decode()


model = "api/v1/model"
nodes, namespaces = same(f"{model}/nodes/"), same(f"{model}/namespaces/")
for node in nodes:
    same(f"{model}/nodes/{node}/metrics/")
    for container in same(f"{model}/nodes/{node}/freecontainers/"):
        same(f"{model}/nodes/{node}/freecontainers/{container}/metrics/")
for namespace in namespaces:
    pods = same(f"{model}/namespaces/{namespace}/pods/")
    same(f"{model}/namespaces/{namespace}/metrics/")
    for pod in pods[:2]:
        for container in same(f"{model}/namespaces/{namespace}/pods/{pod}/containers/"):
            where = f"{model}/namespaces/{namespace}/pods/{pod}/containers/{container}"
            assert "memory/usage" in same(f"{where}/metrics/")
            series(f"{where}/metrics/memory/usage")
    listed = json.loads(proxied(f"{model}/namespaces/{namespace}/pod-list/{','.join(pods)}/metrics/memory/usage"))
    assert len(listed["items"]) == len(pods), namespace

points = series(f"{model}/metrics/memory/usage")
last = datetime.fromisoformat(points[-1]["timestamp"].replace("Z", "+00:00"))
since = last.strftime("%Y-%m-%dT%H:%M:%SZ")
assert points[-1] in series(f"{model}/metrics/memory/usage", [("start", since)])
# An offset has a plus sign, which the client has to encode and the proxy to hand on.
elsewhere = last.astimezone(timezone(timedelta(hours=2))).isoformat()
assert points[-1] in series(f"{model}/metrics/memory/usage", [("start", elsewhere)])
assert series(f"{model}/nodes/{nodes[0]}/metrics/filesystem/usage", [("labels", "resource_id:/")])

packed = questioned("api/v1/metric-export", [], {"Accept-Encoding": "gzip"})
assert packed.getheader("Content-Encoding") == "gzip"
exported = json.loads(gzip.decompress(packed.data) if packed.data[:2] == b"\x1f\x8b" else packed.data)
assert {entity["labels"]["nodename"] for entity in exported} == set(nodes)
assert {metric["name"] for metric in same("api/v1/metric-export-schema")["metrics"]} >= set(
    name for entity in exported for name in entity["metrics"]
)
usage = json.loads(proxied("apis/metrics/v1alpha1/nodes"))
assert [item["metadata"]["name"] for item in usage["items"]] == nodes
assert proxied("healthz") == b"ok"
assert b"<h1>Heapster" in proxied("")

assert "404" in refused(404, "api/v1/nothing")
assert "timestamp" in refused(400, f"{model}/metrics/memory/usage", [("start", "yesterday")])
try:
    core.connect_post_namespaced_service_proxy_with_path(NAME, NAMESPACE, f"{model}/nodes/")
    raise AssertionError("a POST is answered")
except client.ApiException as error:
    assert error.status == 405, error
try:
    core.connect_get_namespaced_service_proxy("http:nobody:", NAMESPACE)
    raise AssertionError("a service that is not there is answered")
except client.ApiException as error:
    assert error.status == 404 and json.loads(error.body)["kind"] == "Status", error

print(f"{asked} requests of kubernetes {client.__version__} through the API server's proxy answered as they should be")
