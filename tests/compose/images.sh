# Images made on this machine, for Bash to source after engine.sh: the base by debootstrap, the servers from Debian's
# packages and from what scripts/services/fetch brings. What has not changed since is left alone.

standins=(redis kafka mongo elasticsearch mariadb minio prometheus)

mirror() { # where this machine gets Debian from
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    sed -nE 's/^(URIs:|deb( \[[^]]*\])?) +(https?:[^ ]+).*/\3/p' | grep -E '/debian/?$' | head -n 1 | grep . ||
    echo http://deb.debian.org/debian
}

make_base() { # Debian with Python, and the certificates that this machine trusts
  docker image inspect headwater-standin/python >/dev/null 2>&1 && return
  local work
  work=$(mktemp -d "$cache/engine/base.XXXXXX")
  echo "Making a base image with debootstrap (some minutes, once) …"
  debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates bookworm "$work" "$(mirror)" >"$engine/debootstrap.log" ||
    { tail -n 5 "$engine/debootstrap.log" >&2; rm -rf "$work"; return 1; }
  cp /etc/ssl/certs/ca-certificates.crt "$work/etc/ssl/certs/ca-certificates.crt"
  local certificates=/etc/ssl/certs/ca-certificates.crt
  tar -C "$work" -c . | docker import -c "ENV PIP_CERT=$certificates SSL_CERT_FILE=$certificates" - headwater-standin/python >/dev/null
  rm -rf "$work"
}

build() { # build NAME OPTION...
  local name=$1
  shift
  docker build --network host --target "$name" -t "headwater-standin/$name" "$@" "$context" >"$engine/build.log" 2>&1 ||
    { tail -n 20 "$engine/build.log" >&2; return 1; }
}

make_standins() { # make_standins FOLDER_OF_THIS_FILE SERVICES_VERSIONS
  local here=$1 versions=$2 context want server version
  want=$(docker image inspect -f '{{.Id}}' headwater-standin/python | cat - "$versions" "$here"/standins/* | cksum | cut -d' ' -f1)
  [ "$(docker image inspect -f '{{.Config.Labels.made_from}}' headwater-standin/minio 2>/dev/null)" = "$want" ] && return
  echo "Making stand-ins for the servers' images …"
  context=$engine/standins
  cp -r "$here/standins" "$context"
  # shellcheck source=/dev/null
  . "$versions"
  for server in kafka elasticsearch mongo minio; do
    version=${server^^}
    cp -r "$cache/services/$server-${!version}" "$context/$server"
  done
  for server in "${standins[@]}"; do
    [ "$server" = minio ] || build "$server"
  done # the last one says that all of them are made
  build minio --label "made_from=$want"
  rm -rf "$context"
}
