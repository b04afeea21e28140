package main

import (
	"net/http"
	"sync/atomic"

	"k8s.io/client-go/kubernetes"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/transport"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// countLists counts the requests that are not watches.
func countLists(count *atomic.Int32) transport.WrapperFunc {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			if request.Method == http.MethodGet && request.URL.Query().Get("watch") == "" {
				count.Add(1)
			}
			return next.RoundTrip(request)
		})
	}
}

func sinkOf(client kubernetes.Interface) record.EventSink {
	return &typedcore.EventSinkImpl{Interface: client.CoreV1().Events("")}
}
