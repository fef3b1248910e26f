import type { RpcService } from '@infalign/rpc';
import type { ServiceName } from '@infalign/run-config';
import type { RecordingService } from '@infalign/telemetry';
import type { ServiceParts } from './service-parts.js';

/** One of the five services, apart from where it runs. */
export interface Service {
  /** As settings have it. */
  readonly name: ServiceName;
  /** As people know it: also its consumer group, and its name in logs. */
  readonly title: RecordingService;
  /** Whether it computes with models, and so needs the native library. */
  readonly computes: boolean;
  /**
   * @param ending aborted, with what callers are to be told, when no more is worked on: calls that wait for such work end then
   */
  assemble(parts: ServiceParts, ending: AbortSignal): AssembledService;
}

/** A service put together. */
export interface AssembledService {
  /** What it can be asked. */
  readonly calls: RpcService;
  /** Works on the stream until the signal is aborted: what is under way is finished first. @throws what goes wrong */
  readonly serve: (signal: AbortSignal) => Promise<void>;
}
