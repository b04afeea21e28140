{{/* The pod that makes and renews the certificates. */}}
{{- define "pilothouse.certsPod" }}
      restartPolicy: OnFailure
      serviceAccountName: {{ include "pilothouse.fullname" . }}-certs
      enableServiceLinks: true
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets: {{ toYaml . | nindent 8 }}
      {{- end }}
      securityContext: {{ include "pilothouse.podSecurity" . | nindent 8 }}
      containers:
        - name: certs
          image: {{ include "pilothouse.image" . | quote }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          securityContext: {{ include "pilothouse.containerSecurity" . | nindent 12 }}
          args:
            - certs
            - init
            - --cert-dir=/certs/pki
            - --kubeconfig-dir=/certs/kubeconfig
            - --secret-prefix={{ include "pilothouse.secretPrefix" . }}
            - --server={{ default (include "pilothouse.internalServer" .) .Values.externalServer }}
            - --internal-server={{ include "pilothouse.internalServer" . }}
            - --hosts={{ include "pilothouse.apiHosts" . }}
            - --store-hosts={{ include "pilothouse.storeHosts" . }}
            {{- if .Values.console.enabled }}
            - --console-hosts={{ include "pilothouse.consoleHosts" . }}
            {{- end }}
            - --service-address={{ .Values.apiServer.serviceAddress }}
            {{- if gt (int .Values.nodes.replicas) 0 }}
            - --nodes={{ range $index := until (int .Values.nodes.replicas) }}{{ if $index }},{{ end }}{{ include "pilothouse.fullname" $ }}-node-{{ $index }}{{ end }}
            {{- end }}
          resources:
            requests: { cpu: 50m, memory: 96Mi }
            limits: { memory: 256Mi }
          volumeMounts:
            - { name: work, mountPath: /certs }
      volumes:
        - { name: work, emptyDir: { medium: Memory } }
{{- end }}
