# A Docker engine of one's own, for Bash to source: nothing of it is left on the machine but a cache of images.
# In: root, dockerd (Debian: docker.io), Compose v2. Out: `engine_start host|own`, `engine_stop`, DOCKER_HOST, `docker compose`.
#
# `host`: containers use the machine's network, to fetch packages while images are built; no bridge, no packet filter is made.
# `own`: the engine lives in a network namespace of its own, where it makes what networks it likes. Published ports are
# seen with `inside COMMAND…` only, so the stack's own ports can't collide with anything here.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/headwater
engine_pid=

need_engine() { # says what is missing; fails if anything is
  local missing=()
  [ "$(id -u)" = 0 ] || missing+=("root")
  for command in dockerd docker debootstrap unshare nsenter ip iptables flock; do
    command -v "$command" >/dev/null || missing+=("$command")
  done
  docker compose version >/dev/null 2>&1 || [ -x "$cache/services/docker-compose" ] || missing+=("Docker Compose v2")
  [ ${#missing[@]} -eq 0 ] && return
  printf 'NOT SHOWN ON THIS MACHINE: the stack on a container engine. Missing: %s\n' "$(IFS=,; echo "${missing[*]}")" >&2
  return 1
}

engine_prepare() { # engine_prepare FOLDER: short, for a socket's path has an end
  engine=$1
  mkdir -p "$cache/engine" "$engine/client/cli-plugins"
  if [ -x "$cache/services/docker-compose" ]; then
    ln -sf "$cache/services/docker-compose" "$engine/client/cli-plugins/docker-compose"
    export DOCKER_CONFIG=$engine/client
  fi
  export DOCKER_HOST=unix://$engine/socket
  export DOCKER_BUILDKIT=0 # its builder wants a registry even for images that are here
  echo '{}' >"$engine/daemon.json"
}

engine_start() {
  local network=(env) options=(--bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false)
  if [ "$1" = own ]; then
    # shellcheck disable=SC2016
    network=(unshare --net bash -c 'ip link set lo up && exec "$@"' engine)
    options=(--bridge=none --ip6tables=false)
  fi
  setsid "${network[@]}" dockerd --config-file "$engine/daemon.json" --data-root "$cache/engine/data" \
    --exec-root "$engine/exec" --pidfile "$engine/pid" --host "$DOCKER_HOST" "${options[@]}" \
    </dev/null >>"$engine/log" 2>&1 &
  engine_pid=$!
  for _ in $(seq 300); do
    if docker version >/dev/null 2>&1; then
      engine_pid=$(cat "$engine/pid")
      engine_empty
      return
    fi
    kill -0 "$engine_pid" 2>/dev/null || break
    sleep 0.2
  done
  tail -n 20 "$engine/log" >&2
  echo "NOT SHOWN ON THIS MACHINE: the stack on a container engine. The engine does not start." >&2
  return 1
}

engine_empty() { # what an interrupted run has left, too; images stay
  local containers volumes
  containers=$(timeout 20 docker ps --all --quiet)
  # shellcheck disable=SC2086
  [ -z "$containers" ] || timeout 120 docker rm --force --volumes $containers >/dev/null
  volumes=$(timeout 20 docker volume ls --quiet)
  # shellcheck disable=SC2086
  [ -z "$volumes" ] || timeout 60 docker volume rm $volumes >/dev/null
  timeout 20 docker network prune --force >/dev/null
}

engine_stop() { # containers first: their shims would outlive the engine
  [ -n "$engine_pid" ] || return 0
  engine_empty || true
  kill "$engine_pid" 2>/dev/null || true
  for _ in $(seq 150); do
    kill -0 "$engine_pid" 2>/dev/null || break
    sleep 0.2
  done
  kill -9 "$engine_pid" 2>/dev/null || true
  umount "$engine"/exec/netns/* 2>/dev/null || true
  engine_pid=
}

inside() { # inside COMMAND…: where the stack's published ports are
  nsenter "--net=/proc/$engine_pid/ns/net" -- "$@"
}
