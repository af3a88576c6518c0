/* A disk that forgets at a power cut what was not synced: before bytes of a WAL segment are overwritten, those that were
 * there are kept in $POWER_DIR, and a sync lets them go. After the cut the test puts back whatever is still kept. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

typedef ssize_t (*pwrite_type) (int, const void *, size_t, off_t);
typedef ssize_t (*pwritev_type) (int, const struct iovec *, int, off_t);

/* where the old bytes of this file are kept; false for what is no WAL segment */
static int kept_in(int fd, char *path, size_t size)
{
	char link[64], target[4096];
	const char *dir = getenv("POWER_DIR"), *name;
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, target, sizeof(target) - 1);
	if (dir == NULL || length < 0)
		return 0;
	target[length] = 0;
	name = strrchr(target, '/');
	if (name == NULL || strstr(target, "/pg_wal/") == NULL || strlen(name + 1) != 24 ||
		strspn(name + 1, "0123456789ABCDEF") != 24)
		return 0;
	snprintf(path, size, "%s/%s", dir, name + 1);
	return 1;
}

/* offset, length, bytes; in one write, so that a cut leaves a whole piece or one that is too short to be used */
static void keep(int fd, size_t length, off_t offset)
{
	char path[4096], *piece;
	unsigned long head[2] = {(unsigned long) offset, length};
	ssize_t had;
	int kept;

	if (!kept_in(fd, path, sizeof(path)))
		return;
	piece = malloc(sizeof(head) + length);
	memset(piece, 0, sizeof(head) + length);
	memcpy(piece, head, sizeof(head));
	had = pread(fd, piece + sizeof(head), length, offset);
	/* WAL is opened for writing only */
	if (had < 0)
	{
		char again[64];
		int own;

		snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
		own = open(again, O_RDONLY);
		if (own < 0 || pread(own, piece + sizeof(head), length, offset) < 0)
			abort();
		close(own);
	}
	kept = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (kept < 0 || write(kept, piece, sizeof(head) + length) != (ssize_t) (sizeof(head) + length))
		abort();
	close(kept);
	free(piece);
}

static int faulty(int fd, const char *fault);

static int synced(int fd)
{
	char path[4096];

	if (faulty(fd, "eio"))
	{
		errno = EIO;
		return -1;
	}
	if (kept_in(fd, path, sizeof(path)) && truncate(path, 0) != 0 && access(path, F_OK) == 0)
		abort();
	return 0;
}

/* faults: WAL cannot be written, or not synced, while a file of that name is in $POWER_DIR */
static int faulty(int fd, const char *fault)
{
	char path[4096], flag[4200];

	if (!kept_in(fd, path, sizeof(path)))
		return 0;
	snprintf(flag, sizeof(flag), "%s/%s", getenv("POWER_DIR"), fault);
	return access(flag, F_OK) == 0;
}

/* the same for the tablespace of the log, $LOG_DIR: full while "logfull" is there */
static int log_full(int fd)
{
	char link[64], target[4096], flag[4200];
	const char *dir = getenv("POWER_DIR"), *log = getenv("LOG_DIR");
	ssize_t length;

	if (dir == NULL || log == NULL)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, target, sizeof(target) - 1);
	if (length < 0)
		return 0;
	target[length] = 0;
	snprintf(flag, sizeof(flag), "%s/logfull", dir);
	return strncmp(target, log, strlen(log)) == 0 && access(flag, F_OK) == 0;
}

int posix_fallocate(int fd, off_t offset, off_t length)
{
	static int (*next) (int, off_t, off_t);

	if (next == NULL)
		next = (int (*) (int, off_t, off_t)) dlsym(RTLD_NEXT, "posix_fallocate");
	return log_full(fd) ? ENOSPC : next(fd, offset, length);
}

int posix_fallocate64(int fd, off_t offset, off_t length) __attribute__((alias("posix_fallocate")));

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
	static pwrite_type next;

	if (next == NULL)
		next = (pwrite_type) dlsym(RTLD_NEXT, "pwrite");
	if (faulty(fd, "full") || log_full(fd))
	{
		errno = ENOSPC;
		return -1;
	}
	keep(fd, length, offset);
	return next(fd, bytes, length, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) __attribute__((alias("pwrite")));

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
	static pwritev_type next;
	size_t length = 0;

	if (next == NULL)
		next = (pwritev_type) dlsym(RTLD_NEXT, "pwritev");
	for (int i = 0; i < count; i++)
		length += pieces[i].iov_len;
	if (log_full(fd))
	{
		errno = ENOSPC;
		return -1;
	}
	keep(fd, length, offset);
	return next(fd, pieces, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off_t offset) __attribute__((alias("pwritev")));

/* nothing has to reach the real disk: the machine stays up */
int fdatasync(int fd) { return synced(fd); }
int fsync(int fd) { return synced(fd); }
