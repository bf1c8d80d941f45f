// Pause waits until it is told to end: it holds a pod's namespaces, and stands for a container
// that runs and does nothing.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for {
		if <-told != syscall.SIGCHLD {
			return
		}
		for { // process 1 of a pod inherits the orphans
			ended, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if err != nil || ended <= 0 {
				break
			}
		}
	}
}
