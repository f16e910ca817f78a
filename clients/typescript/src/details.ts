// The trailer grpc-status-details-bin: a google.rpc.Status with a google.rpc.ErrorInfo of domain "assent".
import { Metadata, type status as Code } from '@grpc/grpc-js';

import { ErrorInfo, RpcStatus } from './wire';

const detailsKey = 'grpc-status-details-bin';
const errorDomain = 'assent';
const errorInfoType = 'type.googleapis.com/google.rpc.ErrorInfo';

export interface Details {
  reason: string;
  metadata: Record<string, string>;
}

/** Nothing when it is not there, is another's, or cannot be read. */
export function readDetails(metadata: Metadata | undefined): Details | undefined {
  for (const raw of metadata?.get(detailsKey) ?? []) {
    if (typeof raw === 'string') continue;
    try {
      for (const any of RpcStatus.deserialize(raw).details) {
        if (any.typeUrl !== errorInfoType) continue;
        const info = ErrorInfo.deserialize(Buffer.from(any.value));
        if (info.domain === errorDomain) return { reason: info.reason, metadata: { ...info.metadata } };
      }
    } catch {
      // Bytes of a stranger: the code of the status has to do.
    }
  }
  return undefined;
}

export function writeDetails(code: Code, message: string, details: Details): Metadata {
  const value = ErrorInfo.serialize({ reason: details.reason, domain: errorDomain, metadata: details.metadata });
  const out = new Metadata();
  out.set(detailsKey, RpcStatus.serialize({ code, message, details: [{ typeUrl: errorInfoType, value }] }));
  return out;
}
