/** What names of maps, handlers and producers look like, as an anchored pattern for JSON schemas. */
export const NAME_PATTERN = '^(?!\\.{1,2}$)[A-Za-z0-9._-]{1,64}$';

/** The same rule in words, for error messages. */
export const NAME_RULE = '1 to 64 characters of A-Z a-z 0-9 . _ - and neither "." nor ".."';

const pattern = new RegExp(NAME_PATTERN);

/** Whether a map, a handler or a producer may have this name. A valid name is also a safe file name. */
export function isValidName(name: string): boolean {
  return pattern.test(name);
}
