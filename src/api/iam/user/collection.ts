import { protoCollection } from "../../../datastore/collection.ts";
import { UserSchema } from "../../../gen/n0stack/iam/v0/user_pb.ts";

export const users = protoCollection("user", UserSchema);
