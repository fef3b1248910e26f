/**
 * The listeners of a node: their names in Kafka's settings, their security, and the group of `BrokerAddresses` they are
 * in. The one without a group is for the controllers among themselves.
 */
export const listeners = [
  { name: 'PLAINTEXT', protocol: 'PLAINTEXT', group: 'plaintext' },
  { name: 'CONTROLLER', protocol: 'PLAINTEXT', group: undefined },
  { name: 'SASL', protocol: 'SASL_PLAINTEXT', group: 'sasl' },
  { name: 'SASL_TLS', protocol: 'SASL_SSL', group: 'saslTls' },
  { name: 'TLS', protocol: 'SSL', group: 'tls' },
  { name: 'PROXIED', protocol: 'PLAINTEXT', group: 'proxied' },
];

/**
 * Kafka's settings of one node, as `name=value` lines. They are those of a small broker that fails over in seconds.
 *
 * @param {object} node
 * @param {number} node.id from 1
 * @param {Record<string, number>[]} node.ports port by listener, of every node in order
 * @param {Record<string, string>} node.advertised address by listener, where it differs from where the node listens
 * @param {string} node.dataFolder
 * @param {string} node.ca whose certificates clients show
 * @param {string} node.serverKeystore
 * @param {import('./index.d.mts').ClusterOptions['properties']} node.properties
 */
export function serverProperties({ id, ports, advertised, dataFolder, ca, serverKeystore, properties }) {
  const own = ports[id - 1];
  const used = listeners.filter(({ name }) => own[name] !== undefined);
  const replicas = ports.length;
  const inSync = Math.max(1, replicas - 1);
  const address = ({ name }) => `${name}://127.0.0.1:${own[name]}`;
  const settings = {
    'process.roles': 'broker,controller',
    'node.id': id,
    'controller.quorum.voters': ports.map(({ CONTROLLER: port }, index) => `${index + 1}@127.0.0.1:${port}`).join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    listeners: used.map(address).join(','),
    'advertised.listeners': used
      .filter(({ group }) => group !== undefined)
      .map((listener) =>
        advertised[listener.name] ? `${listener.name}://${advertised[listener.name]}` : address(listener),
      )
      .join(','),
    'listener.security.protocol.map': used.map(({ name, protocol }) => `${name}:${protocol}`).join(','),
    'log.dirs': dataFolder,

    'sasl.enabled.mechanisms': 'SCRAM-SHA-256,SCRAM-SHA-512',
    ...Object.fromEntries(
      ['sasl', 'sasl_tls'].flatMap((listener) =>
        ['scram-sha-256', 'scram-sha-512'].map((mechanism) => [
          `listener.name.${listener}.${mechanism}.sasl.jaas.config`,
          'org.apache.kafka.common.security.scram.ScramLoginModule required;',
        ]),
      ),
    ),
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': serverKeystore,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': ca,
    'listener.name.tls.ssl.client.auth': 'required',

    'auto.create.topics.enable': false,
    'default.replication.factor': replicas,
    'min.insync.replicas': inSync,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSync,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1000,

    // On a machine with few cores, more threads wait for each other.
    'num.network.threads': 1,
    'num.io.threads': 2,
    'log.cleaner.dedupe.buffer.size': 8 * 2 ** 20,
    'log.cleaner.backoff.ms': 1000,

    // A lost broker is noticed after three seconds, a lost controller after two (Kafka's own: nine and two).
    'broker.session.timeout.ms': 3000,
    'broker.heartbeat.interval.ms': 500,
    'controller.quorum.fetch.timeout.ms': 2000,
    'controller.quorum.election.timeout.ms': 500,
    'replica.lag.time.max.ms': 5000,
    ...properties,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

/** What Kafka needs to log to standard output. */
export const logSettings = `status=warn
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=[%d] %p %m (%c)%n
rootLogger.level=INFO
rootLogger.appenderRef.out.ref=out
`;
