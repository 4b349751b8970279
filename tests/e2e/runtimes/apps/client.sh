# An app that knows nothing of the gateway: curl, as its users call it. One line of tab-separated fields for each call.
set -u
version=$(curl --version | sed -n '1s/^curl \([^ ]*\).*/\1/p')
tab=$(printf '\t')
while IFS="$tab" read -r id _ variable base path headers body _ _ _ stream _; do
  eval "url=\${$variable:-$base}"
  set -- --data "$body"
  [ "$stream" = 1 ] && set -- "$@" --no-buffer
  rest="$headers|"
  while [ -n "$rest" ]; do
    set -- "$@" --header "${rest%%|*}"
    rest=${rest#*|}
  done
  if answer=$(curl --silent --show-error --fail-with-body "$@" "$url$path" 2>&1); then said=body; else said=error; fi
  printf '{"id":"%s","version":"%s","status":200,"%s":"%s"}\n' "$id" "$version" "$said" "$(printf %s "$answer" | od -An -v -tx1 | tr -d ' \n')"
done
