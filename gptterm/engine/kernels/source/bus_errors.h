#ifndef GPTTERM_BUS_ERRORS_H
#define GPTTERM_BUS_ERRORS_H

/* From now on SIGBUS writes a text of at most 1024 bytes to a descriptor and ends the process with
 * this exit code. Returns whether the handler is set. */
int bus_errors_report(int fd, const char *text, int code);

#endif
