// Command suite drives a plane with stock client-go the way controllers do. Prints "ok" or "FAIL" for each check.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	applycore "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/features"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/pager"
	"k8s.io/client-go/tools/record"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/client-go/util/retry"
)

const protobuf = "application/vnd.kubernetes.protobuf"

var (
	failed    bool
	namespace = fmt.Sprintf("client-go-%d", time.Now().UnixNano())
	ctx       context.Context
	client    kubernetes.Interface
	config    *rest.Config
)

func check(what string, body func() error) {
	if err := body(); err != nil {
		failed = true
		fmt.Printf("FAIL  client-go: %s: %v\n", what, err)
		return
	}
	fmt.Printf("ok    client-go: %s\n", what)
}

func until(within time.Duration, body func() error) error {
	end := time.Now().Add(within)
	for {
		err := body()
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func newMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"l": "x"}}, Data: map[string]string{"n": "0"}}
}

func main() {
	var cancel context.CancelFunc
	ctx, cancel = context.WithTimeout(context.Background(), 80*time.Second)
	defer cancel()
	var err error
	config, err = clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err == nil {
		config.QPS, config.Burst = 200, 400
		typed := rest.CopyConfig(config)
		typed.ContentType, typed.AcceptContentTypes = protobuf, protobuf+",application/json"
		client, err = kubernetes.NewForConfig(typed)
	}
	if err == nil {
		_, err = client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	}
	if err != nil {
		fmt.Println("FAIL  client-go: set-up:", err)
		os.Exit(1)
	}
	check("a protobuf informer begins with WatchList and sees every change", watchListInformer)
	check("a dynamic informer over custom resources", dynamicInformer)
	check("a metadata informer", metadataInformer)
	check("typed apply: ownership, conflict, force", typedApply)
	check("retry on conflict: twenty racing increments", racingIncrements)
	check("pages of a list, also through the pager", pages)
	check("discovery, RESTMapper and preferred versions", mapper)
	check("the scale client scales anything", scaleClient)
	check("leader election hands over when the leader steps down", leaderElection)
	check("events of a recorder are aggregated", events)
	check("a retrying watch goes on where it ended", retryWatch)
	check("a watch of an old revision gets 410", oldRevision)
	check("error helpers know our answers", errorHelpers)
	_ = client.CoreV1().Namespaces().Delete(context.Background(), namespace, metav1.DeleteOptions{})
	if failed {
		os.Exit(1)
	}
}

func watchListInformer() error {
	if !features.FeatureGates().Enabled(features.WatchListClient) {
		return fmt.Errorf("this client-go does not use WatchList")
	}
	maps := client.CoreV1().ConfigMaps(namespace)
	for i := range 50 {
		if _, err := maps.Create(ctx, newMap(fmt.Sprintf("w-%d", i)), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	var lists atomic.Int32
	counting := rest.CopyConfig(config)
	counting.ContentType, counting.AcceptContentTypes = protobuf, protobuf
	counting.Wrap(countLists(&lists))
	counted, err := kubernetes.NewForConfig(counting)
	if err != nil {
		return err
	}
	var added, updated, deleted atomic.Int32
	factory := informers.NewSharedInformerFactoryWithOptions(counted, 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) { options.LabelSelector = "l=x" }))
	informer := factory.Core().V1().ConfigMaps()
	_, _ = informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { added.Add(1) }, UpdateFunc: func(_, _ any) { updated.Add(1) }, DeleteFunc: func(any) { deleted.Add(1) },
	})
	stop := make(chan struct{})
	defer close(stop)
	factory.Start(stop)
	if !cache.WaitForCacheSync(stop, informer.Informer().HasSynced) {
		return fmt.Errorf("not synced")
	}
	if lists.Load() != 0 {
		return fmt.Errorf("%d LIST requests: the informer fell back", lists.Load())
	}
	for i := range 10 {
		name := fmt.Sprintf("w-%d", i)
		patch := []byte(`{"data":{"n":"1"}}`)
		if i == 0 {
			// An object that no longer matches leaves the informer.
			patch = []byte(`{"metadata":{"labels":{"l":"y"}}}`)
		}
		if _, err := maps.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return err
		}
	}
	if err := maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		return err
	}
	return until(10*time.Second, func() error {
		if added.Load() != 50 || updated.Load() != 9 || deleted.Load() != 50 {
			return fmt.Errorf("%d added, %d updated, %d deleted", added.Load(), updated.Load(), deleted.Load())
		}
		return nil
	})
}

var crds = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

func dynamicInformer() error {
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	group := namespace + ".example.com"
	names := map[string]any{"kind": "Oar", "listKind": "OarList", "plural": "oars", "singular": "oar"}
	version := map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": map[string]any{
		"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}
	crd := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "oars." + group},
		"spec":     map[string]any{"group": group, "scope": "Namespaced", "names": names, "versions": []any{version}},
	}}
	if _, err := dyn.Resource(crds).Create(ctx, crd, metav1.CreateOptions{}); err != nil {
		return err
	}
	defer dyn.Resource(crds).Delete(context.Background(), crd.GetName(), metav1.DeleteOptions{})
	oars := schema.GroupVersionResource{Group: group, Version: "v1", Resource: "oars"}
	oar := func(name string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": group + "/v1", "kind": "Oar", "metadata": map[string]any{"name": name}, "spec": map[string]any{"n": int64(1)},
		}}
	}
	if err := until(10*time.Second, func() error {
		_, err := dyn.Resource(oars).Namespace(namespace).Create(ctx, oar("a"), metav1.CreateOptions{})
		return err
	}); err != nil {
		return err
	}
	seen := make(chan string, 100)
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(dyn, 0, namespace, nil)
	informer := factory.ForResource(oars).Informer()
	_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { seen <- "+" + object.(*unstructured.Unstructured).GetName() },
		DeleteFunc: func(object any) { seen <- "-" + object.(*unstructured.Unstructured).GetName() },
	})
	stop := make(chan struct{})
	defer close(stop)
	factory.Start(stop)
	factory.WaitForCacheSync(stop)
	applied, err := dyn.Resource(oars).Namespace(namespace).Apply(ctx, "b", oar("b"), metav1.ApplyOptions{FieldManager: "rower"})
	if err != nil {
		return err
	}
	if len(applied.GetManagedFields()) != 1 {
		return fmt.Errorf("managed fields %v", applied.GetManagedFields())
	}
	if err := dyn.Resource(oars).Namespace(namespace).Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
		return err
	}
	for _, wanted := range []string{"+a", "+b", "-a"} {
		select {
		case got := <-seen:
			if got != wanted {
				return fmt.Errorf("%s instead of %s", got, wanted)
			}
		case <-time.After(10 * time.Second):
			return fmt.Errorf("%s never came", wanted)
		}
	}
	return nil
}

func metadataInformer() error {
	partial, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	list, err := partial.Resource(schema.GroupVersionResource{Version: "v1", Resource: "nodes"}).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(list.Items) == 0 || list.Items[0].Labels["kubernetes.io/hostname"] != list.Items[0].Name {
		return fmt.Errorf("got %+v", list)
	}
	return nil
}

func typedApply() error {
	maps := client.CoreV1().ConfigMaps(namespace)
	apply := func(manager, value string, force bool) (*corev1.ConfigMap, error) {
		wanted := applycore.ConfigMap("applied", namespace).WithData(map[string]string{"k": value, manager: "own"})
		return maps.Apply(ctx, wanted, metav1.ApplyOptions{FieldManager: manager, Force: force})
	}
	if _, err := apply("one", "1", false); err != nil {
		return err
	}
	if _, err := apply("two", "2", false); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `conflict with "one"`) {
		return fmt.Errorf("no conflict: %v", err)
	}
	object, err := apply("two", "2", true)
	if err != nil {
		return err
	}
	if object.Data["k"] != "2" || object.Data["one"] != "own" {
		return fmt.Errorf("data %v", object.Data)
	}
	extracted, err := applycore.ExtractConfigMap(object, "two")
	if err != nil || extracted.Data["k"] != "2" || extracted.Data["one"] != "" {
		return fmt.Errorf("extracted %v %v", extracted, err)
	}
	return nil
}

func racingIncrements() error {
	maps := client.CoreV1().ConfigMaps(namespace)
	if _, err := maps.Create(ctx, newMap("counter"), metav1.CreateOptions{}); err != nil {
		return err
	}
	results := make(chan error, 20)
	backoff := wait.Backoff{Steps: 200, Duration: 5 * time.Millisecond, Factor: 1, Jitter: 1}
	for range 20 {
		go func() {
			results <- retry.RetryOnConflict(backoff, func() error {
				object, err := maps.Get(ctx, "counter", metav1.GetOptions{})
				if err != nil {
					return err
				}
				object.Data["n"] += "+"
				_, err = maps.Update(ctx, object, metav1.UpdateOptions{})
				return err
			})
		}()
	}
	for range 20 {
		if err := <-results; err != nil {
			return err
		}
	}
	object, err := maps.Get(ctx, "counter", metav1.GetOptions{})
	if err == nil && strings.Count(object.Data["n"], "+") != 20 {
		err = fmt.Errorf("counted %d", strings.Count(object.Data["n"], "+"))
	}
	return err
}

func pages() error {
	secrets := client.CoreV1().Secrets(namespace)
	for i := range 25 {
		if _, err := secrets.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("s-%02d", i)}}, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	first, err := secrets.List(ctx, metav1.ListOptions{Limit: 10})
	if err != nil {
		return err
	}
	if len(first.Items) != 10 || first.Continue == "" || first.RemainingItemCount == nil || *first.RemainingItemCount != 15 {
		return fmt.Errorf("%d items, remaining %v", len(first.Items), first.RemainingItemCount)
	}
	// What comes after the first page was read is not in the following ones.
	if _, err := secrets.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s-24a"}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	rest, err := secrets.List(ctx, metav1.ListOptions{Limit: 100, Continue: first.Continue})
	if err != nil || len(rest.Items) != 15 || rest.ResourceVersion != first.ResourceVersion {
		return fmt.Errorf("%d more items: %v", len(rest.Items), err)
	}
	count := 0
	each := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return secrets.List(ctx, options)
	})
	each.PageSize = 4
	err = each.EachListItem(ctx, metav1.ListOptions{}, func(runtime.Object) error { count++; return nil })
	if err == nil && count != 26 {
		err = fmt.Errorf("the pager saw %d", count)
	}
	return err
}

func mapper() error {
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	deferred := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))
	mapping, err := deferred.RESTMapping(schema.GroupKind{Group: "apps", Kind: "Deployment"})
	if err != nil || mapping.Resource.Resource != "deployments" || mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return fmt.Errorf("mapping %v: %v", mapping, err)
	}
	expanded := restmapper.NewShortcutExpander(deferred, memory.NewMemCacheClient(disco), nil)
	resource, err := expanded.ResourceFor(schema.GroupVersionResource{Resource: "hpa"})
	if err != nil || resource.Version != "v2" {
		return fmt.Errorf("hpa is %v: %v", resource, err)
	}
	if _, err := discovery.ServerPreferredResources(disco); err != nil {
		return err
	}
	if _, err := disco.OpenAPISchema(); err != nil {
		return err
	}
	paths, err := disco.OpenAPIV3().Paths()
	if err != nil || len(paths["apis/apps/v1"].ServerRelativeURL()) == 0 {
		return fmt.Errorf("OpenAPI v3: %v", err)
	}
	version, err := disco.ServerVersion()
	if err == nil && version.Minor != "36" {
		err = fmt.Errorf("version %v", version)
	}
	return err
}

func scaleClient() error {
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	cached := memory.NewMemCacheClient(disco)
	scales, err := scale.NewForConfig(config, restmapper.NewDeferredDiscoveryRESTMapper(cached), dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(disco))
	if err != nil {
		return err
	}
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "nginx"}}},
	}
	if _, err := client.CoreV1().ReplicationControllers(namespace).Create(ctx, &corev1.ReplicationController{
		ObjectMeta: metav1.ObjectMeta{Name: "rc"}, Spec: corev1.ReplicationControllerSpec{Template: &template, Replicas: new(int32)},
	}, metav1.CreateOptions{}); err != nil {
		return err
	}
	resource := schema.GroupResource{Resource: "replicationcontrollers"}
	// The controller of the object writes too.
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		got, err := scales.Scales(namespace).Get(ctx, resource, "rc", metav1.GetOptions{})
		if err != nil {
			return err
		}
		got.Spec.Replicas = 1
		_, err = scales.Scales(namespace).Update(ctx, resource, got, metav1.UpdateOptions{})
		return err
	})
}

func leaderElection() error {
	started := make(chan string, 4)
	run := func(name string) (context.CancelFunc, chan struct{}) {
		lock := &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Name: "boss", Namespace: namespace}, Client: client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: name},
		}
		own, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			leaderelection.RunOrDie(own, leaderelection.LeaderElectionConfig{
				Lock: lock, ReleaseOnCancel: true, LeaseDuration: 4 * time.Second, RenewDeadline: 3 * time.Second, RetryPeriod: 500 * time.Millisecond,
				Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) { started <- name }, OnStoppedLeading: func() {}},
			})
		}()
		return cancel, done
	}
	leads := func(wanted string) error {
		select {
		case got := <-started:
			if got != wanted {
				return fmt.Errorf("%s leads", got)
			}
			return nil
		case <-time.After(8 * time.Second):
			return fmt.Errorf("%s never led", wanted)
		}
	}
	stopA, doneA := run("a")
	if err := leads("a"); err != nil {
		stopA()
		return err
	}
	stopB, doneB := run("b")
	time.Sleep(time.Second)
	stopA()
	<-doneA
	err := leads("b")
	stopB()
	<-doneB
	return err
}

func events() error {
	broadcaster := record.NewBroadcaster()
	defer broadcaster.Shutdown()
	watcher := broadcaster.StartRecordingToSink(sinkOf(client))
	defer watcher.Stop()
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "suite"})
	object := newMap("noisy")
	object.Namespace = namespace
	for range 3 {
		recorder.Event(object, corev1.EventTypeNormal, "Noise", "the same again")
	}
	return until(10*time.Second, func() error {
		list, err := client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=Noise"})
		if err != nil {
			return err
		}
		if len(list.Items) != 1 || list.Items[0].Count != 3 {
			return fmt.Errorf("%d events", len(list.Items))
		}
		return nil
	})
}

func retryWatch() error {
	maps := client.CoreV1().ConfigMaps(namespace)
	list, err := maps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	short := int64(1)
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.TimeoutSeconds = &short
			return maps.Watch(ctx, options)
		},
	})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	for i := range 3 {
		name := fmt.Sprintf("r-%d", i)
		if _, err := maps.Create(ctx, newMap(name), metav1.CreateOptions{}); err != nil {
			return err
		}
		for got := ""; got != name; {
			select {
			case event := <-watcher.ResultChan():
				if object, ok := event.Object.(*corev1.ConfigMap); ok {
					got = object.Name
				}
			case <-time.After(8 * time.Second):
				return fmt.Errorf("%s never came", name)
			}
		}
		time.Sleep(1200 * time.Millisecond)
	}
	return nil
}

func oldRevision() error {
	_, err := client.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{ResourceVersion: "1", ResourceVersionMatch: metav1.ResourceVersionMatchExact})
	if err != nil && !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
		return err
	}
	_, err = client.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{ResourceVersion: "999999999"})
	if !apierrors.IsTimeout(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge) {
		return fmt.Errorf("a revision of the future: %v", err)
	}
	if seconds, ok := apierrors.SuggestsClientDelay(err); !ok || seconds < 1 {
		return fmt.Errorf("no delay suggested: %v", err)
	}
	return nil
}

func errorHelpers() error {
	maps := client.CoreV1().ConfigMaps(namespace)
	_, err := maps.Get(ctx, "nothing", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	_, err = maps.Create(ctx, newMap("Bad Name"), metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) {
		return err
	}
	object, err := maps.Create(ctx, newMap("once"), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if _, err = maps.Create(ctx, newMap("once"), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		return err
	}
	wrong := types.UID("other")
	err = maps.Delete(ctx, "once", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &wrong}})
	if !apierrors.IsConflict(err) {
		return err
	}
	return maps.Delete(ctx, "once", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &object.UID, ResourceVersion: &object.ResourceVersion}})
}
