{{/* What this cluster follows. */}}
{{- define "prowl-argocd.branch" -}}
{{- get .Values.branches .Values.environment -}}
{{- end -}}

{{/* How both Applications are kept as Git says. An empty folder is a mistake, and no order to delete everything. */}}
{{- define "prowl-argocd.automated" -}}
automated:
  prune: true
  selfHeal: true
  allowEmpty: false
retry:
  limit: 5
  backoff:
    duration: 10s
    factor: 2
    maxDuration: 5m
{{- end -}}
