// A tour of an etcd v3 server with Go's clientv3: etcd-tour ENDPOINT...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

var failures int

func check(name string, ok bool, err error) {
	if ok && err == nil {
		fmt.Println("ok    go:", name)
		return
	}
	failures++
	fmt.Println("FAIL  go:", name, err)
}

func main() {
	client, err := clientv3.New(clientv3.Config{Endpoints: os.Args[1:], DialTimeout: 5 * time.Second})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	keys(ctx, client)
	watches(ctx, client)
	leases(ctx, client)
	mutexes(ctx, client)
	elections(ctx, client)
	maintenance(ctx, client)
	_, err = client.Delete(ctx, "go/", clientv3.WithPrefix())
	check("clean", true, err)
	if failures > 0 {
		os.Exit(1)
	}
}

func keys(ctx context.Context, client *clientv3.Client) {
	put, err := client.Put(ctx, "go/a", "1")
	check("put", err == nil && put.Header.Revision > 1, err)
	get, err := client.Get(ctx, "go/", clientv3.WithPrefix(), clientv3.WithLimit(1))
	check("get", err == nil && get.Count == 1 && string(get.Kvs[0].Value) == "1" && get.Kvs[0].ModRevision == put.Header.Revision, err)
	_, err = client.Put(ctx, "", "x")
	check("empty key", errors.Is(err, rpctypes.ErrEmptyKey), nil)
	_, err = client.Get(ctx, "go/a", clientv3.WithRev(1<<40))
	check("future revision", errors.Is(err, rpctypes.ErrFutureRev), nil)
	txn, err := client.Txn(ctx).
		If(clientv3.Compare(clientv3.Value("go/a"), "=", "1"), clientv3.Compare(clientv3.CreateRevision("go/none"), "=", 0)).
		Then(clientv3.OpPut("go/t", "won"), clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpGet("go/t")}, nil)).
		Else(clientv3.OpDelete("go/a")).Commit()
	check("transaction", err == nil && txn.Succeeded && len(txn.Responses) == 2 &&
		string(txn.Responses[1].GetResponseTxn().Responses[0].GetResponseRange().Kvs[0].Value) == "won", err)
	_, err = client.Txn(ctx).Then(clientv3.OpPut("go/d", "1"), clientv3.OpPut("go/d", "2")).Commit()
	check("duplicate key", errors.Is(err, rpctypes.ErrDuplicateKey), nil)
	get, err = client.Get(ctx, "go/", clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortDescend), clientv3.WithKeysOnly())
	check("sorted keys", err == nil && len(get.Kvs) == 2 && string(get.Kvs[0].Key) == "go/t" && len(get.Kvs[0].Value) == 0, err)
	_, err = concurrency.NewSTM(client, func(stm concurrency.STM) error {
		stm.Put("go/counter", stm.Get("go/counter")+"x")
		return nil
	})
	check("software transactional memory", true, err)
}

func watches(ctx context.Context, client *clientv3.Client) {
	watching, stop := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer stop()
	channel := client.Watch(watching, "go/w/", clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithProgressNotify(), clientv3.WithFragment(), clientv3.WithCreatedNotify())
	created := <-channel
	check("watch is created", created.Created, created.Err())
	for _, value := range []string{"1", "2"} {
		if _, err := client.Put(ctx, "go/w/a", value); err != nil {
			check("put for a watch", false, err)
		}
	}
	last, err := client.Delete(ctx, "go/w/a")
	check("delete for a watch", true, err)
	var seen []string
	for len(seen) < 3 {
		response, open := <-channel
		if !open || response.Err() != nil {
			break
		}
		for _, event := range response.Events {
			previous := ""
			if event.PrevKv != nil {
				previous = string(event.PrevKv.Value)
			}
			seen = append(seen, fmt.Sprintf("%s %s %s %v", event.Type, event.Kv.Value, previous, event.IsCreate()))
		}
	}
	check("watch", strings.Join(seen, ";") == "PUT 1  true;PUT 2 1 false;DELETE  2 false", nil)
	check("progress request", client.RequestProgress(watching) == nil, nil)
	progress := <-channel
	check("progress", progress.IsProgressNotify() && progress.Header.Revision >= last.Header.Revision, progress.Err())
	_, err = client.Compact(ctx, last.Header.Revision)
	check("compact", true, err)
	old := <-client.Watch(ctx, "go/w/a", clientv3.WithRev(last.Header.Revision-1))
	check("watch below the compaction", errors.Is(old.Err(), rpctypes.ErrCompacted) && old.CompactRevision == last.Header.Revision, nil)
}

func leases(ctx context.Context, client *clientv3.Client) {
	lease, err := client.Grant(ctx, 30)
	check("grant", err == nil && lease.TTL == 30, err)
	_, err = client.Put(ctx, "go/l", "x", clientv3.WithLease(lease.ID))
	check("put with a lease", true, err)
	alive, stop := context.WithCancel(ctx)
	channel, err := client.KeepAlive(alive, lease.ID)
	check("keep alive", true, err)
	answer := <-channel
	stop()
	check("keep alive answers", answer != nil && answer.TTL == 30, nil)
	left, err := client.TimeToLive(ctx, lease.ID, clientv3.WithAttachedKeys())
	check("time to live", err == nil && left.GrantedTTL == 30 && len(left.Keys) == 1, err)
	_, err = client.Revoke(ctx, lease.ID)
	check("revoke", true, err)
	get, err := client.Get(ctx, "go/l")
	check("revoked key is gone", err == nil && len(get.Kvs) == 0, err)
	_, err = client.Revoke(ctx, lease.ID)
	check("unknown lease", errors.Is(err, rpctypes.ErrLeaseNotFound), nil)
	_, err = client.KeepAliveOnce(ctx, lease.ID)
	check("keep alive of an unknown lease", errors.Is(err, rpctypes.ErrLeaseNotFound), nil)
}

func mutexes(ctx context.Context, client *clientv3.Client) {
	one, err := concurrency.NewSession(client, concurrency.WithTTL(10))
	check("session", true, err)
	two, err := concurrency.NewSession(client, concurrency.WithTTL(10))
	check("second session", true, err)
	first, second := concurrency.NewMutex(one, "go/mutex"), concurrency.NewMutex(two, "go/mutex")
	check("lock", true, first.Lock(ctx))
	check("try lock", errors.Is(second.TryLock(ctx), concurrency.ErrLocked), nil)
	got := make(chan error, 1)
	go func() { got <- second.Lock(ctx) }()
	select {
	case <-got:
		check("the second waits", false, nil)
	case <-time.After(300 * time.Millisecond):
		check("the second waits", true, nil)
	}
	check("unlock", true, first.Unlock(ctx))
	check("the second gets it", true, <-got)
	check("a session's end frees", true, two.Close())
	check("lock again", true, first.Lock(ctx))
	one.Close()
}

func elections(ctx context.Context, client *clientv3.Client) {
	one, err := concurrency.NewSession(client, concurrency.WithTTL(10))
	check("election session", true, err)
	two, err := concurrency.NewSession(client, concurrency.WithTTL(10))
	check("second election session", true, err)
	first, second := concurrency.NewElection(one, "go/election"), concurrency.NewElection(two, "go/election")
	check("campaign", true, first.Campaign(ctx, "one"))
	leader, err := first.Leader(ctx)
	check("leader", err == nil && string(leader.Kvs[0].Value) == "one", err)
	observing, stop := context.WithCancel(ctx)
	observed := second.Observe(observing)
	check("observe", string((<-observed).Kvs[0].Value) == "one", nil)
	won := make(chan error, 1)
	go func() { won <- second.Campaign(ctx, "two") }()
	check("proclaim", true, first.Proclaim(ctx, "uno"))
	check("observe a proclamation", string((<-observed).Kvs[0].Value) == "uno", nil)
	check("resign", true, first.Resign(ctx))
	check("the next leads", true, <-won)
	check("observe the next", string((<-observed).Kvs[0].Value) == "two", nil)
	stop()
	one.Close()
	two.Close()
}

func maintenance(ctx context.Context, client *clientv3.Client) {
	members, err := client.MemberList(ctx)
	check("members", err == nil && len(members.Members) > 0, err)
	status, err := client.Status(ctx, client.Endpoints()[0])
	check("status", err == nil && status.DbSize > 0 && status.Leader != 0, err)
	_, err = client.HashKV(ctx, client.Endpoints()[0], 0)
	check("hash", true, err)
	_, err = client.Defragment(ctx, client.Endpoints()[0])
	check("defragment", true, err)
	alarms, err := client.AlarmList(ctx)
	check("alarms", err == nil && len(alarms.Alarms) == 0, err)
	_, err = client.MemberRemove(ctx, 1234)
	check("unknown member", errors.Is(err, rpctypes.ErrMemberNotFound), nil)
	auth, err := client.AuthStatus(ctx)
	check("auth status", err == nil && !auth.Enabled, err)
}
