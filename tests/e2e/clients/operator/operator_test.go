package operator

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"pilothouse.dev/e2e/operator/api"
)

var (
	env      *envtest.Environment
	k8s      client.Client
	scrapped = make(chan string, 100)
)

func TestMain(m *testing.M) {
	log.SetLogger(zap.New(zap.UseDevMode(true), zap.WriteTo(os.Stderr)))
	code, err := run(m)
	if err != nil {
		fmt.Println("set-up:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	if err := api.AddToScheme(scheme.Scheme); err != nil {
		return 1, err
	}
	env = &envtest.Environment{
		CRDDirectoryPaths:     []string{"config/crd"},
		ErrorIfCRDPathMissing: true,
		// A busy machine takes longer than the usual 20 s.
		ControlPlaneStartTimeout: time.Minute,
		WebhookInstallOptions:    envtest.WebhookInstallOptions{Paths: []string{"config/webhook"}},
	}
	started := time.Now()
	config, err := env.Start()
	if err != nil {
		return 1, err
	}
	fmt.Printf("envtest was ready after %.1f s\n", time.Since(started).Seconds())
	defer func() {
		if err := env.Stop(); err != nil {
			fmt.Println("stop:", err)
		}
	}()
	options := env.WebhookInstallOptions
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:           scheme.Scheme,
		Metrics:          server.Options{BindAddress: "0"},
		LeaderElection:   true,
		LeaderElectionID: "fleet", LeaderElectionNamespace: "default",
		WebhookServer: webhook.NewServer(webhook.Options{
			Host: options.LocalServingHost, Port: options.LocalServingPort, CertDir: options.LocalServingCertDir,
		}),
	})
	if err != nil {
		return 1, err
	}
	if err := SetUp(mgr, scrapped); err != nil {
		return 1, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	failed := make(chan error, 1)
	go func() { failed <- mgr.Start(ctx) }()
	if k8s, err = client.New(config, client.Options{Scheme: scheme.Scheme}); err != nil {
		return 1, err
	}
	ready := func() error { return mgr.GetWebhookServer().StartedChecker()(nil) }
	if err := eventually(20*time.Second, ready); err != nil {
		return 1, err
	}
	code := m.Run()
	cancel()
	return code, <-failed
}

func eventually(within time.Duration, check func() error) error {
	end := time.Now().Add(within)
	for {
		err := check()
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newShip(name string, cabins int32) *api.Ship {
	return &api.Ship{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Spec: api.ShipSpec{Cabins: cabins}}
}

func TestReconcilesToReady(t *testing.T) {
	ctx := context.Background()
	must(t, k8s.Create(ctx, newShip("fram", 3)))
	ship := &api.Ship{}
	must(t, eventually(10*time.Second, func() error {
		if err := k8s.Get(ctx, types.NamespacedName{Namespace: "default", Name: "fram"}, ship); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(ship.Status.Conditions, "Ready") || ship.Status.ObservedGeneration != ship.Generation {
			return fmt.Errorf("status %+v of generation %d", ship.Status, ship.Generation)
		}
		return nil
	}))
	if ship.Spec.Port != "Bergen" {
		t.Errorf("the webhook did not fill in the port: %q", ship.Spec.Port)
	}
	if ship.Generation != 1 {
		t.Errorf("generation %d: writing status and finalizers must not count", ship.Generation)
	}
	cabins := &corev1.ConfigMapList{}
	must(t, k8s.List(ctx, cabins, client.InNamespace("default")))
	owned := 0
	for i := range cabins.Items {
		if owner := metav1.GetControllerOf(&cabins.Items[i]); owner != nil && owner.UID == ship.UID {
			owned++
		}
	}
	if owned != 3 {
		t.Errorf("%d cabins belong to the ship", owned)
	}
	// A child that goes comes back: the watch of owned objects works.
	must(t, k8s.Delete(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "fram-1", Namespace: "default"}}))
	must(t, eventually(10*time.Second, func() error {
		return k8s.Get(ctx, types.NamespacedName{Namespace: "default", Name: "fram-1"}, &corev1.ConfigMap{})
	}))
}

func TestWebhookRefuses(t *testing.T) {
	ctx := context.Background()
	err := k8s.Create(ctx, newShip("titanic", 99))
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `admission webhook "rules.fleet.example.com" denied the request: a ship has at most 9 cabins, not 99`) {
		t.Errorf("got %v", err)
	}
	must(t, k8s.Create(ctx, newShip("vasa", 1)))
	must(t, eventually(5*time.Second, func() error {
		ship := &api.Ship{}
		if err := k8s.Get(ctx, types.NamespacedName{Namespace: "default", Name: "vasa"}, ship); err != nil {
			return err
		}
		ship.Spec.Port = "Oslo"
		err := k8s.Update(ctx, ship)
		if !apierrors.IsForbidden(err) {
			return fmt.Errorf("got %v", err)
		}
		return nil
	}))
	err = k8s.Create(ctx, &api.Ship{ObjectMeta: metav1.ObjectMeta{Name: "ghost", Namespace: "default"}, Spec: api.ShipSpec{Cabins: -1}})
	if !apierrors.IsInvalid(err) {
		t.Errorf("the schema let %v pass", err)
	}
}

func TestConvertsBetweenVersions(t *testing.T) {
	ctx := context.Background()
	old := &api.OldShip{ObjectMeta: metav1.ObjectMeta{Name: "gjoa", Namespace: "default"}, Spec: api.OldShipSpec{Order: "2@Tromso"}}
	must(t, k8s.Create(ctx, old))
	key := client.ObjectKeyFromObject(old)
	ship := &api.Ship{}
	must(t, k8s.Get(ctx, key, ship))
	if ship.Spec.Cabins != 2 || ship.Spec.Port != "Tromso" {
		t.Errorf("converted to %+v", ship.Spec)
	}
	must(t, eventually(10*time.Second, func() error {
		if err := k8s.Get(ctx, key, old); err != nil {
			return err
		}
		if old.Status.Ready != 2 {
			return fmt.Errorf("status %+v", old.Status)
		}
		return nil
	}))
	list := &api.OldShipList{}
	must(t, k8s.List(ctx, list, client.InNamespace("default")))
	for _, each := range list.Items {
		if !strings.Contains(each.Spec.Order, "@") {
			t.Errorf("%s came unconverted: %+v", each.Name, each.Spec)
		}
	}
}

func TestWebhooksSeeTheirVersion(t *testing.T) {
	ctx := context.Background()
	// The webhooks are registered for v1 only; matchPolicy is Equivalent.
	old := &api.OldShip{ObjectMeta: metav1.ObjectMeta{Name: "belgica", Namespace: "default"}, Spec: api.OldShipSpec{Order: "2"}}
	must(t, k8s.Create(ctx, old))
	if old.Spec.Order != "2@Bergen" {
		t.Errorf("the v1 webhook's change did not come back to v1beta1: %q", old.Spec.Order)
	}
	err := k8s.Create(ctx, &api.OldShip{ObjectMeta: metav1.ObjectMeta{Name: "vasa", Namespace: "default"}, Spec: api.OldShipSpec{Order: "64@Stockholm"}})
	if err == nil || !strings.Contains(err.Error(), "a ship has at most 9 cabins, not 64") {
		t.Errorf("the v1 webhook did not refuse a v1beta1 ship: %v", err)
	}
}

func TestAppliesServerSide(t *testing.T) {
	ctx := context.Background()
	apply := func(owner string, cabins int32, options ...client.PatchOption) error {
		ship := newShip("maud", cabins)
		ship.TypeMeta = metav1.TypeMeta{APIVersion: api.V1.String(), Kind: "Ship"}
		return k8s.Patch(ctx, ship, client.Apply, append(options, client.FieldOwner(owner))...) //nolint:staticcheck
	}
	must(t, apply("captain", 1))
	if err := apply("mate", 2); !apierrors.IsConflict(err) {
		t.Errorf("no conflict: %v", err)
	}
	must(t, apply("mate", 2, client.ForceOwnership))
}

func TestFinalizerHoldsBack(t *testing.T) {
	ctx := context.Background()
	must(t, k8s.Create(ctx, newShip("kon-tiki", 1)))
	ship := &api.Ship{}
	key := types.NamespacedName{Namespace: "default", Name: "kon-tiki"}
	must(t, eventually(10*time.Second, func() error {
		if err := k8s.Get(ctx, key, ship); err != nil {
			return err
		}
		if len(ship.Finalizers) == 0 || ship.Status.Ready != 1 {
			return fmt.Errorf("%v %v", ship.Finalizers, ship.Status)
		}
		return nil
	}))
	must(t, k8s.Patch(ctx, ship, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"anchored":"true"}}}`))))
	if err := k8s.Delete(ctx, ship); !apierrors.IsForbidden(err) {
		t.Errorf("an anchored ship was deleted: %v", err)
	}
	must(t, k8s.Patch(ctx, ship, client.RawPatch(types.JSONPatchType, []byte(`[{"op":"remove","path":"/metadata/annotations/anchored"}]`))))
	must(t, k8s.Delete(ctx, ship))
	select {
	case name := <-scrapped:
		if name != "kon-tiki" {
			t.Errorf("%s was scrapped", name)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the finalizer never ran")
	}
	must(t, eventually(5*time.Second, func() error {
		if err := k8s.Get(ctx, key, ship); !apierrors.IsNotFound(err) {
			return fmt.Errorf("still there: %v", err)
		}
		return nil
	}))
}

func TestScalesAsSubresource(t *testing.T) {
	ctx := context.Background()
	ship := newShip("heyerdahl", 1)
	must(t, k8s.Create(ctx, ship))
	scale := &metav1.PartialObjectMetadata{}
	scale.SetGroupVersionKind(api.V1.WithKind("Ship"))
	must(t, k8s.Get(ctx, client.ObjectKeyFromObject(ship), scale))
	// The reconciler writes too.
	must(t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		asked := &autoscalingv1.Scale{}
		if err := k8s.SubResource("scale").Get(ctx, ship, asked); err != nil {
			return err
		}
		if asked.Spec.Replicas != 1 {
			t.Errorf("the scale says %d", asked.Spec.Replicas)
		}
		asked.Spec.Replicas = 4
		return k8s.SubResource("scale").Update(ctx, ship, client.WithSubResourceBody(asked))
	}))
	must(t, eventually(10*time.Second, func() error {
		if err := k8s.Get(ctx, client.ObjectKeyFromObject(ship), ship); err != nil {
			return err
		}
		if ship.Status.Ready != 4 {
			return fmt.Errorf("ready %d", ship.Status.Ready)
		}
		return nil
	}))
}

func TestUsersAndKubectl(t *testing.T) {
	if env.UseExistingCluster != nil && *env.UseExistingCluster || os.Getenv("USE_EXISTING_CLUSTER") == "true" {
		t.Skip("users are made by envtest's own control plane")
	}
	user, err := env.ControlPlane.AddUser(envtest.User{Name: "jane", Groups: []string{"sailors"}}, nil)
	must(t, err)
	jane, err := client.New(user.Config(), client.Options{Scheme: scheme.Scheme})
	must(t, err)
	if err := jane.List(context.Background(), &api.ShipList{}); !apierrors.IsForbidden(err) {
		t.Errorf("a stranger may list ships: %v", err)
	}
	admin, err := env.ControlPlane.AddUser(envtest.User{Name: "root", Groups: []string{"system:masters"}}, nil)
	must(t, err)
	kubectl, err := admin.Kubectl()
	must(t, err)
	out, stderr, err := kubectl.Run("get", "ships", "-A")
	must(t, err)
	text, _ := readAll(out)
	if !strings.Contains(text, "CABINS") {
		problem, _ := readAll(stderr)
		t.Errorf("kubectl printed %s%s", text, problem)
	}
}
