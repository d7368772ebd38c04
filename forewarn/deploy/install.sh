#!/bin/sh
# Installs or updates the agent from this folder, without a network. Configuration and store are left alone.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
target=${FOREWARN_PREFIX:-/usr/local/lib/forewarn}
python=${PYTHON:-python3}

"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "these wheels are for Python 3.11: PYTHON=python3.11 ./install.sh")'

# Built beside the one in use and switched at the end: an update that fails changes nothing.
fresh=$target-$(cat "$here/VERSION")-$(date -u +%Y%m%dT%H%M%SZ)
"$python" -m venv "$fresh"
"$fresh/bin/python" -m pip install --quiet --no-index --find-links "$here/wheels" --no-deps --require-hashes -r "$here/pins.txt"
"$fresh/bin/python" -m pip install --quiet --no-index --no-deps "$here"/wheels/forewarn-*.whl
"$fresh/bin/python" -m forewarn --version
ln -sfn "$fresh" "$target.new"
mv -T "$target.new" "$target"

if [ "$(id -u)" = 0 ] && [ -d /etc/systemd/system ] && [ -z "${FOREWARN_PREFIX:-}" ]; then
    id forewarn >/dev/null 2>&1 || useradd --system --home-dir /var/lib/forewarn --shell /usr/sbin/nologin forewarn
    install -d -o forewarn -g forewarn -m 0750 /var/lib/forewarn
    install -d -m 0755 /etc/forewarn
    install -m 0644 "$here/forewarn-edge.service" /etc/systemd/system/forewarn-edge.service
    ln -sfn "$target/bin/forewarn" /usr/local/bin/forewarn
    systemctl daemon-reload || true
    echo "write /etc/forewarn/site.toml, then: forewarn doctor --config /etc/forewarn/site.toml && systemctl enable --now forewarn-edge"
fi
