# shellcheck shell=bash
# Sourced by what starts and ends libvirtd, after it defined progress, and record_kvm if it starts it: what
# QEMU's user is given, and the lines that versions before added to qemu.conf.

kvm=/dev/kvm
kvm_access_wanted=660:0:kvm

# As root, as libvirt asks it: the user's groups count.
qemu_may_use_kvm() {
	setpriv --reuid libvirt-qemu --regid libvirt-qemu --init-groups --inh-caps=-all \
		sh -c '[ -r "$1" ] && [ -w "$1" ]' sh "$kvm" 2>/dev/null
}
kvm_access() { stat -c %a:%u:%G "$kvm"; }
set_kvm_access() {
	local mode="${1%%:*}" owner="${1#*:}"
	chown "$owner" "$kvm" && chmod "$mode" "$kvm"
}

give_kvm() {
	local was
	if ! [ -c "$kvm" ] || qemu_may_use_kvm; then return 0; fi
	was="$(stat -c %a:%u:%g "$kvm")"
	progress "$kvm: given to the group kvm, as udev does; it was $was"
	# First, for a run that is killed in between.
	record_kvm "$was"
	set_kvm_access "$kvm_access_wanted" || progress "$kvm cannot be given to the group kvm: guests start slowly"
}

# return_kvm ACCESS: as it was, unless somebody has changed it since.
return_kvm() {
	if ! [ -c "$kvm" ] || [ "$(kvm_access)" != "$kvm_access_wanted" ]; then return 0; fi
	progress "$kvm: as it was, $1"
	set_kvm_access "$1"
}

configuration=/etc/libvirt/qemu.conf
# What versions before had added, where no systemd ran. It begins with an empty line.
configuration_lines='
# Added by n0stack: no systemd here.
user = "root"
group = "root"'

configuration_has_ours() { grep -q '^# Added by n0stack' "$configuration" 2>/dev/null; }

configuration_ends_with_ours() {
	[ -f "$configuration" ] && [ "$(tail -n 4 "$configuration")" = "$configuration_lines" ]
}

# Lines of ours that this machine should not have. A machine with systemd may have other guests: who runs it
# removes them.
tell_our_configuration() {
	if ! configuration_has_ours; then return 0; fi
	if ! configuration_ends_with_ours; then
		progress "$configuration has lines of another version of n0stack, after '# Added by n0stack'; remove them, and restart libvirtd"
	elif [ -d /run/systemd/system ]; then
		progress "$configuration has QEMU run as root, as n0stack added where no systemd ran; remove the lines after '# Added by n0stack', and restart libvirtd"
	else
		progress "$configuration has QEMU run as root, as an n0stack before added: stop libvirtd, and run this again; guests run on"
	fi
}

# Only if they are as they were added. Guests that run stay root's; what starts after libvirtd is QEMU's user's.
remove_our_configuration() {
	if ! configuration_ends_with_ours; then return 0; fi
	progress "$configuration: removing what n0stack added, so that QEMU runs as libvirt-qemu"
	# With the line feed that ends it.
	truncate -s "-$((${#configuration_lines} + 1))" "$configuration"
}
