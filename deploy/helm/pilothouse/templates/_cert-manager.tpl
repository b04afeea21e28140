{{/*
What cert-manager is asked for, as YAML: `name` makes Secret <prefix>-tls-<name>, `file` is the name that components see without its
ending, `hosts` are DNS names or addresses. The same subjects and names as `pilothouse certs init` gives.
*/}}
{{- define "pilothouse.certificatePlan" -}}
{{- $full := include "pilothouse.fullname" . -}}
{{- $local := list "localhost" "127.0.0.1" "::1" -}}
{{- $store := concat $local (splitList "," (include "pilothouse.storeHosts" .)) -}}
{{- $api := concat $local (list "kubernetes" "kubernetes.default" "kubernetes.default.svc" "kubernetes.default.svc.cluster.local" .Values.apiServer.serviceAddress) (splitList "," (include "pilothouse.apiHosts" .)) -}}
{{- $plan := list
  (dict "name" "etcd-server" "file" "etcd__server" "issuer" "etcd-ca" "commonName" "etcd-server" "hosts" $store "usages" (list "server auth" "client auth"))
  (dict "name" "etcd-peer" "file" "etcd__peer" "issuer" "etcd-ca" "commonName" "etcd-peer" "hosts" $store "usages" (list "server auth" "client auth"))
  (dict "name" "etcd-client" "file" "etcd__client" "issuer" "etcd-ca" "commonName" "etcd-client" "usages" (list "client auth"))
  (dict "name" "apiserver" "file" "apiserver" "issuer" "ca" "commonName" "kube-apiserver" "hosts" $api "usages" (list "server auth"))
  (dict "name" "apiserver-etcd-client" "file" "apiserver-etcd-client" "issuer" "etcd-ca" "commonName" "kube-apiserver-etcd-client" "usages" (list "client auth"))
  (dict "name" "apiserver-kubelet-client" "file" "apiserver-kubelet-client" "issuer" "ca" "commonName" "kube-apiserver-kubelet-client" "organization" "system:masters" "usages" (list "client auth"))
  (dict "name" "front-proxy-client" "file" "front-proxy-client" "issuer" "front-proxy-ca" "commonName" "front-proxy-client" "usages" (list "client auth"))
  (dict "name" "admin" "file" "admin" "issuer" "ca" "commonName" "kubernetes-admin" "organization" "system:masters" "usages" (list "client auth"))
  (dict "name" "scheduler" "file" "scheduler" "issuer" "ca" "commonName" "system:kube-scheduler" "hosts" $local "usages" (list "server auth" "client auth"))
  (dict "name" "controller-manager" "file" "controller-manager" "issuer" "ca" "commonName" "system:kube-controller-manager" "hosts" $local "usages" (list "server auth" "client auth"))
-}}
{{- if .Values.console.enabled -}}
{{- $plan = append $plan (dict "name" "console" "file" "console" "issuer" "ca" "commonName" "pilothouse-console" "hosts" (concat $local (splitList "," (include "pilothouse.consoleHosts" .))) "usages" (list "server auth")) -}}
{{- end -}}
{{- range $index := until (int .Values.nodes.replicas) -}}
{{- $node := printf "%s-node-%d" $full $index -}}
{{- $plan = append $plan (dict "name" $node "file" (printf "nodes__%s" $node) "issuer" "ca" "commonName" (printf "system:node:%s" $node) "organization" "system:nodes" "hosts" (prepend $local $node) "usages" (list "server auth" "client auth")) -}}
{{- end -}}
{{- toYaml $plan -}}
{{- end -}}

{{/* Names of the Secrets that a component reads, and of the authorities whose certificate (never the key) it trusts. */}}
{{- define "pilothouse.componentCertificates" -}}
store: { leaves: [etcd-server, etcd-peer, etcd-client], authorities: [etcd-ca] }
apiserver: { leaves: [apiserver, apiserver-etcd-client, apiserver-kubelet-client, front-proxy-client], authorities: [ca, etcd-ca, front-proxy-ca] }
scheduler: { leaves: [scheduler], authorities: [ca], kubeconfigs: [scheduler] }
controller-manager: { leaves: [controller-manager], authorities: [ca], kubeconfigs: [controller-manager] }
console: { leaves: [console, etcd-client], authorities: [ca, etcd-ca] }
admin: { leaves: [admin], authorities: [ca] }
{{- end -}}

{{/* The volume `pki` of a component: (dict "root" $ "component" "store"). Files are the same in every mode. */}}
{{- define "pilothouse.pkiVolume" -}}
{{- $prefix := include "pilothouse.secretPrefix" .root -}}
- name: pki
  {{- if ne .root.Values.certificates.mode "certManager" }}
  secret: { secretName: {{ $prefix }}-{{ .component }}, defaultMode: 0440 }
  {{- else }}
  projected:
    defaultMode: 0440
    sources:
      {{- $plan := include "pilothouse.certificatePlan" .root | fromYamlArray }}
      {{- $all := include "pilothouse.componentCertificates" .root | fromYaml }}
      {{- $wanted := dict "leaves" list "authorities" (list "ca") "kubeconfigs" list }}
      {{- if hasKey $all .component }}
      {{- $wanted = get $all .component }}
      {{- else }}
      {{- range $plan }}
      {{- if hasPrefix "nodes__" .file }}
      {{- $_ := set $wanted "leaves" (append $wanted.leaves .name) }}
      {{- $_ := set $wanted "kubeconfigs" (append $wanted.kubeconfigs .name) }}
      {{- end }}
      {{- end }}
      {{- end }}
      {{- range $plan }}
      {{- if has .name $wanted.leaves }}
      - secret: { name: {{ $prefix }}-tls-{{ .name }}, items: [{ key: tls.crt, path: {{ .file }}.crt }, { key: tls.key, path: {{ .file }}.key }] }
      {{- end }}
      {{- end }}
      {{- range $wanted.authorities }}
      {{- $key := and (eq . "ca") (eq $.component "controller-manager") }}
      - secret: { name: {{ $prefix }}-tls-{{ . }}, items: [{ key: tls.crt, path: {{ . | replace "etcd-ca" "etcd__ca" }}.crt }{{ if $key }}, { key: tls.key, path: ca.key }{{ end }}] }
      {{- end }}
      {{- if has .component (list "apiserver" "controller-manager") }}
      - secret: { name: {{ $prefix }}-tls-sa, items: [{ key: tls.key, path: sa.key }, { key: tls.crt, path: sa.pub }] }
      {{- end }}
      {{- range $wanted.kubeconfigs }}
      - configMap: { name: {{ $prefix }}-kubeconfigs, items: [{ key: {{ . }}.yaml, path: {{ . }}.yaml }] }
      {{- end }}
  {{- end }}
{{- end -}}
