/* A line and an exit code for SIGBUS: a mapped file has become shorter, or its disk fails.
 *
 * The process cannot go on, and Python's own handlers run only after the instruction that failed,
 * which would fail again. */

#include "bus_errors.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static char line[1024];
static size_t length;
static int descriptor, status;

static void on_bus_error(int number)
{
    (void)number;
    ssize_t written = write(descriptor, line, length);
    (void)written;
    _exit(status);
}

int bus_errors_report(int fd, const char *text, int code)
{
    descriptor = fd;
    status = code;
    length = strlen(text);
    if (length > sizeof line)
        length = sizeof line;
    memcpy(line, text, length);
    struct sigaction action = {.sa_handler = on_bus_error};
    sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, 0) == 0;
}
