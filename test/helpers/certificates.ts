import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mustRun } from './cache.ts';

/** Files of a certificate and what it is kept by, all PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
  /** Key and certificate in one file, as a broker's `ssl.keystore.type=PEM` takes them. */
  readonly store: string;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
const DAYS = ['-days', '2'];

/** A certificate authority that signs itself, in `folder`. */
export async function makeAuthority(folder: string, name: string): Promise<Certificate> {
  const made = filesOf(folder, name);
  await mustRun('openssl', [
    ...['req', '-x509', ...NEW_KEY, '-nodes', ...DAYS, '-subj', `/CN=${name}`],
    ...['-keyout', made.key, '-out', made.certificate],
  ]);
  return made;
}

/**
 * A certificate that an authority signed.
 *
 * @param options.subjectAltName `DNS:localhost,IP:127.0.0.1`: who a client may know it as.
 * @param options.passphrase The key is kept encrypted with it.
 */
export async function issueCertificate(
  authority: Certificate,
  folder: string,
  name: string,
  options: { readonly subjectAltName?: string; readonly passphrase?: string } = {},
): Promise<Certificate> {
  const made = filesOf(folder, name);
  const request = join(folder, `${name}.csr`);
  const extensions = join(folder, `${name}.ext`);
  await writeFile(extensions, options.subjectAltName === undefined ? '' : `subjectAltName=${options.subjectAltName}\n`);
  const protection = options.passphrase === undefined ? ['-nodes'] : ['-passout', `pass:${options.passphrase}`];
  await mustRun('openssl', [
    ...['req', ...NEW_KEY, ...protection, '-subj', `/CN=${name}`],
    ...['-keyout', made.key, '-out', request],
  ]);
  await mustRun('openssl', [
    ...['x509', '-req', '-in', request, '-CA', authority.certificate, '-CAkey', authority.key, '-CAcreateserial'],
    ...[...DAYS, '-extfile', extensions, '-out', made.certificate],
  ]);
  await writeFile(made.store, `${await readFile(made.key, 'utf8')}${await readFile(made.certificate, 'utf8')}`);
  return made;
}

function filesOf(folder: string, name: string): Certificate {
  const path = (ending: string): string => join(folder, `${name}.${ending}`);
  return { certificate: path('pem'), key: path('key'), store: path('store.pem') };
}
