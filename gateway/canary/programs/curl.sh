# Asks a URL once by curl, and prints what came back. See canary.py. The first argument is the curl to ask.
curl=$1 token=$2 url=$3 base=$4

attempt() {
  if answer=$("$curl" -sS -m 10 -o /dev/null -D - -H "x-whygate-canary: $token" "$2" 2>&1); then
    field() { printf '%s' "$answer" | tr -d '\r' | sed -n "s/^$1: *\\([A-Za-z0-9_-]*\\)\$/\\1/p" | tail -n 1; }
    status=$(printf '%s' "$answer" | sed -n 's|^HTTP/[0-9.]* \([0-9]*\).*|\1|p' | tail -n 1)
    printf '{"name":"curl","way":"%s","status":%s,"echo":"%s","flow":"%s"}' \
      "$1" "${status:-0}" "$(field x-whygate-canary)" "$(field x-whygate-flow-id)"
  else
    printf '{"name":"curl","way":"%s","error":"%s"}' "$1" "$(printf '%s\n' "$answer" | sed -n '/^curl: (/{p;q;}' | tr -d '\r"\\')"
  fi
}

version=$("$curl" --version | sed -n '1s/^curl \([0-9.]*\).*/\1/p')
printf '{"whygate_canary":"curl %s","means":[%s' "$version" "$(attempt proxy "$url")"
[ -z "$base" ] || printf ',%s' "$(attempt base_url "$base/models")"
printf ']}\n'
