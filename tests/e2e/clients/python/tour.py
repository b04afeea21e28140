"""Drives a plane with the stock Python client: create, list, a watch stream, patch, delete."""

import os
import sys
import threading
import time

from kubernetes import client, config, watch

config.load_kube_config(os.environ["KUBECONFIG"])
core = client.CoreV1Api()
namespace = f"python-tour-{time.time_ns()}"


def check(what, ok=True):
    print(f"{'ok   ' if ok else 'FAIL '} python: {what}", flush=True)
    if not ok:
        sys.exit(1)


core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace)))
check("create namespace")
try:
    check("list nodes", len(core.list_node().items) >= 0)
    seen = []
    # From before the object is made: a watch without a revision begins with what is there, which may be the patched object already.
    start = core.list_namespaced_config_map(namespace).metadata.resource_version

    def follow():
        for event in watch.Watch().stream(core.list_namespaced_config_map, namespace, resource_version=start, timeout_seconds=20):
            if event["object"].metadata.name == "a":
                seen.append(event["type"])
                if event["type"] == "DELETED":
                    return

    follower = threading.Thread(target=follow)
    follower.start()
    core.create_namespaced_config_map(namespace, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="a"), data={"k": "1"}))
    patched = core.patch_namespaced_config_map("a", namespace, {"data": {"k": "2"}})
    check("patch", patched.data["k"] == "2")
    check("list", [item.metadata.name for item in core.list_namespaced_config_map(namespace).items if item.metadata.name == "a"] == ["a"])
    core.delete_namespaced_config_map("a", namespace)
    follower.join(20)
    check(f"watch saw {seen}", seen == ["ADDED", "MODIFIED", "DELETED"])
    apps = client.AppsV1Api()
    check("list deployments", apps.list_deployment_for_all_namespaces().items is not None)
    try:
        core.read_namespaced_config_map("a", namespace)
        check("reading what is gone raises 404", False)
    except client.exceptions.ApiException as error:
        check("reading what is gone raises 404", error.status == 404)
finally:
    core.delete_namespace(namespace)
