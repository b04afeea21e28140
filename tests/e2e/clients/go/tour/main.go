// Command tour drives a plane with stock client-go: typed and protobuf clients, a list, a watch and a shared informer.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

func check(what string, err error) {
	if err != nil {
		fmt.Printf("FAIL  client-go: %s: %v\n", what, err)
		os.Exit(1)
	}
	fmt.Printf("ok    client-go: %s\n", what)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	check("kubeconfig", err)
	for _, contentType := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
		config.ContentType = contentType
		config.AcceptContentTypes = contentType + ",application/json"
		client, err := kubernetes.NewForConfig(config)
		check("client for "+contentType, err)
		run(ctx, client, contentType)
	}
}

func run(ctx context.Context, client kubernetes.Interface, contentType string) {
	namespace := fmt.Sprintf("go-tour-%d", time.Now().UnixNano())
	_, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	check("create namespace", err)
	defer client.CoreV1().Namespaces().Delete(context.Background(), namespace, metav1.DeleteOptions{})

	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	check("list nodes", err)
	if len(nodes.Items) == 0 {
		check("nodes", fmt.Errorf("there are none"))
	}

	added := make(chan string, 10)
	updated := make(chan string, 10)
	deleted := make(chan string, 10)
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	informer := factory.Core().V1().ConfigMaps().Informer()
	informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { added <- object.(*corev1.ConfigMap).Name },
		UpdateFunc: func(_, object any) { updated <- object.(*corev1.ConfigMap).Data["k"] },
		DeleteFunc: func(object any) {
			if configMap, ok := object.(*corev1.ConfigMap); ok {
				deleted <- configMap.Name
			}
		},
	})
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		check("informer sync", fmt.Errorf("not synced in time"))
	}
	check("informer sync", nil)

	configMap, err := client.CoreV1().ConfigMaps(namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Data: map[string]string{"k": "1"}}, metav1.CreateOptions{})
	check("create config map", err)
	expect(ctx, "informer sees the creation", added, "a")
	configMap.Data["k"] = "2"
	_, err = client.CoreV1().ConfigMaps(namespace).Update(ctx, configMap, metav1.UpdateOptions{})
	check("update config map", err)
	expect(ctx, "informer sees the update", updated, "2")
	configMap.Data["k"] = "3"
	if _, err = client.CoreV1().ConfigMaps(namespace).Update(ctx, configMap, metav1.UpdateOptions{}); err == nil {
		check("stale update is refused", fmt.Errorf("it was not"))
	}
	check("stale update is refused", nil)
	check("delete config map", client.CoreV1().ConfigMaps(namespace).Delete(ctx, "a", metav1.DeleteOptions{}))
	expect(ctx, "informer sees the deletion", deleted, "a")
	_ = contentType
}

func expect(ctx context.Context, what string, got <-chan string, want string) {
	for {
		select {
		case value := <-got:
			if value == want {
				check(what, nil)
				return
			}
		case <-ctx.Done():
			check(what, ctx.Err())
		}
	}
}
