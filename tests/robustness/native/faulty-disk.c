// A disk that misbehaves on command, for programs under test: a FUSE file system over a directory. It passes everything through and keeps, for each
// sector written since the last sync of its file, what it held before. A power cut then leaves each such sector new or old, by chance.
//
//   faulty-disk DIRECTORY MOUNTPOINT
//
// Commands on stdin, one a line, each answered by "ok ...":
//   sync-delay MICROSECONDS     each fsync takes this much longer
//   full 0|1                    writes fail with ENOSPC
//   broken 0|1                  fsync fails with EIO
//   power-cut SEED PERCENT      PERCENT of the unsynced sectors are lost; to be sent when no program has files open; ends with "ok LOST"
// Ends and unmounts when stdin ends. Names (create, rename, remove) are durable at once, as on a journaling file system that orders them.
#define FUSE_USE_VERSION 312
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { sector_bytes = 512, buckets = 4096 };

struct sector { uint64_t number; struct sector *next; uint8_t old[sector_bytes]; };
struct file {
  ino_t inode;
  int descriptor;
  off_t durable_length;
  int unsynced;
  struct sector *sectors[buckets];
  struct file *next;
};

static const char *root;
static struct file *files;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile long sync_delay_us;
static volatile int is_full, is_broken;

static void at_root(char *target, const char *path) { snprintf(target, 4096, "%s%s", root, path); }

static struct file *file_of(int descriptor, const char *path) {
  struct stat status;
  if (fstat(descriptor, &status) != 0) return NULL;
  for (struct file *file = files; file; file = file->next)
    if (file->inode == status.st_ino) return file;
  struct file *file = calloc(1, sizeof *file);
  file->inode = status.st_ino;
  file->durable_length = status.st_size;
  file->descriptor = dup(descriptor);
  (void)path;
  file->next = files;
  files = file;
  return file;
}

static void forget_sectors(struct file *file) {
  if (file->unsynced == 0) return;
  for (int bucket = 0; bucket < buckets; bucket++) {
    for (struct sector *each = file->sectors[bucket]; each;) {
      struct sector *next = each->next;
      free(each);
      each = next;
    }
    file->sectors[bucket] = NULL;
  }
  file->unsynced = 0;
}

static void keep(struct file *file, uint64_t number) {
  struct sector **bucket = &file->sectors[number % buckets];
  for (struct sector *each = *bucket; each; each = each->next)
    if (each->number == number) return;
  struct sector *each = calloc(1, sizeof *each);
  each->number = number;
  if (pread(file->descriptor, each->old, sector_bytes, (off_t)number * sector_bytes) < 0) memset(each->old, 0, sector_bytes);
  each->next = *bucket;
  *bucket = each;
  file->unsynced++;
}

static int do_getattr(const char *path, struct stat *status, struct fuse_file_info *info) {
  (void)info;
  char real[4096];
  at_root(real, path);
  return lstat(real, status) == 0 ? 0 : -errno;
}

static int do_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *info, enum fuse_readdir_flags flags) {
  (void)offset; (void)info; (void)flags;
  char real[4096];
  at_root(real, path);
  DIR *directory = opendir(real);
  if (!directory) return -errno;
  for (struct dirent *entry; (entry = readdir(directory));) fill(buffer, entry->d_name, NULL, 0, 0);
  closedir(directory);
  return 0;
}

static int do_mkdir(const char *path, mode_t mode) {
  char real[4096];
  at_root(real, path);
  if (is_full) return -ENOSPC;
  return mkdir(real, mode) == 0 ? 0 : -errno;
}

static int do_unlink(const char *path) {
  char real[4096];
  struct stat status;
  at_root(real, path);
  int has_status = lstat(real, &status) == 0;
  if (unlink(real) != 0) return -errno;
  if (!has_status || status.st_nlink > 1) return 0;
  pthread_mutex_lock(&lock);
  for (struct file **at = &files; *at; at = &(*at)->next) {
    if ((*at)->inode != status.st_ino) continue;
    struct file *file = *at;
    *at = file->next;
    forget_sectors(file);
    close(file->descriptor);
    free(file);
    break;
  }
  pthread_mutex_unlock(&lock);
  return 0;
}

static int do_rmdir(const char *path) {
  char real[4096];
  at_root(real, path);
  return rmdir(real) == 0 ? 0 : -errno;
}

static int do_rename(const char *from, const char *to, unsigned flags) {
  char real_from[4096], real_to[4096];
  at_root(real_from, from);
  at_root(real_to, to);
  return renameat2(AT_FDCWD, real_from, AT_FDCWD, real_to, flags) == 0 ? 0 : -errno;
}

static int do_chmod(const char *path, mode_t mode, struct fuse_file_info *info) {
  (void)info;
  char real[4096];
  at_root(real, path);
  return chmod(real, mode) == 0 ? 0 : -errno;
}

static int do_chown(const char *path, uid_t user, gid_t group, struct fuse_file_info *info) {
  (void)info;
  char real[4096];
  at_root(real, path);
  return lchown(real, user, group) == 0 ? 0 : -errno;
}

static int do_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *info) {
  (void)info;
  char real[4096];
  at_root(real, path);
  return utimensat(AT_FDCWD, real, times, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
}

static int open_real(const char *path, int flags, mode_t mode, struct fuse_file_info *info) {
  char real[4096];
  at_root(real, path);
  // Every file is opened for reading as well, so that old sectors can be kept.
  int access = (flags & O_ACCMODE) == O_RDONLY ? O_RDONLY : O_RDWR;
  int descriptor = open(real, (flags & ~(O_ACCMODE | O_APPEND | O_SYNC | O_DSYNC | O_DIRECT)) | access, mode);
  if (descriptor < 0) return -errno;
  info->fh = (uint64_t)descriptor;
  info->keep_cache = 1;
  return 0;
}

static int do_open(const char *path, struct fuse_file_info *info) { return open_real(path, info->flags, 0, info); }

static int do_create(const char *path, mode_t mode, struct fuse_file_info *info) {
  if (is_full) return -ENOSPC;
  return open_real(path, info->flags | O_CREAT, mode, info);
}

static int do_read(const char *path, char *buffer, size_t size, off_t offset, struct fuse_file_info *info) {
  (void)path;
  ssize_t length = pread((int)info->fh, buffer, size, offset);
  return length < 0 ? -errno : (int)length;
}

static int do_write(const char *path, const char *buffer, size_t size, off_t offset, struct fuse_file_info *info) {
  if (is_full) return -ENOSPC;
  pthread_mutex_lock(&lock);
  struct file *file = file_of((int)info->fh, path);
  if (file && size > 0)
    for (uint64_t sector = offset / sector_bytes; sector <= (offset + size - 1) / sector_bytes; sector++) keep(file, sector);
  ssize_t length = pwrite((int)info->fh, buffer, size, offset);
  pthread_mutex_unlock(&lock);
  return length < 0 ? -errno : (int)length;
}

static int do_truncate(const char *path, off_t length, struct fuse_file_info *info) {
  char real[4096];
  at_root(real, path);
  int descriptor = info ? (int)info->fh : open(real, O_RDWR);
  if (descriptor < 0) return -errno;
  pthread_mutex_lock(&lock);
  struct file *file = file_of(descriptor, path);
  if (file && length < file->durable_length) file->durable_length = length;
  int result = ftruncate(descriptor, length) == 0 ? 0 : -errno;
  pthread_mutex_unlock(&lock);
  if (!info) close(descriptor);
  return result;
}

static off_t do_lseek(const char *path, off_t offset, int whence, struct fuse_file_info *info) {
  (void)path;
  off_t result = lseek((int)info->fh, offset, whence);
  return result < 0 ? -errno : result;
}

static int do_fallocate(const char *path, int mode, off_t offset, off_t length, struct fuse_file_info *info) {
  (void)path;
  if (is_full) return -ENOSPC;
  if (mode != 0) return -EOPNOTSUPP;
  int error = posix_fallocate((int)info->fh, offset, length);
  return -error;
}

static int do_fsync(const char *path, int only_data, struct fuse_file_info *info) {
  (void)only_data;
  long delay = sync_delay_us;
  if (delay > 0) {
    struct timespec wait = { .tv_sec = delay / 1000000, .tv_nsec = delay % 1000000 * 1000 };
    nanosleep(&wait, NULL);
  }
  if (is_broken) return -EIO;
  struct stat status;
  pthread_mutex_lock(&lock);
  struct file *file = file_of((int)info->fh, path);
  if (file) {
    forget_sectors(file);
    if (fstat((int)info->fh, &status) == 0) file->durable_length = status.st_size;
  }
  pthread_mutex_unlock(&lock);
  return 0;
}

static int do_fsyncdir(const char *path, int only_data, struct fuse_file_info *info) {
  (void)path; (void)only_data; (void)info;
  return 0;
}

static int do_flush(const char *path, struct fuse_file_info *info) { (void)path; (void)info; return 0; }

static int do_release(const char *path, struct fuse_file_info *info) {
  (void)path;
  close((int)info->fh);
  return 0;
}

static int do_statfs(const char *path, struct statvfs *status) {
  (void)path;
  if (statvfs(root, status) != 0) return -errno;
  if (is_full) status->f_bavail = status->f_bfree = 0;
  return 0;
}

static void *do_init(struct fuse_conn_info *connection, struct fuse_config *config) {
  (void)connection;
  config->use_ino = 1;
  config->kernel_cache = 1;
  config->nullpath_ok = 0;
  return NULL;
}

static const struct fuse_operations operations = {
  .init = do_init, .getattr = do_getattr, .readdir = do_readdir, .mkdir = do_mkdir, .unlink = do_unlink, .rmdir = do_rmdir,
  .rename = do_rename, .chmod = do_chmod, .chown = do_chown, .utimens = do_utimens, .open = do_open, .create = do_create,
  .read = do_read, .write = do_write, .truncate = do_truncate, .fallocate = do_fallocate, .lseek = do_lseek, .fsync = do_fsync,
  .fsyncdir = do_fsyncdir, .flush = do_flush, .release = do_release, .statfs = do_statfs,
};

static int power_cut(unsigned seed, int percent) {
  int lost = 0;
  srandom(seed);
  pthread_mutex_lock(&lock);
  for (struct file *file = files; file; file = file->next) {
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", file->descriptor);
    int writable = open(self, O_RDWR);
    struct stat status;
    for (int bucket = 0; bucket < buckets; bucket++)
      for (struct sector *each = file->sectors[bucket]; each; each = each->next) {
        if ((int)(random() % 100) >= percent) continue;
        if (writable >= 0 && pwrite(writable, each->old, sector_bytes, (off_t)each->number * sector_bytes) > 0) lost++;
      }
    if (writable >= 0 && fstat(writable, &status) == 0 && status.st_size > file->durable_length && (int)(random() % 100) < percent)
      if (ftruncate(writable, file->durable_length) == 0) lost++;
    if (writable >= 0) close(writable);
    forget_sectors(file);
    if (fstat(file->descriptor, &status) == 0) file->durable_length = status.st_size;
  }
  pthread_mutex_unlock(&lock);
  return lost;
}

static struct fuse *fuse;

static void *read_commands(void *argument) {
  (void)argument;
  char line[256];
  while (fgets(line, sizeof line, stdin)) {
    long number;
    unsigned seed;
    int percent;
    if (sscanf(line, "sync-delay %ld", &number) == 1) sync_delay_us = number;
    else if (sscanf(line, "full %ld", &number) == 1) is_full = number != 0;
    else if (sscanf(line, "broken %ld", &number) == 1) is_broken = number != 0;
    else if (sscanf(line, "power-cut %u %d", &seed, &percent) == 2) { printf("ok %d\n", power_cut(seed, percent)); continue; }
    else { printf("error %s", line); continue; }
    printf("ok\n");
  }
  fuse_exit(fuse);
  fuse_unmount(fuse);
  _exit(0);
}

int main(int argc, char **argv) {
  if (argc != 3) { fprintf(stderr, "faulty-disk DIRECTORY MOUNTPOINT\n"); return 2; }
  root = argv[1];
  char *fuse_argv[] = { argv[0], "-odefault_permissions", NULL };
  struct fuse_args arguments = FUSE_ARGS_INIT(2, fuse_argv);
  fuse = fuse_new(&arguments, &operations, sizeof operations, NULL);
  if (!fuse || fuse_mount(fuse, argv[2]) != 0) { fprintf(stderr, "cannot mount %s\n", argv[2]); return 1; }
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("ready\n");
  pthread_t thread;
  pthread_create(&thread, NULL, read_commands, NULL);
  struct fuse_loop_config *loop = fuse_loop_cfg_create();
  fuse_loop_cfg_set_clone_fd(loop, 0);
  fuse_loop_mt(fuse, loop);
  // The other thread unmounts and ends the process.
  pthread_join(thread, NULL);
  return 0;
}
