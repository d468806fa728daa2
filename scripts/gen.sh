#!/usr/bin/env bash
# Generates src/gen from proto/. Run by npm run gen; commit both together.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
node scripts/third-party-protos.ts
buf format --write proto
buf lint
buf generate
