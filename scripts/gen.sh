#!/usr/bin/env bash
# Generates src/gen from proto/, the list of n0cli's resources, and docs/operating/roles.md. Run by npm run gen; commit both together.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
node scripts/third-party-protos.ts
node scripts/gather-cli-resources.ts
buf format --write proto
buf lint
buf generate
node scripts/roles-table.ts
