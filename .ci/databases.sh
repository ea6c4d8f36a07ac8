# Finds MariaDB, Redis, promtool and strace on this machine, or installs them and starts the first two; sets IMTS_TEST_MYSQL_URL and
# IMTS_TEST_REDIS_URL.

ensure_package() { # COMMAND PACKAGE
  command -v "$1" >/dev/null && return
  echo "installing $2"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
}

wait_until() { # SECONDS COMMAND...
  local left=$1
  shift
  until "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || { echo "gave up waiting for: $*" >&2; return 1; }
    sleep 1
  done
}

ensure_mysql() {
  [ -z "${IMTS_TEST_MYSQL_URL:-}" ] || return 0
  if command -v mariadb >/dev/null && mariadb -h 127.0.0.1 -u root -e 'SELECT 1' >/dev/null 2>&1; then
    export IMTS_TEST_MYSQL_URL=mysql+pymysql://root@127.0.0.1:3306
    return
  fi
  ensure_package mariadbd mariadb-server
  ensure_package mariadb mariadb-client
  # An instance of our own, away from any other: its own folder and port, ended with this shell. It need not survive a
  # power cut; the tests of durability start others.
  local folder
  folder=$(mktemp -d "${TMPDIR:-/tmp}/imts-mariadb.XXXXXX")
  chmod 755 "$folder"
  local account
  account=$(id -un)
  mariadb-install-db --no-defaults --user="$account" --datadir="$folder/data" --auth-root-authentication-method=normal >/dev/null
  mariadbd --no-defaults --user="$account" --datadir="$folder/data" --socket="$folder/socket" \
    --port=33306 --bind-address=127.0.0.1 --pid-file="$folder/pid" \
    --innodb-flush-log-at-trx-commit=0 --innodb-flush-method=nosync --innodb-doublewrite=0 >"$folder/log" 2>&1 &
  trap 'kill '"$!"' 2>/dev/null || true' EXIT
  wait_until 60 mariadb -S "$folder/socket" -u root -e 'SELECT 1'
  export IMTS_TEST_MYSQL_URL=mysql+pymysql://root@127.0.0.1:33306
}

ensure_redis() {
  [ -z "${IMTS_TEST_REDIS_URL:-}" ] || return 0
  ensure_package redis-server redis-server
  if ! redis-cli -h 127.0.0.1 ping >/dev/null 2>&1; then
    redis-server --bind 127.0.0.1 --port 6379 --save '' --appendonly no --daemonize yes >/dev/null
    wait_until 20 redis-cli -h 127.0.0.1 ping
  fi
  export IMTS_TEST_REDIS_URL=redis://127.0.0.1:6379/15
}

# Unpacked, not installed: the package would start a Prometheus. Kept between runs.
ensure_promtool() {
  local folder=${XDG_CACHE_HOME:-$HOME/.cache}/imts-ci/promtool
  export PATH="$PATH:$folder/usr/bin"
  command -v promtool >/dev/null && return
  echo "unpacking promtool"
  mkdir -p "$folder"
  rm -f "$folder"/prometheus_*.deb
  apt-get update -qq
  (cd "$folder" && apt-get download -qq -o APT::Sandbox::User="$(id -un)" prometheus)
  dpkg-deb --fsys-tarfile "$folder"/prometheus_*.deb | tar -x -C "$folder" ./usr/bin/promtool
  rm "$folder"/prometheus_*.deb
  promtool --version >/dev/null
}

# The tests that break databases start instances of their own.
ensure_programs() {
  ensure_package mariadbd mariadb-server
  ensure_package redis-server redis-server
  ensure_promtool
  ensure_package strace strace
}
