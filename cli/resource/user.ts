import { UserService } from "../../src/gen/n0stack/iam/v0/user_pb.ts";
import { cell } from "../table.ts";
import { KIND } from "./kinds.ts";
import { namedColumns, type Resource, transactionColumn } from "./resource.ts";

export const user: Resource = {
  ...KIND.user,
  service: UserService,
  columns: [
    ...namedColumns,
    { ...cell("ssh_public_keys"), header: "SSH PUBLIC KEYS", show: (v) => keyNames(v) },
    transactionColumn,
  ],
};

function keyNames(value: unknown): string {
  return typeof value === "object" && value !== null ? Object.keys(value).join(",") : "";
}
