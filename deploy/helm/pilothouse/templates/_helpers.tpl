{{- define "pilothouse.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "pilothouse.secretPrefix" -}}
{{- default (include "pilothouse.fullname" .) .Values.certificates.secretPrefix -}}
{{- end -}}

{{/* The Secret with ca.crt and the administrator's pair: admin.crt and admin.key, or tls.crt and tls.key where cert-manager made it. */}}
{{- define "pilothouse.adminSecret" -}}
{{ include "pilothouse.secretPrefix" . }}{{ if eq .Values.certificates.mode "certManager" }}-tls{{ end }}-admin
{{- end -}}

{{- define "pilothouse.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "pilothouse.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* Call with (dict "root" $ "component" "store"). */}}
{{- define "pilothouse.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "pilothouse.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "pilothouse.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{- define "pilothouse.podCommon" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext: {{ include "pilothouse.podSecurity" . | nindent 2 }}
{{- end -}}

{{/* store-0=https://store-0.headless.ns.svc:2380,… */}}
{{- define "pilothouse.initialCluster" -}}
{{- $full := include "pilothouse.fullname" . -}}
{{- range $index := until (int .Values.store.replicas) -}}
{{- if $index }},{{ end -}}
{{ $full }}-store-{{ $index }}=https://{{ $full }}-store-{{ $index }}.{{ $full }}-store.{{ $.Release.Namespace }}.svc:2380
{{- end -}}
{{- end -}}

{{- define "pilothouse.storeEndpoints" -}}
{{- $full := include "pilothouse.fullname" . -}}
{{- range $index := until (int .Values.store.replicas) -}}
{{- if $index }},{{ end -}}
https://{{ $full }}-store-{{ $index }}.{{ $full }}-store.{{ $.Release.Namespace }}.svc:2379
{{- end -}}
{{- end -}}

{{- define "pilothouse.storeHosts" -}}
{{- $full := include "pilothouse.fullname" . -}}
{{- range $index := until 7 -}}
{{ $full }}-store-{{ $index }}.{{ $full }}-store.{{ $.Release.Namespace }}.svc,
{{- end -}}
{{ $full }}-store-client.{{ .Release.Namespace }}.svc
{{- end -}}

{{- define "pilothouse.apiHosts" -}}
{{- $name := printf "%s-apiserver" (include "pilothouse.fullname" .) -}}
{{ $name }},{{ $name }}.{{ .Release.Namespace }},{{ $name }}.{{ .Release.Namespace }}.svc,{{ $name }}.{{ .Release.Namespace }}.svc.cluster.local
{{- with .Values.apiServer.certSANs }},{{ join "," . }}{{ end -}}
{{- end -}}

{{/* Names of the console's Service. */}}
{{- define "pilothouse.consoleNames" -}}
{{- $name := printf "%s-console" (include "pilothouse.fullname" .) -}}
{{ $name }},{{ $name }}.{{ .Release.Namespace }},{{ $name }}.{{ .Release.Namespace }}.svc,{{ $name }}.{{ .Release.Namespace }}.svc.cluster.local
{{- end -}}

{{/* What stands in the console's certificate. */}}
{{- define "pilothouse.consoleHosts" -}}
{{ include "pilothouse.consoleNames" . }}{{ with .Values.console.certSANs }},{{ join "," . }}{{ end }}
{{- end -}}

{{- define "pilothouse.internalServer" -}}
https://{{ include "pilothouse.fullname" . }}-apiserver.{{ .Release.Namespace }}.svc:{{ .Values.apiServer.service.port }}
{{- end -}}

{{- define "pilothouse.checkValues" -}}
{{- if and (eq (int .Values.store.replicas) 1) (gt (int .Values.apiServer.replicas) 10) -}}
{{- fail "more than 10 API servers on one store member: set store.replicas to 3 or more" -}}
{{- end -}}
{{- end -}}

{{/* An upgrade that would take away the majority, or add members behind Raft's back, is refused before anything changes. */}}
{{- define "pilothouse.checkReplicas" -}}
{{- $found := lookup "apps/v1" "StatefulSet" .Release.Namespace (printf "%s-store" (include "pilothouse.fullname" .)) -}}
{{- if $found -}}
{{- $now := int $found.spec.replicas -}}
{{- $want := int .Values.store.replicas -}}
{{- if ne $now $want -}}
{{- fail (printf "store.replicas cannot go from %d to %d by an upgrade: members join and leave one at a time (see README.md, \"Members\"); set store.replicas to %d" $now $want $now) -}}
{{- end -}}
{{- end -}}
{{- end -}}
