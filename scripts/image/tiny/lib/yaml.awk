# Flattens the YAML that cloud-init seeds are written in to one `path=value` line per scalar:
#
#   users:                            users/0/name=alice
#     - name: alice             =>    users/0/keys/0=ssh-ed25519 AAAA
#       keys: [ssh-ed25519 AAAA]
#
# Understood: block maps and lists (a list may stand at its key's own indentation), flow lists and
# maps on one line (so JSON on one line as well), plain and quoted scalars, comments, `|` and `>`
# blocks (joined with spaces). Not understood: anchors, tags, several documents.

function trim(s) { sub(/^[ \t]+/, "", s); sub(/[ \t]+$/, "", s); return s }

function emit(path, value) { sub(/^\//, "", path); print path "=" value }

# The scalar that `text` starts with, up to one of `stops`; what follows is left in `rest`.
function scalar(text, stops,    quote, out, i, c) {
	text = trim(text); out = ""
	quote = substr(text, 1, 1)
	if (quote == "\"" || quote == "'") {
		for (i = 2; i <= length(text); i++) {
			c = substr(text, i, 1)
			if (c == "\\" && quote == "\"") { i++; c = substr(text, i, 1); if (c == "n" || c == "t") c = " " }
			else if (c == quote && quote == "'" && substr(text, i + 1, 1) == "'") i++
			else if (c == quote) break
			out = out c
		}
		rest = trim(substr(text, i + 1))
		return out
	}
	for (i = 1; i <= length(text); i++) {
		c = substr(text, i, 1)
		if (c == "#" && (i == 1 || substr(text, i - 1, 1) ~ /[ \t]/)) { rest = ""; return trim(substr(text, 1, i - 1)) }
		if (stops != "" && index(stops, c) && (c != ":" || substr(text, i + 1, 1) ~ /^[ \t]?$/)) break
	}
	rest = substr(text, i)
	return trim(substr(text, 1, i - 1))
}

# A value on one line: flow list, flow map or scalar. What follows it is left in `rest`.
function value(path, text, stops,    n, key) {
	text = trim(text)
	if (text ~ /^\[/) {
		rest = trim(substr(text, 2))
		for (n = 0; rest != "" && rest !~ /^\]/; n++) {
			value(path "/" n, rest, ",]}")
			rest = trim(rest); sub(/^,[ \t]*/, "", rest)
		}
		rest = substr(rest, 2)
	} else if (text ~ /^\{/) {
		rest = trim(substr(text, 2))
		while (rest != "" && rest !~ /^\}/) {
			key = scalar(rest, ":,}"); rest = trim(rest)
			if (rest ~ /^:/) value(path "/" key, substr(rest, 2), ",]}")
			rest = trim(rest); sub(/^,[ \t]*/, "", rest)
		}
		rest = substr(rest, 2)
	} else if (text ~ /^[|>][-+0-9]*[ \t]*(#.*)?$/) {
		block = path; blockindent = -1; blocktext = ""
	} else {
		key = scalar(text, stops)
		if (key != "" || text ~ /^["']/) emit(path, key)
	}
}

# Leaves every level that is deeper than, or beside, `indent`.
function leave(indent, isitem) {
	while (depth > 0 && (indents[depth] > indent || (indents[depth] == indent && (items[depth] && !isitem)))) depth--
}

# `text`, which starts in column `indent`, is a map entry or a list item below levels[1..depth].
function entry(indent, text,    key, after, offset) {
	if (text ~ /^-([ \t]|$)/) {
		leave(indent, 1)
		if (!(depth > 0 && indents[depth] == indent && items[depth])) {
			depth++; indents[depth] = indent; items[depth] = 1; count[depth] = -1
			paths[depth] = pending
		}
		count[depth]++
		pending = paths[depth] "/" count[depth]
		after = substr(text, 2); offset = 1
		while (substr(after, 1, 1) ~ /[ \t]/ && after != "") { after = substr(after, 2); offset++ }
		if (after == "" || after ~ /^#/) return
		if (after ~ /^-[ \t]/ || (after !~ /^[\[{|>]/ && iskey(after))) entry(indent + offset, after)
		else value(pending, after, "")
		return
	}
	leave(indent, 0)
	if (!(depth > 0 && indents[depth] == indent)) {
		depth++; indents[depth] = indent; items[depth] = 0; paths[depth] = pending
	}
	if (text ~ /^[\[{]/) { value(paths[depth], text, ""); return }
	key = scalar(text, ":")
	after = trim(substr(trim(rest), 2))
	pending = paths[depth] "/" key
	if (after != "" && after !~ /^#/) value(pending, after, "")
}

function iskey(text) { scalar(text, ":"); return trim(rest) ~ /^:([ \t]|$)/ }

function endblock() { emit(block, trim(blocktext)); block = "" }

BEGIN { depth = 0; pending = ""; block = "" }
{
	sub(/\r$/, "")
	match($0, /^ */); indent = RLENGTH
	text = substr($0, indent + 1)
	if (block != "") {
		if (text == "") next
		if (blockindent < 0 && indent > (depth > 0 ? indents[depth] : -1)) blockindent = indent
		if (blockindent >= 0 && indent >= blockindent) { blocktext = blocktext " " text; next }
		endblock()
	}
	if (text == "" || text ~ /^#/ || text ~ /^(---|\.\.\.|%YAML)/) next
	entry(indent, text)
}
END { if (block != "") endblock() }
