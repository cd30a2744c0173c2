// Loaded before a program: its wall clock jumps by CLOCK_JUMP seconds once it has run for two, while the clock that only counts
// on stays true. That is what a machine sees whose time is set right while it works.

#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t begun, jump;

static time_t counted(void) {
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

__attribute__((constructor)) static void begin(void) {
    const char *seconds = getenv("CLOCK_JUMP");
    jump = seconds ? (time_t)atol(seconds) : 0;
    begun = counted();
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    int is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    // Other libraries may ask before this one has begun.
    if (!failed && is_wall && begun && counted() - begun >= 2) now->tv_sec += jump;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
    *now = (struct timeval){.tv_sec = exact.tv_sec, .tv_usec = exact.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *where) {
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}
