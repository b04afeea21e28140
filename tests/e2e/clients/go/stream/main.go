// Exec, attach and port-forward with client-go, over WebSocket and over SPDY. Usage: stream KUBECONFIG NAMESPACE.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
)

var failed bool

func check(name string, err error) {
	if err != nil {
		failed = true
		fmt.Printf("FAIL  %s: %v\n", name, err)
		return
	}
	fmt.Printf("ok    %s\n", name)
}

func executor(kind string, config *rest.Config, target *url.URL) (remotecommand.Executor, error) {
	if kind == "websocket" {
		return remotecommand.NewWebSocketExecutor(config, "GET", target.String())
	}
	return remotecommand.NewSPDYExecutor(config, "POST", target)
}

func run(kind string, config *rest.Config, target *url.URL, options remotecommand.StreamOptions) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	e, err := executor(kind, config, target)
	if err != nil {
		return err
	}
	return e.StreamWithContext(ctx, options)
}

type sizes chan remotecommand.TerminalSize

func (s sizes) Next() *remotecommand.TerminalSize {
	size, ok := <-s
	if !ok {
		return nil
	}
	return &size
}

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	if err != nil {
		panic(err)
	}
	namespace := os.Args[2]
	client := kubernetes.NewForConfigOrDie(config)
	execURL := func(command []string, stdin, tty bool) *url.URL {
		return client.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name("talker").SubResource("exec").
			VersionedParams(&corev1.PodExecOptions{Container: "main", Command: command, Stdin: stdin, Stdout: true, Stderr: !tty, TTY: tty},
				scheme.ParameterCodec).URL()
	}
	for _, kind := range []string{"websocket", "spdy"} {
		var stdout, stderr bytes.Buffer
		err := run(kind, config, execURL([]string{"sh", "-c", "echo out; echo err >&2; exit 7"}, false, false),
			remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr})
		if code, ok := err.(exec.CodeExitError); ok && code.Code == 7 && stdout.String() == "out\n" && stderr.String() == "err\n" {
			err = nil
		} else {
			err = fmt.Errorf("%v, stdout %q, stderr %q", err, stdout.String(), stderr.String())
		}
		check(kind+": exec tells stdout, stderr and the exit code", err)

		stdout.Reset()
		payload := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB
		err = run(kind, config, execURL([]string{"cat"}, true, false),
			remotecommand.StreamOptions{Stdin: bytes.NewReader(payload), Stdout: &stdout, Stderr: &stderr})
		if err == nil && !bytes.Equal(stdout.Bytes(), payload) {
			err = fmt.Errorf("%d of %d bytes came back", stdout.Len(), len(payload))
		}
		check(kind+": 2 MiB of stdin come back, and its end is seen", err)

		stdout.Reset()
		queue := make(sizes, 1)
		queue <- remotecommand.TerminalSize{Width: 123, Height: 45}
		err = run(kind, config, execURL([]string{"sh", "-c", "sleep 0.5; stty size"}, true, true),
			remotecommand.StreamOptions{Stdin: strings.NewReader(""), Stdout: &stdout, Tty: true, TerminalSizeQueue: queue})
		close(queue)
		if err == nil && !strings.Contains(stdout.String(), "45 123") {
			err = fmt.Errorf("stty says %q", stdout.String())
		}
		check(kind+": the terminal has the size that the client says", err)

		stdout.Reset()
		attachURL := client.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name("listener").SubResource("attach").
			VersionedParams(&corev1.PodAttachOptions{Container: "main", Stdin: true, Stdout: true, Stderr: true}, scheme.ParameterCodec).URL()
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		e, err := executor(kind, config, attachURL)
		if err == nil {
			reader, writer := io.Pipe()
			go func() { fmt.Fprintf(writer, "hello by %s\n", kind) }()
			_ = e.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: reader, Stdout: &stdout, Stderr: &stderr})
			if !strings.Contains(stdout.String(), "got hello by "+kind) {
				err = fmt.Errorf("attached output is %q", stdout.String())
			}
		}
		cancel()
		check(kind+": attach reaches stdin of the container", err)
		check(kind+": port-forward carries several connections", forward(kind, config, client, namespace))
	}
	if failed {
		os.Exit(1)
	}
}

func forward(kind string, config *rest.Config, client *kubernetes.Clientset, namespace string) error {
	pods, err := client.CoreV1().Pods(namespace).List(context.Background(), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		return err
	}
	target := client.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pods.Items[0].Name).SubResource("portforward").URL()
	var dialer httpstream.Dialer
	if kind == "websocket" {
		dialer, err = portforward.NewSPDYOverWebsocketDialer(target, config)
		if err != nil {
			return err
		}
	} else {
		transport, upgrader, err := spdy.RoundTripperFor(config)
		if err != nil {
			return err
		}
		dialer = spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", target)
	}
	stop, ready := make(chan struct{}), make(chan struct{})
	defer close(stop)
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{"0:9090"}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		return err
	}
	errs := make(chan error, 8)
	go func() { errs <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-errs:
		return err
	case <-time.After(10 * time.Second):
		return fmt.Errorf("not ready")
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		return err
	}
	const connections = 4
	for n := 0; n < connections; n++ {
		go func() {
			conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports[0].Local))
			if err != nil {
				errs <- err
				return
			}
			defer conn.Close()
			payload := bytes.Repeat([]byte{byte('a' + n)}, 300_000)
			go func() { _, _ = conn.Write(payload) }()
			back := make([]byte, len(payload))
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.ReadFull(conn, back); err != nil {
				errs <- err
			} else if !bytes.Equal(back, payload) {
				errs <- fmt.Errorf("connection %d got other bytes back", n)
			} else {
				errs <- nil
			}
		}()
	}
	for n := 0; n < connections; n++ {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}
