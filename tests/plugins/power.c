/* Keeps what a power cut would leave of a folder: loaded before a program's libraries, it copies each file's
 * contents to another folder whenever the program asks for it to be flushed, and the names of a folder whenever
 * that folder is flushed. POWER_FROM is the folder, POWER_TO where its remains lie; contents are in POWER_TO/.by,
 * by inode. The program itself notices nothing. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONG (PATH_MAX + 64)

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static void stop(const char *what) {
    perror(what);
    abort();
}

static void by_inode(char *path, const char *to, ino_t inode) {
    snprintf(path, LONG, "%s/.by/%lu", to, (unsigned long)inode);
}

/* Let a name stand for contents, in one step. */
static void name(const char *contents, const char *path) {
    char draft[LONG + 8];
    snprintf(draft, sizeof draft, "%s.draft", path);
    unlink(draft);
    if (link(contents, draft) || rename(draft, path)) stop(path);
}

static void keep_contents(int fd, const struct stat *is, const char *path, const char *to, const char *rest) {
    char kept[LONG], draft[LONG + 8], named[LONG], buffer[65536];
    by_inode(kept, to, is->st_ino);
    snprintf(draft, sizeof draft, "%s.draft", kept);
    snprintf(named, sizeof named, "%s%s", to, rest);
    /* Through the program's own descriptor: to close another one would drop the locks it holds on the file. */
    int other = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY ? open(path, O_RDONLY) : -1;
    int copy = open(draft, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (copy < 0) stop(draft);
    off_t at = 0;
    ssize_t count;
    while ((count = pread(other < 0 ? fd : other, buffer, sizeof buffer, at)) > 0) {
        if (write(copy, buffer, count) != count) stop(draft);
        at += count;
    }
    if (count < 0 || close(copy) || rename(draft, kept)) stop(kept);
    if (other >= 0) close(other);
    if (access(path, F_OK) == 0) name(kept, named);
}

static void keep_names(const char *path, const char *to, const char *rest) {
    char kept[LONG], named[LONG], there[LONG], folder[LONG];
    struct dirent *entry;
    struct stat is;
    snprintf(folder, sizeof folder, "%s%s", to, rest);
    mkdir(folder, 0700);
    DIR *now = opendir(path);
    if (!now) stop(path);
    while ((entry = readdir(now))) {
        snprintf(there, sizeof there, "%s/%s", path, entry->d_name);
        snprintf(named, sizeof named, "%s/%s", folder, entry->d_name);
        if (lstat(there, &is) || !S_ISREG(is.st_mode)) continue;
        by_inode(kept, to, is.st_ino);
        if (access(kept, F_OK)) close(open(kept, O_WRONLY | O_CREAT, 0600));
        name(kept, named);
    }
    closedir(now);
    DIR *before = opendir(folder);
    if (!before) stop(folder);
    while ((entry = readdir(before))) {
        snprintf(there, sizeof there, "%s/%s", path, entry->d_name);
        snprintf(named, sizeof named, "%s/%s", folder, entry->d_name);
        if (lstat(named, &is) == 0 && S_ISREG(is.st_mode) && access(there, F_OK)) unlink(named);
    }
    closedir(before);
}

static void keep(int fd) {
    const char *from = getenv("POWER_FROM"), *to = getenv("POWER_TO");
    char link_to[64], path[PATH_MAX];
    struct stat is;
    if (!from || !to) return;
    snprintf(link_to, sizeof link_to, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link_to, path, sizeof path - 1);
    if (length < 0 || fstat(fd, &is)) return;
    path[length] = 0;
    size_t root = strlen(from);
    if (strncmp(path, from, root) || (path[root] && path[root] != '/')) return;
    pthread_mutex_lock(&one_at_a_time);
    if (S_ISREG(is.st_mode)) keep_contents(fd, &is, path, to, path + root);
    if (S_ISDIR(is.st_mode)) keep_names(path, to, path + root);
    pthread_mutex_unlock(&one_at_a_time);
}

static int flush(const char *symbol, int fd) {
    int (*really)(int) = dlsym(RTLD_NEXT, symbol);
    int failed = really(fd);
    if (!failed) keep(fd);
    return failed;
}

int fsync(int fd) { return flush("fsync", fd); }

int fdatasync(int fd) { return flush("fdatasync", fd); }
