/** What PostgreSQL and the way to it say, as errors of ours: what passes by itself can be tried again. */
import { type CertificateFault, certificateFault } from '../../../certificateFault.ts';
import type { PostgresSettings } from '../../../config/databaseSettings.ts';
import { type ErrorCode, messageOf, OffloadError } from '../../../errors.ts';

/** Classes and codes of SQLSTATE, the longest that fits. @see https://www.postgresql.org/docs/15/errcodes-appendix.html */
const CODES: Readonly<Record<string, ErrorCode>> = {
  // Connection exceptions, and a server that stops, was stopped, or starts.
  '08': 'DATABASE_UNREACHABLE',
  '57P01': 'DATABASE_UNREACHABLE',
  '57P02': 'DATABASE_UNREACHABLE',
  '57P03': 'DATABASE_UNREACHABLE',
  // Disk full, out of memory, too many connections.
  '53': 'DATABASE_BUSY',
  // Serialization failure, deadlock; a lock that did not come in time; a statement or a session that took too long.
  '40': 'DATABASE_BUSY',
  '55P03': 'DATABASE_BUSY',
  '57014': 'DATABASE_BUSY',
  '25P03': 'DATABASE_BUSY',
  // A standby that has not taken over yet.
  '25006': 'DATABASE_BUSY',
  '28': 'NOT_AUTHORIZED',
  '42501': 'NOT_AUTHORIZED',
};

/** Of Node, and what `pg` says of a connection without a code. */
const LOST =
  /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_|ENOENT|EACCES)|Connection terminated|timeout expired|not queryable|connection error|read ECONNRESET/i;

interface DatabaseError extends Error {
  readonly code?: string;
  readonly severity?: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly where?: string;
}

/** @param attempt What was tried: `append rows to public.orders`. */
export function postgresError(attempt: string, settings: PostgresSettings, error: unknown): OffloadError {
  if (error instanceof OffloadError) return error;
  const { code = '', severity, detail, where } = error as DatabaseError;
  const isOfServer = severity !== undefined;
  const known = CODES[code] ?? CODES[code.slice(0, 2)];
  const isLost = !isOfServer && LOST.test(`${code} ${messageOf(error)}`.trim());
  const ours = isOfServer ? (known ?? 'DATABASE_REFUSED') : isLost ? 'DATABASE_UNREACHABLE' : 'DATABASE_REFUSED';
  const more = [detail, where?.split('\n')[0]].filter((text) => text !== undefined && text !== '');
  const fault = isOfServer ? null : certificateFault(error);
  const said = fault === null ? messageOf(error) || code : describeFault(fault, settings);
  const what = [said, ...more].join('; ').replaceAll('\n', ' ');
  return new OffloadError(ours, `cannot ${attempt} in ${describeServer(settings)}: ${what}`, {
    context: {
      host: settings.host,
      port: settings.port,
      database: settings.database,
      sqlState: isOfServer ? code : null,
    },
    cause: error,
  });
}

function describeFault(fault: CertificateFault, { where }: PostgresSettings): string {
  if (fault.kind === 'otherHost') {
    return `its certificate is for another host (it names ${fault.names}); use one of its names as host, or set ${where}.options.sslmode to verify-ca`;
  }
  const way = fault.kind === 'expired' ? 'it has to be renewed' : `name its authority in ${where}.options.sslrootcert`;
  return `its certificate is not trusted (${fault.code}); ${way}`;
}

/** `shop on db:5432 (connections.NAME)`. */
function describeServer({ host, port, database, where }: PostgresSettings): string {
  return `${database} on ${host.startsWith('/') ? host : `${host}:${port}`} (${where})`;
}
