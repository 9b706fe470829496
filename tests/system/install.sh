#!/bin/sh
# Installs what the system tests need, where it is not there yet: Debian's prometheus (with promtool)
# and chromium.
set -eu

missing=""
for program in prometheus promtool chromium; do
    command -v "$program" >/dev/null || missing="$missing $program"
done
if [ -z "$missing" ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "make test-system: not installed:$missing; and without apt-get they cannot be from here" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "make test-system: not installed:$missing; run this once as root:" >&2
    echo "    apt-get update && apt-get install prometheus chromium" >&2
    exit 1
fi

# invoke-rc.d starts no service while this says 101 (policy-rc.d, Debian Policy 9.3.3.1).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --no-install-recommends prometheus chromium >/dev/null
