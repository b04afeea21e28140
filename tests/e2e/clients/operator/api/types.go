// Package api holds a small API in two versions: v1 is stored, v1beta1 is converted by the operator's webhook.
package api

import (
	"fmt"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/conversion"
)

const Group = "fleet.example.com"

var (
	V1      = schema.GroupVersion{Group: Group, Version: "v1"}
	V1Beta1 = schema.GroupVersion{Group: Group, Version: "v1beta1"}
)

// AddToScheme makes both versions known.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypeWithName(V1.WithKind("Ship"), &Ship{})
	scheme.AddKnownTypeWithName(V1.WithKind("ShipList"), &ShipList{})
	scheme.AddKnownTypeWithName(V1Beta1.WithKind("Ship"), &OldShip{})
	scheme.AddKnownTypeWithName(V1Beta1.WithKind("ShipList"), &OldShipList{})
	metav1.AddToGroupVersion(scheme, V1)
	metav1.AddToGroupVersion(scheme, V1Beta1)
	return nil
}

// Ship asks for a number of cabins, each of which becomes a ConfigMap.
type Ship struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              ShipSpec   `json:"spec,omitempty"`
	Status            ShipStatus `json:"status,omitempty"`
}

type ShipSpec struct {
	Cabins int32  `json:"cabins"`
	Port   string `json:"port,omitempty"`
}

type ShipStatus struct {
	Ready              int32              `json:"ready,omitempty"`
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
}

type ShipList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Ship `json:"items"`
}

// OldShip keeps cabins and port in one text: "3@Hamburg".
type OldShip struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              OldShipSpec `json:"spec,omitempty"`
	Status            ShipStatus  `json:"status,omitempty"`
}

type OldShipSpec struct {
	Order string `json:"order"`
}

type OldShipList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []OldShip `json:"items"`
}

// Hub marks the version that others convert to.
func (*Ship) Hub() {}

func (s *OldShip) ConvertTo(hub conversion.Hub) error {
	ship := hub.(*Ship)
	ship.ObjectMeta = s.ObjectMeta
	ship.Status = s.Status
	number, port, _ := strings.Cut(s.Spec.Order, "@")
	cabins, err := strconv.ParseInt(number, 10, 32)
	if err != nil {
		return fmt.Errorf("order %q does not begin with a number", s.Spec.Order)
	}
	ship.Spec = ShipSpec{Cabins: int32(cabins), Port: port}
	return nil
}

func (s *OldShip) ConvertFrom(hub conversion.Hub) error {
	ship := hub.(*Ship)
	s.ObjectMeta = ship.ObjectMeta
	s.Status = ship.Status
	s.Spec.Order = fmt.Sprintf("%d@%s", ship.Spec.Cabins, ship.Spec.Port)
	return nil
}

func (in ShipStatus) copy() ShipStatus {
	out := in
	out.Conditions = nil
	for i := range in.Conditions {
		out.Conditions = append(out.Conditions, *in.Conditions[i].DeepCopy())
	}
	return out
}

func (in *Ship) DeepCopy() *Ship {
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Status = in.Status.copy()
	return &out
}

func (in *Ship) DeepCopyObject() runtime.Object { return in.DeepCopy() }

func (in *ShipList) DeepCopyObject() runtime.Object {
	out := *in
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	out.Items = nil
	for i := range in.Items {
		out.Items = append(out.Items, *in.Items[i].DeepCopy())
	}
	return &out
}

func (in *OldShip) DeepCopy() *OldShip {
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Status = in.Status.copy()
	return &out
}

func (in *OldShip) DeepCopyObject() runtime.Object { return in.DeepCopy() }

func (in *OldShipList) DeepCopyObject() runtime.Object {
	out := *in
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	out.Items = nil
	for i := range in.Items {
		out.Items = append(out.Items, *in.Items[i].DeepCopy())
	}
	return &out
}
