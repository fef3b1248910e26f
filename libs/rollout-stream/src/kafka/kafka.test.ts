import { conformanceTopics, type StreamUnderTest } from '../conformance-topics.fixture.js';
import { describeRolloutStream } from '../conformance.fixture.js';
import { describeWithKafka, testOptions } from './kafka-cluster.fixture.js';
import { describeFaults } from './faults.fixture.js';
import { describeForeignRecords } from './foreign-records.fixture.js';
import { describeLostRequests } from './lost-requests.fixture.js';
import { openKafkaStream } from './kafka-stream.js';
import { describeOpening } from './opening.fixture.js';

describeWithKafka('with one broker', { proxied: true }, (cluster) => {
  describeRolloutStream('the Kafka stream', async () => {
    const options = { ...testOptions(cluster().brokers.plaintext), topics: conformanceTopics };
    const tested: StreamUnderTest = {
      stream: await openKafkaStream(options),
      async reopen() {
        await tested.stream.close();
        return (tested.stream = await openKafkaStream(options));
      },
      remove: () => tested.stream.close(),
    };
    return tested;
  });
  describeOpening(cluster);
  describeForeignRecords(cluster);
  describeFaults(cluster);
  describeLostRequests(cluster);
});
