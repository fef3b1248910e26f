// The control plane of a Kubernetes cluster as one program, and a client of it: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler and kubectl, of which the first argument picks one. What they share is compiled and
// linked once.
package main

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	// Log formats and metrics that the parts look up by name.
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

var parts = map[string]func(){
	"etcd":                    func() { etcdmain.Main(os.Args) },
	"kube-apiserver":          runs(apiserver.NewAPIServerCommand),
	"kube-controller-manager": runs(controllers.NewControllerManagerCommand),
	"kube-scheduler":          runs(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kubectl":                 func() { util.CheckErr(cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand())) },
}

func runs(command func() *cobra.Command) func() {
	return func() { os.Exit(cli.Run(command())) }
}

func main() {
	if len(os.Args) > 1 {
		if run, known := parts[os.Args[1]]; known {
			os.Args = os.Args[1:]
			run()
			return
		}
	}
	fmt.Fprintf(os.Stderr, "usage: %s PART FLAGS, where PART is one of %v\n", os.Args[0], slices.Sorted(maps.Keys(parts)))
	os.Exit(2)
}
