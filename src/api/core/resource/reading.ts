import type { DescMessage, DescService } from "@bufbuild/protobuf";
import type { AnyCollection, Objects } from "../../../datastore/collection.ts";
import type { Caller } from "../../../rpc/caller.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Api } from "../context.ts";
import type { TouchSource } from "../read/watch.ts";

/** How to read the objects of a resource. */
export interface Reading<T, A extends Api> {
  /** The message of an object. */
  readonly schema: DescMessage;
  readonly service: DescService;
  readonly word: string;
  readonly collection: Objects<T>;
  /** The object as clients see it; by default, its record. */
  view?(api: A, object: T, scope: string): T | Promise<T>;
  /** The same for a page of objects, if it takes fewer reads than one after the other. */
  viewPage?(api: A, objects: readonly T[], scope: string): Promise<readonly T[]>;
  /** The state of an object that a transaction has marked as its own. */
  readonly pending?: number;
  /** Whether the object exists for the caller; by default, whoever may list the scope sees all of it. */
  isVisible?(api: A, object: T, caller: Caller): boolean;
  /** Collections whose keys begin with the object's name, and whose changes show in the object. */
  readonly shows?: readonly Pick<AnyCollection, "prefix" | "parts">[];
  /** Other sources that change how an object looks. */
  touches?(api: A): TouchSource;
  /** If its objects can be shared: one as the objects of another project see it. */
  viewElsewhere?(api: A, object: T, ref: Ref, project: string): T | Promise<T>;
}
