/* Preloaded into a process: logs what it writes to its outbox's files and when it syncs them, and lets syncs fail.
 *
 * FOREWARN_SHIM_LOG names the log; each entry is `char op, int64 offset, int64 size, int32 name length, name, data`.
 * While the file FOREWARN_SHIM_EIO exists, syncs fail with EIO.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int log_file = -1;

static void note_named(char op, const char *name, int64_t offset, int64_t size, const void *data) {
    size_t length = strlen(name);
    if (!strstr(name, "outbox.sqlite") || strstr(name, "-shm")) return;
    if (log_file < 0) {
        const char *path = getenv("FOREWARN_SHIM_LOG");
        if (!path) return;
        log_file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    char head[21];
    int32_t name_length = (int32_t)length;
    head[0] = op;
    memcpy(head + 1, &offset, 8);
    memcpy(head + 9, &size, 8);
    memcpy(head + 17, &name_length, 4);
    struct iovec parts[3] = {{head, 21}, {(void *)name, length}, {(void *)data, data ? (size_t)size : 0}};
    syscall(SYS_writev, log_file, parts, 3);
}

static void note(char op, int fd, int64_t offset, int64_t size, const void *data) {
    char link[64], name[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length <= 0) return;
    name[length] = 0;
    note_named(op, name, offset, size, data);
}

static int failing(void) {
    const char *path = getenv("FOREWARN_SHIM_EIO");
    return path && access(path, F_OK) == 0;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    note('w', fd, offset, (int64_t)size, data);
    return real(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }

int ftruncate64(int fd, off64_t size) {
    int (*real)(int, off64_t) = dlsym(RTLD_NEXT, "ftruncate64");
    note('t', fd, size, 0, NULL);
    return real(fd, size);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

static int sync_with(const char *name, int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, name);
    if (failing()) {
        errno = EIO;
        return -1;
    }
    int result = real(fd);
    if (result == 0) note('s', fd, 0, 0, NULL);
    return result;
}

int fdatasync(int fd) { return sync_with("fdatasync", fd); }
int fsync(int fd) { return sync_with("fsync", fd); }

int unlink(const char *name) {
    int (*real)(const char *) = dlsym(RTLD_NEXT, "unlink");
    note_named('u', name, 0, 0, NULL);
    return real(name);
}
