{{- /* What each of these takes is the root context of the chart that includes it. */ -}}

{{- /* The text of keyferry.yaml. Never through tpl: a template of keyferry's own has the same braces. */ -}}
{{- define "keyferry.yaml" -}}
{{- $values := .Values.keyferry -}}
{{- if and $values.config $values.configFile -}}
{{- fail "keyferry: both config and configFile are given: keep one" -}}
{{- else if $values.configFile -}}
{{- $text := .Files.Get $values.configFile -}}
{{- if not $text }}{{ fail (printf "keyferry: the chart has no file %s, which configFile names, or it is empty" $values.configFile) }}{{ end -}}
{{- $text -}}
{{- else if $values.config -}}
{{- toYaml $values.config -}}
{{- else -}}
{{- fail "keyferry: there is no configuration: give config or configFile" -}}
{{- end -}}
{{- end -}}

{{- define "keyferry.configMapName" -}}
{{- printf "%s-keyferry" (.Release.Name | trunc 50 | trimSuffix "-") -}}
{{- end -}}

{{- /* A ConfigMap of the chart's own. */ -}}
{{- define "keyferry.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "keyferry.configMapName" . }}
data:
  keyferry.yaml: |
    {{- include "keyferry.yaml" . | nindent 4 }}
{{- end -}}

{{- /* For the ServiceAccount: who it is in Entra. */ -}}
{{- define "keyferry.serviceAccountAnnotations" -}}
azure.workload.identity/client-id: {{ required "keyferry: clientId is the managed identity's client id: az identity show --query clientId" .Values.keyferry.clientId | quote }}
{{- end -}}

{{- define "keyferry.podLabels" -}}
azure.workload.identity/use: "true"
{{- end -}}

{{- /* The pods are made anew when the configuration is another. */ -}}
{{- define "keyferry.podAnnotations" -}}
checksum/keyferry: {{ include "keyferry.yaml" . | sha256sum }}
azure.workload.identity/skip-containers: {{ required "keyferry: skipContainers names the application's containers, which shall not sign in" (join ";" .Values.keyferry.skipContainers) | quote }}
{{- end -}}

{{- /* A tokenFile has the group of its directory, which is the pod's by fsGroup alone. */ -}}
{{- define "keyferry.podSecurityContext" -}}
{{- $serve := (include "keyferry.yaml" . | fromYaml).serve | default dict -}}
{{- if or (get ($serve.http | default dict) "tokenFile") (get ($serve.tokens | default dict) "tokenFile") -}}
fsGroup: {{ int64 .Values.keyferry.group }}
{{- else -}}
supplementalGroups: [{{ int64 .Values.keyferry.group }}]
{{- end -}}
{{- end -}}

{{- /* The first of the pod's initContainers. */ -}}
{{- define "keyferry.container" -}}
{{- $values := .Values.keyferry -}}
{{- $config := include "keyferry.yaml" . | fromYaml -}}
{{- if hasKey $config "Error" }}{{ fail (printf "keyferry: the configuration is no YAML: %s" $config.Error) }}{{ end -}}
{{- include "keyferry.fits" (dict "values" $values "config" $config) -}}
- name: keyferry
  image: {{ $values.image.repository }}{{ if $values.image.digest }}@{{ $values.image.digest }}{{ else }}:{{ $values.image.tag }}{{ end }}
  imagePullPolicy: {{ $values.image.pullPolicy }}
  args: [{{ if eq $values.mode "init" }}init{{ else }}run{{ end }}, --log-level, {{ $values.logLevel | quote }}]
  {{- with $values.env }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if eq $values.mode "sidecar" }}
  restartPolicy: Always
  ports:
    - {name: keyferry, containerPort: {{ int64 $values.adminPort }}}
  startupProbe:
    httpGet: {path: /readyz, port: keyferry}
    periodSeconds: 1
    failureThreshold: 600
  livenessProbe:
    httpGet: {path: /livez, port: keyferry}
  {{- end }}
  terminationMessagePolicy: FallbackToLogsOnError
  resources:
    {{- toYaml $values.resources | nindent 4 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: {{ int64 $values.uid }}
    runAsGroup: {{ int64 $values.uid }}
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: {drop: [ALL]}
    seccompProfile: {type: RuntimeDefault}
  volumeMounts:
    - {name: keyferry-config, mountPath: /etc/keyferry, readOnly: true}
    {{- if $values.files.mountPath }}
    - {name: keyferry-files, mountPath: {{ $values.files.mountPath }}}
    {{- end }}
    {{- if $values.socket.mountPath }}
    - {name: keyferry-socket, mountPath: {{ $values.socket.mountPath }}}
    {{- end }}
    {{- with $values.volumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- /* For each container that reads. */ -}}
{{- define "keyferry.volumeMounts" -}}
{{- $mounts := list -}}
{{- with .Values.keyferry.files.mountPath -}}
{{- $mounts = append $mounts (dict "name" "keyferry-files" "mountPath" . "readOnly" true) -}}
{{- end -}}
{{- with .Values.keyferry.socket.mountPath -}}
{{- $mounts = append $mounts (dict "name" "keyferry-socket" "mountPath" . "readOnly" true) -}}
{{- end -}}
{{- toYaml $mounts -}}
{{- end -}}

{{- define "keyferry.volumes" -}}
{{- $values := .Values.keyferry -}}
- {name: keyferry-config, configMap: {name: {{ include "keyferry.configMapName" . }}}}
{{- if $values.files.mountPath }}
- {name: keyferry-files, emptyDir: {medium: Memory, sizeLimit: {{ $values.files.sizeLimit }}}}
{{- end }}
{{- if $values.socket.mountPath }}
- {name: keyferry-socket, emptyDir: {medium: Memory, sizeLimit: {{ $values.socket.sizeLimit }}}}
{{- end }}
{{- end -}}
