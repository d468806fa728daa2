#!/usr/bin/env bash
# Makes sure that libvirtd and virtlogd run and answer.
#
#   ensure-libvirtd.sh [--record FILE]
#
# Does nothing when they do. Where systemd runs it starts them; elsewhere (a container, a rescue system)
# they are started here. libvirt's own configuration stands: QEMU runs as libvirt-qemu and libvirt hands it
# the disks. Where nobody has given that user the device of KVM, as udev does, it is given here: libvirt
# opens it as root when it looks what QEMU can do, finds then that QEMU's user cannot, and looks again at
# each start of a guest, for half a minute.
#
# --record: appends what was started and changed, for stop-libvirtd.sh.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/qemu-access.sh"
PATH="$PATH:/usr/sbin:/sbin"
uri=qemu:///system
deadline_seconds=60
log=/var/log/libvirt/libvirtd.log

progress() { printf 'libvirtd: %s\n' "$*" >&2; }
fail() { progress "$*" && exit 1; }

record=""
while [ $# -gt 0 ]; do
	case "$1" in
	--record) [ -n "${2:-}" ] || fail "--record wants a file"; record="$2" && shift 2 ;;
	*) fail "usage: ensure-libvirtd.sh [--record FILE]" ;;
	esac
done

# A running process: its start time makes a number that is used again no mistake.
record_process() {
	[ -n "$record" ] || return 0
	# The name in parentheses may hold spaces; the start time is the 20th field after it.
	printf 'process %s %s %s\n' "$1" "$2" "$(sed 's/.*) //' "/proc/$2/stat" | cut -d ' ' -f 20)" >>"$record"
}
record_kvm() { [ -z "$record" ] || printf 'kvm %s\n' "$1" >>"$record"; }
record_unit() { [ -z "$record" ] || printf 'unit %s\n' "$1" >>"$record"; }

libvirtd_answers() { timeout 5 virsh -q -c "$uri" uri >/dev/null 2>&1; }
virtlogd_answers() { timeout 5 socat -u OPEN:/dev/null UNIX-CONNECT:/run/libvirt/virtlogd-sock 2>/dev/null; }

# wait_for COMMAND NAME
wait_for() {
	local end=$((SECONDS + deadline_seconds))
	until "$1"; do
		[ "$SECONDS" -lt "$end" ] || fail "$2 does not answer after $deadline_seconds s; see $3"
		sleep 0.1
	done
}

start_units() {
	local unit
	for unit in virtlogd.socket libvirtd.service; do
		if ! systemctl -q is-active "$unit"; then
			progress "starting $unit"
			systemctl start "$unit" || fail "systemctl start $unit failed; see journalctl -u $unit"
			record_unit "$unit"
		fi
	done
	wait_for libvirtd_answers libvirtd "journalctl -u libvirtd"
}

start_virtlogd() {
	progress "starting virtlogd"
	virtlogd -d 9>&-
	wait_for virtlogd_answers virtlogd "$log"
	record_process virtlogd "$(cat /run/virtlogd.pid)"
}

start_libvirtd() {
	progress "starting libvirtd"
	mkdir -p "$(dirname "$log")"
	# tini -s adopts the QEMU processes that libvirtd leaves behind, and reaps them: without it they
	# stay as zombies where process 1 does not care, and libvirt takes them for running.
	setsid tini -s -- libvirtd </dev/null >>"$log" 2>&1 9>&- &
	local pid=$!
	record_process libvirtd "$pid"
	wait_for libvirtd_answers libvirtd "$log"
}

if libvirtd_answers && virtlogd_answers; then
	tell_our_configuration
	exit 0
fi
[ "$(id -u)" = 0 ] || fail "libvirtd does not answer; start it, or run this as root"
for command in libvirtd virtlogd virsh tini socat; do
	command -v "$command" >/dev/null || fail "$command is missing; run scripts/host/ensure-packages.sh node"
done
if [ -n "$record" ]; then mkdir -p "$(dirname "$record")"; fi

# Two of us at once would start two of each. The daemons must not inherit the lock: hence 9>&- above.
exec 9>/run/n0stack-libvirtd.lock
flock 9
if [ -d /run/systemd/system ]; then
	tell_our_configuration
	start_units
else
	if ! virtlogd_answers; then start_virtlogd; fi
	if ! libvirtd_answers; then
		remove_our_configuration
		give_kvm
		start_libvirtd
	fi
fi
progress "answers"
