{{/*
A services file, as docs/services-file.md has it. Takes (dict "root" $ "settings" (dict …)), the settings of a service going
before those of all.
*/}}
{{- define "infalign.servicesFile" -}}
{{- $root := .root -}}
{{- include "infalign.checks" $root -}}
{{- $values := $root.Values -}}
{{- $kafka := include "infalign.kafka" $root | fromYaml -}}
{{- $settings := mergeOverwrite (deepCopy $values.settings) (deepCopy (default dict .settings)) -}}
{{- $stream := dict
      "brokers" $kafka.brokers
      "prefix" $values.kafka.prefix
      "partitions" $values.kafka.partitions
      "replication" $values.kafka.replication
      "retention_hours" $values.kafka.retentionHours
      "session_timeout_ms" $values.kafka.sessionTimeoutMs -}}
{{- if $kafka.encrypted -}}
{{- $tls := dict -}}
{{- if $kafka.authority }}{{ $_ := set $tls "ca_file" (printf "/etc/infalign/kafka-authority/%s" $kafka.authority.key) }}{{ end -}}
{{- if $kafka.client -}}
{{- $_ := set $tls "certificate_file" "/etc/infalign/kafka-client/tls.crt" -}}
{{- $_ := set $tls "key_file" "/etc/infalign/kafka-client/tls.key" -}}
{{- end -}}
{{- $_ := set $stream "tls" $tls -}}
{{- else -}}
{{- $_ := set $stream "plaintext" $values.kafka.plaintext -}}
{{- end -}}
{{- with $kafka.sasl -}}
{{- $_ := set $stream "sasl" (dict
      "mechanism" .mechanism
      "username" .username
      "password_file" (printf "/etc/infalign/kafka-password/%s" .passwordSecret.key)) -}}
{{- end -}}
{{- $rpc := mergeOverwrite (dict "host" "0.0.0.0" "health_port" 50050) (default dict $settings.rpc) -}}
{{- $client := dict -}}
{{- if include "infalign.callsEncrypted" $root -}}
{{- $tls := dict "certificate_file" "/etc/infalign/tls/tls.crt" "key_file" "/etc/infalign/tls/tls.key" -}}
{{- if $values.tls.clientCertificates }}{{ $_ := set $tls "client_ca_file" "/etc/infalign/tls/ca.crt" }}{{ end -}}
{{- $_ := set $rpc "tls" $tls -}}
{{- $own := $values.tls.clientCertificates | ternary (pick $tls "certificate_file" "key_file") dict -}}
{{- $_ := set $client "tls" (merge (dict "ca_file" "/etc/infalign/tls/ca.crt") $own) -}}
{{- else -}}
{{- $_ := set $rpc "plaintext" $values.tls.plaintext -}}
{{- $_ := set $client "plaintext" $values.tls.plaintext -}}
{{- end -}}
{{- if $values.tokens.secretName -}}
{{- $_ := set $rpc "tokens_file" (printf "/etc/infalign/tokens/%s" $values.tokens.key) -}}
{{- $_ := set $client "token_file" "/etc/infalign/token/token" -}}
{{- end -}}
{{- $services := dict -}}
{{- range $name, $service := include "infalign.services" $root | fromYaml -}}
{{- $address := printf "%s-%s.%s.svc:%v" (include "infalign.name" $root) $service.title $root.Release.Namespace $service.port -}}
{{- $_ := set $services (snakecase $name) (dict "port" (int $service.port) "address" $address "metrics_port" 9464) -}}
{{- end -}}
{{- $file := dict "stream" $stream "store" (include "infalign.store" $root) "rpc" $rpc "client" $client "services" $services -}}
{{- $_ := set $file "telemetry" (include "infalign.telemetry" $root | fromYaml) -}}
{{- if eq $values.checkpoints.type "s3" }}
{{- $_ := set $file "store_cache" "/var/cache/infalign" -}}
{{- $_ := set $file "store_cache_mib" (include "infalign.cacheMib" $values.checkpoints.s3.cacheSize | int) -}}
{{- end -}}
{{- mergeOverwrite $file (omit $settings "rpc") | toYaml -}}
{{- end -}}

{{/* What services measure, and whom they tell. */}}
{{- define "infalign.telemetry" -}}
{{- $telemetry := .Values.telemetry -}}
log_content: {{ $telemetry.logContent }}
{{- with $telemetry.otlp }}
{{- if .endpoint }}
otlp:
  endpoint: {{ .endpoint | quote }}
  plaintext: {{ .plaintext }}
  interval_seconds: {{ .intervalSeconds }}
  trace_share: {{ .traceShare }}
{{- end }}
{{- end }}
{{- with $telemetry.prometheus }}
{{- if .enabled }}
prometheus: { host: 0.0.0.0, plaintext: {{ .plaintext }} }
{{- end }}
{{- end }}
{{- end -}}

{{/*
MiB that a cache keeps in a volume of that size (a quantity of Kubernetes): four fifths, as a file is there beside those that go for
it, and a pod whose volume overflows is evicted.
*/}}
{{- define "infalign.cacheMib" -}}
{{- $bytes := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "P" 1000000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 -}}
{{- $unit := regexFind "[A-Za-z]*$" . -}}
{{- max 1 (floor (divf (mulf 0.8 (trimSuffix $unit . | float64) (index $bytes $unit)) 1048576) | int64) -}}
{{- end -}}

{{/* The checkpoint store's address. */}}
{{- define "infalign.store" -}}
{{- $checkpoints := .Values.checkpoints -}}
{{- if eq $checkpoints.type "s3" -}}
{{- $s3 := $checkpoints.s3 -}}
{{- $parameters := list -}}
{{- with $s3.region }}{{ $parameters = append $parameters (printf "region=%s" .) }}{{ end -}}
{{- with $s3.endpoint }}{{ $parameters = append $parameters (printf "endpoint=%s" .) }}{{ end -}}
{{- if not $s3.pathStyle }}{{ $parameters = append $parameters "path-style=false" }}{{ end -}}
{{- printf "s3://%s%s%s" $s3.bucket (empty $s3.prefix | ternary "" (printf "/%s" $s3.prefix)) (empty $parameters | ternary "" (printf "?%s" (join "&" $parameters))) -}}
{{- else -}}
/var/lib/infalign/checkpoints
{{- end -}}
{{- end -}}

{{/* Not empty where calls to services are encrypted. */}}
{{- define "infalign.callsEncrypted" -}}
{{- if or .Values.tls.secretName .Values.tls.certManager.enabled }}true{{ end -}}
{{- end -}}
