#!/usr/bin/env bash
# Runs a command with our npm packages and a Node that runs TypeScript, and installs what of these is
# missing.
#
#   with-node.sh COMMAND [ARGUMENT…]
#
# Says nothing when all is there. npm itself may run under an older Node. npm also runs us, as "prepare", at
# the end of npm ci: the packages are there by then, and only Node may be missing.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
modules="$root/node_modules"
# What npm writes last, when all the rest is in place.
installed="$modules/.package-lock.json"
node_version_min=22.18

progress() { printf 'npm: %s\n' "$*" >&2; }
fail() { progress "$*" && exit 1; }

is_prepare() { [ "${npm_lifecycle_event:-}" = prepare ]; }
packages_are_there() { is_prepare || packages_are_installed; }
packages_are_installed() { [ -f "$installed" ] && ! [ "$root/package-lock.json" -nt "$installed" ]; }
is_new_enough() {
	local version
	version="$(node --version 2>/dev/null)" || return 1
	printf '%s\n' "$node_version_min" "${version#v}" | sort --check=quiet --version-sort
}
# The one in node_modules is ours and new enough; asking it would cost a start at every command.
node_is_there() { [ -x "$modules/.bin/node" ] || is_new_enough; }

# npm_install WHAT ARGUMENT…: in the project, saying how long it took.
npm_install() {
	local what="$1" started=$SECONDS
	shift
	progress "installing $what"
	(cd "$root" && npm "$@" --loglevel=error --no-fund --no-audit >&2) || fail "npm $1 failed; see above"
	progress "installed $what in $((SECONDS - started)) s"
}

install() {
	command -v npm >/dev/null || fail "npm is missing; install Node 20 or later with npm"
	# Two of us at once would take each other's files away. Who runs npm ci, which runs us, has the lock.
	if ! is_prepare; then
		mkdir -p "$root/.cache"
		exec 9>"$root/.cache/npm.lock"
		flock 9
	fi
	packages_are_there || npm_install "the packages of package-lock.json" ci
	# After npm ci, which removes what the lock file does not name.
	# With --no-save it touches neither package.json nor the lock file.
	node_is_there || npm_install "Node 24, as the system's is older than $node_version_min" \
		install --no-save node@24
	is_prepare || exec 9>&-
}

[ $# -gt 0 ] || fail "usage: with-node.sh COMMAND [ARGUMENT…]"
if ! packages_are_there || ! node_is_there; then install; fi
export PATH="$modules/.bin:$PATH"
exec "$@"
