{{- /* What of the values and the configuration must fit together, all of it told at once. Of the pod itself a library sees nothing. */ -}}
{{- define "keyferry.fits" -}}
{{- $values := .values -}}
{{- $config := .config -}}
{{- $problems := list -}}

{{- if has "keyferry" $values.skipContainers -}}
{{- $problems = append $problems "who is in skipContainers cannot sign in: take keyferry out, and name all other containers" -}}
{{- end -}}

{{- $port := int64 $values.adminPort -}}
{{- $listen := get ($config.admin | default dict) "listen" | toString -}}
{{- if eq $values.mode "sidecar" -}}
{{- if not (hasSuffix (printf ":%d" $port) $listen) -}}
{{- $problems = append $problems (printf "the probes ask at port %d: let the configuration have admin: {listen: \":%d\"}, or set adminPort in the values" $port $port) -}}
{{- else if regexMatch "^(127\\.|\\[::1\\]|\\[::ffff:127\\.)" $listen -}}
{{- $problems = append $problems (printf "the probes do not reach %s, which is for this pod alone: let the configuration have admin: {listen: \":%d\"}" $listen $port) -}}
{{- end -}}
{{- end -}}

{{- $group := int64 $values.group -}}
{{- $volumes := list (clean $values.files.mountPath) (clean $values.socket.mountPath) -}}
{{- range $values.volumeMounts -}}
{{- $volumes = append $volumes (clean .mountPath) -}}
{{- end -}}
{{- $files := $config.files | default list -}}
{{- range kindIs "map" $files | ternary (list $files) $files -}}
{{- if ne (int64 .group) $group -}}
{{- $problems = append $problems (printf "the application reads %v by the pod's group: let its entry in 'files' have group: %d, or set group in the values" .dir $group) -}}
{{- end -}}
{{- /* keyferry makes the last folder itself. */ -}}
{{- with .dir -}}
{{- if not (or (has (clean .) $volumes) (has (clean . | dir) $volumes)) -}}
{{- $problems = append $problems (printf "'files' go to %s, and no volume is there: set files: {mountPath: %s}, or for more of them the folder above" . .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* With init nothing is served. */ -}}
{{- $serve := eq $values.mode "sidecar" | ternary $config.serve dict | default dict -}}
{{- range $endpoint, $member := dict "socket" "path" "http" "tokenFile" "tokens" "tokenFile" -}}
{{- with get (get $serve $endpoint | default dict) $member -}}
{{- if not (has (clean . | dir) $volumes) -}}
{{- $problems = append $problems (printf "'serve.%s' makes %s, and no volume is there: set socket: {mountPath: %s}" $endpoint . (clean . | dir)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- with $problems -}}
{{- fail (printf "keyferry: %s" (join "\nkeyferry: " .)) -}}
{{- end -}}
{{- end -}}
