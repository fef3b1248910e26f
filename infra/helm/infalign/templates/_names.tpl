{{/* Begins the names of all that the chart makes. */}}
{{- define "infalign.name" -}}
{{- $name := default .Release.Name .Values.nameOverride -}}
{{- if contains "infalign" $name }}{{ $name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-infalign" ($name | trunc 30 | trimSuffix "-") }}{{ end -}}
{{- end -}}

{{/* Labels of everything. Takes (dict "root" $ "component" "policy-sampler"). */}}
{{- define "infalign.labels" -}}
{{ include "infalign.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: infalign
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* The labels that pods are selected by, which never change. */}}
{{- define "infalign.selector" -}}
app.kubernetes.io/name: infalign
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/*
A container's image. Takes (dict "root" $ "title" "policy-sampler" "image" (dict …)), the image's own settings going before
those of all.
*/}}
{{- define "infalign.image" -}}
{{- $all := .root.Values.image -}}
{{- $own := default dict .image -}}
{{- $repository := default (printf "%s/%s" $all.repository .title) $own.repository -}}
{{- if $own.digest -}}
{{ $repository }}@{{ $own.digest }}
{{- else -}}
{{ $repository }}:{{ coalesce $own.tag $all.tag .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The name of the Kafka cluster that Strimzi makes. */}}
{{- define "infalign.kafkaCluster" -}}
{{ include "infalign.name" . }}-kafka
{{- end -}}

{{/*
How Kafka is reached, whether it is given or Strimzi's: brokers, and where authority, client certificate and password are.
*/}}
{{- define "infalign.kafka" -}}
{{- $kafka := .Values.kafka -}}
{{- if $kafka.strimzi.enabled -}}
{{- $cluster := include "infalign.kafkaCluster" . -}}
brokers: [{{ printf "%s-kafka-bootstrap.%s.svc:9093" $cluster .Release.Namespace | quote }}]
encrypted: true
authority: { name: {{ $cluster }}-cluster-ca-cert, key: ca.crt }
sasl:
  mechanism: scram-sha-512
  username: {{ include "infalign.name" . }}
  passwordSecret: { name: {{ include "infalign.name" . }}, key: password }
{{- else -}}
brokers: {{ toJson $kafka.bootstrapServers }}
encrypted: {{ $kafka.tls.enabled }}
{{- if $kafka.tls.enabled }}
{{- with $kafka.tls.authoritySecret }}{{ if .name }}
authority: {{ toJson . }}
{{- end }}{{ end }}
{{- with $kafka.tls.clientSecret }}{{ if .name }}
client: {{ toJson . }}
{{- end }}{{ end }}
{{- end }}
{{- if $kafka.sasl.enabled }}
sasl: {{ toJson (omit $kafka.sasl "enabled") }}
{{- end }}
{{- end }}
{{- end -}}
