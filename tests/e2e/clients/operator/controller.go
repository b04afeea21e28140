// Package operator is an operator as people write them with controller-runtime: a reconciler, and webhooks that default, validate and convert.
package operator

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"pilothouse.dev/e2e/operator/api"
)

const finalizer = api.Group + "/scrap"

// Reconciler keeps a ConfigMap for each cabin of a ship, and empties the ship before it goes.
type Reconciler struct {
	client.Client
	Scrapped chan string
}

func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	ship := &api.Ship{}
	if err := r.Get(ctx, request.NamespacedName, ship); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !ship.DeletionTimestamp.IsZero() {
		if controllerutil.RemoveFinalizer(ship, finalizer) {
			if err := r.Update(ctx, ship); err != nil {
				return ctrl.Result{}, client.IgnoreNotFound(err)
			}
			r.Scrapped <- ship.Name
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(ship, finalizer) {
		if err := r.Update(ctx, ship); err != nil {
			return ctrl.Result{}, ignoreConflict(err)
		}
	}
	for i := range ship.Spec.Cabins {
		cabin := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("%s-%d", ship.Name, i), Namespace: ship.Namespace,
		}}
		_, err := controllerutil.CreateOrUpdate(ctx, r.Client, cabin, func() error {
			cabin.Data = map[string]string{"port": ship.Spec.Port}
			return controllerutil.SetControllerReference(ship, cabin, r.Scheme())
		})
		if err != nil {
			return ctrl.Result{}, ignoreConflict(err)
		}
	}
	before := ship.DeepCopy()
	ship.Status.Ready = ship.Spec.Cabins
	ship.Status.ObservedGeneration = ship.Generation
	meta.SetStatusCondition(&ship.Status.Conditions, metav1.Condition{
		Type: "Ready", Status: metav1.ConditionTrue, Reason: "CabinsBuilt", ObservedGeneration: ship.Generation,
	})
	return ctrl.Result{}, ignoreConflict(r.Status().Patch(ctx, ship, client.MergeFrom(before)))
}

func ignoreConflict(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// Webhooks are the defaulter and the validator of ships.
type Webhooks struct{}

func (Webhooks) Default(_ context.Context, ship *api.Ship) error {
	if ship.Spec.Port == "" {
		ship.Spec.Port = "Bergen"
	}
	return nil
}

func (Webhooks) ValidateCreate(_ context.Context, ship *api.Ship) (admission.Warnings, error) {
	if ship.Spec.Cabins > 9 {
		return nil, fmt.Errorf("a ship has at most 9 cabins, not %d", ship.Spec.Cabins)
	}
	if ship.Spec.Cabins == 0 {
		return admission.Warnings{"a ship without cabins"}, nil
	}
	return nil, nil
}

func (w Webhooks) ValidateUpdate(ctx context.Context, before, ship *api.Ship) (admission.Warnings, error) {
	if before.Spec.Port != ship.Spec.Port {
		return nil, fmt.Errorf("the home port stays %s", before.Spec.Port)
	}
	return w.ValidateCreate(ctx, ship)
}

func (Webhooks) ValidateDelete(_ context.Context, ship *api.Ship) (admission.Warnings, error) {
	if ship.Annotations["anchored"] == "true" {
		return nil, fmt.Errorf("ship %s is anchored", ship.Name)
	}
	return nil, nil
}

// SetUp adds everything to the manager.
func SetUp(mgr ctrl.Manager, scrapped chan string) error {
	reconciler := &Reconciler{Client: mgr.GetClient(), Scrapped: scrapped}
	if err := ctrl.NewControllerManagedBy(mgr).For(&api.Ship{}).Owns(&corev1.ConfigMap{}).Complete(reconciler); err != nil {
		return err
	}
	return ctrl.NewWebhookManagedBy(mgr, &api.Ship{}).WithDefaulter(Webhooks{}).WithValidator(Webhooks{}).Complete()
}
