/**
 * Programs written in Go that tests run: each is built once from its module, by the Go that is on the PATH.
 *
 * @typedef {object} GoProgram
 * @property {string} module
 * @property {string} version
 * @property {string} path of the program within the module
 * @property {readonly string[]} [tags] build tags
 */

const prometheusModule = {
  module: 'github.com/prometheus/prometheus',
  version: 'v0.316.0',
  // Without the clients of every cloud that it could find targets in: the tests name their targets in a file.
  tags: ['remove_all_sd'],
};

/** @type {Readonly<Record<'prometheus' | 'promtool' | 'grpcurl' | 'actionlint' | 'helm' | 'kubeconform' | 'kube-score' | 'kwok', GoProgram>>} */
export const goPrograms = {
  actionlint: { module: 'github.com/rhysd/actionlint', version: 'v1.7.12', path: 'cmd/actionlint' },
  grpcurl: { module: 'github.com/fullstorydev/grpcurl', version: 'v1.9.3', path: 'cmd/grpcurl' },
  helm: { module: 'helm.sh/helm/v3', version: 'v3.22.0', path: 'cmd/helm' },
  kubeconform: { module: 'github.com/yannh/kubeconform', version: 'v0.8.0', path: 'cmd/kubeconform' },
  'kube-score': { module: 'github.com/zegl/kube-score', version: 'v1.20.0', path: 'cmd/kube-score' },
  kwok: { module: 'sigs.k8s.io/kwok', version: 'v0.8.0', path: 'cmd/kwok' },
  prometheus: { ...prometheusModule, path: 'cmd/prometheus' },
  promtool: { ...prometheusModule, path: 'cmd/promtool' },
};
