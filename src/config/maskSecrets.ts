/** Keys whose values are secrets, or lead to one; matched against the whole path of a key. */
const SECRET_KEY =
  /password|passphrase|passwd|secret|token|credential|jaas|basic\.?auth|user\.info|\.pem\b|private\.?key|api\.?key|access\.?key|keystore\.key|certificate\.chain/i;
/** Names that a user chose below these keys say nothing of what is under them: a topic may be called tokens. */
const NAMED_BY_USERS: readonly (readonly string[])[] = [['kafka', 'topics'], ['connections']];
const MASK = '***';

/**
 * A copy of a configuration that can be shown: everything under a key that names a secret is `***`, and so are PEM
 * text, JAAS lines, the user and password of a URL, and `password=...` inside any value.
 */
export function maskSecrets(tree: unknown, path: readonly string[] = []): unknown {
  if (Array.isArray(tree)) return tree.map((item) => maskSecrets(item, path));
  if (typeof tree !== 'object' || tree === null) return maskValue(tree, path);
  const isNamed = NAMED_BY_USERS.some((keys) => keys.join() === path.join());
  const names = tree as Readonly<Record<string, unknown>>;
  // { key: auth-token, value: ... } in a list of headers.
  const header = typeof names.key === 'string' && 'value' in names ? names.key : null;
  return Object.fromEntries(
    Object.entries(names).map(([key, value]) => {
      if (header !== null && key === 'value') return [key, maskSecrets(value, [...path, header])];
      return [key, maskSecrets(value, isNamed ? [] : [...path, key])];
    }),
  );
}

function maskValue(value: unknown, path: readonly string[]): unknown {
  if (value === null || value === undefined || value === '') return value;
  if (SECRET_KEY.test(path.join('.').replace(/[-_]/g, '.'))) return MASK;
  if (typeof value !== 'string') return value;
  if (value.includes('-----BEGIN ') || /LoginModule\s+\w+/.test(value)) return MASK;
  return value
    .replace(/([a-z][a-z0-9+.-]*:\/\/)[^/?#\s]*@/gi, `$1${MASK}@`)
    .replace(/((?:password|passwd|pwd|secret|token|key)\s*[=:]\s*)("[^"]*"|'[^']*'|[^&;,\s]+)/gi, `$1${MASK}`);
}
