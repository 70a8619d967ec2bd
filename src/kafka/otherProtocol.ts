/**
 * Tells a broker that speaks another protocol on its port from one that is down: from the far end of a connection that
 * was opened the wrong way both look the same, a connection that ends at once. The port is asked the other way.
 */
import { connect as connectTls } from 'node:tls';
import type { ConnectionSettings } from '../config/kafkaSettings.ts';
import { apiVersionsApi } from './protocol.ts';
import { FrameSocket } from './socket.ts';
import { WireWriter } from './wire.ts';

const ASK_TIMEOUT_MS = 3_000;
/** What the other end says over TLS when it wants no more of it (RFC 8446, section 6). */
const TLS_ALERT = /^ERR_SSL_.*ALERT/;

/** Words of the alert by which a broker refused a TLS connection; null if it is another error. */
export function tlsAlertOf(error: unknown): string | null {
  const { code = '', reason } = error as NodeJS.ErrnoException & { readonly reason?: string };
  return TLS_ALERT.test(code) ? (reason ?? code) : null;
}

/**
 * Asks a port that ended a connection whether it speaks the protocol that was not configured.
 *
 * @returns What is wrong and what to set; null if the port answers neither way.
 */
export async function findOtherProtocol(
  host: string,
  port: number,
  settings: ConnectionSettings,
): Promise<string | null> {
  const timeoutMs = Math.min(ASK_TIMEOUT_MS, settings.connectTimeoutMs);
  const protocols = settings.sasl ? ['SASL_SSL', 'SASL_PLAINTEXT'] : ['SSL', 'PLAINTEXT'];
  if (settings.tls) {
    if (!(await answersPlainly(host, port, settings, timeoutMs))) return null;
    return `does not speak TLS on this port; set security.protocol to ${protocols[1]}, or name its TLS port in bootstrap.servers`;
  }
  if (!(await answersTls(host, port, timeoutMs))) return null;
  return `speaks TLS on this port; set security.protocol to ${protocols[0]}, or name its plain port in bootstrap.servers`;
}

function answersTls(host: string, port: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    // Nothing is sent that is worth protecting: whose certificate it is does not matter here.
    const socket = connectTls({ host, port, rejectUnauthorized: false });
    const end = (answer: boolean): void => {
      clearTimeout(timer);
      resolve(answer);
      socket.destroy();
    };
    const timer = setTimeout(() => end(false), timeoutMs);
    socket.once('secureConnect', () => end(true));
    socket.on('error', (error) => end(tlsAlertOf(error) !== null));
    socket.once('close', () => end(false));
  });
}

async function answersPlainly(
  host: string,
  port: number,
  settings: ConnectionSettings,
  timeoutMs: number,
): Promise<boolean> {
  let end = (_answer: boolean): void => {};
  const answered = new Promise<boolean>((resolve) => {
    end = resolve;
  });
  const socket = new FrameSocket({ onFrame: () => end(true), onEnd: () => end(false) });
  const timer = setTimeout(() => end(false), timeoutMs);
  try {
    await socket.connect(host, port, null, timeoutMs);
    const request = new WireWriter().int16(apiVersionsApi.key).int16(0).int32(1).string(settings.clientId).toBuffer();
    const length = Buffer.alloc(4);
    length.writeInt32BE(request.length);
    socket.write([length, request]);
    return await answered;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}
