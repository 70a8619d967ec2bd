/** Why a server's certificate was not accepted, as Node's TLS tells it. */

/** Codes of OpenSSL's verification, as Node names them. @see https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const UNTRUSTED = /^(DEPTH_ZERO_|SELF_SIGNED|UNABLE_TO_|CERT_|ERR_TLS_CERT)/;

export type CertificateFault =
  /** `names`: those that it is for. */
  | { readonly kind: 'otherHost'; readonly code: string; readonly names: string }
  | { readonly kind: 'expired' | 'untrusted'; readonly code: string };

/** Null: the error is of another kind, one that may pass by itself perhaps. */
export function certificateFault(error: unknown): CertificateFault | null {
  const { code = '', cert } = error as NodeJS.ErrnoException & { readonly cert?: { readonly subjectaltname?: string } };
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return { kind: 'otherHost', code, names: cert?.subjectaltname ?? 'none' };
  }
  if (!UNTRUSTED.test(code)) return null;
  return { kind: code === 'CERT_HAS_EXPIRED' ? 'expired' : 'untrusted', code };
}
