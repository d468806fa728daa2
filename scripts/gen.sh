#!/usr/bin/env bash
# Generates what follows from proto/: src/gen, the list of n0cli's resources, docs/operating/roles.md and
# examples/do.schema.json. Run by npm run gen; commit all of it together.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
node scripts/third-party-protos.ts
node scripts/gather-cli-resources.ts
buf format --write proto
buf lint
buf generate
node scripts/roles-table.ts
node scripts/do-schema/main.ts
