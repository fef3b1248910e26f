import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Client, credentials } from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, loadSync, type MethodDefinition } from '@grpc/proto-loader';
import { service as healthDefinition } from 'grpc-health-check';
import type { ServiceTitle } from './workplace.fixture.js';

/** A method as reflection or a contract describes it. */
export interface DescribedMethod {
  readonly name: string;
  /** Without the package. */
  readonly request: string;
  readonly response: string;
  readonly responseStream: boolean;
}

const same = (bytes: Buffer): Buffer => bytes;
const require = createRequire(import.meta.url);
const reflectionFile = '@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto';
const reflectionMethod = loadSync(require.resolve(reflectionFile), { keepCase: true })[
  'grpc.reflection.v1.ServerReflection'
] as unknown as Record<string, MethodDefinition<object, ReflectionAnswer>>;

interface ReflectionAnswer {
  readonly list_services_response?: { readonly service: readonly { readonly name: string }[] };
  readonly file_descriptor_response?: { readonly file_descriptor_proto: readonly Buffer[] };
}

/** The service of a program and its methods, as its contract has them. */
export function contractOf(title: ServiceTitle): { readonly service: string; readonly methods: DescribedMethod[] } {
  const file = new URL(`../../../protos/infalign/v1/${title.replace('-', '_')}.proto`, import.meta.url);
  const text = readFileSync(file, 'utf8');
  const methods = [...text.matchAll(/^ {2}rpc (\w+)\((\w+)\) returns \((stream )?(\w+)\);$/gm)].map(
    ([, name, request, streamed, response]): DescribedMethod => ({
      name: name!,
      request: request!,
      response: response!,
      responseStream: streamed !== undefined,
    }),
  );
  return { service: `infalign.v1.${/^service (\w+) \{$/m.exec(text)![1]}`, methods };
}

/** What gRPC's standard health service says of a service, as probes ask it. @throws ServiceError */
export async function healthOf(address: string, service: string): Promise<string> {
  const { path, requestSerialize, responseDeserialize } = healthDefinition['Check']!;
  return await withClient(
    address,
    (client) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(path, same, same, requestSerialize({ service }), (error, answer) => {
          if (error) reject(error);
          else resolve((responseDeserialize(answer!) as { status: string }).status);
        });
      }),
  );
}

/** The services that reflection lists. */
export async function reflectedServices(address: string): Promise<string[]> {
  const answer = await reflected(address, { list_services: '*' });
  return answer.list_services_response!.service.map(({ name }) => name);
}

/** A method, read out of nothing but the descriptors that reflection gives for it, as grpcurl does. */
export async function reflectedMethod(address: string, service: string, method: string): Promise<DescribedMethod> {
  const answer = await reflected(address, { file_containing_symbol: `${service}.${method}` });
  const files = answer.file_descriptor_response!.file_descriptor_proto;
  const definitions = loadFileDescriptorSetFromBuffer(Buffer.concat(files.map(asFileOfSet)));
  const described = (definitions[service] as unknown as Record<string, MethodDefinition<object, object>>)[method]!;
  return {
    name: method,
    request: (described.requestType.type as { name: string }).name,
    response: (described.responseType.type as { name: string }).name,
    responseStream: described.responseStream,
  };
}

/** A FileDescriptorProto as the field `file`, number 1, of a FileDescriptorSet. */
function asFileOfSet(file: Buffer): Buffer {
  const length: number[] = [];
  let rest = file.length;
  for (; rest > 127; rest >>>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([0x0a, ...length, rest]), file]);
}

async function reflected(address: string, question: object): Promise<ReflectionAnswer> {
  const { path, requestSerialize, responseDeserialize } = reflectionMethod['ServerReflectionInfo']!;
  return await withClient(address, async (client) => {
    const call = client.makeBidiStreamRequest(path, same, same);
    call.write(requestSerialize(question));
    call.end();
    const answers: Buffer[] = [];
    for await (const answer of call) answers.push(answer as Buffer);
    return responseDeserialize(answers[0]!);
  });
}

async function withClient<T>(address: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(address, credentials.createInsecure());
  try {
    return await use(client);
  } finally {
    client.close();
  }
}
