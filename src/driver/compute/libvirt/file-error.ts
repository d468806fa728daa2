import { errorCode } from "../../../util/errno.ts";
import { N0Error } from "../../../util/errors.ts";

/** What the file system says of the node rather than of what was asked, in words for clients; else the error. */
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
        "the node's folder of virtual machines cannot be written to: look at its disk, and make it writable",
        { cause: error },
      );
    default:
      return error;
  }
}
