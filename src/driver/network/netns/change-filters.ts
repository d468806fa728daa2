import { FILTER_TABLE } from "./filter-table.ts";
import { changeElements, type ElementChange } from "./nft-elements.ts";

/** Changes elements of the filters in the namespace at `path`: all of them or, if it throws, none. */
export type ChangeFilters = (path: string, changes: readonly ElementChange[]) => Promise<void>;

export const changeFilters: ChangeFilters = async (path, changes) => {
  await changeElements(path, FILTER_TABLE, changes);
};
