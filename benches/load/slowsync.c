/* Makes each fsync and fdatasync take SLOWSYNC_US microseconds longer: a slow disk for any program.
 *     cc -shared -fPIC -O2 -o slowsync.so slowsync.c -ldl;  LD_PRELOAD=./slowsync.so SLOWSYNC_US=5000 …
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_longer(void)
{
    static int micros = -1;
    if (micros < 0) {
        const char *text = getenv("SLOWSYNC_US");
        micros = text ? atoi(text) : 5000;
    }
    usleep(micros);
}

int fsync(int fd)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_longer();
    return real(fd);
}

int fdatasync(int fd)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_longer();
    return real(fd);
}
