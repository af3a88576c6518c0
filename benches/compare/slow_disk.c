/* A disk that takes its time, for the bench of the log: loaded before the C library, each flush of a server takes so many
 * microseconds more. Flushes wait for one another as they do on a disk: WAL is flushed under a lock. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

int fdatasync(int file)
{
	static int (*flush)(int);
	static long micros;

	if (!flush) {
		const char *said = getenv("SLOW_DISK_US");
		micros = said ? atol(said) : 0;
		flush = (int (*)(int)) dlsym(RTLD_NEXT, "fdatasync");
	}
	int result = flush(file);
	int error = errno;
	struct timespec rest = {micros / 1000000, micros % 1000000 * 1000};
	/* a disk is not woken by signals */
	while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
		;
	errno = error;
	return result;
}
