"""The Python client the way programs use it: typed, dynamic, watch, patches, leader election. Prints "ok" or "FAIL" for each check."""

import datetime
import sys
import threading
import time
import uuid

from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.rest import ApiException
from kubernetes.leaderelection import electionconfig, leaderelection

config.load_kube_config()
core, apps = client.CoreV1Api(), client.AppsV1Api()
namespace = f"python-{uuid.uuid4().hex[:8]}"
failed = False


def check(what):
    def run(body):
        global failed
        try:
            body()
            print(f"ok    python: {what}")
        except Exception as error:  # noqa: BLE001 - every failure is one line
            failed = True
            print(f"FAIL  python: {what}: {type(error).__name__} {str(error)[:600]}")

    return run


def until(seconds, body):
    end = time.monotonic() + seconds
    while True:
        try:
            return body()
        except Exception:  # noqa: BLE001
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def config_map(name, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"l": "x"}), data=data)


def refused(status, body):
    try:
        body()
    except ApiException as error:
        assert error.status == status, f"{error.status} instead of {status}: {error.body}"
        return error
    raise AssertionError(f"no {status}")


core.create_namespace({"metadata": {"name": namespace}})
dyn = dynamic.DynamicClient(client.ApiClient())


@check("typed create, read, replace, delete, and what is refused")
def _():
    made = core.create_namespaced_config_map(namespace, config_map("a", k="1"))
    assert isinstance(made.metadata.creation_timestamp, datetime.datetime)
    refused(409, lambda: core.create_namespaced_config_map(namespace, config_map("a")))
    made.data["k"] = "2"
    core.replace_namespaced_config_map("a", namespace, made)
    refused(409, lambda: core.replace_namespaced_config_map("a", namespace, made))
    assert core.read_namespaced_config_map("a", namespace).data == {"k": "2"}
    refused(422, lambda: core.create_namespaced_config_map(namespace, config_map("Bad Name")))
    core.delete_namespaced_config_map("a", namespace)
    refused(404, lambda: core.read_namespaced_config_map("a", namespace))


@check("patches of every kind")
def _():
    core.create_namespaced_config_map(namespace, config_map("p", k="1", gone="x"))
    core.patch_namespaced_config_map("p", namespace, {"data": {"k": "2", "gone": None}})
    core.patch_namespaced_config_map("p", namespace, [{"op": "add", "path": "/data/j", "value": "3"}])
    resource = dyn.resources.get(api_version="v1", kind="ConfigMap")
    for content_type in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
        resource.patch(
            name="p", namespace=namespace, body={"metadata": {"annotations": {content_type[12:15]: "y"}}}, content_type=content_type
        )
    assert core.read_namespaced_config_map("p", namespace).data == {"k": "2", "j": "3"}


@check("a watch begins with what is there, and goes on")
def _():
    watching = watch.Watch()
    timer = threading.Timer(1, lambda: core.create_namespaced_config_map(namespace, config_map("w2")))
    core.create_namespaced_config_map(namespace, config_map("w1"))
    timer.start()
    seen = []
    for event in watching.stream(core.list_namespaced_config_map, namespace, label_selector="l=x", timeout_seconds=10):
        seen.append((event["type"], event["object"].metadata.name))
        if ("ADDED", "w2") in seen:
            watching.stop()
    assert ("ADDED", "w1") in seen and ("ADDED", "w2") in seen, seen


@check("a watch of an expired revision says 410")
def _():
    watching = watch.Watch()
    error = None
    try:
        for _event in watching.stream(core.list_namespaced_config_map, namespace, resource_version="1", timeout_seconds=2):
            pass
    except ApiException as caught:
        error = caught
    assert error is None or error.status == 410, error


@check("a deployment becomes ready, is scaled and restarted")
def _():
    labels = {"app": "d"}
    apps.create_namespaced_deployment(
        namespace,
        client.V1Deployment(
            metadata=client.V1ObjectMeta(name="d"),
            spec=client.V1DeploymentSpec(
                replicas=1,
                selector=client.V1LabelSelector(match_labels=labels),
                template=client.V1PodTemplateSpec(
                    metadata=client.V1ObjectMeta(labels=labels),
                    spec=client.V1PodSpec(containers=[client.V1Container(name="c", image="nginx")]),
                ),
            ),
        ),
    )

    def ready(count):
        status = apps.read_namespaced_deployment_status("d", namespace).status
        assert status.ready_replicas == count, status

    until(20, lambda: ready(1))
    scale = apps.read_namespaced_deployment_scale("d", namespace)
    assert scale.status.selector == "app=d"
    apps.patch_namespaced_deployment_scale("d", namespace, {"spec": {"replicas": 2}})
    until(20, lambda: ready(2))


@check("the dynamic client: discovery, custom resources, apply, watch")
def _():
    group = f"{namespace}.example.com"
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"kites.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Kite", "listKind": "KiteList", "plural": "kites", "singular": "kite"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {
                                "spec": {"type": "object", "properties": {"tail": {"type": "integer", "default": 3}}},
                                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                            },
                        }
                    },
                }
            ],
        },
    }
    utils.create_from_dict(client.ApiClient(), crd)
    try:

        def resource():
            dyn.resources.invalidate_cache()
            return dyn.resources.get(api_version=f"{group}/v1", kind="Kite")

        kites = until(15, resource)
        kite = {"apiVersion": f"{group}/v1", "kind": "Kite", "metadata": {"name": "k"}, "spec": {}}
        made = kites.server_side_apply(body=kite, name="k", namespace=namespace, field_manager="py")
        assert made.spec.tail == 3 and made.metadata.managedFields[0].operation == "Apply", made
        kites.status.patch(
            name="k", namespace=namespace, body={"status": {"up": True}}, content_type="application/merge-patch+json"
        )
        assert kites.get(name="k", namespace=namespace).status.up is True
        seen = [event["type"] for event in kites.watch(namespace=namespace, timeout=1)]
        assert seen == ["ADDED"], seen
        assert client.CustomObjectsApi().list_namespaced_custom_object(group, "v1", namespace, "kites")["items"]
        kites.delete(name="k", namespace=namespace)
    finally:
        client.ApiextensionsV1Api().delete_custom_resource_definition(crd["metadata"]["name"])


@check("pages with limit and continue")
def _():
    for number in range(7):
        core.create_namespaced_secret(namespace, {"metadata": {"name": f"s{number}"}})
    names, token = [], None
    while True:
        page = core.list_namespaced_secret(namespace, limit=3, _continue=token)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"s{number}" for number in range(7)], names


@check("reviews: who may do what, and tokens")
def _():
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "robot"}})
    token = core.create_namespaced_service_account_token(
        "robot", namespace, {"spec": {"audiences": [], "expirationSeconds": 600}}
    )
    review = client.AuthenticationV1Api().create_token_review({"spec": {"token": token.status.token}})
    assert review.status.user.username == f"system:serviceaccount:{namespace}:robot", review.status
    answer = client.AuthorizationV1Api().create_subject_access_review(
        {"spec": {"user": review.status.user.username, "resourceAttributes": {"verb": "get", "resource": "secrets"}}}
    )
    assert answer.status.allowed is False
    own = client.Configuration.get_default_copy()
    own.cert_file = own.key_file = None
    own.api_key = {"authorization": f"Bearer {token.status.token}"}
    refused(403, lambda: client.CoreV1Api(client.ApiClient(own)).list_namespaced_secret(namespace))


@check("leader election")
def _():
    from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock

    led = threading.Event()
    elected = electionconfig.Config(
        ConfigMapLock("boss", namespace, "me"),
        lease_duration=6,
        renew_deadline=4,
        retry_period=1,
        onstarted_leading=led.set,
        onstopped_leading=lambda: None,
    )
    threading.Thread(target=leaderelection.LeaderElection(elected).run, daemon=True).start()
    assert led.wait(10)
    assert "control-plane.alpha.kubernetes.io/leader" in core.read_namespaced_config_map("boss", namespace).metadata.annotations


core.delete_namespace(namespace)
sys.stdout.flush()
sys.exit(1 if failed else 0)
