/*
 * Keeps every CPU that this process may use from sleeping, until it is killed: one process spins on
 * each, in the class SCHED_IDLE, which gives way at once to everybody else.
 *
 * In a virtual machine, waking a CPU that sleeps takes several times as long as answering a request.
 * Whether that happens depends on what else the machine does, and hides what is to be measured.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

static void spin_on(int cpu, pid_t parent) {
    cpu_set_t only;
    struct sched_param none = {0};
    CPU_ZERO(&only);
    CPU_SET(cpu, &only);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sched_setaffinity(0, sizeof only, &only) || sched_setscheduler(0, SCHED_IDLE, &none)) {
        perror("awake");
        _exit(1);
    }
    while (getppid() == parent)
        for (volatile int i = 0; i < 10000000; i++) {
        }
    _exit(0);
}

int main(void) {
    cpu_set_t allowed;
    pid_t parent = getpid();
    sched_getaffinity(0, sizeof allowed, &allowed);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed) && fork() == 0)
            spin_on(cpu, parent);
    }
    for (;;)
        pause();
}
