import type { ServiceDefinition, StatusObject, UntypedHandleCall, UntypedServiceImplementation } from '@grpc/grpc-js';
import { fileDescriptorSet } from '@infalign/contracts';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { wireText } from './error-status.js';
import { wireFields } from './protobuf-wire.js';

/** Where services are added: a grpc-js Server, or something before it. */
interface ServiceRegistry {
  addService(definition: ServiceDefinition, implementation: UntypedServiceImplementation): void;
}

/** gRPC's own services beside ours: health and reflection. */
export interface StandardServices {
  addTo(server: ServiceRegistry): void;
  /** Adds the same health, and nothing else, to a server for probes. */
  addHealthTo(server: ServiceRegistry): void;
  setServing(service: string, serving: boolean): void;
  /** Tells all watchers that nothing is served any more, and ends their calls, which would otherwise never end. */
  end(): void;
}

/**
 * Health of each service by its name and of all by the empty name (serving if all are), and reflection of them.
 *
 * @param names of the services
 */
export function standardServices(names: readonly string[], serving: boolean): StandardServices {
  const states = new Map(names.map((name) => [name, serving]));
  const health = new HealthImplementation();
  const publish = (): void => {
    for (const [name, state] of states) health.setStatus(name, state ? 'SERVING' : 'NOT_SERVING');
    health.setStatus('', [...states.values()].every(Boolean) ? 'SERVING' : 'NOT_SERVING');
  };
  publish();
  const open = new Set<EndlessCall>();
  const tracked = (server: ServiceRegistry): ServiceRegistry => ({
    addService: (definition, implementation) =>
      server.addService(definition, trackStreams(withShortDetails(implementation), open)),
  });
  return {
    addTo(server) {
      health.addToServer(tracked(server));
      reflection(names).addToServer(tracked(server));
    },
    addHealthTo: (server) => health.addToServer(tracked(server)),
    setServing(service, state) {
      if (!states.has(service)) throw new TypeError(`${service} is none of ${names.join(', ')}`);
      states.set(service, state);
      publish();
    },
    end() {
      for (const name of states.keys()) states.set(name, false);
      publish();
      for (const call of open) call.end();
    },
  };
}

/** A stream that goes on until one side ends it. */
interface EndlessCall {
  end(): void;
  on(event: 'cancelled', listener: () => void): unknown;
}

/** A unary call's answer, or why there is none. */
type Callback = (error: Partial<StatusObject> | null, ...others: unknown[]) => void;

/** Errors that repeat what was asked would not fit into the headers, and the connection would break. */
function withShortDetails(implementation: UntypedServiceImplementation): UntypedServiceImplementation {
  return Object.fromEntries(
    Object.entries(implementation).map(([name, handle]) => {
      const short = (call: object, callback?: Callback): void => {
        const answer: Callback = (error, ...others) =>
          callback?.(error && { ...error, details: wireText(error.details ?? '') }, ...others);
        (handle as (call: object, callback?: Callback) => void)(call, callback && answer);
      };
      return [name, short as UntypedHandleCall];
    }),
  );
}

/** Remembers the streams that are open. The event `cancelled` comes at the end of every call. */
function trackStreams(
  implementation: UntypedServiceImplementation,
  open: Set<EndlessCall>,
): UntypedServiceImplementation {
  return Object.fromEntries(
    Object.entries(implementation).map(([name, handle]) => {
      const tracked = (call: object, ...others: unknown[]): void => {
        if (isEndless(call)) {
          open.add(call);
          call.on('cancelled', () => open.delete(call));
        }
        (handle as (...all: unknown[]) => void)(call, ...others);
      };
      return [name, tracked as UntypedHandleCall];
    }),
  );
}

function isEndless(call: object): call is EndlessCall {
  return 'end' in call;
}

function reflection(names: readonly string[]): ReflectionService {
  const files = [...wireFields(Buffer.from(fileDescriptorSet, 'base64'))].map(({ value }) => value);
  // The service reads nothing of a package but its descriptors.
  const described: ConstructorParameters<typeof ReflectionService>[0] = {
    descriptors: {
      format: 'Protocol Buffer 3 EnumDescriptorProto',
      type: {},
      fileDescriptorProtos: files.filter((value) => Buffer.isBuffer(value)),
    },
  };
  return new ReflectionService(described, { services: [...names, 'grpc.health.v1.Health'] });
}
