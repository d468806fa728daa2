import { type DescMessage, equals, type MessageShape } from "@bufbuild/protobuf";
import type { Objects } from "../../../datastore/collection.ts";
import type { InterfaceReservation } from "../../network/interface/collection.ts";
import type { Draft } from "./draft.ts";

/** What a transaction has changed of an object, and how the object is now. Undefined: it does not exist. */
export interface Change<T> {
  readonly key: string;
  readonly name: string;
  readonly before: T | undefined;
  readonly after: T | undefined;
  readonly present: T | undefined;
  /** The same of its interfaces that users reserve by hand, if it is a network. */
  readonly interfaces: readonly Change<InterfaceReservation>[];
}

/** A change of an object that is there before and after. */
export interface Kept<T> extends Change<T> {
  readonly before: T;
  readonly after: T;
  readonly present: T;
}

/** All changes of one transaction, and what is found while its undo is made. */
export interface Undo {
  /** An object as the transaction has found it, if it has changed it, else as it is. */
  before<T>(of: Objects<T>, name: string): T | undefined;
  /** The changes of the other objects of a kind. */
  changesOf<T>(of: Objects<T>): readonly Change<T>[];
  /** Says why the undo is refused. */
  refuse(why: string): void;
  /** Says which data would be lost. */
  lose(what: string): void;
}

/** How the changes of one kind of object are undone. */
export interface Undoing<D extends DescMessage> {
  readonly of: Objects<MessageShape<D>>;
  readonly schema: D;
  readonly word: string;
  /** A copy without what only observes, and without what others decide. */
  plain(object: MessageShape<D>): MessageShape<D>;
  /** The tasks, in order, that remove what the transaction has made. */
  remove(change: Change<MessageShape<D>>, after: MessageShape<D>, undo: Undo): Draft[];
  /** Those that make again what it has deleted. */
  make(change: Change<MessageShape<D>>, before: MessageShape<D>, undo: Undo): Draft[];
  /** Those that change back what it has changed. */
  restore(change: Kept<MessageShape<D>>, undo: Undo): Draft[];
  /** Sets in a copy of the object after the change what `restore` sets. If other parts differ, the undo is refused. */
  restored(copy: MessageShape<D>, before: MessageShape<D>): void;
  /** Why it cannot be changed back, as the rest of a sentence, if there is more to say than that. */
  hindrance?(before: MessageShape<D>, after: MessageShape<D>): string | undefined;
}

/** The tasks that undo one change. */
export function draftsOf<D extends DescMessage>(
  undoing: Undoing<D>,
  change: Change<MessageShape<D>>,
  undo: Undo,
): Draft[] {
  const { before, after, present } = change;
  if (before === undefined) return after === undefined ? [] : undoing.remove(change, after, undo);
  if (after === undefined) return undoing.make(change, before, undo);
  if (present === undefined) return [];
  const copy = undoing.plain(after);
  undoing.restored(copy, before);
  if (!equals(undoing.schema, copy, undoing.plain(before))) {
    const why =
      undoing.hindrance?.(before, after) ?? "was changed in a way that no request changes back";
    undo.refuse(`${undoing.word} "${change.name}" ${why}`);
    return [];
  }
  return undoing.restore({ ...change, before, after, present }, undo);
}

/** Whether the object is as the transaction has left it. */
export function isAsLeft<D extends DescMessage>(
  { schema, plain }: Undoing<D>,
  { after, present }: Change<MessageShape<D>>,
): boolean {
  if (after === undefined || present === undefined) return after === present;
  return equals(schema, plain(after), plain(present));
}

/** The name of a value of an enum. A newer version may have written one that has none here. */
export function wordOf(names: { readonly [name: string]: number }, value: number): string {
  return Object.keys(names).find((name) => names[name] === value) ?? String(value);
}

type Texts = { readonly [key: string]: string };

export function isSameTexts(a: Texts, b: Texts): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
