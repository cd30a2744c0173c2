{{/* A pod that puts load on inference: the gate, the look after the switch, `helm test`. (dict "root" $ "name" "…" "args" (list …)) */}}
{{- define "prowl.loadtestPod" -}}
{{- $common := dict "root" .root "stage" "loadtest" "target" "loadtest" "workload" .root.Values.gate -}}
{{- include "prowl.pod" $common }}
restartPolicy: Never
containers:
  - name: {{ .name }}
    {{- include "prowl.container" $common | nindent 4 }}
    workingDir: /tmp
    args: {{- toYaml .args | nindent 6 }}
    volumeMounts:
      {{- include "prowl.mounts" (list .root "loadtest") | nindent 6 }}
      - name: thresholds
        mountPath: /etc/prowl/gate
        readOnly: true
volumes:
  {{- include "prowl.volumes" (list .root "loadtest") | nindent 2 }}
  - name: thresholds
    configMap:
      name: {{ include "prowl.fullname" .root }}-gate
{{- end -}}

{{/*
One look at inference: a Job whose exit code is the verdict. It is tried once, since a second try until it passes is no gate.
(dict "root" $ "name" "…" "args" (list …))
*/}}
{{- define "prowl.verdict" -}}
job:
  metadata:
    labels: {{- include "prowl.selector" (list .root "loadtest") | nindent 6 }}
  spec:
    backoffLimit: 0
    activeDeadlineSeconds: {{ .root.Values.gate.activeDeadlineSeconds }}
    template:
      metadata:
        labels: {{- include "prowl.selector" (list .root "loadtest") | nindent 10 }}
        {{- with .root.Values.gate.podAnnotations }}
        annotations: {{- toYaml . | nindent 10 }}
        {{- end }}
      spec:
        {{- include "prowl.loadtestPod" . | nindent 8 }}
{{- end -}}

{{/* What a load test has to know to trust the certificate of inference, as a list in YAML. */}}
{{- define "prowl.trust" -}}
{{- if and .Values.inference.tls .Values.inference.ca.configMap -}}
- --ca-file=/etc/prowl/inference-ca/{{ .Values.inference.ca.key }}
{{- else -}}
[]
{{- end -}}
{{- end -}}
