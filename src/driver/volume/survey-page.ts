/** A part of a survey, in the order of ids. */
export interface SurveyPage {
  /** The last id of the page before; empty for the first page. */
  readonly after: string;
  readonly limit: number;
}

/** @param items in the order of their ids. */
export function onPage<T>(
  items: readonly T[],
  idOf: (item: T) => string,
  { after, limit }: SurveyPage,
): readonly T[] {
  return items.filter((item) => idOf(item) > after).slice(0, limit);
}
