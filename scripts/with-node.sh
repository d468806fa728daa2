#!/usr/bin/env bash
# Runs a command with our npm packages and their Node 24, and installs them where they are missing or older
# than the lock file.
#
#   with-node.sh COMMAND [ARGUMENT…]
#
# Says nothing when all is there. npm itself may run under an older Node. npm also runs us, as "prepare", at
# the end of npm ci: the packages are there by then.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
modules="$root/node_modules"
# What npm writes last, when all the rest is in place.
installed="$modules/.package-lock.json"

progress() { printf 'npm: %s\n' "$*" >&2; }
fail() { progress "$*" && exit 1; }

packages_are_there() {
	[ "${npm_lifecycle_event:-}" = prepare ] ||
		{ [ -f "$installed" ] && ! [ "$root/package-lock.json" -nt "$installed" ]; }
}

install() {
	command -v npm >/dev/null || fail "npm is missing; install npm 10 or later"
	# Two of us at once would take each other's files away.
	mkdir -p "$root/.cache"
	exec 9>"$root/.cache/npm.lock"
	flock 9
	if ! packages_are_there; then
		local started=$SECONDS
		progress "installing the packages of package-lock.json"
		(cd "$root" && npm ci --loglevel=error --no-fund --no-audit >&2 9>&-) || fail "npm ci failed; see above"
		progress "installed the packages of package-lock.json in $((SECONDS - started)) s"
	fi
	exec 9>&-
}

[ $# -gt 0 ] || fail "usage: with-node.sh COMMAND [ARGUMENT…]"
packages_are_there || install
if ! [ -x "$modules/.bin/node" ]; then
	name=n0stack
	. "$root/bin/system-node.sh"
fi
export PATH="$modules/.bin:$PATH"
exec "$@"
