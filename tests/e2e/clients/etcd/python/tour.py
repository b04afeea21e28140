"""A tour of an etcd v3 server with the Python client etcd3: python tour.py HOST PORT"""
import sys
import threading
import time

import etcd3
from etcd3.exceptions import RevisionCompactedError

host, port = sys.argv[1], int(sys.argv[2])
client = etcd3.client(host=host, port=port, timeout=10)
failures = 0


def check(name, condition):
    global failures
    print(("ok    " if condition else "FAIL  ") + "python: " + name)
    failures += 0 if condition else 1


client.delete_prefix("py/")
client.put("py/a", "1")
value, meta = client.get("py/a")
check("put and get", value == b"1" and meta.version == 1 and meta.key == b"py/a")
check("absent key", client.get("py/none") == (None, None))
client.put("py/b", "2")
check("prefix", [v for v, _ in client.get_prefix("py/")] == [b"1", b"2"])
check("sorted", [v for v, _ in client.get_prefix("py/", sort_order="descend", sort_target="key")] == [b"2", b"1"])
check("range", [v for v, _ in client.get_range("py/a", "py/b")] == [b"1"])
check("keys only", [v for v, _ in client.get_prefix("py/", keys_only=True)] == [b"", b""])
check("put_if_not_exists", client.put_if_not_exists("py/a", "x") is False and client.put_if_not_exists("py/c", "3") is True)
check("replace", client.replace("py/c", "3", "4") is True and client.replace("py/c", "3", "5") is False)
check("delete", client.delete("py/c") is True and client.delete("py/c") is False)
check("delete with prev_kv", client.delete("py/b", prev_kv=True, return_response=True).prev_kvs[0].value == b"2")

succeeded, responses = client.transaction(
    compare=[client.transactions.value("py/a") == "1", client.transactions.version("py/none") == 0],
    success=[client.transactions.put("py/t", "won"), client.transactions.get("py/t")],
    failure=[client.transactions.delete("py/t")],
)
check("transaction", succeeded and responses[1][0][0] == b"won")

seen = []
done = threading.Event()


def on_event(response):
    for event in response.events:
        seen.append((type(event).__name__, event.key, event.value))
        if len(seen) == 3:
            done.set()


watch = client.add_watch_prefix_callback("py/w/", on_event)
time.sleep(0.3)
client.put("py/w/1", "one")
client.put("py/w/2", "two")
client.delete("py/w/1")
done.wait(5)
client.cancel_watch(watch)
check("watch a prefix", seen == [("PutEvent", b"py/w/1", b"one"), ("PutEvent", b"py/w/2", b"two"), ("DeleteEvent", b"py/w/1", b"")])

revision = client.get("py/a")[1].mod_revision
events, cancel = client.watch("py/a", start_revision=revision)
event = next(events)
cancel()
check("watch from the past", event.value == b"1" and event.mod_revision == revision)

lease = client.lease(60)
client.put("py/l", "leased", lease=lease)
check("lease", lease.granted_ttl == 60 and 50 < lease.remaining_ttl <= 60 and lease.keys == [b"py/l"])
check("keep alive", [r.TTL for r in lease.refresh()] == [60])
lease.revoke()
check("revoked lease", client.get("py/l")[0] is None)

with client.lock("py-lock", ttl=20) as lock:
    other = client.lock("py-lock", ttl=20)
    check("lock", lock.is_acquired() and other.acquire(timeout=1) is False)
check("lock is free again", client.lock("py-lock", ttl=5).acquire(timeout=5) is True)

client.put("py/z", "1")
client.put("py/z", "2")
current = client.get("py/z")[1].mod_revision
client.compact(current)
events, cancel = client.watch("py/z", start_revision=current - 1)
try:
    next(events)
    check("a watch below the compaction fails", False)
except RevisionCompactedError as error:
    check("a watch below the compaction fails", error.compacted_revision == current)
members = list(client.members)
check("members", len(members) >= 1 and all(m.client_urls for m in members))
status = client.status()
check("status", status.db_size > 0 and status.raft_term > 0 and status.leader is not None)
check("alarms", list(client.list_alarms()) == [])
with open(sys.argv[3], "wb") as target:
    client.snapshot(target)
    check("snapshot", target.tell() > 512)
client.delete_prefix("py/")
check("clean", list(client.get_prefix("py/")) == [])
client.close()
sys.exit(1 if failures else 0)
