import { errorCode } from "../../../util/errno.ts";
import { N0Error } from "../../../util/errors.ts";

/** An error of the file system in words for clients, if the node is the reason; otherwise the error itself. */
export function asFileError(error: unknown): unknown {
  switch (errorCode(error)) {
    case "ENOSPC":
    case "EDQUOT":
      return new N0Error(
        "resource_exhausted",
        "the node's disk is full: free space, or use another node",
        { cause: error },
      );
    case "EACCES":
    case "EPERM":
    case "EROFS":
    case "EIO":
      return new N0Error(
        "failed_precondition",
        "the node cannot write to its folder of virtual machines: check its disk, and make the folder writable",
        { cause: error },
      );
    default:
      return error;
  }
}
