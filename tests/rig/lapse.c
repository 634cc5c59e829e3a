/* Lets time pass quickly for the program that loads it: what clocks show is so many seconds ahead of the real time as
   the file that LAPSE_FILE names says (a number of eight octets, which may grow while the program runs).

   Sleeping threads are not woken: a wait for events ends after 20 ms at the latest, so that the program looks at its
   clock, and a wait for a moment (std's timed waits are such) is told that moment in real time. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 20 };

static const volatile int64_t *ahead;

static int64_t seconds_ahead(void) { return ahead ? *ahead : 0; }

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("LAPSE_FILE");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        abort();
    void *seen = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    if (seen == MAP_FAILED)
        abort();
    close(file);
    ahead = seen;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(clock, now);
    if (done == 0 && clock != CLOCK_PROCESS_CPUTIME_ID && clock != CLOCK_THREAD_CPUTIME_ID)
        now->tv_sec += seconds_ahead();
    return done;
}

int epoll_wait(int poll, struct epoll_event *events, int most, int milliseconds) {
    static int (*real)(int, struct epoll_event *, int, int);
    if (!real)
        real = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
    return real(poll, events, most, milliseconds < 0 || milliseconds > LOOK_MS ? LOOK_MS : milliseconds);
}

long syscall(long number, ...) {
    static long (*real)(long, ...);
    if (!real)
        real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    long words[6];
    va_list rest;
    va_start(rest, number);
    for (int at = 0; at < 6; at++)
        words[at] = va_arg(rest, long);
    va_end(rest);
    struct timespec until;
    const int how = FUTEX_CMD_MASK & (int)words[1];
    if (number == SYS_futex && how == FUTEX_WAIT_BITSET && words[3] && seconds_ahead()) {
        until = *(const struct timespec *)words[3];
        until.tv_sec = until.tv_sec > seconds_ahead() ? until.tv_sec - seconds_ahead() : 0;
        words[3] = (long)&until;
    }
    return real(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}
