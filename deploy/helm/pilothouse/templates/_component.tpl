{{/* A Deployment of a leader-elected component: (dict "root" $ "component" "scheduler" "values" .Values.scheduler "port" 10259 "args" (list …)). */}}
{{- define "pilothouse.component" -}}
{{- $full := include "pilothouse.fullname" .root }}
{{- $selector := include "pilothouse.selector" (dict "root" .root "component" .component) }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $full }}-{{ .component }}
  labels: {{ include "pilothouse.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  replicas: {{ .values.replicas }}
  selector:
    matchLabels: {{ $selector | nindent 6 }}
  template:
    metadata:
      labels: {{ $selector | nindent 8 }}
    spec:
      {{- include "pilothouse.podCommon" .root | nindent 6 }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{ $selector | nindent 14 }}
      containers:
        - name: {{ .component }}
          image: {{ include "pilothouse.image" .root | quote }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          securityContext: {{ include "pilothouse.containerSecurity" .root | nindent 12 }}
          args:
            - {{ .component }}
            - --kubeconfig=/pki/{{ .component }}.yaml
            - --tls-cert-file=/pki/{{ .component }}.crt
            - --tls-private-key-file=/pki/{{ .component }}.key
            {{- range .args }}
            - {{ . | quote }}
            {{- end }}
            {{- range .values.extraArgs }}
            - {{ . | quote }}
            {{- end }}
          ports:
            - { name: https, containerPort: {{ .port }} }
          livenessProbe:
            httpGet: { path: /healthz, port: https, scheme: HTTPS }
            initialDelaySeconds: 10
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: { path: /healthz, port: https, scheme: HTTPS }
            periodSeconds: 5
          resources: {{ toYaml .values.resources | nindent 12 }}
          volumeMounts:
            - { name: pki, mountPath: /pki, readOnly: true }
            - { name: tmp, mountPath: /tmp }
      volumes:
        {{- include "pilothouse.pkiVolume" (dict "root" .root "component" .component) | nindent 8 }}
        - { name: tmp, emptyDir: {} }
      {{- with .values.nodeSelector }}
      nodeSelector: {{ toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.tolerations }}
      tolerations: {{ toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}
