{{/* Names are cut at 40 characters: that of a CronJob may have 52, that of a Service 63. */}}
{{- define "prowl.fullname" -}}
{{- if contains "prowl" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-prowl" (.Release.Name | trunc 34 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{/* What chooses the pods of a component. (list $ "component") */}}
{{- define "prowl.selector" -}}
app.kubernetes.io/name: prowl
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of an object. Pods have those of the selector alone, so that a new chart version starts no rollout. (list $ "component") */}}
{{- define "prowl.labels" -}}
{{ include "prowl.selector" . }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: prowl-{{ (index . 0).Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* (list $ "target") */}}
{{- define "prowl.image" -}}
{{- $root := index . 0 -}}
{{- $target := index . 1 -}}
{{- with index $root.Values.tags $target -}}
{{- printf "%s/%s:%s" $root.Values.image.registry $target . -}}
{{- else -}}
{{- printf "%s/%s@%s" $root.Values.image.registry $target (index $root.Values.digests $target) -}}
{{- end -}}
{{- end -}}

{{/* The secret of a stage in Vault. (list $ "stage") */}}
{{- define "prowl.secretPath" -}}
{{- $root := index . 0 -}}
{{- $stage := index . 1 -}}
{{- if hasKey $root.Values.vault.paths $stage -}}
{{- index $root.Values.vault.paths $stage -}}
{{- else -}}
{{- printf "%s/prowl/%s/%s" $root.Values.vault.mount $root.Values.environment $stage -}}
{{- end -}}
{{- end -}}

{{/* Whether there is a model to serve; empty where there is none yet. */}}
{{- define "prowl.serves" -}}
{{- ne .Values.model.version "none" | ternary "true" "" -}}
{{- end -}}

{{- define "prowl.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "prowl.fullname" (index . 0) }}-{{ index . 1 }}
  labels: {{- include "prowl.labels" . | nindent 4 }}
automountServiceAccountToken: false
{{- end -}}

{{/*
What all pods have in common. A token is mounted where the stage logs in to Vault, which the scheduler alone does not.
Service links would fill the environment. (dict "root" $ "stage" "…" "workload" .Values.…)
*/}}
{{- define "prowl.pod" -}}
serviceAccountName: {{ include "prowl.fullname" .root }}-{{ .stage }}
automountServiceAccountToken: {{ ne .stage "scheduler" }}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .workload.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .workload.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .workload.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What all containers have in common. (dict "root" $ "stage" "…" "target" "…" "workload" .Values.…) */}}
{{- define "prowl.container" -}}
image: {{ include "prowl.image" (list .root .target) | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
env:
  - name: PROWL_LOG_FORMAT
    value: json
  {{- if ne .stage "scheduler" }}
  - name: PROWL_STORE
    value: {{ .root.Values.store | quote }}
  {{- with .root.Values.storeStyle }}
  - name: PROWL_S3_STYLE
    value: {{ . }}
  {{- end }}
  {{- if .root.Values.ca.configMap }}
  - name: SSL_CERT_FILE
    value: /etc/prowl/ca/{{ .root.Values.ca.key }}
  {{- end }}
  - name: VAULT_ADDR
    value: {{ .root.Values.vault.address | quote }}
  - name: VAULT_ROLE
    value: {{ printf "prowl-%s-%s" .root.Values.environment .stage | quote }}
  - name: VAULT_SECRET_PATH
    value: {{ include "prowl.secretPath" (list .root .stage) | quote }}
  {{- if ne .root.Values.vault.authMount "kubernetes" }}
  - name: VAULT_AUTH_MOUNT
    value: {{ .root.Values.vault.authMount | quote }}
  {{- end }}
  {{- if .root.Values.vault.ca.configMap }}
  - name: VAULT_CACERT
    value: /etc/prowl/vault-ca/{{ .root.Values.vault.ca.key }}
  {{- end }}
  {{- end }}
  {{- with .workload.otlpEndpoint }}
  - name: OTEL_EXPORTER_OTLP_ENDPOINT
    value: {{ . | quote }}
  {{- end }}
resources: {{- toYaml .workload.resources | nindent 2 }}
{{- end -}}

{{/* The only place to write is /tmp; authorities that a stage trusts are mounted. (list $ "stage") */}}
{{- define "prowl.mounts" -}}
{{- $values := (index . 0).Values -}}
- name: tmp
  mountPath: /tmp
{{- if and $values.ca.configMap (ne (index . 1) "scheduler") }}
- name: ca
  mountPath: /etc/prowl/ca
  readOnly: true
{{- end }}
{{- if and $values.vault.ca.configMap (ne (index . 1) "scheduler") }}
- name: vault-ca
  mountPath: /etc/prowl/vault-ca
  readOnly: true
{{- end }}
{{- if and $values.inference.ca.configMap (eq (index . 1) "loadtest") }}
- name: inference-ca
  mountPath: /etc/prowl/inference-ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "prowl.volumes" -}}
{{- $values := (index . 0).Values -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ $values.tmpSize }}
{{- if and $values.ca.configMap (ne (index . 1) "scheduler") }}
- name: ca
  configMap:
    name: {{ $values.ca.configMap }}
{{- end }}
{{- if and $values.vault.ca.configMap (ne (index . 1) "scheduler") }}
- name: vault-ca
  configMap:
    name: {{ $values.vault.ca.configMap }}
{{- end }}
{{- if and $values.inference.ca.configMap (eq (index . 1) "loadtest") }}
- name: inference-ca
  configMap:
    name: {{ $values.inference.ca.configMap }}
{{- end }}
{{- end -}}

{{/*
A stage that runs now and then. `name` is given where a component has a second one.
(dict "root" $ "component" "…" "stage" "…" "target" "…" "workload" .Values.… "args" (list …))
*/}}
{{- define "prowl.cronJob" -}}
{{- $name := .name | default .component -}}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ include "prowl.fullname" .root }}-{{ $name }}
  labels: {{- include "prowl.labels" (list .root .component) | nindent 4 }}
spec:
  schedule: {{ .workload.schedule | quote }}
  timeZone: Etc/UTC
  suspend: {{ .workload.suspend }}
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 600
  jobTemplate:
    spec:
      backoffLimit: {{ .workload.backoffLimit }}
      activeDeadlineSeconds: {{ .workload.activeDeadlineSeconds }}
      ttlSecondsAfterFinished: {{ .workload.ttlSecondsAfterFinished }}
      template:
        metadata:
          labels: {{- include "prowl.selector" (list .root .component) | nindent 12 }}
          {{- with .workload.podAnnotations }}
          annotations: {{- toYaml . | nindent 12 }}
          {{- end }}
        spec:
          {{- include "prowl.pod" . | nindent 10 }}
          restartPolicy: Never
          terminationGracePeriodSeconds: 60
          containers:
            - name: {{ $name }}
              {{- include "prowl.container" . | nindent 14 }}
              args: {{- concat .args .workload.extraArgs | toYaml | nindent 16 }}
              volumeMounts: {{- include "prowl.mounts" (list .root .stage) | nindent 16 }}
          volumes: {{- include "prowl.volumes" (list .root .stage) | nindent 12 }}
{{- end -}}

{{/* https or http, as inference speaks. */}}
{{- define "prowl.scheme" -}}
{{- ternary "https" "http" .Values.inference.tls -}}
{{- end -}}

{{/* A Service of inference by the name that its certificate holds. (list $ "inference-preview" 50051) */}}
{{- define "prowl.inferenceURL" -}}
{{- $root := index . 0 -}}
{{- printf "%s://%s-%s.%s.svc:%v" (include "prowl.scheme" $root) (include "prowl.fullname" $root) (index . 1) $root.Release.Namespace (index . 2) -}}
{{- end -}}

{{/* What a stage may speak to, of networkPolicies.<neighbour>. (list $ "neighbour") */}}
{{- define "prowl.egress" -}}
{{- $neighbour := index (index . 0).Values.networkPolicies (index . 1) -}}
- ports:
    - port: {{ $neighbour.port }}
      protocol: TCP
    {{- if eq (index . 1) "dns" }}
    - port: {{ $neighbour.port }}
      protocol: UDP
    {{- end }}
  {{- with $neighbour.to }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The pods of a component as a peer of a network policy. (list $ "component") */}}
{{- define "prowl.peer" -}}
- podSelector:
    matchLabels: {{- include "prowl.selector" . | nindent 6 }}
{{- end -}}
