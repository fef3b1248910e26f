export { kafkaAvailable, provisionKafka } from './provision.mjs';
export { clusterStatus, stopCluster } from './cluster-folder.mjs';
export { startCluster } from './start-cluster.mjs';
export { startFaultProxy } from './fault-proxy.mjs';
