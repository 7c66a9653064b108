{{/* Name of the operator's objects. */}}
{{- define "signals.operator" -}}
{{ printf "%s-operator" (trunc 50 .Release.Name | trimSuffix "-") }}
{{- end }}

{{/* Name of the CRD hook's objects; cluster-wide names include the namespace. */}}
{{- define "signals.crds" -}}
{{ printf "%s-crds" (trunc 50 .Release.Name | trimSuffix "-") }}
{{- end }}

{{- define "signals.serviceAccount" -}}
{{ .Values.operator.serviceAccountName | default (include "signals.operator" .) }}
{{- end }}

{{- define "signals.stack" -}}
{{ .Values.stack.name | default .Release.Name }}
{{- end }}

{{- define "signals.image" -}}
{{- if eq .Values.image.tag "latest" }}
{{- fail "image.tag: latest may be another image tomorrow; name a version" }}
{{- end }}
{{- if .Values.image.digest -}}
{{ printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{- define "signals.selectorLabels" -}}
app.kubernetes.io/name: signals
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "signals.labels" -}}
{{ include "signals.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end }}

{{- define "signals.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "signals.podLabels" -}}
{{ include "signals.labels" . }}
{{- $own := include "signals.labels" . | fromYaml }}
{{- range $name, $_ := .Values.operator.podLabels }}
{{- if hasKey $own $name }}{{ fail (printf "operator.podLabels: %s is the chart's own" $name) }}{{ end }}
{{- end }}
{{- with .Values.operator.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Both security contexts meet Pod Security's restricted standard and are a little stricter. */}}
{{- define "signals.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "signals.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* Names of the Secrets that stack.spec refers to, and those given by name. */}}
{{- define "signals.secretNames" -}}
{{- $names := .Values.operator.secretNames }}
{{- if .Values.stack.create }}
{{- $spec := .Values.stack.spec }}
{{- $redis := (($spec.ray).gcsFaultTolerance) }}
{{- range list $spec.postgres $spec.kafka $spec.opensearch $spec.ai $redis }}
{{- range list (. | default dict).secretRef (. | default dict).caRef }}
{{- with . }}{{ $names = append $names .name }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- $names | uniq | sortAlpha | toJson }}
{{- end }}
