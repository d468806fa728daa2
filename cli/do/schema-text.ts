/** A schema as text, with a line for each definition. */
export function schemaText(schema: { readonly definitions: object }): string {
  const { definitions, ...rest } = schema;
  const lines = Object.entries(definitions).map(
    ([name, definition]) => `${JSON.stringify(name)}: ${JSON.stringify(definition)}`,
  );
  const head = JSON.stringify(rest).slice(0, -1);
  return `${head}, "definitions": {\n${lines.join(",\n")}\n}}\n`;
}
