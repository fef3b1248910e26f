{{/* What the schema of values cannot say: settings that need each other, or contradict each other. */}}
{{- define "infalign.checks" -}}
{{- $root := . -}}
{{- $kafka := .Values.kafka -}}
{{- if $kafka.strimzi.enabled -}}
{{- if $kafka.bootstrapServers }}{{ fail "kafka.bootstrapServers: contradicts kafka.strimzi.enabled, which makes brokers; give one of the two" }}{{ end -}}
{{- else -}}
{{- if not $kafka.bootstrapServers }}{{ fail "kafka.bootstrapServers: is empty; name brokers, each host:port, or set kafka.strimzi.enabled: true" }}{{ end -}}
{{- if and (not $kafka.tls.enabled) (ne $kafka.plaintext "allow-off-loopback") }}{{ fail "kafka.tls.enabled: is false, and services will not talk to brokers unencrypted; set it, or kafka.plaintext: allow-off-loopback where the network is otherwise protected" }}{{ end -}}
{{- if and $kafka.sasl.enabled (not (and $kafka.sasl.username $kafka.sasl.passwordSecret.name)) }}{{ fail "kafka.sasl: needs username, and passwordSecret.name, the secret that holds its password" }}{{ end -}}
{{- end -}}
{{- $encrypted := include "infalign.callsEncrypted" . -}}
{{- if and .Values.tls.secretName .Values.tls.certManager.enabled }}{{ fail "tls.secretName: contradicts tls.certManager.enabled, which makes secrets; give one of the two" }}{{ end -}}
{{- if and .Values.tls.certManager.enabled (not .Values.tls.certManager.issuerRef.name) }}{{ fail "tls.certManager.issuerRef.name: is missing; name the issuer of certificates" }}{{ end -}}
{{- if and (not $encrypted) (ne .Values.tls.plaintext "allow-off-loopback") }}{{ fail "tls: has neither secretName nor certManager.enabled, and services will not take calls unencrypted; give one of them, or tls.plaintext: allow-off-loopback where the network is otherwise protected" }}{{ end -}}
{{- if and .Values.tls.clientCertificates (not $encrypted) }}{{ fail "tls.clientCertificates: needs tls.secretName or tls.certManager.enabled" }}{{ end -}}
{{- if and (eq .Values.checkpoints.type "s3") (not .Values.checkpoints.s3.bucket) }}{{ fail "checkpoints.s3.bucket: is missing; name the bucket that checkpoints are stored in" }}{{ end -}}
{{- if and (eq .Values.checkpoints.type "s3") (not .Values.checkpoints.s3.region) (not .Values.checkpoints.s3.endpoint) }}{{ fail "checkpoints.s3.region: is missing; give the bucket's region, or checkpoints.s3.endpoint" }}{{ end -}}
{{- $otlp := .Values.telemetry.otlp -}}
{{- if and (hasPrefix "http:" $otlp.endpoint) (ne $otlp.plaintext "allow-off-loopback") (not (regexMatch `^http://(localhost|127\.[0-9.]+|\[::1\])(:|/|$)` $otlp.endpoint)) }}{{ fail "telemetry.otlp.endpoint: is not encrypted, and services will not send telemetry so; give one that begins with https, or telemetry.otlp.plaintext: allow-off-loopback where the network is otherwise protected" }}{{ end -}}
{{- if and $otlp.headersSecret.name (not $otlp.endpoint) }}{{ fail "telemetry.otlp.headersSecret: needs telemetry.otlp.endpoint, the collector that is shown it" }}{{ end -}}
{{- $prometheus := .Values.telemetry.prometheus -}}
{{- if $prometheus.enabled -}}
{{- if ne $prometheus.plaintext "allow-off-loopback" }}{{ fail "telemetry.prometheus.enabled: services will not have their metrics read unencrypted, and cannot encrypt them; set telemetry.prometheus.plaintext: allow-off-loopback where the network is otherwise protected" }}{{ end -}}
{{- if and .Values.networkPolicy.enabled (not $prometheus.scrapers) }}{{ fail "telemetry.prometheus.scrapers: is empty, and the network policies let nobody else in; say who reads the metrics (NetworkPolicyPeer)" }}{{ end -}}
{{- else -}}
{{- range list "podMonitor" "rules" -}}
{{- if (index $prometheus .).enabled }}{{ fail (printf "telemetry.prometheus.%s.enabled: needs telemetry.prometheus.enabled" .) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- range list "threads" "drain_seconds" -}}
{{- if hasKey $root.Values.settings . }}{{ fail (printf "settings.%s: every service has its own; set services.NAME.settings.%s" . .) }}{{ end -}}
{{- end -}}
{{- $partitions := int $kafka.partitions -}}
{{- range $name, $_ := include "infalign.services" . | fromYaml -}}
{{- $service := index $root.Values.services $name -}}
{{- if gt (int $service.replicas) $partitions }}{{ fail (printf "services.%s.replicas: is %v, and topics have %v partitions: more than one for each has nothing to do" $name $service.replicas $partitions) }}{{ end -}}
{{- with $service.scaling -}}
{{- $most := default $partitions .maxReplicas -}}
{{- if gt (int $most) $partitions }}{{ fail (printf "services.%s.scaling.maxReplicas: is %v, and topics have %v partitions: more than one for each has nothing to do" $name $most $partitions) }}{{ end -}}
{{- if gt (int .minReplicas) (int $most) }}{{ fail (printf "services.%s.scaling.minReplicas: is %v, which is more than maxReplicas, %v" $name .minReplicas $most) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
