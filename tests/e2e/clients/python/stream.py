"""Exec, attach and port-forward with kubernetes.stream. Usage: stream.py KUBECONFIG NAMESPACE."""

import sys
import time

from kubernetes import client, config
from kubernetes.stream import portforward, stream

config.load_kube_config(sys.argv[1])
namespace = sys.argv[2]
api = client.CoreV1Api()
failed = False


def check(name, good, detail=""):
    global failed
    if not good:
        failed = True
    print(("ok    " if good else "FAIL  ") + name + ("" if good else f": {detail}"))


answer = stream(
    api.connect_get_namespaced_pod_exec, "talker", namespace, container="main",
    command=["sh", "-c", "echo out; echo err >&2"], stderr=True, stdin=False, stdout=True, tty=False,
)
check("exec gives the output", "out\n" in answer and "err\n" in answer, repr(answer))

session = stream(
    api.connect_get_namespaced_pod_exec, "talker", namespace, container="main",
    command=["sh", "-c", "read line; echo got $line; exit 5"],
    stderr=True, stdin=True, stdout=True, tty=False, _preload_content=False,
)
session.write_stdin("hello\n")
session.run_forever(timeout=10)
check("exec reads stdin", session.read_stdout() == "got hello\n", "no answer")
check("exec tells the exit code", session.returncode == 5, session.returncode)

listener = stream(
    api.connect_get_namespaced_pod_attach, "listener", namespace, container="main",
    stderr=True, stdin=True, stdout=True, tty=False, _preload_content=False,
)
listener.write_stdin("hello by python\n")
text = ""
for _ in range(20):
    listener.update(timeout=0.2)
    if listener.peek_stdout():
        text += listener.read_stdout()
    if "got hello by python" in text:
        break
listener.close()
check("attach reaches stdin of the container", "got hello by python" in text, repr(text))

pod = api.list_namespaced_pod(namespace, label_selector="app=web").items[0].metadata.name
forward = portforward(api.connect_get_namespaced_pod_portforward, pod, namespace, ports="9090")
connection = forward.socket(9090)
connection.setblocking(True)
connection.settimeout(10)
connection.sendall(b"through python")
back = b""
end = time.time() + 10
while len(back) < 14 and time.time() < end:
    back += connection.recv(100)
connection.close()
check("port-forward carries bytes both ways", back == b"through python", back)
sys.exit(1 if failed else 0)
