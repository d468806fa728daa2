# Read by the launchers and by scripts/with-node.sh where npm has not installed our own Node, which it does on
# Linux x64 and arm64. Sets `node` to the system's, or ends the program `name` of the project at `root`.
node=$(command -v node) || {
  echo "$name: Node is missing. Run npm ci in $root, which installs Node 24." >&2
  exit 1
}
version=$("$node" --version)
major=${version#v}
if [ "${major%%.*}" -lt 24 ]; then
  echo "$name: $node is $version, but $name needs Node 24 or later. Run npm ci in $root, which installs Node 24." >&2
  exit 1
fi
