# Sourced. Reads files that lib/yaml.awk has flattened to `path=value` lines.

# flatten FILE: the flat form, on stdout.
flatten() {
	[ -f "$1" ] && awk -f /lib/tiny/yaml.awk "$1"
}

# get FILE PATH: the scalar there, or nothing.
get() {
	awk -v path="$2=" 'index($0, path) == 1 { print substr($0, length(path) + 1); exit }' "$1"
}

# list FILE PATH: the scalars of the list there, one a line; a lone scalar is a list of one.
list() {
	awk -v path="$2" '
		index($0, path "=") == 1 { print substr($0, length(path) + 2) }
		index($0, path "/") == 1 {
			rest = substr($0, length(path) + 2); at = index(rest, "=")
			if (substr(rest, 1, at - 1) ~ /^[0-9]+$/) print substr(rest, at + 1)
		}' "$1"
}

# keys FILE PATH: the names directly below PATH, once each, in the order of the file.
keys() {
	awk -v path="$2/" 'index($0, path) == 1 {
		name = substr($0, length(path) + 1); sub(/[\/=].*/, "", name)
		if (!(name in seen)) { seen[name] = 1; print name }
	}' "$1"
}
