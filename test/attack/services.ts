import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { DescFile, DescMethod, DescService } from "@bufbuild/protobuf";
import { PROJECT } from "../e2e/program.ts";
import type { TargetName } from "./target.ts";

/** A method of a service, and a server that may have it. */
export interface Victim {
  readonly target: TargetName;
  readonly method: DescMethod;
}

type GenFile = Readonly<Record<string, DescFile | DescService | { readonly kind?: "other" }>>;

/** Every method of every service in the generated code, on the API or on an agent; methods of both, on both. */
export async function victims(): Promise<readonly Victim[]> {
  const gen = join(PROJECT, "src/gen");
  const paths = readdirSync(gen, { recursive: true, encoding: "utf8" }).filter((path) =>
    path.endsWith("_pb.ts"),
  );
  const files = await Promise.all(
    paths.sort().map(async (path) => (await import(join(gen, path))) as GenFile),
  );
  const methods = files
    .flatMap((file) => Object.values(file))
    .flatMap((value) => (value.kind === "service" ? value.methods : []));
  return methods.flatMap((method) =>
    targetsOf(method).map((target): Victim => ({ target, method })),
  );
}

function targetsOf({ parent: { typeName } }: DescMethod): readonly TargetName[] {
  if (typeName.startsWith("n0stack.agent.")) return ["agent"];
  return typeName.startsWith("grpc.") ? ["api", "agent"] : ["api"];
}

export function pathOf({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}
