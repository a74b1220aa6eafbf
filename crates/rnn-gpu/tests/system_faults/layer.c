// Makes calls of the C library fail, for a program that is started with LD_PRELOAD.
//
// SYSTEM_FAULT=<kind>:<n>:<error>[:on] makes the n-th call of a kind fail with this number of errno; with
// `on` that one and all after it. The number -1 makes a read or write end early, after half of the bytes.
// SYSTEM_CALLS names a file that is given, when the program ends, a line `<kind> <calls>` for each kind.
// Reads and writes fail of files alone: what a child process writes into a pipe is no disk's, and a fault
// has to be told.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { OPEN, READ, WRITE, SYNC, RENAME, MAKE, REMOVE, STAT, LIST, LOCK, RESIZE, MAP, THREAD, MEMORY, KINDS };
static const char *const names[KINDS] = {
    "open", "read", "write", "sync", "rename", "make", "remove",
    "stat", "list", "lock", "resize", "map", "thread", "memory",
};
static atomic_long calls[KINDS];
static atomic_bool counting;
static int failing = -1, number, from_there_on;
static long place;

enum { EARLY = -1 };

__attribute__((constructor)) static void begin(void) {
    const char *fault = getenv("SYSTEM_FAULT");
    char name[16], on[4] = "";
    if (fault && sscanf(fault, "%15[a-z]:%ld:%d:%3s", name, &place, &number, on) >= 3) {
        for (int kind = 0; kind < KINDS; kind++) {
            if (!strcmp(name, names[kind])) failing = kind;
        }
        from_there_on = !strcmp(on, "on");
    }
    // Of children nothing fails.
    unsetenv("SYSTEM_FAULT");
    unsetenv("LD_PRELOAD");
    counting = 1;
}

__attribute__((destructor)) static void end(void) {
    counting = 0;
    const char *path = getenv("SYSTEM_CALLS");
    FILE *file = path ? fopen(path, "w") : NULL;
    for (int kind = 0; file && kind < KINDS; kind++) fprintf(file, "%s %ld\n", names[kind], (long)calls[kind]);
    if (file) fclose(file);
}

// Counts a call; the number of the error that it is to fail with, or 0.
static int fault(enum kind kind) {
    if (!counting) return 0;
    long at = ++calls[kind];
    if (kind != (enum kind)failing || at < place || (at > place && !from_there_on)) return 0;
    return number;
}

#define NEXT(name)                                                   \
    static __typeof__(&name) next;                                   \
    if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define FAIL(kind, result)                                           \
    do {                                                             \
        int error_ = fault(kind);                                    \
        if (error_ > 0) { errno = error_; return result; }           \
    } while (0)

// A function whose calls may fail: its kind, what it returns then, its type, name, parameters and arguments.
#define CALL(kind, failed, type, name, parameters, arguments)        \
    type name parameters {                                           \
        NEXT(name);                                                  \
        FAIL(kind, failed);                                          \
        return next arguments;                                       \
    }

#define OPENING(name, parameters, arguments)                         \
    int name parameters {                                            \
        NEXT(name);                                                  \
        va_list more;                                                \
        va_start(more, flags);                                       \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more);                                                \
        FAIL(OPEN, -1);                                              \
        return next arguments;                                       \
    }
OPENING(open, (const char *path, int flags, ...), (path, flags, mode))
OPENING(open64, (const char *path, int flags, ...), (path, flags, mode))
OPENING(openat, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))
OPENING(openat64, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))

static int is_file(int fd) {
    struct stat what;
    return fd > STDERR_FILENO && !fstat(fd, &what) && S_ISREG(what.st_mode);
}

#define TRANSFER(kind, name, parameters, arguments, size)            \
    ssize_t name parameters {                                        \
        NEXT(name);                                                  \
        if (!is_file(fd)) return next arguments;                     \
        int error_ = fault(kind);                                    \
        if (error_ > 0) { errno = error_; return -1; }               \
        if (error_ == EARLY && size > 1) size /= 2;                  \
        return next arguments;                                       \
    }
TRANSFER(READ, read, (int fd, void *to, size_t size), (fd, to, size), size)
TRANSFER(READ, pread, (int fd, void *to, size_t size, off_t at), (fd, to, size, at), size)
TRANSFER(READ, pread64, (int fd, void *to, size_t size, off64_t at), (fd, to, size, at), size)
TRANSFER(READ, readv, (int fd, const struct iovec *to, int count), (fd, to, count), count)
TRANSFER(WRITE, write, (int fd, const void *from, size_t size), (fd, from, size), size)
TRANSFER(WRITE, pwrite, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at), size)
TRANSFER(WRITE, pwrite64, (int fd, const void *from, size_t size, off64_t at), (fd, from, size, at), size)
TRANSFER(WRITE, writev, (int fd, const struct iovec *from, int count), (fd, from, count), count)
TRANSFER(WRITE, copy_file_range, (int in, off64_t *at, int fd, off64_t *to, size_t size, unsigned flags),
         (in, at, fd, to, size, flags), size)

CALL(SYNC, -1, int, fsync, (int fd), (fd))
CALL(SYNC, -1, int, fdatasync, (int fd), (fd))
CALL(RENAME, -1, int, rename, (const char *from, const char *to), (from, to))
CALL(RENAME, -1, int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
CALL(RENAME, -1, int, renameat2, (int a, const char *from, int b, const char *to, unsigned flags),
     (a, from, b, to, flags))
CALL(RENAME, -1, int, link, (const char *from, const char *to), (from, to))
CALL(RENAME, -1, int, linkat, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
CALL(MAKE, -1, int, mkdir, (const char *path, mode_t mode), (path, mode))
CALL(MAKE, -1, int, mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode))
CALL(REMOVE, -1, int, unlink, (const char *path), (path))
CALL(REMOVE, -1, int, unlinkat, (int folder, const char *path, int flags), (folder, path, flags))
CALL(REMOVE, -1, int, rmdir, (const char *path), (path))
CALL(STAT, -1, int, stat64, (const char *path, struct stat64 *to), (path, to))
CALL(STAT, -1, int, lstat64, (const char *path, struct stat64 *to), (path, to))
CALL(STAT, -1, int, fstat64, (int fd, struct stat64 *to), (fd, to))
CALL(STAT, -1, int, statx, (int folder, const char *path, int flags, unsigned mask, struct statx *to),
     (folder, path, flags, mask, to))
CALL(STAT, NULL, char *, realpath, (const char *path, char *to), (path, to))
CALL(LIST, NULL, DIR *, opendir, (const char *path), (path))
CALL(LIST, NULL, DIR *, fdopendir, (int fd), (fd))
CALL(LIST, NULL, struct dirent64 *, readdir64, (DIR *folder), (folder))
CALL(LOCK, -1, int, flock, (int fd, int operation), (fd, operation))
CALL(RESIZE, -1, int, ftruncate64, (int fd, off64_t size), (fd, size))
CALL(MAP, MAP_FAILED, void *, mmap, (void *at, size_t size, int protection, int flags, int fd, off_t from),
     (at, size, protection, flags, fd, from))
CALL(MAP, MAP_FAILED, void *, mmap64, (void *at, size_t size, int protection, int flags, int fd, off64_t from),
     (at, size, protection, flags, fd, from))

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*work)(void *), void *of) {
    NEXT(pthread_create);
    int error_ = fault(THREAD);
    return error_ > 0 ? error_ : next(thread, how, work, of);
}

// The allocator, by the names that it has within glibc: dlsym itself allocates.
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

void *malloc(size_t size) {
    FAIL(MEMORY, NULL);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    FAIL(MEMORY, NULL);
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    FAIL(MEMORY, NULL);
    return __libc_realloc(block, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
    int error_ = fault(MEMORY);
    if (error_ > 0) return error_;
    *block = __libc_memalign(alignment, size);
    return *block ? 0 : ENOMEM;
}
