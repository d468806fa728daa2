#!/usr/bin/env bash
# Ends what ensure-libvirtd.sh started, and nothing else.
#
#   stop-libvirtd.sh --record FILE
#
# While a guest runs nothing is ended: it may be somebody else's, made in the meantime.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/qemu-access.sh"
uri=qemu:///system
deadline_seconds=30

progress() { printf 'libvirtd: %s\n' "$*" >&2; }
fail() { progress "$*" && exit 1; }

if [ "${1:-}" != --record ] || [ -z "${2:-}" ]; then fail "usage: stop-libvirtd.sh --record FILE"; fi
record="$2"
if [ ! -s "$record" ]; then exit 0; fi
[ "$(id -u)" = 0 ] || fail "run this as root"

guests="$(timeout 5 virsh -q -c "$uri" list --name 2>/dev/null | sed '/^$/d' | paste -sd ' ')" || guests=""
if [ -n "$guests" ]; then
	progress "left running, as these guests run: $guests"
	exit 0
fi

start_time() { { sed 's/.*) //' "/proc/$1/stat" | cut -d ' ' -f 20; } 2>/dev/null; }

# end_process NAME PID START
end_process() {
	[ "$(start_time "$2")" = "$3" ] || return 0
	progress "ending $1 ($2)"
	kill -TERM "$2"
	local end=$((SECONDS + deadline_seconds))
	while [ "$(start_time "$2")" = "$3" ] && ! grep -q '^State:.*Z' "/proc/$2/status" 2>/dev/null; do
		[ "$SECONDS" -lt "$end" ] || fail "$1 ($2) does not end; look at it, then end it with: kill -KILL $2"
		sleep 0.1
	done
}

# The last started first: libvirtd before virtlogd, which it talks to.
while read -r kind name pid start; do
	case "$kind" in
	process) end_process "$name" "$pid" "$start" ;;
	kvm) return_kvm "$name" ;;
	# Of a version that had QEMU run as root.
	configuration) remove_our_configuration ;;
	unit) progress "stopping $name" && systemctl stop "$name" ;;
	*) fail "$record: unknown line: $kind" ;;
	esac
done < <(tac "$record")
rm -f "$record"
