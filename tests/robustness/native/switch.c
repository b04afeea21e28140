// A network of its own for a cluster under test: one TUN device in each network namespace, and this program between them. It forwards IPv4
// packets and can lose, delay, reorder or block them in each direction separately, without kernel modules.
//
//   switch SEED PREFIX NAMESPACE...      PREFIX such as 10.77.0: station i (from 0) is PREFIX.(10+i); NAMESPACE is a file, "-" this one
//
// Commands on stdin, one a line, each answered by "ok":
//   link FROM TO LOSS_PERMILLE DELAY_US JITTER_US BLOCKED
//   clear
// Ends when stdin ends; the devices go with it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { stations_max = 16, packet_max = 10000, queue_max = 20000 };

struct link { int loss, blocked; int64_t delay, jitter; };
struct packet { int64_t due; uint64_t order; int to; int length; uint8_t *bytes; };

static struct link links[stations_max][stations_max];
static int devices[stations_max];
static int stations;
static struct packet heap[queue_max];
static int queued;
static uint64_t orders;
static uint64_t random_state;

static uint32_t draw(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (uint32_t)(random_state >> 32);
}

static int64_t now_us(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000;
}

static int before(const struct packet *a, const struct packet *b) {
  return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void push(struct packet packet) {
  if (queued == queue_max) { free(packet.bytes); return; }
  int at = queued++;
  while (at > 0 && before(&packet, &heap[(at - 1) / 2])) { heap[at] = heap[(at - 1) / 2]; at = (at - 1) / 2; }
  heap[at] = packet;
}

static struct packet pop(void) {
  struct packet top = heap[0], last = heap[--queued];
  int at = 0;
  for (;;) {
    int child = 2 * at + 1;
    if (child >= queued) break;
    if (child + 1 < queued && before(&heap[child + 1], &heap[child])) child++;
    if (!before(&heap[child], &last)) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = last;
  return top;
}

static void forward(int from, const uint8_t *bytes, int length) {
  if (length < 20 || (bytes[0] >> 4) != 4) return;
  int to = bytes[19] - 10;
  if (to < 0 || to >= stations) return;
  const struct link *link = &links[from][to];
  if (link->blocked || (link->loss > 0 && (int)(draw() % 1000) < link->loss)) return;
  if (link->delay == 0 && link->jitter == 0) {
    if (write(devices[to], bytes, length) < 0) { /* A full queue loses packets, as a real one does. */ }
    return;
  }
  struct packet packet = { .due = now_us() + link->delay, .order = orders++, .to = to, .length = length };
  if (link->jitter > 0) packet.due += (int64_t)(draw() % (uint32_t)link->jitter);
  packet.bytes = malloc(length);
  memcpy(packet.bytes, bytes, length);
  push(packet);
}

static void command(const char *line) {
  int from, to, loss, blocked;
  long delay, jitter;
  if (sscanf(line, "link %d %d %d %ld %ld %d", &from, &to, &loss, &delay, &jitter, &blocked) == 6 && from >= 0 &&
      from < stations_max && to >= 0 && to < stations_max) {
    links[from][to] = (struct link){ loss, blocked, delay, jitter };
  } else if (strcmp(line, "clear") == 0) {
    memset(links, 0, sizeof links);
  } else {
    printf("error %s\n", line);
    return;
  }
  printf("ok\n");
}

static int open_device(const char *name_space, int number) {
  int home = open("/proc/self/ns/net", O_RDONLY);
  if (strcmp(name_space, "-") != 0) {
    int target = open(name_space, O_RDONLY);
    if (target < 0 || setns(target, CLONE_NEWNET) != 0) { perror(name_space); exit(1); }
    close(target);
  }
  int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
  snprintf(request.ifr_name, sizeof request.ifr_name, "robust%d", number);
  if (device < 0 || ioctl(device, TUNSETIFF, &request) != 0) { perror("/dev/net/tun"); exit(1); }
  if (setns(home, CLONE_NEWNET) != 0) { perror("setns"); exit(1); }
  close(home);
  return device;
}

int main(int argc, char **argv) {
  if (argc < 4) { fprintf(stderr, "switch SEED PREFIX NAMESPACE...\n"); return 2; }
  random_state = strtoull(argv[1], NULL, 10) * 2654435769u + 88172645463325252ull;
  stations = argc - 3;
  if (stations > stations_max) { fprintf(stderr, "too many stations\n"); return 2; }
  for (int i = 0; i < stations; i++) devices[i] = open_device(argv[3 + i], i);
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("ready\n");
  static uint8_t bytes[packet_max];
  static char line[256];
  int filled = 0;
  struct pollfd polls[stations_max + 1];
  for (;;) {
    for (int i = 0; i < stations; i++) polls[i] = (struct pollfd){ .fd = devices[i], .events = POLLIN };
    polls[stations] = (struct pollfd){ .fd = 0, .events = POLLIN };
    struct timespec wait = { .tv_sec = 3600 };
    if (queued > 0) {
      int64_t left = heap[0].due - now_us();
      if (left < 0) left = 0;
      wait = (struct timespec){ .tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000 };
    }
    if (ppoll(polls, stations + 1, &wait, NULL) < 0 && errno != EINTR) return 1;
    while (queued > 0 && heap[0].due <= now_us()) {
      struct packet packet = pop();
      if (write(devices[packet.to], packet.bytes, packet.length) < 0) { /* As above. */ }
      free(packet.bytes);
    }
    for (int i = 0; i < stations; i++) {
      if (!(polls[i].revents & POLLIN)) continue;
      for (int n = 0; n < 64; n++) {
        int length = read(devices[i], bytes, sizeof bytes);
        if (length <= 0) break;
        forward(i, bytes, length);
      }
    }
    if (polls[stations].revents & (POLLIN | POLLHUP)) {
      int length = read(0, line + filled, sizeof line - 1 - filled);
      if (length <= 0) return 0;
      filled += length;
      line[filled] = 0;
      char *start = line, *end;
      while ((end = strchr(start, '\n'))) { *end = 0; command(start); start = end + 1; }
      filled -= start - line;
      memmove(line, start, filled);
      if (filled == sizeof line - 1) filled = 0;
    }
  }
}
