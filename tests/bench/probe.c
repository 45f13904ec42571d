/* The process that the measurements start: its first act is to note the time.
 *
 *   probe LOG NAME          note "begun" and stay until a signal ends it
 *   probe LOG NAME serve    the same, and answer every request on stdin with an empty result,
 *                           noting "ready" right before the first answer; ends at end of file
 *
 * A note is one line, "NAME WHAT NANOSECONDS PID", appended whole to LOG; the clock is
 * CLOCK_MONOTONIC. probe.py does the same where there is no C compiler.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void note(const char *log, const char *name, const char *what)
{
    struct timespec now;
    char line[256];
    int length, file;

    clock_gettime(CLOCK_MONOTONIC, &now);
    length = snprintf(line, sizeof line, "%s %s %lld %d\n", name, what,
                      now.tv_sec * 1000000000LL + now.tv_nsec, (int)getpid());
    file = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (file == -1 || write(file, line, length) != length)
        _exit(1);
    close(file);
}

static void serve(const char *log, const char *name)
{
    char line[65536];
    int is_ready = 0;

    while (fgets(line, sizeof line, stdin) != NULL) {
        const char *id = strstr(line, "\"id\":");
        if (id == NULL)
            continue;
        if (!is_ready++)
            note(log, name, "ready");
        printf("{\"jsonrpc\":\"2.0\",\"id\":%ld,\"result\":{}}\n", strtol(id + 5, NULL, 10));
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    note(argv[1], argv[2], "begun");
    if (argc > 3 && strcmp(argv[3], "serve") == 0) {
        serve(argv[1], argv[2]);
        return 0;
    }
    for (;;)
        pause();
}
