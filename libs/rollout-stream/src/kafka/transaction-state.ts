import { createEncoder, protocolError, type Broker } from './kafkajs-internals.js';

/**
 * What the coordinator says of the latest transaction of an id, such as `PrepareCommit` while it writes to the partitions
 * that the transaction is over, and `CompleteCommit` when it has.
 */
export async function transactionState(broker: Broker, transactionalId: string): Promise<string> {
  const answer = await broker.connectionPool.send({
    // DescribeTransactions, which kafkajs does not have. Lengths are of Kafka's compact kind: one more than they are.
    request: {
      apiKey: 65,
      apiVersion: 0,
      apiName: 'DescribeTransactions',
      encode: () => {
        const id = Buffer.from(transactionalId);
        const noTags = 0;
        return Promise.resolve(
          createEncoder(id.length + 16)
            .writeInt8(noTags)
            .writeUVarInt(1 + 1)
            .writeUVarInt(id.length + 1)
            .writeBuffer(id)
            .writeInt8(noTags),
        );
      },
    },
    response: {
      decode: (bytes) => Promise.resolve(decodeState(bytes)),
      parse: (decoded) => Promise.resolve(decoded),
    },
  });
  const failure = protocolError(answer.errorCode);
  if (failure) throw failure;
  return answer.state;
}

function decodeState(bytes: Buffer): { errorCode: number; state: string } {
  // Tags, the time of throttling, and how many states there are: as many as were asked for.
  let at = 1 + 4 + 1;
  const errorCode = bytes.readInt16BE(at);
  at += 2;
  const string = (): string => {
    let length = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      const byte = bytes.readUInt8(at++);
      length |= (byte & 0x7f) << shift;
      more = byte >= 0x80;
    }
    at += length - 1;
    return bytes.toString('utf8', at - length + 1, at);
  };
  string();
  return { errorCode, state: string() };
}
