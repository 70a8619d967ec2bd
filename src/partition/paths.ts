/** Names of folders as Hive and Spark write them: `NAME=VALUE`, both escaped. */

/** What stands for null, and for the empty text, which Hive cannot tell from it. */
const DEFAULT_PARTITION = '__HIVE_DEFAULT_PARTITION__';

/**
 * What Hive escapes (FileUtils.escapePathName), and NUL, which no file system takes: a value can therefore never be a
 * path, and a name with its `=` in the middle is never `.` or `..`.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is escaped
const ESCAPED = /[\u0000-\u001f\u007f"#%'*/:=?\\{[\]^]/g;
/** Folders that begin so are hidden from Spark and Hive. */
const HIDDEN = /^\./;

export function partitionFolder(name: string, value: string | null): string {
  const text = value === null || value === '' ? DEFAULT_PARTITION : escapePart(value);
  return `${escapePart(name).replace(HIDDEN, '%2E')}=${text}`;
}

function escapePart(text: string): string {
  return text.replace(ESCAPED, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  });
}
