{{/* How every pod is confined. */}}
{{- define "infalign.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
serviceAccountName: {{ .Values.serviceAccount.create | ternary (include "infalign.name" .) .Values.serviceAccount.name }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .Values.podSecurity.userId }}
  runAsGroup: {{ .Values.podSecurity.groupId }}
  # Secrets are readable by this group and by nobody else.
  fsGroup: {{ .Values.podSecurity.groupId }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* How every container is confined. */}}
{{- define "infalign.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where what is needed to reach Kafka appears in a container. */}}
{{- define "infalign.kafkaMounts" -}}
{{- $kafka := include "infalign.kafka" . | fromYaml -}}
- { name: settings, mountPath: /etc/infalign/settings, readOnly: true }
- { name: temporary, mountPath: /tmp }
{{- if $kafka.authority }}
- { name: kafka-authority, mountPath: /etc/infalign/kafka-authority, readOnly: true }
{{- end }}
{{- if $kafka.client }}
- { name: kafka-client, mountPath: /etc/infalign/kafka-client, readOnly: true }
{{- end }}
{{- if $kafka.sasl }}
- { name: kafka-password, mountPath: /etc/infalign/kafka-password, readOnly: true }
{{- end }}
{{- end -}}

{{/*
The volumes of those mounts. Takes (dict "root" $ "settings" "NAME OF A CONFIG MAP"). Files of secrets have the mode that services
ask for: nobody but the owner and the pod's own group may read them.
*/}}
{{- define "infalign.kafkaVolumes" -}}
{{- $kafka := include "infalign.kafka" .root | fromYaml -}}
- name: settings
  configMap:
    name: {{ .settings }}
- name: temporary
  emptyDir:
    sizeLimit: 1Gi
{{- with $kafka.authority }}
- name: kafka-authority
  secret:
    secretName: {{ .name }}
    defaultMode: 0440
    items:
      - { key: {{ .key | quote }}, path: {{ .key | quote }} }
{{- end }}
{{- with $kafka.client }}
- name: kafka-client
  secret:
    secretName: {{ .name }}
    defaultMode: 0440
    items:
      - { key: tls.crt, path: tls.crt }
      - { key: tls.key, path: tls.key }
{{- end }}
{{- with $kafka.sasl }}
- name: kafka-password
  secret:
    secretName: {{ .passwordSecret.name }}
    defaultMode: 0440
    items:
      - { key: {{ .passwordSecret.key | quote }}, path: {{ .passwordSecret.key | quote }} }
{{- end }}
{{- end -}}
