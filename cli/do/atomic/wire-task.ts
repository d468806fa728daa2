import { create, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { TaskSchema } from "../../../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import type { Task } from "../check.ts";

/** A task of a file, for the API. */
export function wireTask({ name, type, method, args, dependsOn, ignoreError }: Task) {
  return create(TaskSchema, {
    ...{ name, type, ignoreError },
    action: method.name,
    args: objectOf(args),
    dependsOn: [...dependsOn],
  });
}

function objectOf(json: JsonValue): JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json) ? json : {};
}
