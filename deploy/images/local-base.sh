#!/usr/bin/env bash
# Makes the base images without a registry, under the names that the Dockerfile and compose.yaml use, from Debian packages and
# this machine's Node.js: for trying the images where nothing can be pulled. Usage: local-base.sh [node] [haproxy] [redis] [prometheus]
# Needs root, debootstrap and a running Docker daemon. An image that exists is left alone.
set -euo pipefail
[ $# -gt 0 ] || set -- node haproxy redis
docker=${DOCKER:-docker}
suite=${SUITE:-bookworm}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
have() { $docker image inspect "$1" > /dev/null 2>&1; }

# The mirror of this machine, so that the same settings that serve apt here serve it there.
mirror=${MIRROR:-$(awk '/^URIs:/ {print $2; exit} /^deb / {for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) {print $i; exit}}' \
  /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list /etc/apt/sources.list 2> /dev/null || true)}

base() {
  have "debian:$suite-slim" && return
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$work/root" "${mirror:-http://deb.debian.org/debian}" > "$work/debootstrap.log" \
    || { tail -n 20 "$work/debootstrap.log" >&2; return 1; }
  # What this machine needs to reach packages is needed inside as well.
  cp -a /etc/apt/sources.list.d/. "$work/root/etc/apt/sources.list.d/" 2> /dev/null || true
  cp -a /etc/apt/apt.conf.d/99* "$work/root/etc/apt/apt.conf.d/" 2> /dev/null || true
  cp -a /usr/local/share/ca-certificates/. "$work/root/usr/local/share/ca-certificates/" 2> /dev/null || true
  cp -a /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/ca-certificates.crt" 2> /dev/null || true
  rm -rf "$work/root"/var/cache/apt/archives/*.deb "$work/root"/var/lib/apt/lists/*
  tar -C "$work/root" -c . | $docker import - "debian:$suite-slim" > /dev/null
  echo "made debian:$suite-slim"
}

# from NAME 'packages' CMD-AS-JSON [USER]
from() {
  have "$1" && { echo "have $1"; return; }
  base
  printf 'FROM debian:%s-slim\nRUN apt-get update && apt-get install -y --no-install-recommends %s && rm -rf /var/lib/apt/lists/*\n%s\n' \
    "$suite" "$2" "$3" > "$work/Dockerfile"
  mkdir -p "$work/context"
  DOCKER_BUILDKIT=0 $docker build --network=host -q -t "$1" -f "$work/Dockerfile" "$work/context" > /dev/null
  echo "made $1"
}

node_image() {
  local name="node:20-$suite-slim" node root
  have "$name" && { echo "have $name"; return; }
  base
  node=$(readlink -f "$(command -v node)") root="$work/context/usr/local"
  mkdir -p "$root/bin" "$root/lib/node_modules"
  cp "$node" "$root/bin/node"
  cp -a "$(dirname "$(readlink -f "$(command -v npm)")")/.." "$root/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/bin/npm"
  # Where this machine's npm finds packages; only in this stand-in for the official image.
  mkdir -p "$root/etc"
  cat "$(npm config get globalconfig 2> /dev/null)" "$HOME/.npmrc" 2> /dev/null > "$root/etc/npmrc" || true
  printf 'prefix=/usr/local\n' >> "$root/etc/npmrc"
  printf 'FROM debian:%s-slim\nRUN apt-get update && apt-get install -y --no-install-recommends libstdc++6 tini && rm -rf /var/lib/apt/lists/*\nCOPY usr /usr\nENV NPM_CONFIG_GLOBALCONFIG=/usr/local/etc/npmrc NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt\n' \
    "$suite" > "$work/Dockerfile"
  DOCKER_BUILDKIT=0 $docker build --network=host -q -t "$name" -f "$work/Dockerfile" "$work/context" > /dev/null
  rm -rf "$work/context"
  echo "made $name"
}

for each in "$@"; do
  case $each in
    node) node_image ;;
    haproxy) from haproxy:2.6 haproxy 'CMD ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]' ;;
    redis) from redis:7.0 redis-server 'USER redis
CMD ["redis-server"]' ;;
    prometheus) from prom/prometheus:v2.42.0 prometheus 'USER nobody
ENTRYPOINT ["prometheus"]' ;;
    *) echo "Unknown image \"$each\": want node, haproxy, redis or prometheus" >&2; exit 2 ;;
  esac
done
